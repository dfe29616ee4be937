/** The retransmission timer (RFC 6298), Karn's rule, and giving up (RFC 9293 §3.8.3). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tcb } from '../src/index.ts'
import {
  ackUpTo,
  advance,
  brief,
  close,
  established,
  expectEmpty,
  expectSent,
  Host,
  segments,
  send,
  write,
} from './kit/host.ts'
import { ACK, RST } from './kit/segment.ts'
import { testIpv4 } from './kit/version.ts'

test('RTO 200 ms above SRTT at least, doubled each time; only the first segment is repeated', () => {
  const t = new Host()
  established(t, { mss: 536, rttMs: 10 })
  write(t, 5000)
  t.take()
  const times: number[] = []
  for (let ms = 1; ms <= 6600; ms++) {
    advance(t, 1)
    for (const frame of t.take()) {
      times.push(ms)
      assert.equal(frame.segment?.data.length, 536)
      assert.equal(frame.segment?.seq, (t.iss() + 1) | 0)
    }
  }
  assert.deepEqual(times, [210, 630, 1470, 3150, 6510])
  assert.equal(t.tcp.stats.timeouts, 5)
  assert.equal(t.tcp.stats.retransSegs, 5)
})

test('without a round trip measured the RTO is 1 s', () => {
  const t = new Host()
  t.app.doOpen = c => t.tcp.commit(c, 100)
  established(t, { rttMs: 0 })
  t.tcp.tcb[t.conn() + tcb.SRTT_US] = 0
  assert.ok(t.field(tcb.RTO_US) >= 200_000)
})

test('SRTT and RTTVAR as in RFC 6298 §2', () => {
  const t = new Host()
  established(t, { rttMs: 400 })
  assert.equal(t.field(tcb.SRTT_US), 400_000)
  assert.equal(t.field(tcb.RTTVAR_US), 200_000)
  assert.equal(t.field(tcb.RTO_US), 1_200_000)
  write(t, 100)
  advance(t, 600)
  ackUpTo(t, 101)
  assert.equal(t.field(tcb.SRTT_US), 425_000)
  assert.equal(t.field(tcb.RTTVAR_US), 200_000)
  assert.equal(t.field(tcb.RTO_US), 1_225_000)
})

test('an ACK restarts the timer for what is left (§5.3)', () => {
  const t = new Host()
  established(t, { rttMs: 10 })
  write(t, 2920)
  advance(t, 150)
  ackUpTo(t, 1461)
  t.take()
  advance(t, t.field(tcb.RTO_US) / 1000 - 1)
  expectSent(t, [])
  advance(t, 2)
  expectSent(t, ['P. 1461:2921 ack 1'])
})

test('when all is acknowledged, no timer runs (§5.2)', () => {
  const t = new Host()
  established(t, { rttMs: 10 })
  write(t, 2920)
  ackUpTo(t, 2921)
  t.take()
  advance(t, 10_000)
  expectSent(t, [])
  assert.equal(t.tcp.stats.timeouts, 0)
})

test('no round trip is taken from a repeated segment, and the back-off stays until there is one (Karn)', () => {
  const t = new Host()
  established(t, { rttMs: 100 })
  write(t, 1460)
  advance(t, 1000)
  t.take()
  const rto = t.field(tcb.RTO_US)
  assert.ok(rto >= 1_200_000, 'backed off twice')
  ackUpTo(t, 1461)
  assert.equal(t.field(tcb.SRTT_US), 100_000)
  assert.equal(t.field(tcb.RTO_US), rto)
  write(t, 1460)
  advance(t, 100)
  ackUpTo(t, 2921)
  assert.ok(t.field(tcb.RTO_US) < rto, 'a new sample forgets the back-off')
})

test('after a time-out: one segment, two new ones in doubt (F-RTO), then slow start over what was lost', () => {
  const t = new Host()
  established(t, { rttMs: 10 })
  write(t, 20_000)
  expectSent(t, segments(1, 10))
  advance(t, 220)
  expectSent(t, segments(1, 1))
  assert.equal(t.field(tcb.CWND), 1460)
  ackUpTo(t, 1461)
  expectSent(t, segments(14_601, 2))
  // Nothing of what was sent before has arrived: it is lost indeed (RFC 5682 §2.1 step 3a).
  ackUpTo(t, 1461)
  expectSent(t, segments(1461, 1))
  ackUpTo(t, 2921)
  expectSent(t, segments(2921, 2))
  ackUpTo(t, 5841)
  expectSent(t, segments(5841, 3))
})

test('after a time-out an ACK of everything ends the repeating at once', () => {
  const t = new Host()
  established(t, { rttMs: 10 })
  write(t, 20_000)
  advance(t, 220)
  t.take()
  ackUpTo(t, 14_601)
  const sent = t.take()
  assert.equal(sent[0].segment?.seq, (t.iss() + 14_601) | 0, 'new data')
})

test('back-off ends at 60 s, and after ten repetitions the connection is aborted', () => {
  const t = new Host()
  established(t, { rttMs: 10 })
  write(t, 5000)
  t.take()
  const times: number[] = []
  let ms = 0
  for (; t.state() !== 'none' && ms < 1_000_000; ms += 100) {
    advance(t, 100)
    for (const frame of t.take())
      if ((frame.segment?.flags ?? 0) !== (RST | ACK)) times.push(ms + 100)
  }
  assert.equal(times.length, 10)
  assert.equal(times[9] - times[8], 60_000)
  assert.ok(ms >= 100_000, 'R2 is at least 100 s (RFC 9293 §3.8.3)')
  assert.equal(t.tcp.stats.abortsOnTimeout, 1)
  assert.equal(t.last.flags, RST | ACK)
  assert.deepEqual(t.app.events, ['open', 'closed'])
  expectEmpty(t)
})

test('an ACK that advances gives a dying connection all its repetitions again', () => {
  const t = new Host()
  established(t, { rttMs: 10 })
  write(t, 5000)
  advance(t, 100_000)
  ackUpTo(t, 1461)
  advance(t, 100_000)
  assert.equal(t.state(), 'ESTABLISHED')
})

test('a repeated segment carries the newest ACK and window, and a FIN that came meanwhile', () => {
  const t = new Host()
  established(t, { rttMs: 10 })
  write(t, 100)
  expectSent(t, ['P. 1:101 ack 1'])
  send(t, { flags: ACK, seq: 1, ack: 1, data: 7 })
  expectSent(t, ['. 101 ack 8'])
  close(t)
  expectSent(t, ['F. 101 ack 8'])
  advance(t, 250)
  expectSent(t, ['FP. 1:101 ack 8'])
  send(t, { flags: ACK, seq: 8, ack: 102 })
  assert.equal(t.state(), 'FIN-WAIT-2')
})

for (const sack of [false, true]) {
  const how = sack ? 'with SACK' : 'without SACK'
  test(`data and the FIN that left behind it, unanswered until the connection ends, ${how}`, () => {
    const t = new Host()
    established(t, { rttMs: 10, sack })
    write(t, 100)
    advance(t, 5)
    // A record that has given its round-trip sample is never one with the FIN's.
    ackUpTo(t, 51)
    close(t)
    expectSent(t, ['P. 1:101 ack 1', 'F. 101 ack 1'])
    advance(t, 1_000_000)
    const sent = t.take().map(frame => brief(t, frame))
    assert.ok(sent.includes('FP. 51:101 ack 1'), 'the FIN rides on the data')
    expectEmpty(t)
  })
}

test('an ACK in the middle of a segment: the rest of it is repeated', () => {
  const t = new Host()
  established(t, { rttMs: 10 })
  write(t, 2920)
  t.take()
  ackUpTo(t, 501)
  advance(t, 1000)
  assert.equal(t.sent[0].segment?.data.length, 960)
  ackUpTo(t, 2921)
  assert.equal(t.field(tcb.SND_UNA), t.field(tcb.SND_NXT))
})

test('sending works across 2^31 and 2^32', () => {
  for (const edge of [0x7fffffff, -1]) {
    const probe = new Host()
    send(probe, { flags: 2 })
    // The ISN moves with the 4 µs clock: choose the time at which it lies before the edge.
    const ticks = (edge - 40_000 - probe.iss()) >>> 0
    const t = new Host({ nowUs: probe.nowUs + ticks * 4 })
    established(t)
    assert.equal((edge - t.iss()) | 0, 40_000)
    t.app.recording = false
    write(t, 100_000)
    for (let turn = 0; turn < 500 && t.field(tcb.SND_UNA) !== t.field(tcb.SND_END); turn++) {
      const sent = t.take()
      const last = sent.at(-1)?.segment
      // The third flight is lost; it is the one across the edge.
      if (turn === 2 || last === undefined) advance(t, 1000)
      else ackUpTo(t, ((last.seq - t.iss()) | 0) + last.data.length)
    }
    assert.equal((t.field(tcb.SND_UNA) - t.iss()) | 0, 100_001)
  }
})

testIpv4(
  'a time-out with the neighbour gone asks for it again, and goes on when it is back',
  () => {
    const t = new Host()
    established(t, { mss: 536, rttMs: 10 })
    write(t, 3000)
    t.answersArp = false
    advance(t, 100_000)
    const arps = t.take().filter(frame => frame.line.startsWith('ARP, Request'))
    assert.ok(arps.length >= 3)
    t.answersArp = true
    advance(t, 10_000)
    assert.ok(t.take().some(frame => frame.segment?.data.length === 536))
    assert.equal(t.state(), 'ESTABLISHED')
  },
)

test('what a peer SACKed is forgotten with its fourth time-out: one record is enough', () => {
  const t = new Host()
  established(t, { mss: 1000, rttMs: 10, sack: true })
  // A full segment has passed: the path is not suspected of being narrow.
  write(t, 1000)
  ackUpTo(t, 1001)
  write(t, 10_000)
  t.take()
  const una = (t.iss() + 1001) | 0
  for (const hole of [1, 3, 5, 7, 9]) sackSegment(t, una, hole)
  const { flights, stats } = t.tcp
  while (stats.timeouts < 3) advance(t, 10)
  assert.ok(flights.usedRecordCount >= 9, 'every hole is known')
  while (stats.timeouts < 4) advance(t, 10)
  // The segment that the time-out sent again, and all the rest.
  assert.ok(flights.usedRecordCount <= 2, `${flights.usedRecordCount} records`)
  // The peer is back, and has thrown away what it had SACKed: all of it comes again, once.
  t.take()
  for (let acked = 1; acked <= 10; acked++) ackUpTo(t, 1001 + 1000 * acked)
  assert.deepEqual(
    t.take().map(({ segment }) => ((segment!.seq - una) | 0) / 1000),
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
  )
  send(t, { flags: RST, seq: 1 })
  expectEmpty(t)
})

/** The peer reports to have segment `n` and nothing else that is new. */
function sackSegment(t: Host, una: number, n: number): void {
  const from = (una + 1000 * n) | 0
  const blocks = [from, (from + 1000) | 0].flatMap(seq =>
    [24, 16, 8, 0].map(bit => (seq >>> bit) & 255),
  )
  send(t, { flags: ACK, seq: 1, ack: 1001, options: [1, 1, 5, 10, ...blocks] })
}
