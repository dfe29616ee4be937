/** The peer's window: shut, probed (RFC 9293 §3.8.6.1), silly (§3.8.6.2.1), shrunk (§3.8.6). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tcb } from '../src/index.ts'
import {
  ackUpTo,
  advance,
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

/** 14600 bytes are sent and acknowledged, 5400 wait, the window is shut. */
function shut(total = 20_000): Host {
  const t = new Host()
  established(t, { rttMs: 10 })
  write(t, total)
  ackUpTo(t, 14_601, 0)
  t.take()
  return t
}

test('a shut window is probed with one byte, at growing intervals', () => {
  const t = shut()
  const times: number[] = []
  for (let ms = 1; ms <= 13_500; ms++) {
    advance(t, 1)
    for (const frame of t.take()) {
      times.push(ms)
      assert.equal(frame.segment?.data.length, 1)
      assert.equal(frame.segment?.seq, (t.iss() + 14_601) | 0)
      ackUpTo(t, 14_601, 0)
    }
  }
  assert.deepEqual(times, [209, 627, 1463, 3134, 6475, 13_156])
})

test('a peer that answers may keep its window shut for ever (MUST-37)', () => {
  const t = shut()
  for (let hour = 0; hour < 24 * 60; hour++) {
    advance(t, 60_000)
    for (const frame of t.take()) if (frame.segment !== undefined) ackUpTo(t, 14_601, 0)
  }
  assert.equal(t.state(), 'ESTABLISHED')
  ackUpTo(t, 14_601)
  assert.equal(t.take().length, 4)
})

test('a peer that answers no probe is given up', () => {
  const t = shut()
  advance(t, 1_000_000)
  const sent = t.take()
  assert.equal(sent.length, 11, 'ten probes and an RST')
  assert.equal(t.last.flags, RST | ACK)
  expectEmpty(t)
})

test('when the window opens, sending goes on at the old segment boundary', () => {
  const t = shut()
  advance(t, 700)
  assert.equal(t.take().length, 2)
  ackUpTo(t, 14_601)
  expectSent(t, [...segments(14_601, 3), 'P. 18981:20001 ack 1'])
})

test('when the peer took the probe’s byte, sending goes on behind it', () => {
  const t = shut()
  advance(t, 250)
  t.take()
  ackUpTo(t, 14_602, 0)
  expectSent(t, [])
  advance(t, 450)
  assert.equal(t.sent[0].segment?.seq, (t.iss() + 14_602) | 0)
  t.take()
  ackUpTo(t, 14_602)
  expectSent(t, ['. 14602:16061 ack 1', ...segments(16_061, 2), 'P. 18981:20001 ack 1'])
})

test('each ACK of a probe is the end of it: no second probe before its time', () => {
  for (const total of [20_000, 14_601, 14_600]) {
    const t = new Host()
    established(t, { rttMs: 10 })
    write(t, total)
    if (total === 14_600) close(t)
    ackUpTo(t, 14_601, 0)
    advance(t, 250)
    t.take()
    for (let i = 0; i < 20; i++) ackUpTo(t, 14_601, 0)
    expectSent(t, [])
  }
})

test('a peer that never opened its window at all gets probes at their times', () => {
  const t = new Host()
  established(t, { win: 0, rttMs: 10 })
  write(t, 5000)
  let probes = 0
  for (let i = 0; i < 100; i++) {
    advance(t, 100)
    for (const frame of t.take()) {
      assert.equal(frame.segment?.data.length, 1)
      probes++
      ackUpTo(t, 1, 0)
    }
  }
  assert.ok(probes >= 4 && probes <= 6, `${probes} probes in 10 s`)
})

test('a shut window does not hold back the ACKs', () => {
  const t = shut()
  send(t, { flags: ACK, seq: 1, ack: 14_601, data: 10, win: 0 })
  expectSent(t, ['. 14601 ack 11'])
})

test('a FIN waits for the window, and is the probe', () => {
  const t = new Host()
  established(t, { rttMs: 10 })
  ackUpTo(t, 1, 0)
  close(t)
  expectSent(t, [])
  advance(t, 250)
  expectSent(t, ['F. 1 ack 1'])
  ackUpTo(t, 2, 0)
  assert.equal(t.state(), 'FIN-WAIT-2')
})

test('a window opened byte by byte brings no tiny segments (SHLD-30)', () => {
  const t = shut()
  for (let win = 1; win < 1460; win += 13) {
    ackUpTo(t, 14_601, win)
    advance(t, 1)
  }
  expectSent(t, [])
  ackUpTo(t, 14_601, 1460)
  expectSent(t, segments(14_601, 1))
})

test('a small window that stays is used after the persist time', () => {
  const t = shut()
  ackUpTo(t, 14_601, 500)
  expectSent(t, [])
  advance(t, 250)
  assert.equal(t.sent[0].segment?.data.length, 500)
  t.take()
  ackUpTo(t, 15_101, 500)
  advance(t, 250)
  assert.equal(t.sent[0].segment?.data.length, 500)
})

test('a peer whose whole buffer is small gets segments of half of it at once (SHLD-30)', () => {
  const t = new Host()
  established(t, { win: 1000, rttMs: 10 })
  write(t, 5000)
  assert.equal(t.take()[0].segment?.data.length, 1000)
  ackUpTo(t, 1001, 600)
  assert.equal(t.take()[0].segment?.data.length, 460, 'up to the next boundary')
})

test('a window that shrinks below what is out stops new data, not repetitions (MUST-34)', () => {
  const t = new Host()
  established(t, { rttMs: 10 })
  write(t, 20_000)
  t.take()
  ackUpTo(t, 1461, 100)
  expectSent(t, [])
  advance(t, 450)
  expectSent(t, segments(1461, 1))
  assert.equal(t.state(), 'ESTABLISHED')
  ackUpTo(t, 14_601, 65_535)
  assert.ok(t.take().length > 0)
})

test('data that found no room at first is guarded by the retransmission timer, not by probes', () => {
  const t = new Host({ ringSize: 2 })
  established(t, { rttMs: 10 })
  t.poll()
  t.draining = false
  // The ring holds two ACKs; the data that is written now must wait.
  send(t, { flags: ACK, seq: 1, ack: 1, data: 1 })
  send(t, { flags: ACK, seq: 2, ack: 1, data: 1 })
  t.app.doData = (c, len) => {
    t.tcp.commit(c, 1460)
    return len
  }
  send(t, { flags: ACK, seq: 3, ack: 1, data: 1 })
  t.draining = true
  t.drain()
  t.poll()
  t.poll()
  assert.equal(t.last.data.length, 1460)
  t.take()
  advance(t, 1_000_000)
  assert.equal(t.tcp.stats.zeroWindowProbes, 0)
  assert.equal(t.state(), 'none', 'a dead peer is given up')
})

test('a stale segment does not change the window (RFC 9293 §3.10.7.4, SND.WL1 and SND.WL2)', () => {
  const t = shut()
  send(t, { flags: ACK, seq: 1, ack: 14_601, data: 10, win: 5000 })
  t.take()
  send(t, { flags: ACK, seq: 11, ack: 10_000, win: 60_000 })
  assert.equal(t.field(tcb.SND_WND), 5000)
})
