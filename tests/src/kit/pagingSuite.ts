/** What clients may expect of files that do not fit into memory (paging.test.ts). */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  closeSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { afterEach, describe, it } from 'node:test'
import type { Answer } from './httpClient.ts'
import { MOUNTS } from './mounts.ts'
import { parseMultipart } from './multipart.ts'
import { PagedFolder } from './pagedFolder.ts'
import { needs } from './privileges.ts'
import { hashOf } from './sparseFile.ts'

const PEAK_MAX_BYTES = 300 << 20
/** As much as all of the memory that the server gets here, so that no such file fits. */
const LITTLE = '64MiB'
const FILE_BYTES = 64 << 20
const RATE = 40 << 20
/** More than there are extents: an eighth, at the most, of LITTLE, of 256 KiB each. */
const STALLED = 48
/** So few that each may hold some extents, and others are left. */
const FEW = 8
/** Beyond what fits in 32 bits, and no multiple of anything. */
const HUGE_BYTES = 2 ** 32 + (1 << 20) + 12_345
const EXTENT_BYTES = 256 << 10
/** Requests one behind the other: they last for longer than until a change is noticed. */
const ASKED = 5000
const PART_BYTES = 100

const filled = (char: string): Buffer => Buffer.alloc(FILE_BYTES, char)

export interface LargeOptions {
  /** Of a file that is fetched whole. */
  readonly wholeBytes: number
  /** The budgets with which it is fetched. */
  readonly memories: readonly string[]
  /** Of a folder that is served before it is in memory. */
  readonly earlyBytes: number
}

/** Declares the tests in which it matters how large the files are. */
export function describeLargeFiles({ wholeBytes, memories, earlyBytes }: LargeOptions): void {
  describeOnMounts('files larger than memory', serve => {
    for (const memory of memories) {
      it(`come whole and take little memory with --memory ${memory}`, async t => {
        const paged = await serve({ 'a.bin': wholeBytes }, '--memory', memory)
        await paged.isWhole('a.bin')
        const peakBytes = paged.peakBytes()
        t.diagnostic(`${Math.round(peakBytes / 2 ** 20)} MiB at the most`)
        assert.ok(peakBytes < PEAK_MAX_BYTES, `${peakBytes} bytes`)
      })
    }

    it('are served while a large folder is still being loaded', async () => {
      const files = Object.fromEntries(
        Array.from({ length: 6 }, (_, i) => [`${i}.bin`, Math.floor(earlyBytes / 6) + i]),
      )
      await checkEarly(await serve(files), Object.keys(files))
    })
  })
}

/**
 * Serves these files, by name: their bytes, or how many; with these flags, until the test is over.
 */
type Serve = (
  files: Readonly<Record<string, number | Buffer>>,
  ...flags: string[]
) => Promise<PagedFolder>

/** A suite for each mount. */
function describeOnMounts(what: string, declare: (serve: Serve) => void): void {
  for (const mount of MOUNTS) {
    describe(`${what}, ${mount.name}`, {
      ...needs(...mount.needs, 'curl'),
      timeout: 500_000,
    }, () => {
      let paged: PagedFolder
      afterEach(() => paged?.remove())
      declare(async (files, ...flags) => {
        paged = await PagedFolder.serve(mount, files, flags)
        return paged
      })
    })
  }
}

