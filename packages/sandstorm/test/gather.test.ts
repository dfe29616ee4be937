import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load, makeTree } from './contentTree.ts'
import { Sender } from './kit/sender.ts'
import { body } from './kit/site.ts'
import { request, World } from './kit/world.ts'

const ORDER = {
  connection: 0,
  path: '/a',
  dateSec: 784111777,
  close: false,
  at: 0,
  base: 1,
  ack: 1,
  window: 1000,
  fin: false,
}

test('with GSO one frame carries as many whole segments as the windows allow', () => {
  const sender = new Sender({ '/a': 100_000 }, [1428], 1, { transmit: 'gather', offloads: true })
  const total = sender.answer(ORDER).length
  const first = sender.send(ORDER)
  assert.equal(first, 65495 - (65495 % 1428))
  assert.equal(sender.send({ ...ORDER, at: first }), total - first)
  assert.equal(sender.world.server.transmitter.ledger.gatherFrames, 2)
  sender.check()
})

test('a full frame leaves room for the headers, timestamps included', () => {
  // Five segments fill a frame to the byte without timestamps; to three bytes with them.
  for (const [mss, without, withTimestamps] of [
    [13_099, 65_495, 52_396],
    [13_096, 65_480, 65_480],
  ]) {
    const options = { transmit: 'gather', offloads: true, mtu: 16_000 } as const
    const sender = new Sender({ '/a': 100_000 }, [mss], 8, options)
    assert.equal(sender.send({ ...ORDER, connection: 0 }), without)
    assert.equal(sender.send({ ...ORDER, connection: 2 }), withTimestamps)
    // IPv6 headers take 20 bytes more.
    assert.equal(sender.send({ ...ORDER, connection: 4 }), mss * Math.floor(65_461 / mss))
    assert.equal(sender.send({ ...ORDER, connection: 6 }), mss * Math.floor(65_449 / mss))
    sender.check()
  }
})

test('without GSO each frame is one segment', () => {
  const sender = new Sender({ '/a': 10_000 }, [1428], 1, { transmit: 'gather' })
  assert.equal(sender.send(ORDER), 1428)
  sender.check()
})

test('with GSO a transfer keeps to the congestion window', () => {
  const world = new World({ '/a': 200_000 }, { transmit: 'gather', offloads: true })
  const peer = world.connect({ autoAck: false }).send(request('/a'))
  world.settle()
  const whole = 10 * 1460 // RFC 6928
  assert.ok(peer.stream.length <= whole && peer.stream.length > whole - 1460)
  peer.ack()
  world.settle()
  assert.ok(peer.stream.length <= 3 * whole && peer.stream.length > 3 * whole - 1460)
})

test('what is not whole waits, unless it is the last', () => {
  const sender = new Sender({ '/a': 3000 }, [1428], 1, { transmit: 'gather', offloads: true })
  const { server } = sender.world
  const total = sender.answer(ORDER).length
  assert.equal(sender.send({ ...ORDER, at: total - 10 }), 10)
  sender.check()
  assert.equal(server.transmitter.segmentBytes(1428), 1428)
})

for (const offloads of [false, true]) {
  test(`a head that is longer than a frame leaves in segments${offloads ? ', with offloads' : ''}`, async t => {
    const rules = [{ match: '**', headers: { 'X-Long': 'x'.repeat(3500) } }]
    const root = makeTree(t, { 'big.bin': body(50_000, 3) })
    const { content } = await load(
      root,
      { rules },
      { memoryBytes: 128 << 20, stackBytes: 96 << 20 },
    )
    const site = { content, bodies: new Map(), imageOf: () => 0, etagOf: () => '' }
    for (const mss of [1460, 536]) {
      const answer = new World(site, { transmit: 'gather', offloads }).fetch('/big.bin', { mss })
      assert.equal(answer.fields.get('x-long')?.length, 3500)
      assert.deepEqual(answer.body, body(50_000, 3))
    }
  })
}
