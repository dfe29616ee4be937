import assert from 'node:assert/strict'
import {
  appendFileSync,
  closeSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ContentFs, REAL_FS } from '../src/content/fileSystem.ts'
import { makeHead } from '../src/content/head.ts'
import { Holds } from '../src/content/holds.ts'
import { bodyLen } from '../src/content/image.ts'
import { ImageStore } from '../src/content/imageStore.ts'
import { PagedFiles } from '../src/content/pagedFiles.ts'
import { EXTENT_BYTES, Pager } from '../src/content/pager.ts'
import { stateOf } from '../src/content/read.ts'
import { makeTree } from './contentTree.ts'
import { HangingDisk } from './kit/contentFs.ts'
import { body } from './kit/site.ts'

const HEAD = makeHead(200, [], ['Content-Type: text/plain', 'Content-Length: 4'], [])
const FILE_BYTES = 3 * EXTENT_BYTES + 1000

interface Paged {
  readonly store: ImageStore
  readonly pager: Pager
  readonly holds: Holds
  readonly file: string
  readonly image: number
  readonly bytes: Uint8Array
  read(from: number, end: number): Promise<Buffer>
}

function page(
  t: TestContext,
  extents: number,
  fs: ContentFs = REAL_FS,
  stallTimeoutMs: number = 60_000,
): Paged {
  const bytes = body(FILE_BYTES)
  const file = join(makeTree(t, { 'a.bin': bytes }), 'a.bin')
  const store = new ImageStore(8 << 20, 8 << 20)
  const bytesMax = extents * EXTENT_BYTES
  const limits = { bytesMax, fileBytesMax: 0, keptFilesMax: 64, stallTimeoutMs }
  const pager = new Pager(store, fs, limits)
  const holds = new Holds(store.addReader())
  const image = store.addPaged(HEAD, FILE_BYTES)
  pager.add(image, file, stateOf(statSync(file)))
  const read = async (from: number, end: number): Promise<Buffer> => {
    const parts: Buffer[] = []
    for await (const piece of pager.read(image, from, end)) {
      const off = store.bodyOff(piece.image)
      parts.push(Buffer.from(store.region.bytes.slice(off + piece.from, off + piece.end)))
      piece.release()
    }
    return Buffer.concat(parts)
  }
  return { store, pager, holds, file, image, bytes, read }
}

test('any part of a file comes in pieces of whole extents', async t => {
  const { read, bytes, pager } = page(t, 8)
  const ends = [
    0,
    1,
    EXTENT_BYTES - 1,
    EXTENT_BYTES,
    EXTENT_BYTES + 1,
    2 * EXTENT_BYTES,
    FILE_BYTES,
  ]
  for (const from of ends) {
    for (const end of ends.filter(e => e >= from)) {
      assert.deepEqual(await read(from, end), Buffer.from(bytes.subarray(from, end)))
    }
  }
  const { reads, readBytes } = pager.stats
  assert.deepEqual([reads, readBytes], [4, FILE_BYTES], 'each extent was read once')
})

test('a length beyond 2 GiB is told as it is', () => {
  const store = new ImageStore(1 << 20, 1 << 20)
  for (const len of [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 40 + 5]) {
    assert.equal(bodyLen(store.images, store.addPaged(HEAD, len)), len)
  }
})

test('extents stay within their bounds: those that nobody used for longest go', async t => {
  const { read, bytes, pager, store } = page(t, 2)
  const free = store.freeBytes
  for (let n = 0; n < 3; n++) assert.deepEqual(await read(0, FILE_BYTES), Buffer.from(bytes))
  assert.ok(free - store.freeBytes <= 2 * EXTENT_BYTES)
  assert.ok(pager.stats.evicted > 0)
})

test('an extent that is sent stays; who finds all in use waits', async t => {
  const { pager, image, holds, read, bytes } = page(t, 1)
  const pieces = pager.read(image, 0, FILE_BYTES)
  const { value: first } = await pieces.next()
  holds.hold(first!.image)
  first!.release()
  let isThere = false
  const second = read(EXTENT_BYTES, EXTENT_BYTES + 10).then(part => {
    isThere = true
    return part
  })
  await new Promise(resolve => setTimeout(resolve, 50))
  assert.deepEqual([isThere, pager.stats.waits], [false, 1])
  holds.release(first!.image)
  assert.deepEqual(await second, Buffer.from(bytes.subarray(EXTENT_BYTES, EXTENT_BYTES + 10)))
  await pieces.return(undefined)
})

