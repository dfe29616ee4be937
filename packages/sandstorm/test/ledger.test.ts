/** Invariant 4, the paper's claim as numbers: after the first client no work is repeated. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerBytes, HEAD_LEN } from '../src/content/image.ts'
import type { Ledger } from '../src/packetize/ledger.ts'
import { World, type WorldOptions } from './kit/world.ts'

const FILES = { '/a': 22_000, '/b': 100_000 }
const CLIENTS = 50

/** What the ledger says that `CLIENTS` clients cost after the first one. */
function costOfMore(options: WorldOptions): { world: World; cost: Ledger } {
  const world = new World(FILES, options)
  const fetchBoth = (): void => {
    for (const path of Object.keys(FILES)) world.fetch(path)
  }
  fetchBoth()
  const before = world.server.stats().ledger
  for (let i = 0; i < CLIENTS; i++) fetchBoth()
  const after = world.server.stats().ledger
  const cost = { ...after }
  for (const key of Object.keys(cost) as (keyof Ledger)[]) cost[key] -= before[key]
  return { world, cost }
}

const bytesOf = (world: World, field: 'head' | 'all'): number =>
  Object.keys(FILES).reduce((sum, path) => {
    const { images } = world.site.content
    const image = world.site.imageOf(path)
    return sum + (field === 'all' ? answerBytes(images, image, false) : images[image + HEAD_LEN])
  }, 0)

test('template: nothing is copied, nothing is summed, nothing is built', () => {
  const { cost } = costOfMore({ transmit: 'template' })
  const frames = CLIENTS * (1 + Math.ceil((22_000 - 916) / 1428) + 1 + Math.ceil(99_084 / 1428))
  assert.deepEqual(cost, {
    payloadBytesCopied: 0,
    payloadBytesSummed: 0,
    templateFrames: frames,
    templatesBuilt: 0,
    replicasBuilt: 0,
    templatesEvicted: 0,
    headPatches: 0, // the same second, and all close
    gatherFrames: 0,
    copyFrames: 0,
  })
})

test('copy: every byte is copied, none is summed', () => {
  const { world, cost } = costOfMore({ transmit: 'copy' })
  assert.equal(cost.payloadBytesCopied, CLIENTS * bytesOf(world, 'all'))
  assert.equal(cost.payloadBytesSummed, 0)
  assert.equal(cost.templateFrames, 0)
})

test('gather with offloads: only heads are copied, nothing is summed', () => {
  const { world, cost } = costOfMore({ transmit: 'gather', offloads: true })
  assert.equal(cost.payloadBytesCopied, CLIENTS * bytesOf(world, 'head'))
  assert.equal(cost.payloadBytesSummed, 0)
})

test('gather without offloads: only heads are copied, every byte is summed', () => {
  const { world, cost } = costOfMore({ transmit: 'gather' })
  assert.equal(cost.payloadBytesCopied, CLIENTS * bytesOf(world, 'head'))
  assert.equal(cost.payloadBytesSummed, CLIENTS * bytesOf(world, 'all'))
})

test('the first client alone pays: each byte is summed once and copied once', () => {
  const world = new World(FILES)
  world.fetch('/a')
  const { ledger } = world.server.stats()
  const { images } = world.site.content
  assert.equal(ledger.payloadBytesCopied, answerBytes(images, world.site.imageOf('/a'), false))
  assert.equal(ledger.payloadBytesSummed, answerBytes(images, world.site.imageOf('/a'), false))
})
