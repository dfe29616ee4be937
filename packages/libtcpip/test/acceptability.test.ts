/**
 * Which segments are in the window, and what of them is taken (RFC 9293 §3.4, table 6, §3.10.7.4;
 * window management §3.8.6). The window is 1000 bytes at 1 … 1000.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { established, expectSent, Host, send } from './kit/host.ts'
import { ACK, FIN, RST } from './kit/segment.ts'

function windowOf(space: number, options: ConstructorParameters<typeof Host>[0] = {}): Host {
  const t = new Host({ ...options, tcp: { receiveWindow: 1000 } })
  established(t)
  if (space < 1000) {
    t.app.doData = (c, len) => {
      t.tcp.setReceiveSpace(c, space)
      return len
    }
    send(t, { flags: ACK, seq: 1, ack: 1, data: 1000 - space })
    t.irs += 1000 - space
    t.take()
    t.app.received.length = 0
    t.app.doData = (_c, len) => len
  }
  return t
}

/** [seq, len, FIN, bytes taken, acknowledged afterwards; -1: no answer] */
const OPEN: [number, number, boolean, number, number][] = [
  [1, 0, false, 0, -1],
  [2, 0, false, 0, -1],
  [1000, 0, false, 0, -1],
  [1001, 0, false, 0, 1],
  [0, 0, false, 0, 1],
  [-5000, 0, false, 0, 1],
  [1, 1, false, 1, 2],
  [1, 1000, false, 1000, 1001],
  [1, 1001, false, 1000, 1001],
  [1, 1400, false, 1000, 1001],
  [1, 999, true, 999, 1001],
  [1, 1000, true, 1000, 1002],
  [1, 1001, true, 1000, 1001],
  [1, 0, true, 0, 2],
  [0, 1, false, 0, 1],
  [0, 2, false, 1, 2],
  [-9, 10, false, 0, 1],
  [-9, 11, false, 1, 2],
  [-9, 9, true, 0, 1],
  [-9, 10, true, 0, 2],
  [-99, 1400, false, 1000, 1001],
  [2, 10, false, 0, 1],
  [1000, 1, false, 0, 1],
  [1000, 5, false, 0, 1],
  [1001, 1, false, 0, 1],
  [1001, 0, true, 0, 1],
  [900_000, 10, false, 0, 1],
]

for (const [seq, len, fin, taken, acked] of OPEN) {
  test(`window 1000: ${len} bytes${fin ? ' and FIN' : ''} at ${seq}: ${taken} taken`, () => {
    const t = windowOf(1000)
    const data = Uint8Array.from({ length: len }, (_, i) => (seq + i) & 0xff)
    send(t, { flags: ACK | (fin ? FIN : 0), seq, ack: 1, data })
    assert.deepEqual(
      t.app.received,
      Array.from({ length: taken }, (_, i) => (i + 1) & 0xff),
    )
    expectSent(t, acked < 0 ? [] : [`. 1 ack ${acked}`])
  })
}

test('window 0: nothing is taken, but everything that asks is answered', () => {
  for (const [seq, len, answer] of [
    [1, 0, []],
    [1, 1, ['. 1 ack 1']],
    [1, 100, ['. 1 ack 1']],
    [0, 1, ['. 1 ack 1']],
    [0, 0, ['. 1 ack 1']],
    [2, 0, ['. 1 ack 1']],
    [2, 1, ['. 1 ack 1']],
  ] as [number, number, string[]][]) {
    const t = windowOf(0)
    send(t, { flags: ACK, seq, ack: 1, data: len })
    assert.deepEqual(t.app.received, [], `${len} bytes at ${seq}`)
    expectSent(t, answer)
    assert.ok(answer.length === 0 || t.last.win === 0, 'the window is shut')
  }
})

test('window 0: the ACK of a probe counts, though its data does not (MUST-66)', () => {
  const t = windowOf(0)
  t.tcp.commit(t.conn(), 100)
  send(t, { flags: ACK, seq: 1, ack: 1 })
  expectSent(t, ['P. 1:101 ack 1'])
  send(t, { flags: ACK, seq: 1, ack: 101, data: 1 })
  assert.ok(t.app.events.includes('acked 100'))
  send(t, { flags: RST, seq: 1 })
  assert.equal(t.state(), 'none')
})

test('a FIN is taken even when the window is shut, and the window then is still 0', () => {
  const t = windowOf(0)
  send(t, { flags: ACK | FIN, seq: 1, ack: 1 })
  assert.equal(t.state(), 'CLOSE-WAIT')
  expectSent(t, ['. 1 ack 2'])
  assert.equal(t.last.win, 0)
})

test('the right edge of the window never moves back (SHLD-14)', () => {
  const t = new Host({ tcp: { receiveWindow: 10_000 } })
  established(t)
  t.app.doData = (c, len) => {
    t.tcp.setReceiveSpace(c, 100)
    return len
  }
  send(t, { flags: ACK, seq: 1, ack: 1, data: 1000 })
  assert.equal(t.last.win, 9000, 'less space, same edge')
  send(t, { flags: ACK, seq: 1001, ack: 1, data: 1000 })
  assert.equal(t.last.win, 8000)
})

test('a window that opens is announced by a step of a segment or half the window, once (MUST-39)', () => {
  const t = windowOf(0)
  const c = t.conn()
  t.tcp.setReceiveSpace(c, 10)
  t.poll()
  expectSent(t, [])
  t.tcp.setReceiveSpace(c, 499)
  t.poll()
  expectSent(t, [])
  t.tcp.setReceiveSpace(c, 500)
  t.poll()
  expectSent(t, ['. 1 ack 1'])
  assert.equal(t.last.win, 500)
  t.tcp.setReceiveSpace(c, 600)
  t.poll()
  expectSent(t, [])
})

test('what the application does not take is not acknowledged, and comes again', () => {
  const t = windowOf(1000)
  t.app.doData = (_c, len) => Math.min(len, 3)
  send(t, { flags: ACK | FIN, seq: 1, ack: 1, data: 5 })
  expectSent(t, ['. 1 ack 4'])
  assert.equal(t.state(), 'ESTABLISHED', 'the FIN is behind what was not taken')
  send(t, { flags: ACK | FIN, seq: 1, ack: 1, data: 5 })
  expectSent(t, ['. 1 ack 7'])
  assert.equal(t.state(), 'CLOSE-WAIT')
})

test('a batch of segments is answered by one ACK (MUST-58)', () => {
  const t = windowOf(1000)
  for (let i = 0; i < 10; i++) {
    send(t, { flags: ACK, seq: 1 + i * 10, ack: 1, data: 10, poll: false })
  }
  t.poll()
  expectSent(t, ['. 1 ack 101'])
  assert.equal(t.app.received.length, 100)
})

test('receiving works across 2^31 and 2^32', () => {
  for (const irs of [0x7fffffff - 1500, -1500]) {
    const t = new Host({ irs })
    established(t)
    for (let at = 1; at < 6000; at += 1000) {
      send(t, { flags: ACK, seq: at, ack: 1, data: 1000 })
      send(t, { flags: ACK, seq: at, ack: 1, data: 1000 })
      expectSent(t, [`. 1 ack ${at + 1000}`, `. 1 ack ${at + 1000}`])
    }
    assert.equal(t.app.received.length, 6000)
  }
})

test('a keep-alive of the peer is answered, with and without its byte', () => {
  const t = windowOf(1000)
  send(t, { flags: ACK, seq: 0, ack: 1 })
  send(t, { flags: ACK, seq: 0, ack: 1, data: 1 })
  expectSent(t, ['. 1 ack 1', '. 1 ack 1'])
})
