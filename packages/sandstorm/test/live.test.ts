import assert from 'node:assert/strict'
import {
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Content, GZIP, IDENTITY, NO_VARIANT } from '../src/content/content.ts'
import { REAL_FS } from '../src/content/fileSystem.ts'
import { bodyLen, HEAD_LEN, IMAGE_OFF, PAGED } from '../src/content/image.ts'
import { LiveContent, type LoadOptions } from '../src/content/live.ts'
import { NO_BYTES } from '../src/content/slices.ts'
import { attachContent } from '../src/content/table.ts'
import { plainSite, type Site } from '../src/site/site.ts'
import { answerTo, etagOf, makeTree, notModifiedTo, variantOf } from './contentTree.ts'
import { interfering } from './kit/contentFs.ts'

/** Long after all files of a test were written. */
const LATER_MS = 10_000
const later = (): number => Date.now() + LATER_MS
/** The moment at which a file changed, however long ago that is on a busy machine. */
const whenChanged = (file: string) => (): number => statSync(file).ctimeMs

interface Followed {
  readonly root: string
  readonly live: LiveContent
  readonly content: Content
  readonly warnings: string[]
  /** Says when it is. */
  readonly clock: { nowMs: () => number }
  /** Files read since the last call. */
  reads(): string[]
}

async function follow(
  t: TestContext,
  files: Record<string, string | Uint8Array>,
  site: Partial<Site> = {},
  options: Partial<LoadOptions> = {},
): Promise<Followed> {
  const root = makeTree(t, files)
  const warnings: string[] = []
  const clock = { nowMs: later }
  let read: string[] = []
  const fs = interfering(file => void read.push(file.slice(root.length)))
  const live = await LiveContent.open([{ ...plainSite(root), ...site }], {
    memoryBytes: 64 << 20,
    onWarning: line => void warnings.push(line),
    fs,
    nowMs: () => clock.nowMs(),
    ...options,
  })
  t.after(() => live.close())
  const { shared } = live.attach(mail => content.take(mail))
  const content = attachContent(shared)
  const reads = (): string[] => {
    const files = read.sort()
    read = []
    return files
  }
  reads()
  return { root, live, content, warnings, clock, reads }
}

const bodyOf = (content: Content, path: string): string => answerTo(content, path).body.toString()

test('changed, new and deleted files are there after a reload, and only they are read', async t => {
  const { root, live, content, reads } = await follow(t, { 'a.txt': 'a', 'b.txt': 'b', 'c/d': 'd' })
  writeFileSync(join(root, 'a.txt'), 'other')
  writeFileSync(join(root, 'new.txt'), 'new')
  unlinkSync(join(root, 'b.txt'))
  assert.equal(bodyOf(content, '/a.txt'), 'a')
  const { added, retired } = await live.reload()
  assert.equal(bodyOf(content, '/a.txt'), 'other')
  assert.equal(bodyOf(content, '/new.txt'), 'new')
  assert.equal(answerTo(content, '/b.txt').status, 404)
  assert.equal(bodyOf(content, '/c/d'), 'd')
  assert.equal(
    etagOf(answerTo(content, '/a.txt').head),
    etagOf(notModifiedTo(content, '/a.txt').head),
  )
  assert.deepEqual(reads(), ['/a.txt', '/new.txt'])
  assert.deepEqual([added, retired, live.isUnsettled], [4, 4, false])
})

test('a reload without a change keeps every image', async t => {
  const files = { 'a.txt': 'a'.repeat(500), 'b/index.html': 'b', 'e.txt': '' }
  const site = { listing: 'html', compress: ['gzip', 'br'] } as const
  const { live, content, reads } = await follow(t, files, site)
  const image = content.imageOf(variantOf(content, '/a.txt', GZIP))
  assert.deepEqual(await live.reload(), { added: 0, retired: 0 })
  assert.deepEqual(reads(), [])
  assert.equal(content.imageOf(variantOf(content, '/a.txt', GZIP)), image)
})

