/** Fast retransmit and recovery (RFC 5681 §3.2, NewReno RFC 6582), limited transmit (RFC 3042). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_NEIGHBOUR } from '@sandstorm/libeth'
import { tcb } from '../src/index.ts'
import { DUP_ACKS, END, LAST, NO_FLIGHT, RECOVER } from '../src/tcp/recovery/flight.ts'
import { advance, close, established, expectSent, Host, segments, send, write } from './kit/host.ts'
import { ACK, FIN } from './kit/segment.ts'

const MSS = 1000
/** Ten segments, 1 … 10000, are out. */
const flying = (bytes = 1_000_000): Host => {
  const t = new Host()
  established(t, { mss: MSS, rttMs: 50 })
  write(t, bytes)
  expectSent(t, segments(1, 10, MSS))
  return t
}
const ack = (t: Host, upTo: number, win = 65535): void =>
  send(t, { flags: ACK, seq: 1, ack: upTo, win })
const repeat = (t: Host, upTo: number, count: number): void => {
  for (let i = 0; i < count; i++) ack(t, upTo)
}
const flightField = (t: Host, field: number): number => {
  const f = t.field(tcb.FLIGHT)
  return f === NO_FLIGHT ? 0 : t.tcp.flights.flights[f + field]
}

test('each of the first two duplicate ACKs lets one new segment out', () => {
  const t = flying()
  ack(t, 1)
  expectSent(t, segments(10_001, 1, MSS))
  ack(t, 1)
  expectSent(t, segments(11_001, 1, MSS))
  assert.equal(t.field(tcb.CWND), 10 * MSS)
})

test('the third duplicate ACK repeats the first segment; ssthresh is half the flight', () => {
  const t = flying()
  repeat(t, 1, 2)
  t.take()
  ack(t, 1)
  expectSent(t, segments(1, 1, MSS))
  // Not half of twelve: what limited transmit has added does not count (RFC 5681 §3.2 step 2).
  assert.equal(t.field(tcb.SSTHRESH), 5 * MSS)
  assert.equal(t.field(tcb.CWND), 9 * MSS)
  assert.equal(t.tcp.stats.renoRecoveries, 1)
})

test('a full ACK ends recovery at ssthresh', () => {
  const t = flying()
  repeat(t, 1, 3)
  t.take()
  ack(t, 12_001)
  assert.equal(t.field(tcb.FLAGS) & tcb.IN_RECOVERY, 0)
  assert.equal(t.field(tcb.CWND), 5 * MSS)
  expectSent(t, segments(12_001, 5, MSS))
})

test('a partial ACK repeats the next hole; a second loss costs a round trip, not an RTO', () => {
  const t = flying()
  // 1 and 3001 are lost; the rest arrives.
  repeat(t, 1, 8)
  assert.equal(t.take().filter(f => f.segment?.seq === ((t.iss() + 1) | 0)).length, 1)
  ack(t, 3001)
  const sent = t.take()
  assert.equal(((sent[0].segment?.seq ?? 0) - t.iss()) | 0, 3001)
  assert.notEqual(t.field(tcb.FLAGS) & tcb.IN_RECOVERY, 0)
  ack(t, (flightField(t, RECOVER) - t.iss()) | 0)
  assert.equal(t.field(tcb.FLAGS) & tcb.IN_RECOVERY, 0)
  assert.equal(t.tcp.stats.timeouts, 0)
})

test('duplicate ACKs of the same loss do not halve the window twice', () => {
  const t = flying()
  repeat(t, 1, 3)
  t.take()
  const ssthresh = t.field(tcb.SSTHRESH)
  repeat(t, 1, 6)
  ack(t, 5001)
  repeat(t, 5001, 5)
  assert.equal(t.field(tcb.SSTHRESH), ssthresh)
  assert.equal(t.tcp.stats.renoRecoveries, 1)
})

test('after a time-out, duplicate ACKs below the recovery point start nothing (RFC 6582 §3.2 step 1)', () => {
  const t = flying()
  advance(t, 250)
  t.take()
  repeat(t, 1, 5)
  assert.equal(t.tcp.stats.renoRecoveries, 0)
})

test('what looks like a duplicate but is none: data, FIN, another window, nothing outstanding', () => {
  const t = flying()
  for (let i = 0; i < 5; i++) send(t, { flags: ACK, seq: 1 + i, ack: 1, data: 1 })
  for (let i = 0; i < 5; i++) send(t, { flags: ACK, seq: 6, ack: 1, win: 60_000 + i })
  assert.equal(flightField(t, DUP_ACKS), 0)
  const idle = new Host()
  established(idle)
  for (let i = 0; i < 5; i++) send(idle, { flags: ACK, seq: 1, ack: 1 })
  assert.equal(flightField(idle, DUP_ACKS), 0)
  const closing = flying()
  for (let i = 0; i < 5; i++) send(closing, { flags: ACK | FIN, seq: 1, ack: 1 })
  assert.equal(flightField(closing, DUP_ACKS), 0)
})

