import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeHead } from '../src/content/head.ts'
import { type HitMail, type HitPlan, type HitRecord, Hits } from '../src/content/hits.ts'
import { HITS_MAX, HitTable, NO_HIT } from '../src/content/hitTable.ts'
import { Holds } from '../src/content/holds.ts'
import { AGE_SINCE } from '../src/content/image.ts'
import { ImageStore } from '../src/content/imageStore.ts'

const ascii = (text: string): Uint8Array => Buffer.from(text, 'latin1')
const record = (id: number, host: string, target: string, site = 0): HitRecord => ({
  ...{ id, site, image: 100 + id, expiresSec: 2000 },
  ...{ host: ascii(host), target: ascii(target) },
})

/** Looks for both names in the middle of a larger buffer, in one second. */
function find(table: HitTable, host: string, target: string, site = 0, epochSec = 1000): number {
  const bytes = ascii(`##${host}##${target}##`)
  const off = 4 + host.length
  return table.find(site, bytes, 2, 2 + host.length, off, off + target.length, epochSec)
}

const newTable = (...records: HitRecord[]): HitTable =>
  new HitTable(new SharedArrayBuffer(HITS_MAX), records)

test('a hit is found by site, host in any case, and target as it is, until it expires', () => {
  const table = newTable(record(0, 'a.example', '/x?q'), record(1, 'a.example', '/X?q'))
  assert.equal(find(table, 'a.example', '/x?q'), 100)
  assert.equal(find(table, 'A.Example', '/x?q'), 100)
  assert.equal(find(table, 'a.example', '/X?q'), 101)
  for (const [host, target, site] of [
    ['b.example', '/x?q', 0],
    ['a.example', '/x?Q', 0],
    ['a.example', '/x', 0],
    ['a.exampl', 'e/x?q', 0],
    ['a.example', '/x?q', 1],
  ] as const) {
    assert.equal(find(table, host, target, site), NO_HIT)
  }
  assert.equal(find(table, 'a.example', '/x?q', 0, 1999), 100)
  assert.equal(find(table, 'a.example', '/x?q', 0, 2000), NO_HIT)
})

test('a target is not found by another case, whatever the letters that are stored', () => {
  const table = newTable(record(0, 'h', '/abc'))
  assert.equal(find(table, 'h', '/ABC'), NO_HIT)
  assert.equal(find(table, 'h', '/aBc'), NO_HIT)
})

test('whatever is put and dropped, what is there is found, and nothing else', () => {
  const step = fc.record({ name: fc.nat(40), drop: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), steps => {
      const table = newTable()
      const model = new Map<number, number>()
      let nextId = 0
      for (const { name, drop } of steps) {
        const id = model.get(name)
        if (drop && id !== undefined) {
          table.drop(id)
          model.delete(name)
        } else if (!drop && id === undefined) {
          table.put(record(nextId, 'h', `/${name}`))
          model.set(name, nextId++)
        }
        for (let n = 0; n <= 40; n++) {
          const known = model.get(n)
          assert.equal(find(table, 'h', `/${n}`), known === undefined ? NO_HIT : 100 + known)
        }
      }
    }),
    { numRuns: 50 },
  )
})

function newHits(bytesMax = 4096): {
  store: ImageStore
  hits: Hits
  mails: HitMail[]
  holds: Holds
} {
  const store = new ImageStore(65536, 65536)
  const holds = new Holds(store.addReader())
  const mails: HitMail[] = []
  const hits = new Hits(store, bytesMax, mail => void mails.push(mail))
  return { store, hits, mails, holds }
}

const plan = (target: string, bodyLen = 4): HitPlan => ({
  ...{ site: 0, host: ascii('h'), target: ascii(target), expiresSec: 2000, ageSinceSec: 990 },
  head: makeHead(200, [], ['Content-Type: text/plain', `Content-Length: ${bodyLen}`], []),
  body: new Uint8Array(bodyLen),
})

test('readers are told of hits, new ones of all there are, and whether one was used is known', () => {
  const { store, hits, mails } = newHits()
  const [a, b] = [hits.put(plan('/a'))!, hits.put(plan('/b'))!]
  assert.equal(store.images[a.image + AGE_SINCE], 990)
  const table = new HitTable(hits.used, hits.records)
  assert.deepEqual([find(table, 'h', '/a'), find(table, 'h', '/b')], [a.image, b.image])
  assert.deepEqual([hits.wasUsed(a), hits.wasUsed(a)], [true, false])
  hits.drop(a)
  assert.deepEqual(
    mails.map(({ kind, number }) => [kind, number]),
    [
      ['hit', 1],
      ['hit', 2],
      ['noHit', 3],
    ],
  )
  assert.equal(hits.number, 3)
  assert.equal(hits.put(plan('/c'))!.id, a.id, 'a number that is free is given again')
})

test('an image that is no hit any more lives until every reader has heard so and holds it no more', () => {
  const { store, hits, holds } = newHits()
  const free = store.freeBytes
  const hit = hits.put(plan('/a'))!
  holds.hear(1)
  holds.hold(hit.image)
  hits.drop(hit)
  store.reclaim()
  assert.equal(store.retiredCount, 1)
  holds.release(hit.image)
  store.reclaim()
  assert.equal(store.retiredCount, 1, 'the reader may still find it')
  holds.hear(2)
  store.reclaim()
  assert.deepEqual([store.retiredCount, store.freeBytes], [0, free])
})

test('hits stay within their bytes, and what was refused costs nothing', () => {
  const { store, hits } = newHits(2000)
  let count = 0
  while (hits.put(plan(`/${count}`, 300)) !== undefined) count++
  assert.ok(count >= 3 && count <= 6)
  assert.ok(65536 - store.freeBytes <= 2000)
  assert.equal(hits.put(plan('/large', 5000)), undefined)
  const [first] = hits.records
  hits.drop(first)
  assert.ok(hits.put(plan('/again', 300)) !== undefined)
})
