import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeHead } from '../src/content/head.ts'
import { Holds } from '../src/content/holds.ts'
import { NO_IMAGE, VERSION } from '../src/content/image.ts'
import { ImageStore } from '../src/content/imageStore.ts'

const head = (name: string): ReturnType<typeof makeHead> =>
  makeHead(200, [], ['Content-Type: text/plain', 'Content-Length: 4'], [`X-Name: ${name}`])
const body = Buffer.from('body')

function storeWithReader(): { store: ImageStore; holds: Holds; shared: SharedArrayBuffer } {
  const store = new ImageStore(4096, 4096)
  const shared = store.addReader()
  const holds = new Holds(shared)
  holds.adopt(1)
  return { store, holds, shared }
}

test('an image is known by its head and its body', () => {
  const { store } = storeWithReader()
  const image = store.addWhole(head('a'), body)
  assert.ok(store.hasHead(image, head('a')) && store.hasBody(image, body))
  assert.ok(!store.hasHead(image, head('b')))
  assert.ok(!store.hasBody(image, Buffer.from('boda')))
  assert.ok(!store.hasBody(image, Buffer.from('bod')))
  const copy = store.addCopy(head('b'), image)
  assert.ok(store.hasHead(copy, head('b')) && store.hasBody(copy, body))
})

test('a retired image lives until every reader has gone on and holds it no more', () => {
  const { store, holds } = storeWithReader()
  const free = store.freeBytes
  const image = store.addWhole(head('a'), body)
  const version = store.images[image + VERSION]
  holds.hold(image)
  store.retire(image, 2)
  store.reclaim()
  assert.equal(store.retiredCount, 1, 'the reader looks in generation 1')
  holds.adopt(2)
  store.reclaim()
  assert.equal(store.retiredCount, 1, 'the reader holds it')
  holds.release(image)
  store.reclaim()
  assert.deepEqual([store.retiredCount, store.freeBytes], [0, free])
  assert.equal(store.addWhole(head('b'), body), image, 'its record is used again')
  assert.equal(store.images[image + VERSION], version + 1)
})

test('a reader that is gone holds nothing up', () => {
  const { store, holds, shared } = storeWithReader()
  const image = store.addWhole(head('a'), body)
  holds.hold(image)
  store.retire(image, 2)
  store.removeReader(shared)
  store.reclaim()
  assert.equal(store.retiredCount, 0)
})

test('without room there is no image, and nothing is lost', () => {
  const { store } = storeWithReader()
  const free = store.freeBytes
  assert.equal(store.add(head('a'), 4096), NO_IMAGE)
  assert.equal(store.freeBytes, free)
  const image = store.addWhole(head('a'), body)
  store.discard(image)
  assert.equal(store.freeBytes, free)
})
