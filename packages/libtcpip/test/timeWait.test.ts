/**
 * TIME-WAIT with timestamps: which SYN reopens (RFC 6191), and how it is answered (RFC 7323 §3.2).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { advance, close, established, expectSent, Host, send } from './kit/host.ts'
import { ACK, FIN, SYN, timestampsIn, timestampsOption } from './kit/segment.ts'

/** A host in TIME-WAIT, and the last timestamp that it has seen; both FINs are number 1. */
function waiting(timestamps: boolean): { t: Host; recent: number } {
  const t = new Host({ timestamps })
  established(t)
  close(t)
  const recent = t.peerMs
  send(t, { flags: ACK | FIN, seq: 1, ack: 2 })
  assert.equal(t.tcp.timeWait.count, 1)
  t.take()
  return { t, recent }
}

for (const [what, later, seq, reopens] of [
  ['a later timestamp reopens', 1, 1_000_000, true],
  ['a later timestamp reopens, though the number is old', 1, -1_000_000, true],
  ['the same timestamp reopens with a later number', 0, 3, true],
  ['the same timestamp does not reopen with an old number', 0, 1, false],
  ['an earlier timestamp does not reopen, though the number is new', -1, 1_000_000, false],
  ['no timestamp reopens with a later number', undefined, 3, true],
  ['no timestamp does not reopen with an old number', undefined, 1, false],
] as const) {
  test(`after a connection with timestamps: ${what}`, () => {
    const { t, recent } = waiting(true)
    const old = t.iss()
    const options = later === undefined ? [] : timestampsOption(recent + later, 0)
    send(t, { flags: SYN, seq, options })
    assert.equal(t.last.flags, reopens ? SYN | ACK : ACK)
    assert.equal(t.tcp.timeWait.count, reopens ? 0 : 1)
    assert.equal(t.tcp.stats.timeWaitReuses, reopens ? 1 : 0)
    if (reopens) assert.ok(((t.iss() - old) | 0) > 2, 'no old segment of ours can fit')
  })
}

test('after a connection without timestamps a SYN that has one is judged by its number', () => {
  for (const [seq, flags] of [
    [1, ACK],
    [3, SYN | ACK],
  ]) {
    const { t } = waiting(false)
    send(t, { flags: SYN, seq, options: timestampsOption(9, 0) })
    assert.equal(t.last.flags, flags)
  }
})

test('the last ACK has timestamps if the connection had them, and our clock in them goes on', () => {
  const { t, recent } = waiting(true)
  const [before] = timestampsIn(t.last)!
  advance(t, 1000)
  send(t, { flags: ACK | FIN, seq: 1, ack: 2 })
  expectSent(t, ['. 2 ack 2'])
  const [tsVal, tsEcr] = timestampsIn(t.last)!
  assert.equal((tsVal - before) | 0, 1000)
  assert.equal(tsEcr, recent)
})

test('the wait that began anew still knows the timestamp', () => {
  const { t, recent } = waiting(true)
  advance(t, 10_000)
  send(t, { flags: ACK | FIN, seq: 1, ack: 2 })
  t.take()
  send(t, { flags: SYN, seq: 1_000_000, options: timestampsOption(recent - 1, 0) })
  expectSent(t, ['. 2 ack 2'])
})
