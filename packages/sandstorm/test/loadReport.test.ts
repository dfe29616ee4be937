/** The report of `load` for people, and what makes a run a good one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Tally } from '@sandstorm/loadgen'
import { isGood, reportOf, reportText } from '../src/load/loadReport.ts'
import { checkLoad } from '../src/load/plan.ts'
import type { LoadResult } from '../src/load/run.ts'

function resultOf(fill: (tally: Tally) => void): LoadResult {
  const tally = new Tally()
  fill(tally)
  const cpu = { user: 0.75, system: 0.25, wall: 2 }
  return { tally, cpu, device: 'tap:sand0', down: '', problem: '', framesLost: 0 }
}

const plan = checkLoad('http://10.77.0.1/', { keepAlive: true, connections: '1' })

test('a run without errors', () => {
  const result = resultOf(tally => {
    tally.answers = 2000
    tally.seconds = 2
    tally.bytes = 3e6
    tally.opened = 1
    tally.openingSeconds = 0.25
    tally.statuses[200] = 2000
    tally.checked = 32
    tally.bodyBytes = 1024
    tally.connect.record(100)
    for (let i = 1; i <= 2000; i++) {
      tally.firstByte.record(i)
      tally.latency.record(i * 100)
    }
  })
  const report = reportOf(plan, result)
  assert.ok(isGood(report))
  assert.equal(report.requestsPerSecond, 1000)
  assert.equal(report.cpu.share, 0.5)
  assert.deepEqual(reportText(report).split('\n'), [
    'http://10.77.0.1/: 1 connection, keep-alive, closed loop, tap:sand0',
    '',
    '  requests/s    1,000   (2,000 in 2.00 s)',
    '  MB/s          1.50   (3,000,000 bytes)',
    '  connections   1 opened, all at first in 0.25 s',
    '  status        200: 2,000',
    '',
    '  ms                 mean       p50       p90       p99     p99.9    p99.99       max',
    '  connect           0.100     0.100     0.100     0.100     0.100     0.100     0.100',
    '  first byte         1.00      1.00      1.80      1.98      2.00      2.00      2.00',
    '  whole answer        100       100       180       198       200       200       200',
    '',
    '  checked       every length (1,024 bytes); of one answer in 64 every byte (32)',
    '  generator     0.75 s user, 0.25 s system: 50 % of a processor',
    '',
    'no errors',
  ])
})

test('what went wrong is in the last line', () => {
  const result = resultOf(tally => {
    tally.answers = 5
    tally.statuses[503] = 5
    tally.errors[0] = 2
    tally.errors[3] = 5
    tally.unused = 1200
    tally.unfinished = 1
    tally.unsent = 3
  })
  const report = reportOf(plan, { ...result, problem: 'ECONNREFUSED' })
  assert.ok(!isGood(report))
  const lines = reportText(report).split('\n')
  assert.equal(lines.at(-1), '7 errors: 2 connect, 5 status; last: ECONNREFUSED')
  assert.equal(report.connectionsUnused, 1200)
  assert.ok(lines.includes('  unused        1,200 connections: the server closed before a request'))
  assert.ok(lines.includes('  unfinished    1 request at the end'))
  assert.ok(lines.includes('  never sent    3 requests: no connection was free'))
})

test('frames that were lost are told of, and none where nobody counts them', () => {
  const result = resultOf(() => {})
  const [some, none, unknown] = [1234, 0, undefined].map(framesLost =>
    reportOf(plan, { ...result, framesLost }),
  )
  assert.deepEqual([some.framesLost, none.framesLost, 'framesLost' in unknown], [1234, 0, false])
  const line =
    /\n {2}frames lost {3}1,234 on this machine: times above have retransmissions in them\n/
  assert.match(reportText(some), line)
  for (const report of [none, unknown]) assert.doesNotMatch(reportText(report), /frames lost/)
})

test('a run without an answer is no good one', () => {
  const report = reportOf(
    plan,
    resultOf(() => {}),
  )
  assert.ok(!isGood(report))
  assert.match(reportText(report), /\nno answer$/)
})