test('an unchanged file that loses a path loses what a rule said of that path', async t => {
  const rules = [{ match: '/a', headers: { 'X-Clean': 'yes' } }]
  const site = { cleanUrls: true, rules }
  const { root, live, content, reads } = await follow(t, { 'a.html': 'a', 'b.html': 'b' }, site)
  assert.match(answerTo(content, '/a.html').head, /^X-Clean: yes\r$/m)
  writeFileSync(join(root, 'a'), 'other')
  await live.reload()
  assert.doesNotMatch(answerTo(content, '/a.html').head, /X-Clean/)
  assert.match(answerTo(content, '/a').head, /^X-Clean: yes\r$/m)
  assert.deepEqual(reads(), ['/a'])
})

test('an unchanged file varies from when there is a coding of it', async t => {
  const { root, live, content } = await follow(t, { 'a.txt': 'a' }, { precompressed: true })
  assert.doesNotMatch(answerTo(content, '/a.txt').head, /Vary/)
  writeFileSync(join(root, 'a.txt.gz'), 'coded')
  await live.reload()
  assert.match(answerTo(content, '/a.txt').head, /^Vary: Accept-Encoding\r$/m)
  unlinkSync(join(root, 'a.txt.gz'))
  await live.reload()
  assert.doesNotMatch(answerTo(content, '/a.txt').head, /Vary/)
})

test('a file that turns out to be the same after all keeps its images', async t => {
  const { root, live, reads } = await follow(t, { 'a.txt': 'a' })
  utimesSync(join(root, 'a.txt'), 1, 1)
  await live.reload()
  reads()
  writeFileSync(join(root, 'a.txt'), 'a')
  utimesSync(join(root, 'a.txt'), 1, 1)
  assert.deepEqual(await live.reload(), { added: 0, retired: 0 })
  assert.deepEqual(reads(), ['/a.txt'])
})

test('other rules make other heads of the same bytes, without reading them', async t => {
  const { live, content, root, reads } = await follow(
    t,
    { 'a.txt': 'a'.repeat(500) },
    { compress: ['gzip'] },
  )
  const coded = answerTo(content, '/a.txt', { coding: GZIP }).body
  const rules = [{ match: '*', headers: { 'X-New': 'yes' } }]
  await live.reload([{ ...plainSite(root), compress: ['gzip'], rules }])
  for (const coding of [IDENTITY, GZIP]) {
    assert.match(answerTo(content, '/a.txt', { coding }).head, /\r\nX-New: yes\r\n/)
  }
  assert.deepEqual(answerTo(content, '/a.txt', { coding: GZIP }).body, coded)
  assert.equal(bodyOf(content, '/a.txt'), 'a'.repeat(500))
  assert.deepEqual(reads(), [])
})

test('an image that is held stays as it was until it is released', async t => {
  const { root, live, content } = await follow(t, { 'a.txt': 'before' })
  const image = content.imageOf(variantOf(content, '/a.txt'))
  const before = answerTo(content, '/a.txt')
  content.holds.hold(image)
  const free = live.freeBytes
  for (let i = 0; i < 20; i++) {
    writeFileSync(join(root, 'a.txt'), `after ${i}`)
    await live.reload()
    assert.equal(before.body.toString(), 'before')
  }
  assert.equal(live.retiredCount, 1, 'those that nobody held are free')
  content.holds.release(image)
  writeFileSync(join(root, 'a.txt'), 'before')
  await live.reload()
  assert.equal(live.retiredCount, 0)
  assert.ok(Math.abs(live.freeBytes - free) < 1000)
})

test('a reader that has not gone on keeps the whole of what it sees', async t => {
  const { root, live, content } = await follow(t, { 'a.txt': 'before' })
  const slow = live.attach(() => {})
  const late = attachContent(slow.shared)
  writeFileSync(join(root, 'a.txt'), 'after')
  await live.reload()
  writeFileSync(join(root, 'a.txt'), 'later')
  await live.reload()
  assert.equal(bodyOf(late, '/a.txt'), 'before')
  assert.equal(bodyOf(content, '/a.txt'), 'later')
  assert.ok(live.retiredCount > 0)
  slow.detach()
  writeFileSync(join(root, 'a.txt'), 'last')
  await live.reload()
  assert.equal(live.retiredCount, 0)
})

