/**
 * Slow start and congestion avoidance (RFC 5681, 6928), byte counting (RFC 3465), idle and unused
 * windows.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { initialWindow, tcb } from '../src/index.ts'
import {
  ackUpTo,
  advance,
  established,
  expectSent,
  Host,
  segments,
  send,
  write,
} from './kit/host.ts'
import { ACK } from './kit/segment.ts'

const MSS = 1000
const open = (): Host => {
  const t = new Host()
  established(t, { mss: MSS, rttMs: 50, wscale: 7, win: 4_000_000 })
  return t
}
const ack = (t: Host, upTo: number): void => {
  send(t, { flags: ACK, seq: 1, ack: upTo, win: 32_000 })
}

test('the initial window is ten segments, or about 14600 bytes of larger ones (RFC 6928)', () => {
  for (const [mss, bytes] of [
    [536, 5360],
    [1220, 12_200],
    [1460, 14_600],
    [2000, 14_600],
    [7300, 14_600],
    [8960, 17_920],
  ]) {
    assert.equal(initialWindow(mss), bytes)
  }
})

test('slow start: 10, 20, 40 segments a round trip', () => {
  const t = open()
  write(t, 1_000_000)
  expectSent(t, segments(1, 10, MSS))
  let from = 1
  for (const flight of [10, 20, 40]) {
    advance(t, 50)
    for (let i = 1; i <= flight; i++) ack(t, from + i * MSS)
    from += flight * MSS
    expectSent(t, segments(from, flight * 2, MSS))
  }
})

test('congestion avoidance: one segment a round trip', () => {
  const t = open()
  t.tcp.tcb[t.conn() + tcb.SSTHRESH] = 10 * MSS
  write(t, 1_000_000)
  let from = 1
  for (const flight of [10, 11, 12, 13]) {
    assert.equal(t.take().length, flight)
    advance(t, 50)
    // The window grows with the last ACK of a full window.
    const sent: number[] = []
    for (let i = 1; i <= flight; i++) {
      ack(t, from + i * MSS)
      sent.push(t.sent.length)
    }
    from += flight * MSS
    assert.equal(sent[flight - 1], flight + 1)
  }
})

test('slow start ends at ssthresh, even when one ACK covers a whole window', () => {
  const t = open()
  t.tcp.tcb[t.conn() + tcb.SSTHRESH] = 12 * MSS
  write(t, 1_000_000)
  t.take()
  ack(t, 10_001)
  assert.equal(t.field(tcb.CWND), 12 * MSS)
  assert.equal(t.take().length, 12)
})

test('a divided ACK gains nothing (RFC 3465)', () => {
  const whole = open()
  write(whole, 1_000_000)
  ack(whole, 1001)
  const divided = open()
  write(divided, 1_000_000)
  for (let i = 1; i <= 100; i++) ack(divided, 1 + i * 10)
  assert.equal(divided.field(tcb.CWND), whole.field(tcb.CWND))
  assert.equal(divided.take().length, whole.take().length)
})

test('an optimistic ACK of what was not sent gains nothing', () => {
  const t = open()
  write(t, 1_000_000)
  t.take()
  ack(t, 11_001)
  expectSent(t, ['. 10001 ack 1'])
  assert.equal(t.field(tcb.CWND), 10 * MSS)
})

test('a window that is not used does not grow', () => {
  const t = open()
  let at = 1
  for (let i = 0; i < 100; i++) {
    write(t, 2 * MSS)
    advance(t, 50)
    at += 2 * MSS
    ack(t, at)
  }
  assert.equal(t.field(tcb.CWND), 10 * MSS)
})

test('after an idle RTO the window is the initial one at most (RFC 5681 §4.1)', () => {
  const t = open()
  write(t, 30_000)
  for (let at = 1001; at <= 30_001; at += MSS) ack(t, at)
  assert.ok(t.field(tcb.CWND) > 20 * MSS)
  t.take()
  advance(t, 5000)
  write(t, 100_000)
  assert.equal(t.take().length, 10)
})

test('no idle: a pause below the RTO keeps the window', () => {
  const t = open()
  write(t, 30_000)
  for (let at = 1001; at <= 30_001; at += MSS) ack(t, at)
  t.take()
  advance(t, 100)
  write(t, 100_000)
  assert.ok(t.take().length > 20)
})

test('the peer’s window limits too', () => {
  const t = new Host()
  established(t, { win: 5000 })
  write(t, 100_000)
  assert.equal(t.take().length, 3, 'three whole segments fit, no silly fourth')
  ackUpTo(t, 1461, 5000)
  assert.equal(t.take().length, 1)
})

test('more than the sequence space cannot be committed', () => {
  const t = open()
  t.tcp.commit(t.conn(), 2 ** 30)
  assert.throws(() => t.tcp.commit(t.conn(), 2 ** 30), /2\^31/)
})
