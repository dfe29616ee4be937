import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { statSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import zlib from 'node:zlib'
import { BR, GZIP, IDENTITY, NO_VARIANT, ZSTD } from '../src/content/content.ts'
import { type ContentFs, REAL_FS } from '../src/content/fileSystem.ts'
import { isCompressible } from '../src/content/mediaType.ts'
import { codingProblem } from '../src/site/codings.ts'
import {
  answerTo,
  etagOf,
  load,
  makeTree,
  notModifiedTo,
  storedEtag,
  variantOf,
} from './contentTree.ts'
import { interfering } from './kit/contentFs.ts'

const TEXT = 'All work and no play makes Jack a dull boy.\n'.repeat(50)
const hash = (bytes: string | Uint8Array): string =>
  createHash('sha256').update(bytes).digest('base64url').slice(0, 22)

test('a sibling is its file in a coding, and a file on disk under its own name', async t => {
  const files = {
    'a.css': 'plain',
    'a.css.gz': 'gz',
    'a.css.br': 'brotli',
    'a.css.zst': 'zstandard',
  }
  const { content, warnings } = await load(makeTree(t, files))
  assert.deepEqual(warnings, [])
  const expected = { [IDENTITY]: 'plain', [GZIP]: 'gz', [BR]: 'brotli', [ZSTD]: 'zstandard' }
  const names: Record<number, string> = { [GZIP]: 'gzip', [BR]: 'br', [ZSTD]: 'zstd' }
  for (const [key, body] of Object.entries(expected)) {
    const coding = Number(key)
    const { head, body: sent } = answerTo(content, '/a.css', { coding })
    assert.equal(sent.toString(), body)
    assert.match(head, /\r\nContent-Type: text\/css; charset=utf-8\r\n/)
    assert.match(head, new RegExp(`\r\nContent-Length: ${body.length}\r\n`))
    const codingLine = coding === IDENTITY ? '' : `Content-Encoding: ${names[coding]}\r\n`
    assert.ok(head.includes(`\r\nAccept-Ranges: bytes\r\n${codingLine}Vary: Accept-Encoding\r\n`))
    assert.equal(etagOf(head), `"${hash(body)}"`)
    assert.equal(storedEtag(content, variantOf(content, '/a.css', coding)), hash(body))
    const notModified = notModifiedTo(content, '/a.css', coding).head
    assert.equal(etagOf(notModified), `"${hash(body)}"`)
    assert.match(notModified, /\r\nVary: Accept-Encoding\r\n/)
    assert.doesNotMatch(notModified, /Content-/)
  }
  for (const [name, body] of Object.entries(files).slice(1)) {
    const { status, head, isPaged } = answerTo(content, `/${name}`)
    assert.equal(status, 200, name)
    assert.ok(isPaged)
    assert.match(head, new RegExp(`\r\nContent-Length: ${body.length}\r\n`))
    assert.doesNotMatch(head, /Vary|Content-Encoding|text\/css/)
  }
})

test('a file alone does not vary, and what codes nothing, or a coding, is a file', async t => {
  const files = {
    'a.txt': 'x',
    'orphan.css.gz': 'gz',
    'b.br': 'br',
    'c/x.gz': 'x',
    'a.txt.gz.br': '',
  }
  const { content } = await load(makeTree(t, { ...files, 'a.txt.gz': 'gz' }))
  assert.match(answerTo(content, '/orphan.css.gz').head, /\r\nContent-Type: application\/gzip\r\n/)
  for (const path of ['/orphan.css.gz', '/b.br', '/c/x.gz', '/a.txt.gz', '/a.txt.gz.br']) {
    assert.equal(answerTo(content, path).status, 200, path)
    assert.doesNotMatch(answerTo(content, path).head, /Vary|Content-Encoding/)
    assert.equal(variantOf(content, path, GZIP), NO_VARIANT)
  }
})

test('a site that does not want siblings serves them as files', async t => {
  const root = makeTree(t, { 'a.tar': 'x', 'a.tar.gz': 'gz' })
  const { content } = await load(root, { precompressed: false })
  assert.equal(answerTo(content, '/a.tar.gz').body.toString(), 'gz')
  assert.doesNotMatch(answerTo(content, '/a.tar').head, /Vary/)
})

test('all paths of a file have its variants', async t => {
  const files = { 'a/index.html': 'i', 'a/index.html.br': 'b', 'p.html': 'p', 'p.html.gz': 'g' }
  const { content } = await load(makeTree(t, files), { cleanUrls: true })
  assert.equal(answerTo(content, '/a/', { coding: BR }).body.toString(), 'b')
  assert.equal(answerTo(content, '/p', { coding: GZIP }).body.toString(), 'g')
})

test('a sibling that is a link out of the folder is no variant', async t => {
  const outside = makeTree(t, { secret: 'no' })
  const root = makeTree(t, { 'a.css': 'x' })
  symlinkSync(join(outside, 'secret'), join(root, 'a.css.gz'))
  const { content, warnings } = await load(root)
  assert.equal(variantOf(content, '/a.css', GZIP), NO_VARIANT)
  assert.doesNotMatch(answerTo(content, '/a.css').head, /Vary/)
  assert.match(warnings.join(), /^\/a\.css\.gz: .*leaves the folder/)
})

test('codings are made at load, and decode to the bytes of the file', async t => {
  const files = { 'a.html': TEXT, 'small.html': 'x'.repeat(255), 'a.png': TEXT, 'b.svg': TEXT }
  const { content } = await load(makeTree(t, files), { compress: ['br', 'gzip'] })
  for (const path of ['/a.html', '/b.svg']) {
    const gzip = answerTo(content, path, { coding: GZIP })
    const br = answerTo(content, path, { coding: BR })
    assert.equal(zlib.gunzipSync(gzip.body).toString(), TEXT)
    assert.equal(zlib.brotliDecompressSync(br.body).toString(), TEXT)
    assert.match(gzip.head, new RegExp(`\r\nContent-Length: ${gzip.body.length}\r\n`))
    assert.equal(etagOf(gzip.head), `"${hash(gzip.body)}"`)
    assert.equal(etagOf(notModifiedTo(content, path, BR).head), `"${hash(br.body)}"`)
    assert.match(answerTo(content, path).head, /\r\nVary: Accept-Encoding\r\n/)
    assert.equal(variantOf(content, path, ZSTD), NO_VARIANT)
  }
  for (const path of ['/small.html', '/a.png']) {
    assert.equal(variantOf(content, path, GZIP), NO_VARIANT, path)
    assert.doesNotMatch(answerTo(content, path).head, /Vary/)
  }
})

test('a sibling is taken before one is made, and what does not get smaller is not kept', async t => {
  const noise = Buffer.concat(
    Array.from({ length: 20 }, (_, i) => Buffer.from(hash(`${i}`), 'base64url')),
  )
  const files = { 'a.txt': TEXT, 'a.txt.gz': 'by hand', 'noise.txt': noise }
  const { content } = await load(makeTree(t, files), { compress: ['br', 'gzip'] })
  assert.equal(answerTo(content, '/a.txt', { coding: GZIP }).body.toString(), 'by hand')
  assert.equal(
    zlib.brotliDecompressSync(answerTo(content, '/a.txt', { coding: BR }).body).toString(),
    TEXT,
  )
  assert.equal(variantOf(content, '/noise.txt', GZIP), NO_VARIANT)
  assert.doesNotMatch(answerTo(content, '/noise.txt').head, /Vary/)
})

test('a file that changes after it was compressed is served as it is now, in identity alone', async t => {
  const root = makeTree(t, { 'a.txt': TEXT, 'b.txt': TEXT })
  let opens = 0
  const fs = interfering(file => {
    if (file.endsWith('a.txt') && ++opens === 2) writeFileSync(file, TEXT.toUpperCase())
  })
  const { content } = await load(root, { compress: ['gzip'] }, { fs })
  assert.equal(answerTo(content, '/a.txt').body.toString(), TEXT.toUpperCase())
  assert.equal(variantOf(content, '/a.txt', GZIP), NO_VARIANT)
  assert.equal(zlib.gunzipSync(answerTo(content, '/b.txt', { coding: GZIP }).body).toString(), TEXT)
})

test('a file that is changed while it is compressed is compressed as it is then', async t => {
  const root = makeTree(t, { 'a.txt': TEXT })
  let opens = 0
  const longer = `${TEXT}${TEXT}!`
  const fs = interfering(file => {
    if (++opens === 1) writeFileSync(file, longer)
  })
  const { content, warnings } = await load(root, { compress: ['gzip'] }, { fs })
  assert.deepEqual(warnings, [])
  assert.equal(answerTo(content, '/a.txt').body.toString(), longer)
  assert.equal(
    zlib.gunzipSync(answerTo(content, '/a.txt', { coding: GZIP }).body).toString(),
    longer,
  )
})

test('siblings that change or vanish during load are served as they are, or not offered', async t => {
  const files = { 'a.txt': 'a', 'a.txt.gz': 'one', 'b.txt': 'b', 'b.txt.gz': 'two', 'c.txt': 'c' }
  const root = makeTree(t, { ...files, 'c.txt.br': 'three' })
  let [opens, changes] = [0, 0]
  const fs = interfering(file => {
    if (file.endsWith('a.txt.gz') && ++opens === 1) writeFileSync(file, 'another one')
    if (file.endsWith('b.txt.gz')) unlinkSync(file)
    if (file.endsWith('c.txt.br')) writeFileSync(file, 'x'.repeat(++changes))
  })
  const { content, warnings } = await load(root, {}, { fs })
  const { head, body } = answerTo(content, '/a.txt', { coding: GZIP })
  assert.equal(body.toString(), 'another one')
  assert.equal(etagOf(head), `"${hash('another one')}"`)
  assert.equal(variantOf(content, '/b.txt', GZIP), NO_VARIANT)
  assert.equal(variantOf(content, '/c.txt', BR), NO_VARIANT)
  for (const name of ['a', 'b', 'c'])
    assert.equal(answerTo(content, `/${name}.txt`).body.toString(), name)
  assert.deepEqual(warnings, [
    '/c.txt: in br it changes faster than it can be loaded; not offered in it',
  ])
})

test('where identity cannot be read no coding is offered', async t => {
  const root = makeTree(t, { 'a.txt': 'a', 'a.txt.gz': 'gz', 'b.txt': 'b', 'b.txt.gz': 'gz' })
  const stat = (path: string): ReturnType<ContentFs['stat']> => {
    if (path.endsWith('b.txt')) throw Object.assign(new Error(), { code: 'EACCES' })
    return REAL_FS.stat(path)
  }
  const fs = interfering(file => {
    if (file.endsWith('a.txt')) throw Object.assign(new Error(), { code: 'EACCES' })
  })
  const { content } = await load(root, {}, { fs: { ...fs, stat } })
  for (const path of ['/a.txt', '/b.txt']) {
    assert.equal(answerTo(content, path).status, 403)
    assert.equal(variantOf(content, path, GZIP), NO_VARIANT)
  }
})

test('Last-Modified is the file time in whole seconds, never of the future', async t => {
  const root = makeTree(t, { 'old.txt': '', 'odd.txt': '', 'future.txt': '', 'touched.txt': '' })
  utimesSync(join(root, 'old.txt'), 0, 0)
  utimesSync(join(root, 'odd.txt'), 0, 1_000_000_000.999)
  utimesSync(join(root, 'future.txt'), 0, 4_000_000_000)
  const fs = interfering(file => {
    const isTouched = statSync(file).mtimeMs === 3e9
    if (file.endsWith('touched.txt') && !isTouched) utimesSync(file, 0, 3_000_000)
  })
  const { content } = await load(root, {}, { fs })
  const told = (name: string): unknown =>
    /\r\nLast-Modified: (.*)\r\n/.exec(answerTo(content, `/${name}`).head)?.[1]
  const stored = (name: string): number => content.lastModifiedOf(variantOf(content, `/${name}`))
  assert.equal(told('old.txt'), undefined)
  assert.equal(stored('old.txt'), 0)
  assert.equal(told('odd.txt'), 'Sun, 09 Sep 2001 01:46:40 GMT')
  assert.equal(stored('odd.txt'), 1_000_000_000)
  assert.ok(stored('future.txt') <= Date.now() / 1000 && stored('future.txt') > 1.7e9)
  assert.equal(stored('touched.txt'), 3_000_000)
  assert.equal(told('touched.txt'), 'Wed, 04 Feb 1970 17:20:00 GMT')
})

test('a coding that cannot be made says why', async t => {
  assert.equal(codingProblem('gzip'), '')
  assert.equal(codingProblem('br'), '')
  assert.match(codingProblem('deflate'), /^"deflate" is not a coding; there are gzip, br, zstd$/)
  assert.match(codingProblem('toString'), /is not a coding/)
  if ('zstdCompress' in zlib) return
  assert.match(codingProblem('zstd'), /^this Node .* cannot make zstd/)
  await assert.rejects(load(makeTree(t, {}), { compress: ['zstd'] }), { name: 'StartError' })
})

test('text and bare numbers are compressible, packed formats are not', () => {
  const yes = 'html css js mjs json xml svg txt md wasm ico ttf otf webmanifest map csv ics'
  const no = 'png jpg webp woff woff2 gz zip mp4 pdf unknown'
  for (const end of yes.split(' ')) assert.ok(isCompressible(`a.${end}`), end)
  for (const end of no.split(' ')) assert.ok(!isCompressible(`a.${end}`), end)
})