test('a young version waits, and is read again before it is believed', async t => {
  const { root, live, content, clock, reads } = await follow(t, { 'a.txt': 'a' })
  writeFileSync(join(root, 'a.txt'), 'half')
  writeFileSync(join(root, 'new.txt'), 'ha')
  clock.nowMs = whenChanged(join(root, 'new.txt'))
  await live.reload()
  assert.equal(live.isUnsettled, true)
  assert.equal(bodyOf(content, '/a.txt'), 'a', 'it may still be written to')
  assert.equal(answerTo(content, '/new.txt').status, 404)
  clock.nowMs = later
  await live.reload()
  assert.equal(live.isUnsettled, false)
  assert.deepEqual([bodyOf(content, '/a.txt'), bodyOf(content, '/new.txt')], ['half', 'ha'])
  reads()
})

test('a file that is always young is taken up all the same', async t => {
  const { root, live, content, clock } = await follow(t, { 'a.txt': '0' })
  clock.nowMs = whenChanged(join(root, 'a.txt'))
  let tries = 0
  // The test's own limit ends it.
  while (bodyOf(content, '/a.txt') === '0') {
    writeFileSync(join(root, 'next'), `${++tries}`)
    renameSync(join(root, 'next'), join(root, 'a.txt'))
    await live.reload()
  }
  assert.ok(tries > 1)
})

test('what was read while it was young is read once more', async t => {
  const { root, live, reads } = await follow(t, { 'a.txt': 'a', 'b.txt': 'b' })
  const young = await LiveContent.open([plainSite(root)], {
    memoryBytes: 1 << 20,
    onWarning: () => {},
    fs: interfering(() => reads().push('')),
    nowMs: whenChanged(join(root, 'a.txt')),
  })
  assert.equal(young.isUnsettled, true)
  await young.close()
  assert.deepEqual(await live.reload(), { added: 0, retired: 0 })
})

test('a file that can no longer be read has its status, one that changes keeps its last version', async t => {
  let isBroken = false
  let writes = 0
  const { root, live, content, warnings } = await follow(
    t,
    { 'a.txt': 'a', 'b.txt': 'b' },
    {},
    {
      fs: interfering(file => {
        if (!isBroken) return
        if (file.endsWith('a.txt')) throw Object.assign(new Error(), { code: 'EACCES' })
        writeFileSync(file, 'x'.repeat(++writes * 10))
      }),
    },
  )
  for (const name of ['a.txt', 'b.txt']) writeFileSync(join(root, name), 'new')
  isBroken = true
  await live.reload()
  assert.equal(answerTo(content, '/a.txt').status, 403)
  assert.equal(bodyOf(content, '/b.txt'), 'b')
  assert.equal(live.isUnsettled, true)
  assert.deepEqual(warnings, ['/a.txt: cannot be read (EACCES); answered 403'])
  await live.reload()
  assert.equal(warnings.length, 1, 'said once')
})

test('what no longer fits into memory stays on disk', async t => {
  const files = { 'a.txt': 'a', 'big.bin': new Uint8Array(600_000) }
  const { root, live, content } = await follow(t, files, {}, { memoryBytes: 1 << 20 })
  const isPaged = (path: string): number =>
    content.images[content.imageOf(variantOf(content, path)) + PAGED]
  assert.deepEqual([isPaged('/a.txt'), isPaged('/big.bin')], [0, 0])
  writeFileSync(join(root, 'a.txt'), new Uint8Array(590_000))
  await live.reload()
  assert.deepEqual([isPaged('/a.txt'), isPaged('/big.bin')], [1, 0])
  assert.match(answerTo(content, '/a.txt').head, /\r\nContent-Length: 590000\r\n/)
  const image = content.imageOf(variantOf(content, '/a.txt'))
  let bytes = 0
  for await (const piece of live.pieces(image, [{ made: NO_BYTES, from: 0, end: 590_000 }])) {
    bytes += piece.end - piece.from
    piece.release()
  }
  assert.equal(bytes, 590_000)
  await live.reload()
  assert.equal(content.imageOf(variantOf(content, '/a.txt')), image, 'it is kept')
})