test('thousands of duplicate ACKs let no more out than ssthresh', () => {
  const t = flying(12_000)
  t.app.recording = false
  repeat(t, 1, 3)
  for (let i = 0; i < 5000; i++) ack(t, 1)
  assert.ok(t.field(tcb.CWND) <= 13 * MSS)
  t.tcp.commit(t.conn(), 1_000_000)
  t.take()
  ack(t, 1)
  assert.ok(t.take().length <= 6, 'half of what was out, at most')
})

test('fast retransmit still works after more than 2^31 bytes without a loss', () => {
  const t = new Host()
  established(t, { mss: MSS, rttMs: 50, wscale: 14, win: 2 ** 29 })
  t.app.recording = false
  const c = t.conn()
  // 3 GiB, acknowledged in large steps: what was in flight is made up, as if it had been sent.
  write(t, 2 * MSS)
  for (let i = 0; i < 12; i++) {
    const { flights, records } = t.tcp.flights
    for (const field of [tcb.SND_NXT, tcb.SND_END]) t.tcp.tcb[c + field] += 2 ** 28
    records[flights[t.tcp.tcb[c + tcb.FLIGHT] + LAST] + END] += 2 ** 28
    send(t, { flags: ACK, seq: 1, ack: (t.field(tcb.SND_NXT) - t.iss() - MSS) | 0, win: 32768 })
  }
  t.tcp.tcb[c + tcb.CWND] = 10 * MSS
  write(t, 10 * MSS)
  t.take()
  const una = (t.field(tcb.SND_UNA) - t.iss()) | 0
  for (let i = 0; i < 3; i++) send(t, { flags: ACK, seq: 1, ack: una, win: 32768 })
  assert.equal(t.tcp.stats.renoRecoveries, 1)
})

test('a lost FIN is found by a duplicate ACK’s retransmission or the timer', () => {
  const t = new Host()
  established(t, { mss: MSS, rttMs: 50 })
  write(t, 5 * MSS)
  close(t)
  t.take()
  ack(t, 5001)
  advance(t, 300)
  expectSent(t, ['F. 5001 ack 1'])
})

test('the first segment is repeated even if the peer’s window shrank meanwhile', () => {
  const t = flying()
  ack(t, 1, 500)
  repeatWith(t, 1, 3, 500)
  expectSent(t, segments(1, 1, MSS))
})

function repeatWith(t: Host, upTo: number, count: number, win: number): void {
  for (let i = 0; i < count; i++) ack(t, upTo, win)
}

test('a fast retransmit looks up its neighbour again if the entry is gone', () => {
  const t = flying()
  repeat(t, 1, 2)
  t.take()
  t.tcp.tcb[t.conn() + tcb.PATH] |= NO_NEIGHBOUR << 16
  ack(t, 1)
  // The kit checks the hardware address of every frame.
  expectSent(t, segments(1, 1, MSS))
})

test('with the ring full, a fast retransmit goes out when there is room', () => {
  const t = new Host({ ringSize: 16 })
  established(t, { mss: MSS, rttMs: 50 })
  write(t, 10 * MSS)
  t.take()
  t.draining = false
  repeat(t, 1, 12)
  t.draining = true
  t.drain()
  t.poll()
  t.poll()
  assert.ok(t.take().some(f => (((f.segment?.seq ?? 0) - t.iss()) | 0) === 1))
})

test('what is lost is repeated, and no more, even by a frame that could hold more segments', () => {
  const t = new Host({ mtu: 9000, ringSize: 2 })
  established(t, { mss: MSS, rttMs: 50 })
  t.app.segmentsPerFrame = 8
  t.poll()
  write(t, 20 * MSS)
  t.poll()
  assert.equal(t.take().length, 2)
  repeat(t, 1, 2)
  t.poll()
  t.take()
  t.draining = false
  // Two ACKs fill the ring, so the repetition has to wait.
  send(t, { flags: ACK, seq: 1, ack: 1, data: 1 })
  send(t, { flags: ACK, seq: 2, ack: 1, data: 1 })
  send(t, { flags: ACK, seq: 3, ack: 1 })
  assert.equal(t.tcp.stats.renoRecoveries, 1)
  t.draining = true
  t.drain()
  t.take()
  t.poll()
  assert.equal(t.take()[0].segment?.data.length, MSS)
})
