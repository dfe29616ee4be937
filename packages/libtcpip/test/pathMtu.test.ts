/**
 * Path MTU discovery (RFC 1191): a router's message, what may be believed of it (RFC 5927 §7.2),
 * what is sent again at what cost, what later connections know, and paths that swallow in silence.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DROP_NAMES, tcb } from '../src/index.ts'
import { LIFETIME_MS, PathMtuCache } from '../src/tcp/path/pathMtuCache.ts'
import {
  advance,
  close,
  type Established,
  established,
  expectEmpty,
  expectSent,
  Host,
  OUR_ADDR,
  PEER_ADDR,
  segments,
  send,
  write,
} from './kit/host.ts'
import { tooBig } from './kit/icmp.ts'
import { ACK, FIN } from './kit/segment.ts'

const HEADERS = 40
const dropsOf = (t: Host, name: string): number => t.tcp.drops[DROP_NAMES.indexOf(name)]

/** Ten segments of 1460 bytes are in flight, and no full one has been acknowledged yet. */
function flying(options: Established = {}): Host {
  const t = new Host()
  established(t, { rttMs: 50, ...options })
  write(t, 1_000_000)
  t.take()
  return t
}

/** Likewise, but many full segments have been acknowledged. */
function proven(options: Established = {}): Host {
  const t = flying(options)
  send(t, { flags: ACK, seq: 1, ack: 7 * 1460 + 1 })
  send(t, { flags: ACK, seq: 1, ack: 14 * 1460 + 1 })
  t.take()
  return t
}

const una = (t: Host): number => (t.field(tcb.SND_UNA) - t.iss()) | 0
const nxt = (t: Host): number => (t.field(tcb.SND_NXT) - t.iss()) | 0
/** The payload lengths of what was sent. */
const lengths = (t: Host): number[] => t.take().map(frame => frame.segment!.data.length)

test('what was too big leaves again at once in smaller segments; window and RTO stay', () => {
  const t = flying()
  const cwnd = t.field(tcb.CWND)
  const rto = t.field(tcb.RTO_US)
  tooBig(t, 1400)
  const sent = t.take()
  assert.equal((sent[0].segment!.seq - t.iss()) | 0, 1)
  const bytes = sent.reduce((sum, frame) => sum + frame.segment!.data.length, 0)
  assert.ok(bytes > cwnd - 1460 && bytes <= cwnd, `${bytes} bytes`)
  for (const frame of sent) assert.ok(frame.bytes.length - 14 <= 1400, frame.line)
  assert.equal(t.field(tcb.MSS), 1400 - HEADERS)
  assert.equal(t.field(tcb.CWND), cwnd)
  assert.equal(t.field(tcb.RTO_US), rto)
  assert.equal(t.field(tcb.FLAGS) & (tcb.IN_RECOVERY | tcb.IN_RTO | tcb.IN_CWR), 0)
  assert.equal(t.tcp.stats.timeouts, 0)
  assert.equal(t.tcp.stats.pathMtuReductions, 1)
})

test('the messages about the rest of the flight say nothing new', () => {
  const t = flying()
  tooBig(t, 1400)
  t.take()
  for (let i = 1; i < 10; i++) tooBig(t, 1400, { seq: 1 + i * 1460 })
  expectSent(t, [])
  assert.equal(dropsOf(t, 'tcp-icmp-mtu'), 9)
})

test('the window grows on as if nothing had happened', () => {
  const t = flying()
  tooBig(t, 1400)
  t.take()
  const cwnd = t.field(tcb.CWND)
  for (let i = 1; i <= 10; i++) send(t, { flags: ACK, seq: 1, ack: 1 + i * 1360 })
  assert.ok(t.field(tcb.CWND) > cwnd)
  assert.equal(t.field(tcb.FLAGS) & (tcb.IN_RECOVERY | tcb.IN_RTO), 0)
})