/** Declares all others. */
export function describePaging(): void {
  describeOnMounts('files that do not fit into memory', serve => {
    it('are had in ranges, beyond 4 GiB too', async () => {
      const paged = await serve({ 'a.bin': HUGE_BYTES })
      await checkRanges(paged)
      assert.ok(paged.peakBytes() < PEAK_MAX_BYTES)
    })

    it('are had in several ranges at once', async () => {
      const paged = await serve({ 'a.bin': filled('A') }, '--memory', LITTLE)
      await checkParts(paged)
    })

    it('are asked for with conditions', async () => {
      const paged = await serve({ 'a.bin': FILE_BYTES }, '--memory', LITTLE)
      await checkConditions(paged)
    })

    it('are cut off by a reset, not mixed, when they are written to', async () => {
      const paged = await serve({ 'a.bin': filled('A') }, '--memory', LITTLE)
      const download = paged.download('a.bin', RATE)
      await download.hasBegun()
      const fd = openSync(paged.live.path('a.bin'), 'r+')
      writeSync(fd, filled('B'))
      closeSync(fd)
      assertCut(await download.end())
      await servesAnew(paged)
    })

    it('are cut off by a reset when they are truncated', async () => {
      const paged = await serve({ 'a.bin': filled('A') }, '--memory', LITTLE)
      const download = paged.download('a.bin', RATE)
      await download.hasBegun()
      truncateSync(paged.live.path('a.bin'), FILE_BYTES - 1)
      assertCut(await download.end())
    })

    it('are had whole, as they were, when they are replaced', async () => {
      const paged = await serve({ 'a.bin': filled('A') }, '--memory', LITTLE)
      const download = paged.download('a.bin', RATE)
      await download.hasBegun()
      const newHash = hashOfBytes(filled('B').subarray(0, PART_BYTES))
      const replace = (): void => paged.live.replace('a.bin', filled('B'))
      await leavesNoGap(paged, replace, ({ sha256 }) => sha256 === newHash)
      await servesAnew(paged)
      assertAllOf(await download.end(), 'A')
      await paged.live.allFreed()
    })

    it('are had whole, as they were, when they are deleted', async () => {
      const paged = await serve({ 'a.bin': filled('A') }, '--memory', LITTLE)
      const download = paged.download('a.bin', RATE)
      await download.hasBegun()
      const unlink = (): void => unlinkSync(paged.live.path('a.bin'))
      await leavesNoGap(paged, unlink, ({ status }) => status === 404)
      await isGone(paged)
      assertAllOf(await download.end(), 'A')
      await paged.live.allFreed()
    })

    it('are sent to their end when the server is told to stop', async () => {
      const paged = await serve({ 'a.bin': filled('A') }, '--memory', LITTLE)
      const download = paged.download('a.bin', RATE)
      await download.hasBegun()
      await paged.live.mounted.server.stop('SIGTERM')
      assertAllOf(await download.end(), 'A')
    })

    it('are sent to others while a few clients take nothing', async () => {
      const paged = await serve({ 'a.bin': 300e6, 'b.bin': 300e6 }, '--memory', '256MiB')
      const stalled = await paged.slowClients('a.bin', FEW, 0)
      await paged.isWhole('b.bin')
      await stalled.stop()
      await paged.live.mounted.stopEmpty()
    })

    it('keep nobody from files in memory while their clients take nothing', async () => {
      const paged = await serve({ 'a.bin': FILE_BYTES, 'b.bin': FILE_BYTES }, '--memory', LITTLE)
      const stalled = await paged.slowClients('a.bin', STALLED, 0, true)
      const waiting = paged.download('b.bin', RATE)
      const [small, none] = await paged.ask([{ path: '/readme.txt' }, { path: '/none' }])
      assert.deepEqual([small.status, small.bytes, none.status], [200, 16, 404])
      await stalled.stop()
      assert.equal((await waiting.end()).code, 0)
      await paged.live.mounted.stopEmpty()
    })
  })
}

/** Part of the old version came, none of the new, and the client knows that it is not all. */
function assertCut({ code, body }: { code: number; body: Buffer }): void {
  assert.ok(code === 56 || code === 18, `curl says that the transfer broke off, not ${code}`)
  assert.ok(body.length > 0 && body.length < FILE_BYTES)
  assert.ok(body.equals(filled('A').subarray(0, body.length)), 'nothing but the old version')
}

function assertAllOf({ code, body }: { code: number; body: Buffer }, char: string): void {
  assert.deepEqual([code, body.length], [0, FILE_BYTES])
  assert.ok(body.equals(filled(char)), 'one version')
}

/** Waits until the new version is served, whole. */
async function servesAnew(paged: PagedFolder): Promise<void> {
  const mine = hashOf(paged.live.path('a.bin'), 0, FILE_BYTES)
  for (const endMs = Date.now() + 20_000; Date.now() < endMs; ) {
    const [{ status, sha256 }] = await paged.ask([{ path: '/a.bin' }])
    if (status === 200 && sha256 === mine) return
  }
  assert.fail('the new version is not served')
}

/** Waits until the file is not found. */
async function isGone(paged: PagedFolder): Promise<void> {
  for (const endMs = Date.now() + 20_000; Date.now() < endMs; ) {
    const [{ status }] = await paged.ask([{ path: '/a.bin' }])
    if (status === 404) return
    assert.equal(status, 200)
  }
  assert.fail('the deleted file is served')
}

/**
 * Asks for a part of the file over and over, without a pause, while `change` is made: every answer
 * is that of the old version, or one of those that `isNew` knows.
 */
async function leavesNoGap(
  paged: PagedFolder,
  change: () => void,
  isNew: (answer: Answer) => boolean,
): Promise<void> {
  const part = { path: '/a.bin', headers: { range: `bytes=0-${PART_BYTES - 1}` } }
  const answers = paged.ask(Array(ASKED).fill(part), 1)
  await paged.live.hasPaged(1)
  change()
  const oldHash = hashOfBytes(filled('A').subarray(0, PART_BYTES))
  for (const answer of await answers) {
    const { status, sha256, error } = answer
    const isOld = status === 206 && sha256 === oldHash && error === ''
    assert.ok(isOld || isNew(answer), `${status} ${error}`)
  }
}

const hashOfBytes = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

