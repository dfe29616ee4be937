import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BODY_LEN, HEAD_LEN, HEAD_ROOM, IMAGE_OFF } from '../src/content/image.ts'
import { LADDER, Layout, Layouts, segmentBytes } from '../src/packetize/layouts.ts'
import { newLedger } from '../src/packetize/ledger.ts'
import { makeSite } from './kit/site.ts'
import { naiveSum } from './reference/frame.ts'

/**
 * Body lengths at every edge: empty, one byte, one segment with its head, and full last segments.
 */
const FILES: Record<string, number> = { '/0': 0, '/1': 1, '/60000': 60_000 }
for (const mss of LADDER) {
  for (const len of [mss - HEAD_ROOM, mss, 2 * mss - HEAD_ROOM, 3 * mss - HEAD_ROOM]) {
    for (const n of [len - 1, len, len + 1]) FILES[`/${n}`] = n
  }
}
const site = makeSite(FILES, 1 << 20)
const { images, region } = site.content

for (const mss of LADDER) {
  test(`segments of ${mss} bytes cover an answer without gap or overlap, each summed`, () => {
    for (const path of site.bodies.keys()) {
      const image = site.imageOf(path)
      const layout = new Layout(site.content, image, mss)
      let at = 0
      for (let k = 0; k < layout.segmentCount; k++) {
        const [start, end] = [layout.startOf(k), layout.endOf(k)]
        assert.equal(start, at)
        assert.ok(end > start && end - start <= mss)
        assert.equal(layout.segmentAt(start), k)
        assert.equal(layout.segmentAt(end - 1), k)
        const from = images[image + IMAGE_OFF]
        const sum = naiveSum(region.bytes.subarray(from + start, from + end))
        assert.equal(layout.sums[k] % 0xffff, sum % 0xffff)
        at = end
      }
      assert.equal(at, images[image + HEAD_LEN] + images[image + BODY_LEN])
    }
  })

  test(`at ${mss} what fits into one segment is one`, () => {
    for (const path of site.bodies.keys()) {
      const layout = new Layout(site.content, site.imageOf(path), mss)
      assert.equal(layout.segmentCount === 1, layout.totalLen <= mss)
    }
  })
}

test('where an answer has several frames, the later ones begin at the same byte of every body', () => {
  const image = site.imageOf('/60000')
  for (const mss of LADDER) {
    const layout = new Layout(site.content, image, mss)
    assert.equal(layout.startOf(1) - images[image + HEAD_LEN], mss - HEAD_ROOM)
  }
})

test('the segment size is the largest step of the ladder that the peer takes', () => {
  const expected: [mss: number, bytes: number][] = [
    [65495, 8928],
    [8928, 8928],
    [8927, 1428],
    [1460, 1428],
    [1448, 1428],
    [1427, 1208],
    [536, 524],
    [524, 524],
    [523, 523],
    [48, 48],
  ]
  for (const [mss, bytes] of expected) assert.equal(segmentBytes(mss), bytes)
})

test('a layout is made once for each image and step, and none below the ladder', () => {
  const ledger = newLedger()
  const layouts = new Layouts(site.content, ledger)
  const image = site.imageOf('/60000')
  const first = layouts.find(image, 1428)
  assert.equal(layouts.find(image, 1428), first)
  assert.notEqual(layouts.find(image, 1208), first)
  assert.notEqual(layouts.find(site.imageOf('/1'), 1428), first)
  assert.equal(layouts.find(image, 523), undefined)
  assert.equal(layouts.find(image, 1429), undefined)
  const lens = [image, image, site.imageOf('/1')].map(
    i => images[i + HEAD_LEN] + images[i + BODY_LEN],
  )
  assert.equal(
    ledger.payloadBytesSummed,
    lens.reduce((a, b) => a + b),
  )
})
