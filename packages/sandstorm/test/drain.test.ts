/** Invariant 6: after a drain nothing is in use, whatever state the clients were in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_FAULTS } from '@sandstorm/libnmio'
import fc from 'fast-check'
import { request, World, type WorldOptions } from './kit/world.ts'

const FILES = { '/a': 5000, '/big': 300_000 }
const NOTHING = {
  connections: 0,
  timers: 0,
  sendRecords: 0,
  requestBuffers: 0,
  framesInFlight: 0,
}

/** What a client may be doing when the server is told to stop. */
const STATES: Record<string, (world: World) => void> = {
  'half-open': world => {
    const peer = world.host.peer().open()
    world.step()
    peer.vanish()
  },
  silent: world => void world.connect(),
  idle: world => void world.connect().send(request('/a')),
  'idle and gone': world => {
    const peer = world.connect().send(request('/a'))
    world.settle()
    peer.vanish()
  },
  'in the middle of an answer': world =>
    void world.connect({ window: 2000, ackEvery: 1 }).send(request('/big')),
  'gone in the middle of an answer': world => {
    const peer = world.connect().send(request('/big'))
    world.step()
    world.step()
    peer.vanish()
  },
  'not acknowledging': world => void world.connect({ autoAck: false }).send(request('/big')),
  'with a shut window': world => {
    const peer = world.connect({ autoAck: false, window: 4000 }).send(request('/big'))
    world.settle()
    peer.options.window = 0
    peer.ack()
  },
  'half a head': world => void world.connect().send('GET /a HT'),
  'half a head and gone': world => {
    const peer = world.connect().send('GET /a HT')
    world.settle()
    peer.vanish()
  },
  'many requests at once': world => void world.connect().send(request('/a').repeat(60)),
  'FIN sent': world => void world.connect().send(request('/big')).fin(),
  'FIN sent and gone': world => {
    const peer = world.connect().send(request('/big')).fin()
    world.step()
    peer.vanish()
  },
  'being closed': world => void world.connect().send(request('/a', { close: true })),
  'closed and gone': world => {
    const peer = world.connect().send(request('/a', { close: true }))
    world.step()
    world.step()
    peer.vanish()
  },
  'talking after the end': world => {
    const peer = world.connect().send(request('/a', { close: true }))
    world.settle()
    peer.send('more')
  },
  reset: world => {
    const peer = world.connect().send(request('/big'))
    world.step()
    peer.rst()
  },
}
const NAMES = Object.keys(STATES)

function drained(world: World): void {
  world.server.drain()
  assert.ok(
    world.runUntil(() => world.server.isDrained, 30 * 60_000),
    'the drain ends',
  )
  world.settle()
  assert.deepEqual(world.server.stats().inUse, NOTHING)
}

for (const name of NAMES) {
  test(`after a drain nothing is in use: a client ${name}`, () => {
    const world = new World(FILES)
    STATES[name](world)
    drained(world)
  })
}

test('after a drain nothing is in use: any clients, strategy and network', () => {
  const options: fc.Arbitrary<WorldOptions> = fc.record({
    transmit: fc.constantFrom('template', 'gather', 'copy'),
    faults: fc.record({
      drop: fc.constantFrom(0, 0.05),
      dup: fc.constantFrom(0, 0.02),
      reorder: fc.constantFrom(0, 0.05),
      corrupt: fc.constantFrom(0, 0.02),
      delayUs: fc.constantFrom(0, 2000),
      seed: fc.nat(1000),
    }),
  })
  const names = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(options, names, (options, names) => {
      const world = new World(FILES, options)
      for (const name of names) STATES[name](world)
      drained(world)
    }),
    { numRuns: 40 },
  )
})

test('a drain lets answers under way come to their end, and says so', () => {
  const world = new World(FILES, { faults: { ...NO_FAULTS, delayUs: 5000 } })
  const peer = world.connect().send(request('/big'))
  world.pass(12)
  world.server.drain()
  assert.ok(world.runUntil(() => peer.ended, 60_000))
  assert.ok(peer.stream.length > 300_000)
  assert.ok(!peer.reset)
})

test('while draining new connections are refused', () => {
  const world = new World(FILES)
  world.server.drain()
  const peer = world.host.peer().open()
  assert.ok(world.runUntil(() => peer.reset, 1000))
})

test('a server whose last frame the device has not sent is not drained', () => {
  const world = new World(FILES)
  const { server } = world
  const peer = world.connect()
  server.drain()
  assert.ok(world.runUntil(() => peer.ended))
  peer.fin()
  const { table } = server.stack.tcp
  for (let steps = 0; table.count > 0 && steps < 10; steps++) world.step()
  assert.deepEqual([table.count, server.frames.inFlightCount], [0, 1])
  assert.equal(server.isDrained, false)
  world.settle()
  assert.equal(server.isDrained, true)
})