async function checkRanges(paged: PagedFolder): Promise<void> {
  const file = paged.live.path('a.bin')
  const { size } = statSync(file)
  const edge = 3 * EXTENT_BYTES
  const ranges = [
    [0, 1],
    [0, EXTENT_BYTES],
    [edge - 20, edge + 20],
    [edge - 20, edge + 2 * EXTENT_BYTES + 20],
    [2 ** 31 - 20, 2 ** 31 + 20],
    [2 ** 32 - 20, 2 ** 32 + 20],
    [2 ** 32 + 5, size],
    [size - 40, size],
    [size - 1, size],
  ]
  const ask = (range: string) => ({ path: '/a.bin', headers: { range: `bytes=${range}` } })
  const answers = await paged.ask(ranges.map(([from, end]) => ask(`${from}-${end - 1}`)))
  for (const [i, { status, headers, sha256, bytes }] of answers.entries()) {
    const [from, end] = ranges[i]
    assert.deepEqual([status, bytes], [206, end - from])
    assert.equal(headers['content-range'], `bytes ${from}-${end - 1}/${size}`)
    assert.equal(sha256, hashOf(file, from, end), `bytes ${from} to ${end}`)
  }
  const [suffix, open, beyond] = await paged.ask([
    ask('-777'),
    ask(`${size - 7}-`),
    ask(`${size}-`),
  ])
  assert.deepEqual([suffix.status, suffix.sha256], [206, hashOf(file, size - 777, size)])
  assert.deepEqual([open.status, open.sha256], [206, hashOf(file, size - 7, size)])
  assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, `bytes */${size}`])
}

/** Several ranges are parts of one answer, with the bytes that are on disk. */
async function checkParts(paged: PagedFolder): Promise<void> {
  const file = readFileSync(paged.live.path('a.bin'))
  const ranges = [
    [EXTENT_BYTES - 20, 3 * EXTENT_BYTES],
    [0, 1],
    [file.length - 7, file.length],
    [1000, 2000],
  ]
  const value = ranges.map(([from, end]) => `${from}-${end - 1}`).join()
  const { mounted } = paged.live
  const argv = ['curl', '-si', '-r', value, `${mounted.url}/a.bin`]
  const stdout = await mounted.succeed(argv)
  const headEnd = stdout.indexOf('\r\n\r\n') + 4
  const boundary = /^content-type: multipart\/byteranges; boundary=(.+)\r$/im.exec(stdout)?.[1]
  const length = /^content-length: (\d+)\r$/im.exec(stdout)?.[1]
  const body = Buffer.from(stdout.slice(headEnd), 'latin1')
  assert.equal(body.length, Number(length))
  const parts = parseMultipart(body, boundary ?? '')
  assert.deepEqual(
    parts.map(({ fields, bytes }) => [fields.get('content-range'), bytes]),
    ranges.map(([from, end]) => [
      `bytes ${from}-${end - 1}/${file.length}`,
      file.subarray(from, end),
    ]),
  )
}

async function checkConditions(paged: PagedFolder): Promise<void> {
  const path = '/a.bin'
  const [head] = await paged.ask([{ method: 'HEAD', path }])
  assert.deepEqual([head.status, head.bytes], [200, 0])
  assert.equal(head.headers['content-length'], `${FILE_BYTES}`)
  const { etag, 'last-modified': modified } = head.headers
  assert.match(etag, /^"[\w-]{22}"$/)
  const range = 'bytes=10-19'
  const sent = [
    { path, headers: { 'if-none-match': etag } },
    { path, headers: { 'if-modified-since': modified } },
    { path, headers: { 'if-match': '"other"' } },
    { path, headers: { range, 'if-range': etag } },
    { path, headers: { range, 'if-range': '"other"' } },
    { method: 'HEAD', path, headers: { range } },
  ]
  const answers = await paged.ask(sent)
  assert.deepEqual(
    answers.map(({ status, bytes }) => [status, status === 412 ? 0 : bytes]),
    [
      [304, 0],
      [304, 0],
      [412, 0],
      [206, 10],
      [200, FILE_BYTES],
      [200, 0],
    ],
  )
}

/** All is right from the first moment, and when it is in memory; what was begun before goes on. */
async function checkEarly(paged: PagedFolder, names: readonly string[]): Promise<void> {
  const { live } = paged
  const ready = await live.mounted.succeed(['curl', '-sf', 'http://127.0.0.1:9077/readyz'])
  assert.equal(ready.trim(), 'serving')
  const [first] = await paged.ask([{ method: 'HEAD', path: `/${names[0]}` }])
  const begun = paged.download(names[1], RATE)
  await begun.hasBegun()
  await Promise.all(names.map(name => paged.isWhole(name)))
  assert.equal(first.status, 200)
  await isInMemory(paged, names[0])
  await Promise.all(names.map(name => paged.isWhole(name)))
  const { code, body } = await begun.end()
  assert.deepEqual([code, body.length], [0, statSync(live.path(names[1])).size])
  await live.allFreed()
}

/** Waits until the entity tag of a file is that of its bytes: then it was read. */
async function isInMemory(paged: PagedFolder, name: string): Promise<void> {
  const file = paged.live.path(name)
  const hash = Buffer.from(hashOf(file, 0, statSync(file).size), 'hex')
  const etag = `"${hash.toString('base64url').slice(0, 22)}"`
  for (const endMs = Date.now() + 30_000; Date.now() < endMs; ) {
    const [{ headers }] = await paged.ask([{ method: 'HEAD', path: `/${name}` }])
    if (headers['etag'] === etag) return
  }
  assert.fail(`${name} does not come into memory`)
}
