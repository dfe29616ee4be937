import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerBytes } from '../src/content/image.ts'
import type { Peer } from './kit/peer.ts'
import { parseAnswers } from './kit/response.ts'
import { type Order, Sender } from './kit/sender.ts'
import { request, World } from './kit/world.ts'

const ORDER: Order = {
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
/** A body that fits into one frame with its head. */
const ONE_FRAME = { '/a': 900 }

/** Few frames for templates: the least pool that a server takes. */
const TIGHT = { frameBytes: 1030 * 2048 }

test('a frame that has come back is sent again as it is', () => {
  const sender = new Sender(ONE_FRAME, [1428], 4)
  const { ledger } = sender.world.server.transmitter
  for (let connection = 0; connection < 4; connection++) {
    sender.send({ ...ORDER, connection })
    sender.check()
  }
  assert.equal(ledger.templatesBuilt, 1)
  assert.equal(ledger.templateFrames, 4)
  assert.equal(ledger.headPatches, 1)
})

test('a frame goes from connections with ECN to others and back', () => {
  const sender = new Sender(ONE_FRAME, [1428], 4)
  for (const ecn of [true, false, true, true, false]) {
    for (let connection = 0; connection < 4; connection++) {
      sender.send({ ...ORDER, connection, ecn })
      sender.check()
    }
  }
  assert.equal(sender.world.server.transmitter.ledger.templatesBuilt, 1)
})

test('a frame in flight gets a replica, which is retained', () => {
  const sender = new Sender(ONE_FRAME, [1428], 4)
  const { ledger } = sender.world.server.transmitter
  for (let round = 0; round < 5; round++) {
    for (let connection = 0; connection < 4; connection++) sender.send({ ...ORDER, connection })
    sender.check()
  }
  assert.equal(ledger.replicasBuilt, 3)
  assert.equal(ledger.templatesBuilt, 4)
  assert.equal(ledger.templateFrames, 20)
})

test('replicas made ahead are enough for that many clients at once', () => {
  const sender = new Sender(ONE_FRAME, [1428], 8, { replicas: 4 })
  const { ledger } = sender.world.server.transmitter
  for (let connection = 0; connection < 4; connection++) sender.send({ ...ORDER, connection })
  assert.equal(ledger.templatesBuilt, 4)
  sender.send({ ...ORDER, connection: 4 })
  assert.equal(ledger.templatesBuilt, 5)
  sender.check()
})

test('each of the two head fields is written only when it changes', () => {
  const sender = new Sender(ONE_FRAME, [1428], 2)
  const { ledger } = sender.world.server.transmitter
  const patches = [{}, {}, { dateSec: 784111778 }, {}, { close: true }, {}, ORDER].map(change => {
    sender.send({ ...ORDER, dateSec: 784111778, close: 'close' in change, ...change })
    sender.check()
    return ledger.headPatches
  })
  assert.deepEqual(patches, [1, 1, 1, 1, 2, 3, 4])
})

test('an acknowledgement in the middle of a template makes one frame by copying', () => {
  const world = new World({ '/a': 10_000 })
  const peer = world.connect({ autoAck: false }).send(request('/a'))
  world.settle()
  assert.equal(world.server.transmitter.ledger.copyFrames, 0)
  peer.ack(100)
  assert.ok(world.runUntil(() => peer.repeatedBytes > 0, 2000))
  assert.equal(world.server.transmitter.ledger.copyFrames, 1)
  peer.ack()
  world.settle()
  assert.deepEqual(parseAnswers(peer.stream, ['GET'])[0].body, world.site.bodies.get('/a'))
})

test('a file with more frames than there are arrives', () => {
  const world = new World({ '/big': 4_000_000 }, TIGHT)
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(world.fetch('/big').body, world.site.bodies.get('/big'))
  }
  const { ledger } = world.server.transmitter
  assert.ok(ledger.templateFrames > 0 && ledger.copyFrames > 0)
  const { images } = world.site.content
  assert.equal(ledger.payloadBytesSummed, answerBytes(images, world.site.imageOf('/big'), false))
})

const FILES: Record<string, number> = {}
for (let i = 0; i < 80; i++) FILES[`/${i}`] = 20_000 + 500 * i
const PATHS = Object.keys(FILES)

test('templates that make way for others never harm an answer under way', () => {
  const world = new World(FILES, TIGHT)
  const peers: { peer: Peer; paths: string[] }[] = []
  for (let i = 0; i < 40; i++) {
    const paths = [0, 1, 2, 3].map(n => PATHS[(i * 7 + n * 23) % PATHS.length])
    const peer = world.connect({ autoAck: i % 3 > 0, ackEvery: 1 + (i % 5) })
    peers.push({ peer: peer.send(paths.map(path => request(path)).join('')), paths })
  }
  for (let round = 0; round < 60; round++) {
    world.step()
    if (round % 4 === 0) for (const { peer } of peers) if (!peer.options.autoAck) peer.ack()
  }
  for (const { peer } of peers) peer.options.autoAck = true
  for (const { peer } of peers) peer.ack()
  world.pass(5000)
  for (const { peer, paths } of peers) {
    const answers = parseAnswers(peer.stream, ['GET', 'GET', 'GET', 'GET'])
    answers.forEach((answer, i) => {
      assert.deepEqual(answer.body, world.site.bodies.get(paths[i]))
    })
  }
  assert.ok(world.server.transmitter.ledger.templatesEvicted > 500)
})

test('frames made in the middle of an answer can be given up like all others', () => {
  const files: Record<string, number> = {}
  for (let i = 0; i < 25; i++) files[`/${i}`] = 100_000
  const world = new World(files, TIGHT)
  const { ledger } = world.server.transmitter
  for (let i = 0; i < 14; i++) {
    // The first bytes of a file, then so many others that its frames are given up, then the rest.
    const peer = world.connect({ autoAck: false, window: 12_000 }).send(request(`/${i}`))
    world.settle()
    for (let n = 1; n < 12; n++) world.fetch(`/${(i + n) % 24}`)
    peer.options.autoAck = true
    peer.ack()
    assert.ok(world.runUntil(() => peer.stream.length > 100_000))
    peer.rst()
  }
  const before = ledger.templatesBuilt
  world.fetch('/24')
  assert.equal(ledger.templatesBuilt - before, 71)
})
