/** Regions: what `reserve` promises, and that all views see one memory. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AssertionError, REGION_MAX_BYTES, Region } from '../src/index.ts'

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
  const region = new Region(4096)
  assert.equal(region.reserve(100), 0)
  assert.equal(region.reserve(4096 - 128), 128)
  assert.equal(region.unreservedBytes, 0)
  assert.throws(() => region.reserve(1, 1), AssertionError)
  assert.throws(() => new Region(64).reserve(65), AssertionError)
})

test('view and bytes are the same memory, big-endian by default', () => {
  const region = new Region(64)
  region.view.setUint32(8, 0x01020304)
  assert.deepEqual([...region.bytes.subarray(8, 12)], [1, 2, 3, 4])
  assert.throws(() => region.view.getUint32(61), RangeError)
})

test('a region made from another thread’s buffer sees its bytes', () => {
  const first = new Region(64)
  const second = new Region(first.buffer)
  first.bytes[7] = 0xa5
  assert.equal(second.bytes[7], 0xa5)
  assert.equal(second.byteLength, 64)
})

test('a region cannot outgrow small integers', () => {
  assert.ok(REGION_MAX_BYTES < 2 ** 31)
  const tooLarge = { byteLength: REGION_MAX_BYTES + 1 } as SharedArrayBuffer
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