test('who looks for room takes no extent that is just being read', async t => {
  const { read, bytes } = page(t, 1)
  const ends = [EXTENT_BYTES, 2 * EXTENT_BYTES, 3 * EXTENT_BYTES, FILE_BYTES]
  const got = await Promise.all(ends.map((end, i) => read(i * EXTENT_BYTES, end)))
  assert.deepEqual(Buffer.concat(got), Buffer.from(bytes))
})

test('two who want the same extent wait for one reading', async t => {
  const { pager, read, bytes } = page(t, 8)
  const parts = await Promise.all([read(5, 10), read(0, 100), read(99, 100)])
  assert.equal(pager.stats.reads, 1)
  assert.deepEqual(parts[1], Buffer.from(bytes.subarray(0, 100)))
})

test('a file that is written to is noticed before each extent', async t => {
  const { pager, image, file, read } = page(t, 8)
  const pieces = pager.read(image, 0, FILE_BYTES)
  const { value } = await pieces.next()
  value!.release()
  appendFileSync(file, 'x')
  await assert.rejects(pieces.next(), /is not what it was/)
  await assert.rejects(read(0, 10), /is not what it was/, 'nor is what was read before')
})

test('a reader of a file that is replaced gets the whole of what it began with', async t => {
  const { pager, image, file, bytes, store } = page(t, 8)
  const pieces = pager.read(image, 0, FILE_BYTES)
  const parts: Buffer[] = []
  let next = await pieces.next()
  writeFileSync(`${file}.new`, 'another')
  renameSync(`${file}.new`, file)
  for (; !next.done; next = await pieces.next()) {
    const off = store.bodyOff(next.value.image)
    parts.push(Buffer.from(store.region.bytes.slice(off, off + next.value.end)))
    next.value.release()
  }
  assert.deepEqual(Buffer.concat(parts), Buffer.from(bytes))
})

test('a file that was opened in time is had whole after it is replaced, and after it is deleted', async t => {
  const { pager, file, bytes, read, store, image } = page(t, 8)
  pager.openFiles()
  writeFileSync(`${file}.new`, 'another')
  renameSync(`${file}.new`, file)
  assert.deepEqual(await read(0, FILE_BYTES), Buffer.from(bytes))
  rmSync(file)
  assert.deepEqual(await read(0, 10), Buffer.from(bytes.subarray(0, 10)), 'again')
  assert.equal(pager.stats.openFiles, 1)
  store.discard(image)
  assert.equal(pager.stats.openFiles, 0, 'nobody can ask for it any more')
})

test('what was read once stays open, and what is read stays open to its end', async t => {
  const { pager, file, bytes, read, store, image } = page(t, 8)
  await read(0, 10)
  rmSync(file)
  const pieces = pager.read(image, 0, FILE_BYTES)
  ;(await pieces.next()).value!.release()
  store.discard(image)
  assert.equal(pager.stats.openFiles, 1)
  const { value } = await pieces.next()
  const off = store.bodyOff(value!.image)
  const second = store.region.bytes.subarray(off, off + EXTENT_BYTES)
  assert.deepEqual(second, bytes.subarray(EXTENT_BYTES, 2 * EXTENT_BYTES))
  value!.release()
  await pieces.return(undefined)
  assert.equal(pager.stats.openFiles, 0)
})

test('a file that is open and written over in place is not sent', async t => {
  const { pager, file, read } = page(t, 8)
  pager.openFiles()
  const fd = openSync(file, 'r+')
  writeSync(fd, 'other bytes')
  closeSync(fd)
  await assert.rejects(read(0, 10), /is not what it was/)
  assert.equal(pager.stats.failed, 1)
})

test('a file that was replaced before it could be opened is not taken for what it was', async t => {
  const { pager, file, read } = page(t, 8)
  writeFileSync(`${file}.new`, body(FILE_BYTES))
  renameSync(`${file}.new`, file)
  pager.openFiles()
  assert.equal(pager.stats.openFiles, 0)
  await assert.rejects(read(0, 10), /is not what it was/)
})

