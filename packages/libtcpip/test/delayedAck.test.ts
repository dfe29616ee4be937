/**
 * When data is acknowledged (RFC 9293 §3.8.6.3, RFC 5681 §4.2): with the application's answer, with
 * the second segment, or after 40 ms; before the application has ever answered, and whenever
 * something is amiss, at once.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tcb } from '../src/index.ts'
import { advance, established, expectSent, Host, send } from './kit/host.ts'
import { ACK, FIN } from './kit/segment.ts'

/** A connection on which the application has answered ten bytes of request with a hundred. */
function answered(tcp = {}): Host {
  const t = new Host({ tcp: { delayedAckMs: 40, ...tcp } })
  established(t, { rttMs: 10 })
  t.app.doData = (c, len) => {
    t.tcp.commit(c, 100)
    return len
  }
  send(t, { flags: ACK, seq: 1, ack: 1, data: 10 })
  expectSent(t, ['P. 1:101 ack 11'])
  send(t, { flags: ACK, seq: 11, ack: 101 })
  t.app.doData = (_c, len) => len
  expectSent(t, [])
  return t
}

const data = (t: Host, seq: number, len: number, poll = true): void =>
  send(t, { flags: ACK, seq, ack: 101, data: len, poll })

test('a single segment is acknowledged after 40 ms, not before', () => {
  const t = answered()
  data(t, 11, 10)
  advance(t, 39)
  expectSent(t, [])
  advance(t, 1)
  expectSent(t, ['. 101 ack 21'])
  assert.equal(t.tcp.stats.delayedAcks, 1)
  advance(t, 1000)
  expectSent(t, [])
})

test('another timer in between does not make it forgotten', () => {
  const t = answered()
  t.tcp.setAppTimer(t.conn(), 20)
  data(t, 11, 10)
  advance(t, 40)
  expectSent(t, ['. 101 ack 21'])
  assert.ok(t.app.events.includes('timeout'))
})

test('every second segment is acknowledged at once', () => {
  const t = answered()
  for (let i = 0; i < 10; i++) {
    data(t, 11 + i * 10, 10)
    expectSent(t, i % 2 === 0 ? [] : [`. 101 ack ${21 + i * 10}`])
  }
  advance(t, 1000)
  expectSent(t, [])
  assert.equal(t.tcp.stats.delayedAcks, 0)
})

test('two in one batch get one ACK at its end, one that is as large as two too', () => {
  const t = answered()
  data(t, 11, 10, false)
  data(t, 21, 10)
  expectSent(t, ['. 101 ack 31'])
  t.tcp.tcb[t.conn() + tcb.MSS] = 500
  data(t, 31, 1000)
  expectSent(t, ['. 101 ack 1031'])
})

test('an answer that comes in time carries the ACK', () => {
  const t = answered()
  data(t, 11, 10)
  advance(t, 20)
  t.tcp.commit(t.conn(), 50)
  t.tcp.addWork(t.conn(), tcb.NEED_OUTPUT)
  t.poll()
  expectSent(t, ['P. 101:151 ack 21'])
  send(t, { flags: ACK, seq: 21, ack: 151 })
  advance(t, 1000)
  expectSent(t, [])
})

test('an answer in the same pass leaves no timer behind', () => {
  const t = answered()
  t.app.doData = (c, len) => {
    t.tcp.commit(c, 10)
    return len
  }
  const count = t.tcp.timers.count
  data(t, 11, 10)
  expectSent(t, ['P. 101:111 ack 21'])
  assert.equal(t.field(tcb.FLAGS) & tcb.ACK_DELAYED, 0)
  assert.ok(t.tcp.timers.count <= count + 1, 'that of retransmission')
})

test('the first request in pieces: each is acknowledged at once', () => {
  const t = new Host({ tcp: { delayedAckMs: 40 } })
  established(t)
  for (let i = 0; i < 20; i++) {
    send(t, { flags: ACK, seq: 1 + i, ack: 1, data: 1 })
    expectSent(t, [`. 1 ack ${2 + i}`])
  }
})

test('a hole, its end, a duplicate, a FIN and bytes not taken are acknowledged at once', () => {
  const t = answered()
  data(t, 21, 10)
  expectSent(t, ['. 101 ack 11'])
  data(t, 11, 10)
  expectSent(t, ['. 101 ack 31'])
  data(t, 11, 10)
  expectSent(t, ['. 101 ack 31'])
  data(t, 26, 10)
  advance(t, 40)
  expectSent(t, ['. 101 ack 36'])
  t.app.doData = () => 4
  data(t, 36, 10)
  expectSent(t, ['. 101 ack 40'])
  t.app.doData = (_c, len) => len
  send(t, { flags: ACK | FIN, seq: 40, ack: 101, data: 3 })
  expectSent(t, ['. 101 ack 44'])
})

test('a window that opens is told at once, and the ACK that was owed with it', () => {
  const t = answered({ receiveWindow: 1000 })
  t.app.doData = (c, len) => {
    t.tcp.setReceiveSpace(c, 0)
    return len
  }
  data(t, 11, 990)
  expectSent(t, [])
  t.tcp.setReceiveSpace(t.conn(), 1000)
  t.poll()
  expectSent(t, ['. 101 ack 1001'])
  assert.equal(t.last.win, 1000)
  advance(t, 1000)
  expectSent(t, [])
})

test('0 ms: the ACK goes out at the end of the batch', () => {
  const t = answered({ delayedAckMs: 0 })
  data(t, 11, 10)
  expectSent(t, ['. 101 ack 21'])
})

test('an ACK cannot be put off for half a second (MUST-40)', () => {
  assert.throws(() => new Host({ tcp: { delayedAckMs: 500 } }), /less than 500 ms/)
})
