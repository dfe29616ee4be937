/** Blind in-window attacks: RST, SYN and ACK (RFC 5961; RFC 9293 §3.10.7.4). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drops, tcb } from '../src/index.ts'
import { established, expectEmpty, expectSent, Host, send, write } from './kit/host.ts'
import { ACK, FIN, RST, SYN } from './kit/segment.ts'

/** [seq, data, what happens] */
const RESETS: [number, number, 'closed' | 'challenge' | 'silence'][] = [
  [1, 0, 'closed'],
  [1, 10, 'closed'],
  [2, 0, 'challenge'],
  [65535, 0, 'challenge'],
  [65536, 0, 'silence'],
  [0, 0, 'silence'],
  [-100, 0, 'silence'],
  [-100, 1400, 'challenge'],
  [0, 2, 'challenge'],
  [0, 1, 'silence'],
  [-2_000_000_000, 0, 'silence'],
]
for (const [seq, data, outcome] of RESETS) {
  for (const flags of [RST, RST | ACK]) {
    test(`${flags & ACK ? 'RST-ACK' : 'RST'} at ${seq} with ${data} bytes: ${outcome}`, () => {
      const t = new Host()
      established(t)
      send(t, { flags, seq, ack: 1, data })
      assert.equal(t.state(), outcome === 'closed' ? 'none' : 'ESTABLISHED')
      expectSent(t, outcome === 'challenge' ? ['. 1 ack 1'] : [])
      if (outcome === 'closed') {
        assert.deepEqual(t.app.events, ['open', 'closed'])
        assert.equal(t.tcp.stats.estabResets, 1)
        expectEmpty(t)
      }
    })
  }
}

for (const [seq, data] of [
  [1, 0],
  [0, 0],
  [30_000, 0],
  [100_000, 0],
  [-5, 0],
  [-5, 10],
  [1, 10],
]) {
  test(`a SYN at ${seq} with ${data} bytes in a connection is only challenged`, () => {
    const t = new Host()
    established(t)
    send(t, { flags: SYN, seq, data })
    send(t, { flags: SYN | ACK, seq, ack: 1, data })
    expectSent(t, ['. 1 ack 1', '. 1 ack 1'])
    assert.equal(t.state(), 'ESTABLISHED')
    assert.deepEqual(t.app.received, [])
  })
}

test('an ACK of what was never sent is answered, and its data is not taken', () => {
  const t = new Host()
  established(t)
  write(t, 100)
  t.take()
  for (const ack of [102, 1_000_000, 0x7fffff00]) {
    send(t, { flags: ACK, seq: 1, ack, data: 5 })
    expectSent(t, ['. 101 ack 1'])
  }
  assert.equal(t.field(tcb.SND_UNA), t.iss() + 1)
  assert.deepEqual(t.app.received, [])
})

test('an ACK older than any window of the peer is challenged; a merely old one lets data in', () => {
  const t = new Host()
  established(t, { win: 5000 })
  write(t, 4000)
  send(t, { flags: ACK, seq: 1, ack: 4001, win: 5000 })
  t.take()
  send(t, { flags: ACK, seq: 1, ack: 4001 - 5001, data: 5 })
  assert.deepEqual(t.app.received, [])
  assert.equal(t.tcp.stats.challengeAcks, 1)
  expectSent(t, ['. 4001 ack 1'])
  send(t, { flags: ACK, seq: 1, ack: 4001 - 5000, data: 5 })
  assert.equal(t.app.received.length, 5)
})

test('a segment without ACK in a connection is dropped', () => {
  const t = new Host()
  established(t)
  send(t, { flags: FIN, seq: 1, data: 5 })
  send(t, { flags: 0, seq: 1, data: 5 })
  expectSent(t, [])
  assert.equal(t.tcp.drops[drops.TCP_BAD_FLAGS], 2)
  assert.equal(t.state(), 'ESTABLISHED')
})

test('a batch of attacks gets one ACK', () => {
  const t = new Host()
  established(t)
  for (let i = 0; i < 30; i++) send(t, { flags: RST, seq: 100 + i, poll: false })
  t.poll()
  expectSent(t, ['. 1 ack 1'])
})