test('so many files are kept open: those that nobody used for longest are closed', async t => {
  const root = makeTree(t, Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`${i}`, 'x'])))
  const opened: string[] = []
  const fds = new Set<number>()
  const files = new PagedFiles(
    {
      ...REAL_FS,
      open: (file, flags) => {
        const fd = REAL_FS.open(file, flags)
        fds.add(fd)
        opened.push(basename(file))
        return fd
      },
      close: fd => {
        REAL_FS.close(fd)
        assert.ok(fds.delete(fd), 'closed once')
      },
    },
    2,
  )
  const all = readdirSync(root).map((name, id) => {
    const file = join(root, name)
    return { id, file, state: stateOf(statSync(file)) }
  })
  for (const paged of all) files.keep(paged)
  assert.deepEqual(opened, ['0', '1'], 'no more than there is room for')
  const use = (id: number): number => files.use(all[id])
  use(2)
  files.release(all[2])
  assert.deepEqual([files.openCount, opened], [2, ['0', '1', '2']], '0 gave way')
  use(1)
  for (const id of [3, 4]) use(id)
  assert.deepEqual([files.openCount, fds.size], [3, 3], 'all that are used')
  for (const id of [4, 3, 1]) files.release(all[id])
  assert.equal(use(3), use(3), 'one descriptor for all')
  assert.deepEqual(opened, ['0', '1', '2', '3', '4'])
  files.forget(all[3])
  assert.equal(files.openCount, 2, 'it is used')
  files.release(all[3])
  files.release(all[3])
  files.close()
  assert.deepEqual([files.openCount, fds.size], [0, 0])
})

test('a reading that fails is an error for all who wait, and costs no memory', async t => {
  let isBroken = true
  const fs: ContentFs = {
    ...REAL_FS,
    read: (...args) => {
      if (isBroken) throw Object.assign(new Error(), { code: 'EIO' })
      return REAL_FS.read(...args)
    },
  }
  const { read, store, bytes } = page(t, 8, fs)
  const free = store.freeBytes
  const results = await Promise.allSettled([read(0, 10), read(5, 10)])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  assert.equal(store.freeBytes, free)
  isBroken = false
  assert.deepEqual(await read(0, 10), Buffer.from(bytes.subarray(0, 10)))
})

test('who waits for a disk that hangs is told, and its reading keeps the extent until it returns', async t => {
  const disk = new HangingDisk()
  const { read, bytes, pager, store, image, file } = page(t, 1, disk.fs, 50)
  const free = store.freeBytes
  await assert.rejects(read(0, 10), /its disk hangs/)
  await assert.rejects(read(5, 10), /its disk hangs/, 'nor does a second have it at once')
  await assert.rejects(
    read(EXTENT_BYTES, EXTENT_BYTES + 1),
    /no room/,
    'it is not given to another',
  )
  assert.equal(free - store.freeBytes, EXTENT_BYTES)
  assert.deepEqual([pager.stats.reads, pager.stats.failed, pager.stats.openFiles], [1, 3, 1])
  rmSync(file)
  disk.mend()
  assert.deepEqual(await read(0, 10), Buffer.from(bytes.subarray(0, 10)), 'what it brought counts')
  assert.deepEqual(await read(0, FILE_BYTES), Buffer.from(bytes), 'and gives way')
  assert.equal(pager.stats.readBytes, FILE_BYTES)
  store.discard(image)
  assert.equal(pager.stats.openFiles, 0)
})

test('a reading that hangs keeps its descriptor when nobody asks for the file any more', async t => {
  const disk = new HangingDisk()
  const { read, pager, store, image } = page(t, 1, disk.fs, 50)
  await assert.rejects(read(0, 10), /its disk hangs/)
  store.discard(image)
  assert.equal(pager.stats.openFiles, 1)
  disk.mend()
  while (pager.stats.openFiles > 0) await new Promise(resolve => setImmediate(resolve))
  assert.equal(pager.stats.readBytes, EXTENT_BYTES)
})

test('a file that is not served any more is not read', async t => {
  const { store, image, read } = page(t, 8)
  store.discard(image)
  await assert.rejects(read(0, 10), /not served any more/)
})