for (const sack of [true, false]) {
  test(`the whole stream arrives over a path that narrows twice (SACK ${sack})`, () => {
    const t = new Host()
    established(t, { rttMs: 50, sack })
    write(t, 200_000)
    close(t)
    let got = 1
    let narrow = 1500
    const early = new Map<number, number>()
    for (let turn = 0; turn < 400 && got < 200_002; turn++) {
      if (turn === 3) narrow = 1400
      if (turn === 6) narrow = 900
      const frames = t.take()
      if (frames.length === 0) advance(t, 50)
      for (const frame of frames) {
        const seg = frame.segment!
        const seq = (seg.seq - t.iss()) | 0
        if (frame.bytes.length - 14 > narrow) {
          tooBig(t, narrow, { seq })
          continue
        }
        early.set(seq, Math.max(early.get(seq) ?? 0, seq + seg.data.length))
        for (const [from, to] of early) if (from <= got && to > got) got = to
        if (seg.flags & FIN && seq + seg.data.length === got) got++
        send(t, { flags: ACK, seq: 1, ack: got })
      }
    }
    assert.equal(got, 200_002)
    assert.equal(t.field(tcb.MSS), 900 - HEADERS)
    assert.equal(t.tcp.stats.timeouts, 0)
    send(t, { flags: ACK | FIN, seq: 1, ack: got })
    advance(t, 61_000)
    expectEmpty(t)
  })
}

test('a path is not believed to be narrower than 552 bytes', () => {
  for (const mtu of [1, 68, 296, 551]) {
    const t = flying()
    tooBig(t, mtu)
    assert.equal(t.field(tcb.MSS), 552 - HEADERS)
    t.take()
    tooBig(t, 68)
    expectSent(t, [])
  }
})

test('a router that names no MTU means the next plateau below (RFC 1191 §7.1)', () => {
  const t = flying()
  const sizes = [1, 2, 3, 4].map(() => {
    tooBig(t, 0)
    return t.field(tcb.MSS) + HEADERS
  })
  assert.deepEqual(sizes, [1492, 1006, 552, 552])
  const jumbo = new Host({ mtu: 9000 })
  established(jumbo, { mss: 8960 })
  write(jumbo, 50_000)
  tooBig(jumbo, 0)
  assert.equal(jumbo.field(tcb.MSS) + HEADERS, 8166)
})

test('a message that asks for no less than what is used is ignored', () => {
  const t = flying({ mss: 1000 })
  for (const mtu of [1040, 1041, 1500, 65_535]) tooBig(t, mtu)
  assert.equal(t.field(tcb.MSS), 1000)
  expectSent(t, [])
  assert.equal(dropsOf(t, 'tcp-icmp-mtu'), 4)
})

test('timestamps count: the packet fits, options and all', () => {
  const t = flying({ timestamps: true })
  tooBig(t, 1300)
  for (const frame of t.take()) assert.ok(frame.bytes.length - 14 <= 1300, frame.line)
  assert.equal(t.field(tcb.MSS), 1300 - HEADERS - 12)
})

test('the application chooses the size below', () => {
  const t = flying()
  t.app.segmentMax = 524
  tooBig(t, 1400)
  assert.equal(t.field(tcb.MSS), 524)
  assert.equal(lengths(t)[0], 524)
})

test('after full segments were acknowledged a message alone changes nothing', () => {
  for (const sack of [true, false]) {
    const t = proven({ sack })
    tooBig(t, 1400, { seq: una(t) })
    expectSent(t, [])
    assert.equal(t.field(tcb.MSS), 1460)
    // What it quotes arrives: it was forged.
    send(t, { flags: ACK, seq: 1, ack: una(t) + 1460 })
    assert.ok(lengths(t).every(len => len === 1460))
    send(t, { flags: ACK, seq: 1, ack: nxt(t) })
    t.take()
    advance(t, 400)
    assert.ok(t.tcp.stats.timeouts + t.tcp.stats.lossProbes > 0)
    assert.equal(t.field(tcb.MSS), 1460, 'nor does a later time-out make it true')
    assert.equal(t.tcp.stats.pathMtuReductions, 0)
  }
})

for (const [name, sack, waitMs] of [
  ['a tail loss probe is due', true, 150],
  ['the RTO is over', false, 400],
] as const) {
  test(`it is borne out if the segment is still missing when ${name}`, () => {
    const t = proven({ sack })
    const cwnd = t.field(tcb.CWND)
    const rto = t.field(tcb.RTO_US)
    const from = una(t)
    tooBig(t, 1400, { seq: from + 1460 })
    advance(t, waitMs)
    const sent = t.take()
    assert.equal((sent[0].segment!.seq - t.iss()) | 0, from)
    for (const frame of sent) assert.ok(frame.bytes.length - 14 <= 1400, frame.line)
    assert.equal(t.field(tcb.CWND), cwnd)
    assert.equal(t.field(tcb.RTO_US), rto)
    assert.equal(t.field(tcb.RETRIES), 0)
    assert.equal(t.tcp.stats.timeouts, 0)
    assert.equal(t.tcp.stats.lossProbes, 0)
    assert.equal(t.tcp.stats.pathMtuReductions, 1)
  })
}

