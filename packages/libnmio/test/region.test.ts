/** Regions: what `reserve` promises, and that all views see one memory. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { AssertionError, REGION_MAX_BYTES, Region, type SharedMemory } from '../src/index.ts'

test('reserved pieces are aligned, lie in the region and never overlap', () => {
  const piece = fc.record({ size: fc.integer({ min: 0, max: 5000 }), shift: fc.nat(12) })
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), pieces => {
      const region = new Region(1 << 18)
      let end = 0
      for (const { size, shift } of pieces) {
        const off = region.reserve(size, 1 << shift)
        assert.equal(off % (1 << shift), 0)
        assert.ok(off >= end, `${off} lies in the piece that ends at ${end}`)
        end = off + size
        assert.equal(region.unreservedBytes, region.byteLength - end)
      }
    }),
  )
})

test('the last byte can be reserved, one more cannot', () => {
  const region = new Region(65536)
  assert.equal(region.reserve(100), 0)
  assert.equal(region.reserve(65536 - 128), 128)
  assert.equal(region.unreservedBytes, 0)
  assert.throws(() => region.reserve(1, 1), /has 65536 bytes, and 65537 are reserved/)
  assert.throws(() => new Region(64, 0, 64).reserve(65), AssertionError)
})

test('view and bytes are the same memory, big-endian by default', () => {
  const region = new Region(64)
  region.view.setUint32(8, 0x01020304)
  assert.deepEqual([...region.bytes.subarray(8, 12)], [1, 2, 3, 4])
  assert.throws(() => region.view.getUint32(region.byteLength - 3), RangeError)
})

test('a region made from another’s memory sees its bytes, and copies with the same function', () => {
  const first = new Region(64)
  const second = new Region(first.memory)
  first.bytes[7] = 0xa5
  assert.equal(second.bytes[7], 0xa5)
  assert.equal(second.byteLength, first.byteLength)
  assert.equal(second.copy, first.copy)
})

test('copies as Uint8Array does within it, and throws outside', () => {
  const region = new Region(65536)
  for (let i = 0; i < region.byteLength; i++) region.bytes[i] = (i * 7 + (i >> 8)) & 0xff
  const expected = region.bytes.slice()
  const off = fc.nat(65536)
  fc.assert(
    fc.property(off, off, fc.oneof(fc.nat(65536), fc.nat(40)), (to, from, len) => {
      if (to + len > 65536 || from + len > 65536) {
        assert.throws(() => region.copy(to, from, len), /out of bounds/)
      } else {
        region.copy(to, from, len)
        expected.copyWithin(to, from, from + len)
      }
      assert.equal(Buffer.compare(region.bytes, expected), 0)
    }),
  )
  assert.throws(() => region.copy(0, -1, 1), /out of bounds/)
  assert.throws(() => region.copy(0, 0, -1), /out of bounds/)
})

test('another thread sees the memory that it was sent, and copies in it', async () => {
  const region = new Region(64)
  region.bytes.set([1, 2, 3])
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads')
     import(workerData.index).then(({ Region }) => new Region(workerData.memory).copy(100, 0, 3))`,
    {
      eval: true,
      workerData: { memory: region.memory, index: import.meta.resolve('../src/index.js') },
    },
  )
  await once(worker, 'exit')
  assert.deepEqual([...region.bytes.subarray(99, 104)], [0, 1, 2, 3, 0])
})

test('a region cannot outgrow small integers', () => {
  assert.ok(REGION_MAX_BYTES < 2 ** 31)
  const tooLarge = { buffer: { byteLength: REGION_MAX_BYTES + 1 } } as SharedMemory
  assert.throws(() => new Region(tooLarge), AssertionError)
})

test('frames are reserved like anything else, unless a device shares them with its peer', () => {
  const region = new Region(65536)
  assert.equal(region.reserveFrames(100), 0)
  assert.equal(region.reserveFrames(100), 128)
  const shown: number[][] = []
  region.share({ pageBytes: 4096, show: (off, len) => shown.push([off, len]) })
  assert.equal(region.reserve(10), 256)
  assert.equal(region.reserveFrames(5000, 64), 4096)
  assert.equal(region.reserve(10), 4096 + 8192)
  assert.equal(region.reserveFrames(1, 16384), 16384)
  assert.deepEqual(shown, [
    [4096, 8192],
    [16384, 4096],
  ])
})

test('a size that is none is told at once', () => {
  for (const size of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => new Region(size), AssertionError, `${size} bytes`)
  }
})
