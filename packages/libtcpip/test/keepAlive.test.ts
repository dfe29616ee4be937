/**
 * Keep-alives (RFC 9293 §3.8.4, MUST-24 … MUST-29), time-outs that an application sets (§3.9.1,
 * RFC 5482), and urgent data (§3.8.5).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TCP_DEFAULTS, tcb } from '../src/index.ts'
import { advance, established, expectEmpty, expectSent, Host, send, write } from './kit/host.ts'
import { ACK, FIN, RST, setTcpChecksum, URG } from './kit/segment.ts'
import { testIpv4 } from './kit/version.ts'

const HOUR = 3_600_000
const URGENT = 14 + 20 + 18

function keepingAlive(tcp = {}): Host {
  const t = new Host({ tcp })
  t.app.doOpen = c => t.tcp.setKeepAlive(c, true)
  established(t, { rttMs: 10 })
  return t
}

test('without being asked for there are none (MUST-25)', () => {
  const t = new Host()
  established(t)
  advance(t, 24 * HOUR)
  expectSent(t, [])
  assert.equal(t.state(), 'ESTABLISHED')
})

testIpv4('two hours by default (MUST-28), then nine, 75 s apart, then the end', () => {
  assert.equal(TCP_DEFAULTS.keepAliveIdleMs, 2 * HOUR)
  const t = keepingAlive()
  advance(t, 2 * HOUR - 1)
  expectSent(t, [])
  // A second for the first hop's address, which was forgotten meanwhile.
  advance(t, 1001)
  expectSent(t, ['. 0 ack 1'])
  for (let i = 1; i < 9; i++) {
    advance(t, 74_999)
    expectSent(t, [])
    advance(t, 1)
    expectSent(t, ['. 0 ack 1'])
  }
  advance(t, 75_000)
  assert.equal(t.tcp.stats.keepAlives, 9)
  assert.equal(t.tcp.stats.abortsOnTimeout, 1)
  expectEmpty(t)
})

test('a peer that answers, though some answers are lost, stays (MUST-26)', () => {
  const t = keepingAlive()
  for (let day = 0; day < 60; day++) {
    advance(t, 2 * HOUR + 8 * 75_000 + 1000)
    assert.equal(t.take().length, 9)
    send(t, { flags: ACK, seq: 1, ack: 1 })
    expectSent(t, [])
  }
  assert.equal(t.state(), 'ESTABLISHED')
})

test('what is heard puts it off (MUST-27)', () => {
  const t = keepingAlive()
  for (let i = 0; i < 10; i++) {
    advance(t, 1.5 * HOUR)
    send(t, { flags: ACK, seq: 1 + i, ack: 1, data: 1 })
    expectSent(t, [`. 1 ack ${2 + i}`])
  }
  advance(t, 2 * HOUR + 1000)
  expectSent(t, ['. 0 ack 11'])
})

test('while data is outstanding it is the retransmission that asks', () => {
  const t = keepingAlive({ keepAliveIdleMs: 1000, keepAliveIntervalMs: 20_000 })
  write(t, 100)
  t.take()
  advance(t, 100_000)
  assert.equal(t.tcp.stats.keepAlives, 0)
  assert.ok(t.take().every(frame => frame.segment?.data.length === 100))
  send(t, { flags: ACK, seq: 1, ack: 101 })
  advance(t, 999)
  expectSent(t, [])
  // The retransmission timer was backed off to a minute: the first may be as late as that.
  advance(t, 200_000)
  assert.ok(t.tcp.stats.keepAlives >= 6, `${t.tcp.stats.keepAlives} were sent`)
  assert.equal(t.last.flags, RST | ACK)
  expectEmpty(t)
})

test('it ends with the connection, or when it is turned off', () => {
  const t = keepingAlive()
  t.tcp.setKeepAlive(t.conn(), false)
  advance(t, 24 * HOUR)
  expectSent(t, [])
  t.tcp.setKeepAlive(t.conn(), true)
  t.app.doFin = c => t.tcp.close(c)
  send(t, { flags: ACK | FIN, seq: 1, ack: 1 })
  send(t, { flags: ACK, seq: 2, ack: 2 })
  t.take()
  advance(t, 24 * HOUR)
  expectSent(t, [])
  expectEmpty(t)
})

test("a peer's keep-alive is answered, with and without a byte, and the byte is not taken", () => {
  const t = new Host({ tcp: { delayedAckMs: 40 } })
  established(t)
  send(t, { flags: ACK, seq: 1, ack: 1, data: 10 })
  expectSent(t, ['. 1 ack 11'])
  send(t, { flags: ACK, seq: 10, ack: 1 })
  expectSent(t, ['. 1 ack 11'])
  send(t, { flags: ACK, seq: 10, ack: 1, data: 1 })
  expectSent(t, ['. 1 ack 11'])
  assert.equal(t.app.received.length, 10)
})

test('a user time-out ends a connection whose data is not acknowledged, on time', () => {
  const t = new Host()
  const c = established(t, { rttMs: 10 })
  t.tcp.setUserTimeout(c, 5000)
  advance(t, 60_000)
  write(t, 100)
  advance(t, 4999)
  assert.equal(t.state(), 'ESTABLISHED')
  t.take()
  advance(t, 2)
  assert.equal(t.last.flags, RST | ACK)
  expectEmpty(t)
})

test('a user time-out begins anew with each acknowledgement', () => {
  const t = new Host()
  const c = established(t, { rttMs: 10 })
  t.tcp.setUserTimeout(c, 5000)
  for (let i = 0; i < 5; i++) {
    write(t, 100)
    advance(t, 4500)
    send(t, { flags: ACK, seq: 1, ack: 101 + i * 100 })
  }
  assert.equal(t.state(), 'ESTABLISHED')
})

test('a user time-out longer than R2 holds on; a new connection begins without one', () => {
  const t = new Host({ tcp: { maxConnections: 1 } })
  const c = established(t, { rttMs: 10 })
  t.tcp.setUserTimeout(c, 2 * HOUR)
  write(t, 100)
  advance(t, 1.9 * HOUR)
  assert.equal(t.state(), 'ESTABLISHED')
  advance(t, 0.2 * HOUR)
  assert.equal(t.state(), 'none')
  assert.equal(established(t, { rttMs: 10 }), c)
  write(t, 100)
  advance(t, 0.5 * HOUR)
  assert.equal(t.state(), 'none')
})

test('a shut window that is answered for is no time-out (MUST-37), silence before it is', () => {
  const t = new Host()
  const c = established(t, { rttMs: 10, win: 0 })
  t.tcp.setUserTimeout(c, 5000)
  write(t, 100)
  for (let i = 0; i < 300; i++) {
    advance(t, 1000)
    if (t.take().length > 0) send(t, { flags: ACK, seq: 1, ack: 1, win: 0 })
  }
  assert.equal(t.state(), 'ESTABLISHED')
  advance(t, 10_000)
  assert.equal(t.state(), 'none')
})

testIpv4(
  'urgent bytes are bytes like others, wherever the pointer points (MUST-30 … MUST-33)',
  () => {
    for (const pointer of [0, 1, 5, 10, 11, 1000, 65_535]) {
      const t = new Host()
      established(t)
      send(t, {
        flags: ACK | URG,
        seq: 1,
        ack: 1,
        data: Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        spoil: (view, off) => {
          view.setUint16(off + URGENT, pointer)
          setTcpChecksum(view, off)
        },
      })
      assert.deepEqual(t.app.received, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], `pointer ${pointer}`)
      expectSent(t, ['. 1 ack 11'])
      assert.equal(t.field(tcb.RCV_NXT), (t.irs + 11) | 0)
    }
  },
)

test('with the window shut, urgent and reset segments still count (MUST-66)', () => {
  const t = new Host({ tcp: { receiveWindow: 1000 } })
  established(t)
  t.app.doData = (c, len) => {
    t.tcp.setReceiveSpace(c, 0)
    t.tcp.commit(c, 100)
    return len
  }
  send(t, { flags: ACK, seq: 1, ack: 1, data: 1000 })
  assert.equal(t.last.win, 0)
  send(t, { flags: ACK | URG, seq: 1001, ack: 101 })
  assert.ok(t.app.events.includes('acked 100'))
  send(t, { flags: RST, seq: 1001 })
  assert.equal(t.state(), 'none')
})