test('with much to read all is there at once from disk, and then from memory', async t => {
  const progress: number[] = []
  const { root, live, content, reads } = await follow(
    t,
    { 'a.txt': 'a'.repeat(500), 'b.bin': new Uint8Array(1000) },
    { compress: ['gzip'] },
    { isEarly: bytes => bytes >= 1500, onProgress: done => progress.push(done) },
  )
  const image = (): number => content.imageOf(variantOf(content, '/a.txt'))
  assert.equal(content.images[image() + PAGED], 1)
  assert.equal(bodyLen(content.images, image()), 500)
  assert.equal(variantOf(content, '/a.txt', GZIP), NO_VARIANT)
  assert.deepEqual([reads(), progress, live.isUnsettled], [[], [], true])
  await live.reload()
  assert.equal(bodyOf(content, '/a.txt'), 'a'.repeat(500))
  assert.notEqual(variantOf(content, '/a.txt', GZIP), NO_VARIANT)
  assert.deepEqual([progress, live.isUnsettled], [[1, 2], false])
  reads()
  await live.reload()
  assert.deepEqual(reads(), [], root)
})

test('a reload that fails changes nothing, and gives back what it had taken', async t => {
  const { root, live, content } = await follow(t, { 'a.txt': 'a', 'spa.html': 's' })
  const free = live.freeBytes
  writeFileSync(join(root, 'a.txt'), 'other')
  const gone = [plainSite(root), { ...plainSite(join(root, 'gone')), hosts: ['b'] }]
  await assert.rejects(live.reload(gone), /there is no such folder/)
  assert.equal(bodyOf(content, '/a.txt'), 'a')
  assert.equal(live.freeBytes, free)
  await live.reload()
  assert.equal(bodyOf(content, '/a.txt'), 'other')
})

test('siblings and codings follow the file they are of', async t => {
  const files = { 'a.txt': 'a'.repeat(500), 'b.txt': 'b', 'b.txt.gz': 'gz' }
  const { root, live, content } = await follow(t, files, { compress: ['gzip'] })
  const before = answerTo(content, '/a.txt', { coding: GZIP }).body.toString('hex')
  writeFileSync(join(root, 'a.txt'), 'c'.repeat(500))
  unlinkSync(join(root, 'b.txt.gz'))
  await live.reload()
  assert.notEqual(answerTo(content, '/a.txt', { coding: GZIP }).body.toString('hex'), before)
  assert.equal(variantOf(content, '/b.txt', GZIP), NO_VARIANT)
  writeFileSync(join(root, 'b.txt.gz'), 'again')
  await live.reload()
  await live.reload()
  assert.equal(answerTo(content, '/b.txt', { coding: GZIP }).body.toString(), 'again')
  assert.ok(answerTo(content, '/b.txt.gz').isPaged)
  // What it was a coding of is no more.
  rmSync(join(root, 'b.txt'))
  await live.reload()
  assert.equal(answerTo(content, '/b.txt.gz').body.toString(), 'again')
  rmSync(join(root, 'a.txt'))
  mkdirSync(join(root, 'a.txt'))
  await live.reload()
  assert.equal(answerTo(content, '/a.txt').status, 404)
})

test('sites, their names and their pages are others after a reload with others', async t => {
  const one = makeTree(t, { 'index.html': 'one', '404.html': 'none here' })
  const { root, live, content } = await follow(t, { 'index.html': 'zero' })
  await live.reload([
    plainSite(root),
    { ...plainSite(one), hosts: ['one.example'], errorPages: { 404: '/404.html' } },
  ])
  const host = Buffer.from('one.example')
  const site = content.siteOf(host, 0, host.length)
  assert.equal(site, 1)
  assert.equal(answerTo(content, '/', { site }).body.toString(), 'one')
  assert.equal(answerTo(content, '/x', { site }).body.toString(), 'none here')
  assert.equal(bodyOf(content, '/'), 'zero')
})

test('a look that was asked for while other sites come keeps to those', async t => {
  const other = makeTree(t, { 'a.txt': 'other' })
  const { live, content } = await follow(t, { 'a.txt': 'a' })
  await Promise.all([live.reload([plainSite(other)]), live.reload()])
  assert.equal(bodyOf(content, '/a.txt'), 'other')
})

