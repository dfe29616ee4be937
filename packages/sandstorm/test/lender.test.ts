import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Holds } from '../src/content/holds.ts'
import { ImageStore } from '../src/content/imageStore.ts'
import { Lender } from '../src/content/lender.ts'
import { EXTENT_BYTES, type Piece } from '../src/content/pager.ts'
import { body } from './kit/site.ts'

const STORE_BYTES = 4 << 20

function lend(extents: number): { store: ImageStore; holds: Holds; lender: Lender } {
  const store = new ImageStore(STORE_BYTES, STORE_BYTES)
  const holds = new Holds(store.addReader())
  return { store, holds, lender: new Lender(store, extents * EXTENT_BYTES, () => false) }
}

async function one(lender: Lender, bytes: Uint8Array): Promise<Piece> {
  const { value } = await lender.pieces(bytes).next()
  return value
}

test('bytes are lent whole and in order, in pieces of an extent at most', async () => {
  const { store, lender } = lend(8)
  for (const len of [1, EXTENT_BYTES - 1, EXTENT_BYTES, EXTENT_BYTES + 1, 3 * EXTENT_BYTES + 7]) {
    const bytes = body(len)
    const parts: Uint8Array[] = []
    for await (const { image, from, end, release } of lender.pieces(bytes)) {
      assert.ok(end - from <= EXTENT_BYTES)
      const off = store.bodyOff(image)
      parts.push(store.region.bytes.slice(off + from, off + end))
      release()
    }
    assert.equal(parts.length, Math.ceil(len / EXTENT_BYTES))
    assert.equal(Buffer.compare(Buffer.concat(parts), bytes), 0)
  }
})

test('no bytes are no piece', async () => {
  const { lender } = lend(1)
  assert.equal((await lender.pieces(new Uint8Array()).next()).done, true)
})

test('a place is given back when it is released and no reader holds it', async () => {
  const { store, holds, lender } = lend(8)
  const free = store.freeBytes
  const [held, kept] = [await one(lender, body(1000)), await one(lender, body(1000))]
  holds.hold(held.image)
  held.release()
  const third = await one(lender, body(1000))
  assert.equal(store.freeBytes, free - 3000, 'one is held, one not released')
  holds.release(held.image)
  kept.release()
  third.release()
  const last = await one(lender, body(1000))
  assert.equal(store.freeBytes, free - 1000)
  const off = store.bodyOff(last.image)
  assert.deepEqual(store.region.bytes.slice(off, off + 1000), body(1000))
})

test('who wants more than there is to lend waits until something is given back', async () => {
  const { holds, lender } = lend(2)
  const first = await one(lender, body(EXTENT_BYTES))
  const second = await one(lender, body(EXTENT_BYTES))
  const order: string[] = []
  const third = one(lender, body(10)).then(() => order.push('lent'))
  holds.hold(second.image)
  second.release()
  for (let turns = 0; turns < 20; turns++) await new Promise(resolve => setImmediate(resolve))
  order.push('given back')
  first.release()
  await third
  assert.deepEqual(order, ['given back', 'lent'])
})

test('a reader that is gone holds nothing', async () => {
  const { store, lender } = lend(1)
  const shared = store.addReader()
  const piece = await one(lender, body(EXTENT_BYTES))
  new Holds(shared).hold(piece.image)
  piece.release()
  const next = one(lender, body(10))
  store.removeReader(shared)
  assert.equal((await next).end, 10)
})

test('what is only kept for later gives way', async () => {
  const store = new ImageStore(STORE_BYTES, STORE_BYTES)
  const kept: number[] = []
  while (store.freeBytes >= EXTENT_BYTES) kept.push(store.addPiece(EXTENT_BYTES))
  const lender = new Lender(store, EXTENT_BYTES, () => {
    const image = kept.pop()
    if (image !== undefined) store.discard(image)
    return image !== undefined
  })
  const { length } = kept
  assert.equal((await one(lender, body(EXTENT_BYTES))).end, EXTENT_BYTES)
  assert.equal(kept.length, length - 1)
})
