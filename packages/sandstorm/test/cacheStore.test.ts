/** The store: its bound, its order, its tags. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_POLICY } from '../src/cache/config.ts'
import { type Entry, makeEntry } from '../src/cache/entry.ts'
import { secondaryKey } from '../src/cache/key.ts'
import type { Field } from '../src/cache/message.ts'
import { entryBytes, Store } from '../src/cache/store.ts'
import { START_MS } from './kit/cacheOrigin.ts'

interface Part {
  size?: number
  tags?: string
  vary?: string
}

function entry(key: string, { size = 10, tags = '', vary }: Part = {}): Entry {
  const fields: Field[] = [['Cache-Tag', tags]]
  const varyNames = vary === undefined ? [] : ['foo']
  const secondary = secondaryKey(varyNames, [['foo', vary ?? '']])
  const times = { requestMs: START_MS, responseMs: START_MS }
  const identity = { key, varyNames, secondary, body: new Uint8Array(size) }
  return makeEntry(identity, { status: 200, fields }, times, DEFAULT_POLICY)
}

const keys = (store: Store): string[] => [...store.entries()].map(stored => stored.key)

test('the least recently used entries give way, and bytes are counted', () => {
  const one = entryBytes(entry('a'))
  const store = new Store(3 * one, 8)
  for (const key of ['a', 'b', 'c']) store.put(entry(key))
  assert.equal(store.stats.bytes, 3 * one)
  store.find('a', [])
  store.put(entry('d'))
  assert.deepEqual(keys(store), ['c', 'a', 'd'])
  assert.equal(store.stats.evicted, 1)
  store.put(entry('e', { size: 10 + one }))
  assert.deepEqual(keys(store), ['d', 'e'])
})

test('an entry that is larger than the store is refused, and nothing else suffers', () => {
  const store = new Store(3000, 8)
  store.put(entry('a'))
  assert.equal(store.put(entry('b', { size: 3000 })), false)
  assert.deepEqual(keys(store), ['a'])
})

test('heads and keys are counted', () => {
  const plain = entryBytes(entry('a'))
  assert.equal(entryBytes(entry(`a${'k'.repeat(100)}`)), plain + 200)
  assert.ok(entryBytes(entry('a', { tags: 't'.repeat(100) })) >= plain + 200)
})

test('variants of a URL are bounded, and purged together', () => {
  const store = new Store(1e6, 3)
  for (let i = 0; i < 5; i++) store.put(entry('a', { vary: `${i}` }))
  assert.equal(store.stats.entries, 3)
  assert.equal(store.find('a', [['foo', '0']]), undefined)
  assert.notEqual(store.find('a', [['foo', '4']]), undefined)
  assert.equal(store.purge('a'), 3)
  assert.equal(store.stats.bytes, 0)
})

test('the same variant is replaced', () => {
  const store = new Store(1e6, 3)
  store.put(entry('a', { vary: '1' }))
  const newer = entry('a', { vary: '1', size: 20 })
  store.put(newer)
  assert.equal(store.stats.entries, 1)
  assert.equal(store.find('a', [['foo', '1']]), newer)
})

test('a tag finds its entries, also after some were replaced', () => {
  const store = new Store(1e6, 3)
  store.put(entry('a', { tags: 'x, y' }))
  store.put(entry('b', { tags: 'y' }))
  store.put(entry('c'))
  store.put(entry('b'))
  assert.equal(store.purgeTag('y'), 1)
  assert.deepEqual(keys(store), ['c', 'b'])
  assert.equal(store.purgeTag('y'), 0)
})

test('whatever is put, found, dropped and purged: the bound holds and the sum is right', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd')
  const step = fc.record({
    key,
    what: fc.constantFrom('put', 'put', 'put', 'find', 'purge', 'soft', 'tag'),
    size: fc.nat(3000),
    vary: fc.constantFrom('1', '2', '3'),
    tags: fc.constantFrom('', 'x', 'x, y'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const store = new Store(9000, 2)
      for (const { key, what, size, vary, tags } of steps) {
        if (what === 'put') store.put(entry(key, { size, vary, tags }))
        else if (what === 'find') store.find(key, [['foo', vary]])
        else if (what === 'purge') store.purge(key)
        else if (what === 'soft') store.purge(key, START_MS)
        else store.purgeTag('x')
        const sum = [...store.entries()].reduce((bytes, e) => bytes + entryBytes(e), 0)
        assert.equal(store.stats.bytes, sum)
        assert.ok(sum <= 9000)
        assert.equal(store.stats.entries, [...store.entries()].length)
      }
      store.purgeAll()
      assert.equal(store.stats.bytes, 0)
      assert.equal(store.has('a'), false)
    }),
  )
})