test('what is old waits with what is young: a generation is all of one look', async t => {
  const { root, live, content, clock } = await follow(t, { 'a.txt': 'a', 'b.txt': 'b' })
  unlinkSync(join(root, 'b.txt'))
  writeFileSync(join(root, 'a.txt'), 'young')
  clock.nowMs = whenChanged(join(root, 'a.txt'))
  await live.reload()
  assert.deepEqual([bodyOf(content, '/a.txt'), bodyOf(content, '/b.txt')], ['a', 'b'])
  assert.equal(live.stats().reloads, 0)
  clock.nowMs = later
  await live.reload()
  assert.equal(bodyOf(content, '/a.txt'), 'young')
  assert.equal(answerTo(content, '/b.txt').status, 404)
})

test('who gives sites waits for nothing', async t => {
  const { root, live, content, clock } = await follow(t, { 'a.txt': 'a' })
  writeFileSync(join(root, 'a.txt'), 'young')
  clock.nowMs = whenChanged(join(root, 'a.txt'))
  await live.reload([plainSite(root)])
  assert.equal(bodyOf(content, '/a.txt'), 'young')
  assert.equal(live.isUnsettled, true)
})

test('a folder that becomes a link to elsewhere before it is read is not read', async t => {
  const outside = makeTree(t, { 'a.txt': 'secret' })
  let isTurning = false
  let dir = ''
  const { root, live, content, warnings } = await follow(
    t,
    { 'dir/a.txt': 'a' },
    {},
    {
      fs: interfering(file => {
        if (!isTurning || !file.endsWith('dir/a.txt')) return
        isTurning = false
        renameSync(dir, `${dir}.kept`)
        symlinkSync(outside, dir)
      }),
    },
  )
  dir = join(root, 'dir')
  isTurning = true
  writeFileSync(join(dir, 'a.txt'), 'new')
  await live.reload()
  assert.equal(bodyOf(content, '/dir/a.txt'), 'a', 'the last version')
  assert.equal(live.isUnsettled, true)
  await live.reload()
  assert.equal(answerTo(content, '/dir/a.txt').status, 404)
  assert.deepEqual(warnings, ['/dir: a symbolic link that leaves the folder; left out'])
})

test('a root that is exchanged while it is read, and deleted, leaves no gap', async t => {
  const folder = makeTree(t, {
    'one/a.txt': '1',
    'one/b.txt': '1',
    'two/a.txt': '2',
    'two/b.txt': '2',
  })
  const root = join(folder, 'site')
  symlinkSync('one', root)
  let isDeploying = false
  const warnings: string[] = []
  const live = await LiveContent.open([plainSite(root)], {
    memoryBytes: 1 << 20,
    onWarning: line => void warnings.push(line),
    nowMs: later,
    fs: interfering(() => {
      if (!isDeploying) return
      isDeploying = false
      unlinkSync(root)
      symlinkSync('two', root)
      rmSync(join(folder, 'one'), { recursive: true })
    }),
  })
  t.after(() => live.close())
  const { shared } = live.attach(mail => content.take(mail))
  const content = attachContent(shared)
  for (const name of ['a.txt', 'b.txt']) writeFileSync(join(folder, 'one', name), 'new')
  isDeploying = true
  await live.reload()
  assert.deepEqual([bodyOf(content, '/a.txt'), bodyOf(content, '/b.txt')], ['2', '2'])
  assert.deepEqual(warnings, [])
})

test('a root that goes while it is read changes nothing, and costs no memory', async t => {
  const folder = makeTree(t, { 'site/a.txt': 'a', 'site/b.txt': 'b' })
  const root = join(folder, 'site')
  let isGoing = false
  const live = await LiveContent.open([plainSite(root)], {
    memoryBytes: 1 << 20,
    onWarning: () => {},
    nowMs: later,
    fs: interfering(() => {
      if (isGoing) renameSync(root, join(folder, 'gone'))
      isGoing = false
    }),
  })
  t.after(() => live.close())
  const before = live.stats()
  for (const name of ['a.txt', 'b.txt']) writeFileSync(join(root, name), 'new')
  isGoing = true
  await assert.rejects(live.reload(), /there is no such folder/)
  assert.deepEqual(live.stats(), { ...before, failedReloads: 1 })
})

