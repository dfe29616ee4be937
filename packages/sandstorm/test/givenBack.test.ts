/** Places in the store that were lent, or were a hit's, come back although nobody asks for room. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeHead } from '../src/content/head.ts'
import { PAGED } from '../src/content/image.ts'
import { LiveContent, type LoadOptions } from '../src/content/live.ts'
import type { Piece } from '../src/content/pager.ts'
import { NO_BYTES } from '../src/content/slices.ts'
import { attachContent } from '../src/content/table.ts'
import { plainSite } from '../src/site/site.ts'
import { makeTree, variantOf } from './contentTree.ts'
import { body } from './kit/site.ts'

const HIT_BYTES = 1 << 20
const FILE_BYTES = 100_000

async function open(
  t: TestContext,
  files: Record<string, string | Uint8Array> = { 'a.txt': 'a' },
  options: Partial<LoadOptions> = {},
): Promise<LiveContent> {
  const live = await LiveContent.open([plainSite(makeTree(t, files))], {
    memoryBytes: 64 << 20,
    hitBytes: HIT_BYTES,
    onWarning: assert.fail,
    ...options,
  })
  t.after(() => live.close())
  return live
}

/** Waits until the test's time is over if it does not come to that. */
async function until({ signal }: TestContext, isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(10, undefined, { signal })
}

test('what was lent last comes back', { timeout: 10_000 }, async t => {
  const live = await open(t)
  const content = attachContent(live.attach(mail => content.take(mail)).shared)
  const { freeBytes } = live
  const { value } = await live.lend(new Uint8Array(1000)).next()
  assert.ok(value !== undefined && live.freeBytes < freeBytes)
  content.holds.hold(value.image)
  value.release()
  content.holds.release(value.image)
  await until(t, () => live.freeBytes === freeBytes)
})

test('so does the image of the last hit', { timeout: 10_000 }, async t => {
  const live = await open(t)
  const content = attachContent(live.attach(mail => content.take(mail)).shared)
  const { freeBytes } = live
  const names = { host: Buffer.from('h'), target: Buffer.from('/') }
  const times = { expiresSec: 2000, ageSinceSec: 990 }
  const head = makeHead(200, [], ['Content-Length: 1000'], [])
  const hit = live.hits.put({ site: 0, ...names, ...times, head, body: new Uint8Array(1000) })
  assert.ok(hit !== undefined && live.freeBytes < freeBytes)
  live.hits.drop(hit)
  await until(t, () => live.retiredCount === 0)
  assert.equal(live.freeBytes, freeBytes)
})

test('then a file on disk can be sent from there', { timeout: 10_000 }, async t => {
  const files = Object.fromEntries(
    Array.from({ length: 200 }, (_, i) => [`${i}`, body(FILE_BYTES)]),
  )
  const live = await open(t, files, {
    memoryBytes: 16 << 20,
    hitBytes: 0,
    stallTimeoutMs: 2000,
  })
  const content = attachContent(live.attach(mail => content.take(mail)).shared)
  const onDisk = Object.keys(files)
    .map(name => content.imageOf(variantOf(content, `/${name}`)))
    .find(image => content.images[image + PAGED] !== 0)
  assert.ok(onDisk !== undefined)
  const lent: Piece[] = []
  while (live.freeBytes > FILE_BYTES) {
    const { value } = await live.lend(new Uint8Array(FILE_BYTES / 4)).next()
    lent.push(value!)
  }
  for (const piece of lent) piece.release()
  const pieces = live.pieces(onDisk, [{ made: NO_BYTES, from: 0, end: FILE_BYTES }])
  for await (const piece of pieces) piece.release()
  assert.equal(live.pagingStats.failed, 0)
})
