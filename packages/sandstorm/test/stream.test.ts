/**
 * The stream of answers as a client sees it: the same bytes by every strategy, over any network.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_FAULTS } from '@sandstorm/libnmio'
import fc from 'fast-check'
import { parseAnswers } from './kit/response.ts'
import { request, World, type WorldOptions } from './kit/world.ts'

const STRATEGIES: WorldOptions[] = [
  { transmit: 'template' },
  { transmit: 'template', replicas: 3 },
  { transmit: 'gather' },
  { transmit: 'copy' },
]
const FILES = { '/0': 0, '/1': 1, '/1000': 1000, '/5000': 5000, '/22000': 22_000, '/60000': 60_000 }
const PATHS = Object.keys(FILES)

const scenario = fc.record({
  paths: fc.array(fc.constantFrom(...PATHS), { minLength: 1, maxLength: 4 }),
  methods: fc.array(fc.constantFrom('GET', 'GET', 'HEAD'), { minLength: 4, maxLength: 4 }),
  peer: fc.record({
    mss: fc.constantFrom(0, 48, 216, 523, 536, 1240, 1400, 1460),
    window: fc.constantFrom(600, 1000, 3000, 8192, 65535),
    ackEvery: fc.integer({ min: 1, max: 8 }),
    sendBytes: fc.constantFrom(1, 30, 1460),
  }),
  faults: fc.record({
    drop: fc.constantFrom(0, 0.02, 0.1),
    dup: fc.constantFrom(0, 0.02),
    reorder: fc.constantFrom(0, 0.05),
    corrupt: fc.constantFrom(0, 0.02),
    delayUs: fc.constantFrom(0, 700, 20_000),
    seed: fc.nat(1000),
  }),
})

test('all strategies give the same stream, whatever the client and the network', () => {
  fc.assert(
    fc.property(scenario, ({ paths, methods, peer: options, faults }) => {
      const asked = paths.map((path, i) => request(path, { method: methods[i] })).join('')
      const streams = STRATEGIES.map(strategy => {
        // Without SACK and timestamps one loss in ten drives the RTO to a minute (Karn): be
        // patient.
        const world = new World(FILES, {
          ...strategy,
          faults,
          limits: { stallTimeoutMs: 3_600_000 },
        })
        world.epochSec = 784111777 - 1e6 // every answer in a second of its own would differ in Date
        const peer = world.connect(options).send(asked).fin()
        assert.ok(
          world.runUntil(() => peer.ended, 3_600_000),
          'the stream ends',
        )
        const answers = parseAnswers(peer.stream, methods.slice(0, paths.length))
        answers.forEach((answer, i) => {
          const body = world.site.bodies.get(paths[i])!
          assert.deepEqual(answer.body, methods[i] === 'HEAD' ? new Uint8Array(0) : body)
        })
        assert.ok(
          world.runUntil(() => world.server.isDrained, 600_000),
          'the connection ends',
        )
        return withoutDates(peer.stream)
      })
      for (const stream of streams) assert.equal(Buffer.compare(stream, streams[0]), 0)
    }),
    { numRuns: 40 },
  )
})

/** Answers may be made in different seconds, depending on what was lost. */
function withoutDates(stream: Uint8Array): Buffer {
  const text = Buffer.from(stream).toString('latin1')
  return Buffer.from(text.replace(/\r\nDate: .{29}\r\n/g, '\r\n'), 'latin1')
}

for (const mss of [48, 216, 536]) {
  test(`a client that takes ${mss} bytes a segment gets no larger one`, () => {
    const world = new World(FILES)
    const peer = world.connect({ mss }).send(request('/22000'))
    world.settle()
    assert.deepEqual(parseAnswers(peer.stream, ['GET'])[0].body, world.site.bodies.get('/22000'))
    assert.ok(peer.segments.every(([, len]) => len <= mss))
  })
}

