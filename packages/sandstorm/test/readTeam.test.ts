/**
 * Threads that read files, against the plain reader; their sizes are those at which something
 * changes.
 */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Region } from '@sandstorm/libnmio'
import fc from 'fast-check'
import { plainReader } from '../src/content/fileReader.ts'
import { REAL_FS } from '../src/content/fileSystem.ts'
import { LiveContent } from '../src/content/live.ts'
import { type FileState, type ReadResult, stateOf } from '../src/content/read.ts'
import { orderAt, packList, type ReadOrder } from '../src/content/readList.ts'
import { ReadTeam, readerFor } from '../src/content/readTeam.ts'
import { attachContent } from '../src/content/table.ts'
import { plainSite } from '../src/site/site.ts'
import { answerTo, makeTree } from './contentTree.ts'

const SIZES = [0, 1, 2, 4095, 4096, 65535, 65536, 65537, (1 << 20) + 1, (5 << 20) + 3]
const REGION_BYTES = 64 << 20

/** `count` small files of sizes without a pattern, and one of each size above. */
function manyFiles(count: number): Record<string, Uint8Array> {
  const small = Array.from({ length: count }, (_, i) => (i * 7919) % 3000)
  const bodyOf = (size: number, i: number): Uint8Array =>
    Uint8Array.from({ length: size }, (_, at) => (at * 31 + i * 17) >> 3)
  return Object.fromEntries([...small, ...SIZES].map((size, i) => [`${i}`, bodyOf(size, i)]))
}

/** What is to be read, one behind the other in a region. */
function ordersFor(root: string, names: readonly string[]): ReadOrder[] {
  let end = 0
  return names.map(name => {
    const file = join(root, name)
    const expected = stateOf(statSync(file))
    const off = end
    end += expected.size
    return { file, off, expected }
  })
}

function startTeam(t: TestContext, region: Region, threads: number): ReadTeam {
  const team = new ReadTeam(region, threads)
  t.after(() => team.close())
  return team
}

const readAll = (
  reader: Pick<ReadTeam, 'read'>,
  orders: readonly ReadOrder[],
): Promise<ReadResult[]> =>
  Promise.all(orders.map(({ file, off, expected }) => reader.read(file, off, expected)))

/** Until each thread has said something, so that it certainly has a share of what comes. */
async function warm(team: ReadTeam, order: ReadOrder): Promise<void> {
  while (team.readByThreads === 0) await team.read(order.file, order.off, order.expected)
}

test('threads read what the plain reader reads, and say the same', async t => {
  const files = manyFiles(700)
  const root = makeTree(t, files)
  const orders = ordersFor(root, Object.keys(files))
  const [ours, plain] = [new Region(REGION_BYTES), new Region(REGION_BYTES)]
  const team = startTeam(t, ours, 2)
  await warm(team, orders[0])
  const before = team.readByThreads
  const results = await readAll(team, orders)
  assert.ok(team.readByThreads > before, 'the threads had a share')
  assert.deepEqual(results, await readAll(plainReader(plain, 0, REAL_FS), orders))
  assert.equal(Buffer.compare(ours.bytes, plain.bytes), 0)
  assert.ok(results.every(({ kind }) => kind === 'loaded'))
})

test('what changed, vanished or cannot be read is told by a thread as it is here', async t => {
  const root = makeTree(t, { good: 'good', longer: 'longer', shorter: 'shorter', older: 'older' })
  mkdirSync(join(root, 'folder'))
  symlinkSync('good', join(root, 'link'))
  writeFileSync(join(root, 'gone'), 'gone')
  const names = ['good', 'longer', 'shorter', 'older', 'gone', 'folder', 'link']
  const once = ordersFor(root, names)
  writeFileSync(join(root, 'longer'), 'longer than it was')
  writeFileSync(join(root, 'shorter'), '')
  utimesSync(join(root, 'older'), 1, 1)
  rmSync(join(root, 'gone'))
  const region = new Region(REGION_BYTES)
  const team = startTeam(t, region, 1)
  await warm(team, once[0])
  // So many that both sides meet each of them.
  const orders = Array.from({ length: 100 }, () => once).flat()
  const results = await readAll(team, orders)
  const plain = await readAll(plainReader(region, 0, REAL_FS), once)
  assert.deepEqual(
    plain.map(({ kind }) => kind),
    ['loaded', 'changed', 'changed', 'changed', 'failed', 'failed', 'failed'],
  )
  for (const [i, result] of results.entries()) assert.deepEqual(result, plain[i % once.length])
})

