/** The store on disk: what comes back after a restart, and what does not. */
import assert from 'node:assert/strict'
import * as disk from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_POLICY } from '../src/cache/config.ts'
import { type Entry, makeEntry } from '../src/cache/entry.ts'
import { fileName, fromFile, toFile } from '../src/cache/entryFile.ts'
import { type Disk, Persistence } from '../src/cache/persist.ts'
import { Store } from '../src/cache/store.ts'
import { START_MS } from './kit/cacheOrigin.ts'

const FILE_MAX = 1e6

async function folder(): Promise<string> {
  const path = await disk.mkdtemp(join(tmpdir(), 'cache-'))
  after(() => disk.rm(path, { recursive: true }))
  return path
}

function entry(key: string, body = 'body', responseMs: number = START_MS): Entry {
  const identity = { key, varyNames: ['foo'], secondary: '=1', body: Buffer.from(body) }
  const fields = [
    ['Cache-Control', 'max-age=60'],
    ['ETag', '"\xfc"'],
    ['Cache-Tag', 'x'],
  ] as const
  return makeEntry(
    identity,
    { status: 200, fields },
    { requestMs: responseMs, responseMs },
    DEFAULT_POLICY,
  )
}

async function open(path: string, bytesMax = 1e6): Promise<{ store: Store; files: Persistence }> {
  const store = new Store(bytesMax, 8)
  const files = new Persistence(disk as Disk, path)
  await files.attach(store, DEFAULT_POLICY, FILE_MAX)
  await files.settled()
  return { store, files }
}

test('what is stored is there after a restart, the same in every field', async () => {
  const path = await folder()
  const first = await open(path)
  const stored = entry('a')
  first.store.put(stored)
  await first.files.settled()
  const { store } = await open(path)
  const [again] = store.entries()
  assert.deepEqual({ ...again, body: Buffer.from(again.body) }, stored)
  assert.equal(store.purgeTag('x'), 1)
})

test('what is replaced, dropped and purged is not; softly purged is stale', async () => {
  const path = await folder()
  const { store, files } = await open(path)
  for (const key of ['a', 'b', 'c']) store.put(entry(key))
  store.put(entry('a', 'newer'))
  store.purge('b')
  store.purge('c', START_MS + 5)
  await files.settled()
  assert.deepEqual((await disk.readdir(path)).length, 2)
  const again = [...(await open(path)).store.entries()]
  assert.deepEqual(again.map(e => [e.key, Buffer.from(e.body).toString(), e.staleFromMs]).sort(), [
    ['a', 'newer', Number.POSITIVE_INFINITY],
    ['c', 'body', START_MS + 5],
  ])
})

test('a smaller memory takes the newest, and the rest leaves the disk', async () => {
  const path = await folder()
  const { store, files } = await open(path)
  for (let i = 0; i < 8; i++) store.put(entry(`${i}`, 'x', START_MS + ((i * 5) % 8)))
  await files.settled()
  const small = await open(path, store.stats.bytes / 2)
  assert.deepEqual(
    [...small.store.entries()].map(e => e.responseMs - START_MS),
    [4, 5, 6, 7],
  )
  assert.equal((await disk.readdir(path)).length, 4)
})

test('a purge does not wait for what is to be written, nor does it come back with its URL', async () => {
  const path = await folder()
  const before = await open(path)
  before.store.put(entry('a', 'purged'))
  await before.files.settled()
  let syncs = 0
  const slow: Disk = {
    ...(disk as Disk),
    open: async (name, flags) => {
      const file = await disk.open(name, flags)
      const sync = (): Promise<void> => (syncs++ === 0 ? file.sync() : new Promise(() => {}))
      return { writeFile: bytes => file.writeFile(bytes), sync, close: () => file.close() }
    },
  }
  const store = new Store(1e6, 8)
  const files = new Persistence(slow, path)
  await files.attach(store, DEFAULT_POLICY, FILE_MAX)
  for (let i = 0; i < 5; i++) store.put(entry(`${i}`))
  await Promise.resolve() // the first of them is being written
  store.purge('a')
  store.put(entry('a', 'new'))
  while (syncs < 2) await new Promise(resolve => setTimeout(resolve, 1))
  // Here the process is killed.
  const keys = [...(await open(path)).store.entries()].map(({ key }) => key)
  assert.deepEqual(keys, ['0'])
})

test('a file that is torn, changed in any byte, or lies under another name is not read', async () => {
  const stored = entry('a')
  const bytes = toFile(stored)
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bad = Uint8Array.from(bytes)
      bad[at] ^= flip
      assert.equal(fromFile(bad, DEFAULT_POLICY), undefined)
      assert.equal(fromFile(bytes.subarray(0, at), DEFAULT_POLICY), undefined)
    }),
  )
  const path = await folder()
  const elsewhere = fileName(entry('b'))
  await disk.writeFile(join(path, fileName(stored)), bytes.subarray(0, 90))
  await disk.writeFile(join(path, elsewhere), bytes)
  await disk.writeFile(join(path, `${elsewhere}.tmp`), bytes)
  for (const name of ['notes.txt', 'notes.tmp']) await disk.writeFile(join(path, name), 'not ours')
  const { store, files } = await open(path)
  assert.equal(store.stats.entries, 0)
  assert.equal(files.stats.refused, 3)
  assert.deepEqual((await disk.readdir(path)).sort(), ['notes.tmp', 'notes.txt'])
})

test('a disk that fails is counted, and the store goes on', async () => {
  const path = await folder()
  const failing: Disk = {
    ...(disk as Disk),
    open: async () => {
      throw new Error('no space left')
    },
  }
  const files = new Persistence(failing, path)
  const store = new Store(1e6, 8)
  await files.attach(store, DEFAULT_POLICY, FILE_MAX)
  store.put(entry('a'))
  await files.settled()
  assert.deepEqual([files.stats.errors, store.stats.entries], [1, 1])
})

test('what a full disk does not take leaves no older answer there, and no half of a file', async () => {
  const path = await folder()
  const { store, files } = await open(path)
  store.put(entry('a', 'old'))
  await files.settled()
  const full: Disk = {
    ...(disk as Disk),
    open: async (name, flags) => {
      const file = await disk.open(name, flags)
      const writeFile = async (bytes: Uint8Array): Promise<void> => {
        await file.writeFile(bytes.subarray(0, 10))
        throw new Error('ENOSPC')
      }
      return { writeFile, sync: () => file.sync(), close: () => file.close() }
    },
  }
  const later = new Persistence(full, path)
  const again = new Store(1e6, 8)
  await later.attach(again, DEFAULT_POLICY, FILE_MAX)
  again.purge('a')
  again.put(entry('a', 'new'))
  await later.settled()
  assert.deepEqual(await disk.readdir(path), [])
  assert.equal(later.stats.errors, 1)
})
