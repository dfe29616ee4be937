/**
 * Answers of parts on our own TCP: whatever the strategy, the segment size and the network, the
 * client has exactly the bytes that it asked for, most frames are those of the whole answer, and
 * all comes back to the pools.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { PeerOptions } from './kit/peer.ts'
import { type Answer, parseAnswers } from './kit/response.ts'
import { body } from './kit/site.ts'
import { request, World, type WorldOptions } from './kit/world.ts'

const BIG = body(200_000, 7)
const FILES = { '/big': BIG, '/small': body(900, 8) }

function fetchRange(world: World, range: string, options: Partial<PeerOptions> = {}): Answer {
  const asked = request('/big', { close: true, fields: [`Range: ${range}`] })
  const peer = world.connect(options).send(asked)
  assert.ok(world.runUntil(() => peer.ended))
  peer.fin()
  world.settle()
  return parseAnswers(peer.stream, ['GET'])[0]
}

const isSame = (answer: Answer, from: number, end: number): boolean =>
  Buffer.compare(answer.body, BIG.subarray(from, end)) === 0

for (const transmit of ['template', 'gather', 'copy'] as const) {
  test(`a range over a bad network has its bytes: ${transmit}`, () => {
    const range = fc.tuple(fc.nat(BIG.length - 1), fc.nat(60_000))
    const peer = fc.record({
      mss: fc.constantFrom(1460, 1440, 1220, 536, 300),
      window: fc.constantFrom(65535, 4000, 700),
      ackEvery: fc.constantFrom(1, 2, 5),
      timestamps: fc.boolean(),
    })
    const faults = fc.record({
      drop: fc.constantFrom(0, 0.05),
      dup: fc.constantFrom(0, 0.02),
      reorder: fc.constantFrom(0, 0.05),
      corrupt: fc.constantFrom(0, 0.02),
      delayUs: fc.constantFrom(0, 2000),
      seed: fc.nat(1000),
    })
    fc.assert(
      fc.property(range, peer, faults, ([from, len], options, faults) => {
        const world = new World(FILES, { transmit, faults })
        const end = Math.min(BIG.length, from + len + 1)
        const answer = fetchRange(world, `bytes=${from}-${end - 1}`, options)
        assert.equal(answer.status, 206)
        assert.ok(isSame(answer, from, end))
        const { heads } = world.server.mount.answers
        assert.ok(world.runUntil(() => heads.usedCount === 0, 60_000))
      }),
      { numRuns: 25 },
    )
  })
}

test('behind the first bytes a range is sent in the segments of the whole', () => {
  const world = new World(FILES)
  const { ledger } = world.server.transmitter
  world.fetch('/big')
  const { templatesBuilt } = ledger
  const { copyFrames } = ledger
  const answer = fetchRange(world, 'bytes=50000-149999')
  assert.ok(isSame(answer, 50_000, 150_000))
  assert.equal(ledger.templatesBuilt, templatesBuilt, 'nothing is framed anew')
  // The head with the first bytes, what leads to the next segment, and the last bytes.
  assert.ok(ledger.copyFrames - copyFrames <= 3, `${ledger.copyFrames - copyFrames} copies`)
})

test('a range that begins with a segment has its head and first bytes in one frame', () => {
  const world = new World(FILES)
  world.fetch('/big')
  const peer = world.connect()
  peer.send(request('/big', { close: true, fields: ['Range: bytes=50000-99999'] }))
  assert.ok(world.runUntil(() => peer.ended))
  const [first, second] = peer.segments
  const headLen = parseAnswers(peer.stream, ['GET'])[0].head.length
  assert.ok(first[1] > headLen && first[1] <= 1428)
  assert.equal(second[0], first[1])
})

test('without room for heads of their own, parts are not made: the whole is sent', () => {
  const world = new World(FILES)
  const { heads } = world.server.mount.answers
  while (heads.freeCount > 2) heads.alloc()
  assert.equal(fetchRange(world, 'bytes=1-2').status, 206)
  const answer = fetchRange(world, 'bytes=1-2,4-5')
  assert.deepEqual([answer.status, answer.body.length], [200, BIG.length])
  assert.equal(world.server.mount.stats.partsGivenUp, 1)
})

test('parts of many clients come back, whatever becomes of the clients', () => {
  const options: WorldOptions = { tcp: { maxConnections: 64 } }
  const world = new World(FILES, options)
  const ask = request('/big', { fields: ['Range: bytes=0-9,100-30000,-20000'] })
  for (let i = 0; i < 40; i++) {
    const peer = world.connect({ window: 3000 }).send(ask)
    if (i % 3 === 0) peer.vanish()
    if (i % 3 === 1) peer.rst()
  }
  world.server.drain()
  assert.ok(world.runUntil(() => world.server.isDrained, 30 * 60_000))
  assert.equal(world.server.mount.answers.heads.usedCount, 0)
  assert.equal(world.server.mount.answers.usedCount, 0)
})