test('a segment that timed out already needs no further proof', () => {
  const t = proven()
  advance(t, 400)
  assert.ok(t.tcp.stats.timeouts > 0)
  t.take()
  tooBig(t, 1400, { seq: una(t) })
  assert.equal(t.field(tcb.MSS), 1360)
  assert.ok(lengths(t)[0] <= 1360)
})

test('without SACK, duplicate ACKs of the lost flight let no more out than the window', () => {
  const t = flying({ sack: false })
  for (let i = 0; i < 2; i++) send(t, { flags: ACK, seq: 1, ack: 1 })
  t.take()
  tooBig(t, 1400)
  const bytes = lengths(t).reduce((sum, len) => sum + len, 0)
  assert.ok(bytes <= t.field(tcb.CWND), `${bytes} bytes`)
})

test('one that was selectively acknowledged disproves the message', () => {
  const t = proven({ sack: true })
  const quoted = una(t) + 2 * 1460
  tooBig(t, 1400, { seq: quoted })
  const block = [quoted, quoted + 1460].map(n => (n + t.iss()) | 0)
  const bytes = block.flatMap(n => [24, 16, 8, 0].map(shift => (n >>> shift) & 255))
  send(t, { flags: ACK, seq: 1, ack: una(t), options: [1, 1, 5, 10, ...bytes] })
  advance(t, 400)
  assert.ok(t.tcp.stats.timeouts > 0)
  assert.equal(t.field(tcb.MSS), 1460)
})

test('new connections to the same peer begin with what was learned, for ten minutes', () => {
  const t = flying()
  tooBig(t, 1400)
  close(t)
  assert.equal(portMss(t, 41_000), 1360)
  advance(t, LIFETIME_MS - 5000)
  assert.equal(portMss(t, 41_001), 1360)
  advance(t, 6000)
  assert.equal(portMss(t, 41_002), 1460)
})

function portMss(t: Host, port: number): number {
  established(t, { port })
  return t.field(tcb.MSS, port)
}

for (const [name, narrow] of [
  ['a message', (t: Host) => tooBig(t, 1400)],
  ['time-outs', (t: Host) => advance(t, 2000)],
] as const) {
  test(`ten minutes after ${name} an idle connection tries its old size again`, () => {
    const t = flying()
    narrow(t)
    const small = t.field(tcb.MSS)
    assert.ok(small < 1460)
    acknowledgeAll(t)
    advance(t, 590_000)
    write(t, 3000)
    assert.equal(t.field(tcb.MSS), small, 'not sooner')
    acknowledgeAll(t)
    advance(t, 70_000)
    write(t, 3000)
    assert.equal(t.field(tcb.MSS), 1460)
    assert.ok(lengths(t).includes(1460))
  })
}

function acknowledgeAll(t: Host): void {
  while (t.field(tcb.SND_UNA) !== t.field(tcb.SND_END)) {
    send(t, { flags: ACK, seq: 1, ack: nxt(t) })
  }
  t.take()
}

test('a connection that tries again keeps to what others have found out', () => {
  const t = flying()
  tooBig(t, 1400)
  acknowledgeAll(t)
  established(t, { port: 41_000 })
  advance(t, 500_000)
  write(t, 20_000, 41_000)
  tooBig(t, 1300, { port: 41_000 })
  advance(t, 170_000)
  write(t, 3000)
  assert.equal(t.field(tcb.MSS), 1260)
})

test('the MSS that we offer is about what we receive, whatever the path back', () => {
  const t = flying()
  tooBig(t, 1400)
  t.take()
  send(t, { flags: 2, seq: 0, port: 41_000 })
  const [synAck] = t.take()
  assert.deepEqual([...synAck.segment!.options.slice(0, 4)], [2, 4, 1460 >> 8, 1460 & 255])
})

