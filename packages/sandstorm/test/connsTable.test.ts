/** Connections and counters as text: columns, ss's words and units, nstat's names. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Columns, durationText, summaryText } from '../src/cli/connsTable.ts'
import { countersText } from '../src/cli/countersText.ts'
import type { Connection } from '../src/control/connection.ts'
import { COUNTER_NAMES } from '../src/control/counterNames.ts'
import { endpointText } from '../src/control/endpoint.ts'
import { World } from './kit/world.ts'

const IDLE: Connection = {
  state: 'ESTAB',
  local: { address: '10.77.0.2', port: 80 },
  peer: { address: '10.77.0.1', port: 50000 },
  inFlightBytes: 0,
  notSentBytes: 0,
  sackedBytes: 0,
  lostBytes: 0,
  sendWindowBytes: 65535,
  mssBytes: 1448,
  cwndBytes: 14480,
  ssthreshBytes: null,
  congestion: 'cubic',
  recovery: 'none',
  srttUs: 0,
  rttvarUs: 0,
  minRttUs: 0,
  rtoUs: 1_000_000,
  backoff: 0,
  timer: null,
  timestamps: false,
  sack: false,
  ecn: false,
  windowScale: null,
  lastSentMs: null,
  lastReceivedMs: 12,
}

const BUSY: Connection = {
  ...IDLE,
  peer: { address: 'fd77::1', port: 443 },
  inFlightBytes: 14479,
  notSentBytes: 1_000_000,
  sackedBytes: 2896,
  lostBytes: 1448,
  cwndBytes: 14479,
  ssthreshBytes: 10136,
  recovery: 'recovery',
  srttUs: 500,
  rttvarUs: 200,
  minRttUs: 81,
  rtoUs: 200_500,
  backoff: 2,
  timer: { kind: 'on', leftMs: 204 },
  timestamps: true,
  sack: true,
  ecn: true,
  windowScale: { send: 7, receive: 0 },
  lastSentMs: 3,
}

test('columns are aligned, and fields are named as ss names them', () => {
  const columns = new Columns()
  const lines = columns.lines([IDLE, BUSY])
  assert.deepEqual(
    [columns.header(), ...lines],
    [
      'State  Send-Q In-Flight Local Address:Port Peer Address:Port Timer',
      `ESTAB       0         0 10.77.0.2:80       10.77.0.1:50000   ${'-'.padEnd(18)}` +
        ' cubic rto:1000 mss:1448 cwnd:10 lastrcv:12 snd_wnd:65535',
      'ESTAB 1014479     14479 10.77.0.2:80       [fd77::1]:443     timer:(on,204ms,2)' +
        ' ts sack ecn cubic wscale:7,0 rto:200.5 backoff:2 rtt:0.5/0.2 mss:1448 cwnd:9 ssthresh:7' +
        ' recovery lastsnd:3 lastrcv:12 notsent:1000000 bytes_sacked:2896 bytes_lost:1448' +
        ' minrtt:0.081 snd_wnd:65535',
    ],
  )
})

test('later parts of a table are as wide as the first, or wider', () => {
  const columns = new Columns()
  const [wide] = columns.lines([BUSY])
  const [narrow] = columns.lines([IDLE])
  assert.equal(narrow.indexOf('10.77.0.2:80'), wide.indexOf('10.77.0.2:80'))
  assert.equal(narrow.indexOf('cubic'), wide.indexOf(' ts sack') + 1)
})

test('addresses of IPv6 stand in brackets before a port', () => {
  assert.equal(endpointText({ address: 'fd77::2', port: 80 }), '[fd77::2]:80')
  assert.equal(endpointText({ address: '10.77.0.2', port: 80 }), '10.77.0.2:80')
})

describe('durations are written as ss writes them', () => {
  for (const [ms, text] of [
    [0, '0ms'],
    [7, '7ms'],
    [999, '999ms'],
    [1000, '1sec'],
    [9501, '9.501sec'],
    [1098, '1.098sec'],
    [10_999, '10sec'],
    [60_000, '1min'],
    [72_345, '1min12sec'],
    [599_999, '9min59sec'],
    [600_000, '10min'],
    [645_000, '10min'],
  ] as const)
    test(`${ms} ms: ${text}`, () => assert.equal(durationText(ms), text))
})

test('the summary counts all states, and names those that matter even when there are none', () => {
  const line = { type: 'summary', pid: 1 } as const
  assert.equal(summaryText({ ...line, states: {} }), 'TCP:   0 (estab 0, timewait 0)')
  assert.equal(
    summaryText({ ...line, states: { 'FIN-WAIT-1': 2, ESTAB: 3, 'TIME-WAIT': 4 } }),
    'TCP:   9 (estab 3, fin-wait-1 2, timewait 4)',
  )
})

describe('counters', () => {
  const stats = new World({ '/a': 1 }).server.stats()

  test('have names, every one of TCP', () => {
    assert.deepEqual(Object.keys(COUNTER_NAMES).sort(), Object.keys(stats.tcp).sort())
  })

  test('have names of their own, in the forms of RFC 4022 and nstat', () => {
    const names = Object.values(COUNTER_NAMES)
    assert.equal(new Set(names.map(({ nstat }) => nstat)).size, names.length)
    for (const { rfc4022, nstat, text } of names) {
      assert.match(nstat, /^(Tcp|TcpExt|Sandstorm)[A-Z]\w+$/)
      assert.equal(rfc4022 !== '', /^Tcp(?!Ext)/.test(nstat), nstat)
      if (rfc4022 !== '') assert.equal(rfc4022.toLowerCase(), nstat.toLowerCase())
      if (nstat.startsWith('Sandstorm')) assert.notEqual(text, '', `${nstat} explains itself`)
    }
  })

  test('are printed in the columns of nstat, with the words of netstat -s', () => {
    const world = new World({ '/a': 100 })
    world.fetch('/a')
    const lines = countersText(world.server.stats())
    const line = lines.find(text => text.startsWith('TcpPassiveOpens'))
    assert.equal(
      line,
      `${'TcpPassiveOpens'.padEnd(32)}${'1'.padEnd(19)}passive connection openings`,
    )
    assert.ok(lines.includes(`${'http.requests'.padEnd(32)}1`))
    assert.ok(lines.includes(`${'timeWait'.padEnd(32)}${'1'.padEnd(19)}connections in TIME-WAIT`))
  })
})