test('what a thread had when it died is read all the same, and the rest without it', async t => {
  const files = manyFiles(600)
  const root = makeTree(t, files)
  const orders = ordersFor(root, Object.keys(files))
  const region = new Region(REGION_BYTES)
  const team = startTeam(t, region, 2)
  await warm(team, orders[0])
  const results = readAll(team, orders)
  await new Promise(resolve => setImmediate(resolve))
  assert.ok(team.underWay > 0, 'the threads have something')
  await Promise.all(team.threads.map(worker => worker.terminate()))
  assert.deepEqual(await results, await readAll(plainReader(region, 0, REAL_FS), orders))
  assert.deepEqual(team.threads, [])
  assert.deepEqual(await team.read(orders[1].file, 0, orders[1].expected), (await results)[1])
})

test('a thread that throws ends as if it had died', async t => {
  const root = makeTree(t, manyFiles(200))
  const orders = ordersFor(root, ['3', '4'])
  const team = startTeam(t, new Region(REGION_BYTES), 1)
  team.threads[0].postMessage('no list')
  while (team.threads.length > 0) await new Promise(resolve => setImmediate(resolve))
  const results = await readAll(team, orders)
  assert.ok(results.every(({ kind }) => kind === 'loaded'))
})

test('nothing runs after a team is closed', async () => {
  const team = new ReadTeam(new Region(65536), 2)
  await team.close()
  assert.deepEqual(team.threads, [])
})

test('content loaded by threads is the content loaded without them', async t => {
  const files = manyFiles(500)
  const root = makeTree(t, files)
  const options = {
    memoryBytes: 2 ** 28,
    onWarning: (line: string) => assert.fail(line),
    // Young files are unsettled, which is no matter here.
    nowMs: () => Date.now() + 10_000,
  }
  const teams: ReadTeam[] = []
  const live = await LiveContent.open([plainSite(root)], {
    ...options,
    readerFor: region => {
      const team = new ReadTeam(region, 1)
      teams.push(team)
      return team
    },
  })
  t.after(() => live.close())
  assert.deepEqual(teams[0].threads, [], 'the threads have ended')
  const plain = await LiveContent.open([plainSite(root)], { ...options, readerFor: plainReader })
  t.after(() => plain.close())
  const content = attachContent(live.attach(() => {}).shared)
  const expected = attachContent(plain.attach(() => {}).shared)
  for (const [name, body] of Object.entries(files)) {
    const answer = answerTo(content, `/${name}`)
    assert.deepEqual(answer, answerTo(expected, `/${name}`))
    assert.equal(Buffer.compare(answer.body, body), 0)
  }
})

test('few files are read without threads, and so are those of no real file system', async t => {
  const region = new Region(65536)
  const few = readerFor(region, 1000, REAL_FS)
  t.after(() => few.close())
  assert.ok(!(few instanceof ReadTeam))
  const other = readerFor(region, 1_000_000, { ...REAL_FS })
  t.after(() => other.close())
  assert.ok(!(other instanceof ReadTeam))
})

test('a list is sent without loss', () => {
  const asObject = { noNullPrototype: true }
  const state: fc.Arbitrary<FileState> = fc.record(
    {
      size: fc.maxSafeNat(),
      mtimeMs: fc.double({ noNaN: true }),
      ctimeMs: fc.double({ noNaN: true }),
      ino: fc.maxSafeNat(),
    },
    asObject,
  )
  const order = fc.record({ file: fc.string(), off: fc.nat(), expected: state }, asObject)
  fc.assert(
    fc.property(fc.array(order), orders => {
      const list = structuredClone(packList(orders))
      assert.deepEqual(
        orders.map((_, i) => orderAt(list, i)),
        orders,
      )
    }),
  )
})