test('the cache holds one destination a place, and knows addresses apart', () => {
  const cache = new PathMtuCache(16)
  const v4 = Int32Array.of(PEER_ADDR, 0, 0, 0, OUR_ADDR, 0, 0, 0)
  cache.set(v4, 0, 1400, 0)
  assert.equal(cache.find(v4, 0, 0), 1400)
  assert.equal(cache.find(v4, 4, 0), 0)
  const v6 = Int32Array.of(1, 2, 3, 4)
  cache.set(v6, 0, 1300, 0)
  assert.equal(cache.find(v6, 0, 0), 1300)
  for (let word = 0; word < 4; word++) {
    const other = v6.slice()
    other[word]++
    assert.equal(cache.find(other, 0, 0), 0)
  }
  const many = Array.from({ length: 1000 }, (_, i) => Int32Array.of(i, 0, 0, 0))
  for (const address of many) cache.set(address, 0, 1000, 0)
  const known = many.filter(address => cache.find(address, 0, 0) > 0).length
  assert.ok(known > 8 && known <= 16, `${known} are known`)
})

test('an entry lives for ten minutes after it was last renewed, whatever the clock', () => {
  const address = Int32Array.of(7, 0, 0, 0)
  for (const start of [0, 2 ** 31, 2 ** 33]) {
    const cache = new PathMtuCache(4)
    cache.set(address, 0, 1400, start)
    cache.set(address, 0, 1300, start + 5000)
    assert.equal(cache.find(address, 0, start + 5000 + LIFETIME_MS - 1), 1300)
    assert.equal(cache.find(address, 0, start + 6000 + LIFETIME_MS), 0)
  }
})

/** A path that swallows packets above `mtu`; the client acknowledges the rest. Virtual time. */
function swallow(t: Host, mtu: number, bytes: number): number {
  let got = 1
  const begin = t.nowUs
  for (let turn = 0; got < bytes + 1; turn++) {
    assert.ok(turn < 5000, `stuck at ${got}`)
    const frames = t.take()
    if (frames.length === 0) advance(t, 20)
    for (const frame of frames) {
      const seq = (frame.segment!.seq - t.iss()) | 0
      const end = seq + frame.segment!.data.length
      if (frame.bytes.length - 14 > mtu) continue
      if (seq <= got && end > got) got = end
      send(t, { flags: ACK, seq: 1, ack: got })
    }
  }
  return (t.nowUs - begin) / 1000
}

for (const [mtu, mss, holes] of [
  [1300, 1240, 1],
  [600, 536, 2],
] as const) {
  test(`a path that swallows packets above ${mtu} is found out by time-outs`, () => {
    const t = new Host()
    established(t, { rttMs: 20, sack: true })
    write(t, 100_000)
    const ms = swallow(t, mtu, 100_000)
    assert.equal(t.field(tcb.MSS), mss)
    assert.equal(t.tcp.stats.blackHoles, holes)
    assert.ok(ms < 10_000, `${ms} ms`)
  })
}

test('two time-outs in a row make no size suspect, the third does', () => {
  const t = flying()
  advance(t, 1000)
  assert.equal(t.tcp.stats.timeouts, 2)
  assert.equal(t.field(tcb.MSS), 1460)
  advance(t, 1000)
  assert.equal(t.field(tcb.MSS), 1240)
})

test('where full segments have passed, it takes six', () => {
  const t = proven()
  advance(t, 10_000)
  assert.equal(t.tcp.stats.timeouts, 5)
  assert.equal(t.field(tcb.MSS), 1460)
  advance(t, 10_000)
  assert.equal(t.field(tcb.MSS), 1240)
})

test('small segments that time out make no size suspect', () => {
  const t = new Host()
  established(t, { rttMs: 50 })
  write(t, 400)
  advance(t, 20_000)
  assert.ok(t.tcp.stats.timeouts > 5)
  assert.equal(t.field(tcb.MSS), 1460)
  assert.equal(t.tcp.stats.blackHoles, 0)
})

test('after the last step the size stays', () => {
  const t = flying()
  advance(t, 30_000)
  assert.equal(t.field(tcb.MSS), 536)
  assert.equal(t.tcp.stats.blackHoles, 2)
  assert.deepEqual(lengths(t).slice(-1), [536])
})

test('what is learned from time-outs alone is not passed on', () => {
  const t = flying()
  advance(t, 5000)
  assert.ok(t.tcp.stats.blackHoles > 0)
  assert.equal(portMss(t, 41_000), 1460)
})

test('a FIN behind large segments survives all of it', () => {
  const t = new Host()
  established(t, { rttMs: 20 })
  t.tcp.commit(t.conn(), 5000)
  close(t)
  t.take()
  tooBig(t, 1000)
  expectSent(t, [...segments(1, 5, 960), 'FP. 4801:5001 ack 1'])
})