test('a client without an MSS option gets at most 536 bytes a segment', () => {
  const world = new World(FILES)
  const peer = world.connect({ mss: 0 }).send(request('/5000'))
  world.settle()
  assert.equal(Math.max(...peer.segments.map(([, len]) => len)), 524)
})

test('a window smaller than a segment still lets everything through', () => {
  for (const { transmit } of STRATEGIES) {
    const world = new World(FILES, { transmit: transmit! })
    const peer = world.connect({ window: 700 }).send(request('/22000'))
    assert.ok(world.runUntil(() => peer.stream.length > 22_000))
    assert.deepEqual(parseAnswers(peer.stream, ['GET'])[0].body, world.site.bodies.get('/22000'))
  }
})

// Invariant 2: the kit's peer fails if a byte ever comes back different.
for (const { transmit } of STRATEGIES) {
  test(`what is sent again seconds later is the same, Date and all: ${transmit}`, () => {
    const world = new World(FILES, { transmit: transmit! })
    const peer = world.connect({ autoAck: false }).send(request('/5000', { close: true }))
    world.settle()
    const first = Buffer.from(peer.stream)
    // Others move the date and the Connection field of the same frames on meanwhile.
    for (let i = 0; i < 5; i++) {
      world.pass(1500)
      const other = world.connect().send(request('/5000'))
      world.settle()
      assert.equal(parseAnswers(other.stream, ['GET'])[0].fields.get('connection'), 'keep-alive')
      other.rst()
    }
    assert.ok(peer.repeatedBytes > 0)
    assert.deepEqual(Buffer.from(peer.stream), first)
    peer.options.autoAck = true
    peer.ack()
    assert.ok(world.runUntil(() => peer.ended))
    const [answer] = parseAnswers(peer.stream, ['GET'])
    assert.equal(answer.fields.get('connection'), 'close')
    assert.equal(answer.fields.get('date'), 'Sun, 06 Nov 1994 08:49:37 GMT')
  })
}

test('what is sent again after its frames were given up is the same', () => {
  const files: Record<string, number> = { '/a': 10_000 }
  for (let i = 0; i < 12; i++) files[`/${i}`] = 100_000
  const world = new World(files, { frameBytes: 1030 * 2048 })
  const peer = world.connect({ autoAck: false }).send(request('/a'))
  world.settle()
  const first = Buffer.from(peer.stream)
  for (let i = 0; i < 12; i++) world.fetch(`/${i}`)
  const built = world.server.transmitter.ledger.templatesBuilt
  assert.ok(world.runUntil(() => peer.repeatedBytes >= 900, 3000))
  assert.ok(world.server.transmitter.ledger.templatesBuilt > built)
  assert.deepEqual(Buffer.from(peer.stream), first)
})

// Invariant 8: memoryLink asserts if a frame is pushed without space.
for (const { transmit } of STRATEGIES) {
  test(`a ring of 8 slots delays and loses nothing: ${transmit}`, () => {
    const world = new World(FILES, { transmit: transmit!, ringSize: 8 })
    const peers = Array.from({ length: 20 }, () => world.host.peer().open())
    for (const peer of peers) peer.send(request('/60000', { close: true }))
    assert.ok(world.runUntil(() => peers.every(peer => peer.ended)))
    for (const peer of peers) {
      assert.deepEqual(parseAnswers(peer.stream, ['GET'])[0].body, world.site.bodies.get('/60000'))
    }
    assert.ok(world.server.stats().ledger.templatesBuilt <= 8 * 43)
  })
}

test('a lossless network makes nothing come twice', () => {
  const world = new World(FILES, { faults: { ...NO_FAULTS, delayUs: 3000 } })
  const peer = world.connect().send(request('/60000', { close: true }))
  assert.ok(world.runUntil(() => peer.ended))
  assert.equal(peer.repeatedBytes, 0)
  assert.equal(world.server.stats().tcp.retransSegs, 0)
})