test('a look that the system cuts short changes nothing', async t => {
  const root = makeTree(t, { 'a.txt': 'a', 'in/b.txt': 'b' })
  let refused: [name: string, code: string] | undefined
  const refuse = (path: string): void => {
    if (refused === undefined || !path.endsWith(refused[0])) return
    throw Object.assign(new Error(refused[1]), { code: refused[1] })
  }
  const live = await LiveContent.open([{ ...plainSite(root), compress: ['gzip'] }], {
    memoryBytes: 1 << 20,
    onWarning: () => {},
    nowMs: later,
    fs: {
      ...interfering(refuse),
      readdir: async dir => {
        refuse(dir)
        return REAL_FS.readdir(dir)
      },
    },
  })
  t.after(() => live.close())
  const before = live.stats()
  writeFileSync(join(root, 'a.txt'), 'new'.repeat(500))
  const cases: [string, string, RegExp][] = [
    [root, 'EACCES', /^cannot serve .*: EACCES; name a folder that can be read$/],
    [root, 'EMFILE', /^no more files can be opened \(EMFILE\); raise/],
    ['in', 'ENFILE', /^no more files can be opened/],
    ['a.txt', 'EMFILE', /^no more files can be opened/],
  ]
  for (const [i, [path, code, message]] of cases.entries()) {
    refused = [path, code]
    await assert.rejects(live.reload(), { message })
    assert.deepEqual(live.stats(), { ...before, failedReloads: i + 1 })
  }
  refused = undefined
  await live.reload()
  assert.equal(live.stats().reloads, 1)
})

test('it counts what it has', async t => {
  const { root, live, content } = await follow(t, { 'a.txt': 'a' })
  const { images } = live.stats()
  const image = content.imageOf(variantOf(content, '/a.txt'))
  content.holds.hold(image)
  writeFileSync(join(root, 'a.txt'), 'other')
  writeFileSync(join(root, 'b.txt'), 'b')
  await live.reload()
  const { freeBytes: _, ...counts } = live.stats()
  const expected = { images: images + 2, retired: 1, generation: 2, reloads: 1, failedReloads: 0 }
  assert.deepEqual(counts, expected)
  unlinkSync(join(root, 'b.txt'))
  content.holds.release(image)
  await live.reload()
  assert.deepEqual([live.stats().images, live.stats().retired], [images, 0])
})

test('it counts images that lie where others were', async t => {
  const { root, live } = await follow(t, { 'a.txt': 'a' })
  const { images } = live.stats()
  for (const text of ['bb', 'ccc', 'dddd']) {
    writeFileSync(join(root, 'a.txt'), text)
    assert.deepEqual(await live.reload(), { added: 2, retired: 2 })
    assert.equal(live.stats().images, images)
  }
})

test('a reading that saw half of a write is not believed, though the times say nothing', async t => {
  let reads = 0
  const { root, live, content, clock } = await follow(
    t,
    { 'a.txt': 'a' },
    {},
    {
      fs: {
        ...REAL_FS,
        readSync: (fd, bytes, off, len, position) => {
          const read = REAL_FS.readSync(fd, bytes, off, len, position)
          // As if the second half had not been copied yet.
          if (reads++ === 1) bytes.fill(0x2e, off + len / 2, off + len)
          return read
        },
      },
    },
  )
  writeFileSync(join(root, 'a.txt'), 'abcd')
  clock.nowMs = whenChanged(join(root, 'a.txt'))
  await live.reload([plainSite(root)])
  assert.equal(bodyOf(content, '/a.txt'), 'abcd')
})

test('of hundreds of files on disk that are replaced at once each is had as it was', async t => {
  const names = Array.from({ length: 300 }, (_, i) => `${i}.txt`)
  const files = Object.fromEntries(names.map(name => [name, `old ${name}`]))
  const { root, live, content } = await follow(t, files, {}, { fileBytesMax: 0, fs: REAL_FS })
  for (const name of names) {
    writeFileSync(join(root, 'new'), 'new')
    renameSync(join(root, 'new'), join(root, name))
  }
  for (const name of names) {
    const image = content.imageOf(variantOf(content, `/${name}`))
    const end = files[name].length
    let text = ''
    for await (const piece of live.pieces(image, [{ made: NO_BYTES, from: 0, end }])) {
      const off = content.images[piece.image + IMAGE_OFF] + content.images[piece.image + HEAD_LEN]
      text += Buffer.from(content.region.bytes.slice(off + piece.from, off + piece.end))
      piece.release()
    }
    assert.equal(text, files[name])
  }
})
