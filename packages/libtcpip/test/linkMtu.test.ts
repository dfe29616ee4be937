/** An interface that changes while connections go over it, and tells only who asks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tcb } from '../src/index.ts'
import { advance, established, Host, send, write } from './kit/host.ts'
import { ACK } from './kit/segment.ts'

/** Full segments have been acknowledged, more are in flight, and the interface now takes `mtu`. */
function narrowed(mtu: number): Host {
  const t = new Host()
  established(t, { rttMs: 50 })
  write(t, 1_000_000)
  t.take()
  send(t, { flags: ACK, seq: 1, ack: 7 * 1460 + 1 })
  send(t, { flags: ACK, seq: 1, ack: 14 * 1460 + 1 })
  t.take()
  t.tcp.device.linkMtu = () => mtu
  return t
}

test('the second time-out in a row asks the interface, and segments fit it again', () => {
  const t = narrowed(1400)
  advance(t, 1000)
  assert.equal(t.tcp.stats.timeouts, 2)
  assert.equal(t.field(tcb.MSS), 1360)
  assert.equal(t.tcp.stats.pathMtuReductions, 1)
  assert.equal(t.tcp.stats.blackHoles, 0)
  const last = t.take().at(-1)
  assert.ok(last !== undefined && last.bytes.length - 14 <= 1400, last?.line)
})

for (const mtu of [1500, 9000, 500]) {
  test(`an interface of ${mtu} bytes changes nothing`, () => {
    const t = narrowed(mtu)
    advance(t, 1000)
    assert.equal(t.tcp.stats.timeouts, 2)
    assert.equal(t.field(tcb.MSS), 1460)
    assert.equal(t.tcp.stats.pathMtuReductions, 0)
  })
}

/** Counts of `t`: time-outs, and in a row; both stand still while our own link is down. */
const timeouts = (t: Host): number[] => [t.tcp.stats.timeouts, t.field(tcb.RETRIES)]

test('while the link is down nothing backs off, and half a second later it goes on', () => {
  const t = narrowed(0)
  advance(t, 1000)
  assert.deepEqual(timeouts(t), [1, 1])
  t.take()
  advance(t, 60_000)
  assert.deepEqual(timeouts(t), [1, 1])
  assert.deepEqual(t.take(), [])
  assert.equal(t.field(tcb.MSS), 1460)
  t.tcp.device.linkMtu = () => 1500
  advance(t, 500)
  assert.deepEqual(timeouts(t), [2, 2])
  assert.equal(t.take().length, 1)
  send(t, { flags: ACK, seq: 1, ack: 15 * 1460 + 1 })
  assert.equal(t.field(tcb.RETRIES), 0)
})

test('a user time-out ends a connection whose own link is down as well', () => {
  const t = new Host()
  const c = established(t, { rttMs: 10 })
  t.tcp.setUserTimeout(c, 5000)
  t.tcp.device.linkMtu = () => 0
  write(t, 100)
  advance(t, 4999)
  assert.equal(t.state(), 'ESTABLISHED')
  advance(t, 2)
  assert.equal(t.tcp.stats.abortsOnTimeout, 1)
})
