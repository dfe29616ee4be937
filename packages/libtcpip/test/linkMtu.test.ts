/** An interface that gets a smaller MTU while connections go over it, and tells only who asks. */
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
