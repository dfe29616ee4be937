import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeListing } from '../src/content/listing.ts'
import {
  answerTo,
  etagOf,
  find,
  load,
  makeTree,
  notModifiedTo,
  storedEtag,
  variantOf,
} from './contentTree.ts'

/** Links of a page with their texts, as a browser would read them. */
function linksOf(html: string): [string, string][] {
  const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
  const text = (escaped: string): string =>
    escaped.replace(/&(#?\w+);/g, (_, name) => entities[name])
  return [...html.matchAll(/<a href="([^"]*)">(.*?)<\/a>/gs)].map(([, href, name]) => [
    href,
    text(name),
  ])
}

test('a folder without an index is a page of what is in it, folders first', async t => {
  const files = {
    'b.txt': 'x'.repeat(1536),
    'a.txt': '',
    'z/x.txt': 'x',
    'indexed/index.html': 'index',
    '.hidden': 'no',
    '.well-known/security.txt': 'x',
    'a.txt.gz': 'gz',
  }
  const root = makeTree(t, files)
  utimesSync(join(root, 'b.txt'), 0, 784111777)
  const { content } = await load(root, { listing: 'html' })
  const top = answerTo(content, '/')
  assert.match(top.head, /^HTTP\/1.1 200 .*\r\nContent-Type: text\/html; charset=utf-8\r\n/s)
  assert.match(top.head, new RegExp(`\r\nContent-Length: ${top.body.length}\r\n`))
  assert.equal(etagOf(top.head), `"${storedEtag(content, variantOf(content, '/'))}"`)
  assert.equal(etagOf(notModifiedTo(content, '/').head), etagOf(top.head))
  assert.doesNotMatch(top.head, /Last-Modified/)
  const html = top.body.toString()
  assert.deepEqual(linksOf(html), [
    ['./indexed/', 'indexed/'],
    ['./z/', 'z/'],
    ['./a.txt', 'a.txt'],
    ['./a.txt.gz', 'a.txt.gz'],
    ['./b.txt', 'b.txt'],
  ])
  assert.match(html, /b\.txt<\/a><\/td><td>1\.5 KiB<\/td><td>1994-11-06 08:49<\/td>/)
  assert.deepEqual(linksOf(answerTo(content, '/z/').body.toString()), [
    ['../', '../'],
    ['./x.txt', 'x.txt'],
  ])
  assert.equal(answerTo(content, '/indexed/').body.toString(), 'index')
  assert.match(answerTo(content, '/z').head, /^HTTP\/1.1 308 .*\r\nLocation: \.\/z\/\r\n/s)
})

test('names cannot break out of the page, and every link leads to its file', async t => {
  const names = [
    '<script>alert(1)</script>',
    '"><b>',
    "it's & co",
    'a:b',
    'a b?#%41',
    '日本 ü',
    'javascript:x',
  ]
  const safe = names.map(name => name.replaceAll('/', '⁄'))
  const root = makeTree(t, Object.fromEntries(safe.map(name => [`d<i>/${name}`, name])))
  const { content } = await load(root, { listing: 'html' })
  const html = answerTo(content, '/d<i>/').body.toString()
  assert.doesNotMatch(html, /<script|<b>|<i>/)
  const links = linksOf(html).slice(1)
  assert.deepEqual(links.map(([, text]) => text).sort(), safe.sort())
  for (const [href, text] of links) {
    const { pathname, search, hash } = new URL(href, 'http://h/d%3Ci%3E/')
    assert.equal(decodeURIComponent(pathname), `/d<i>/${text}`)
    assert.equal(search + hash, '')
    assert.equal(answerTo(content, decodeURIComponent(pathname)).body.toString(), text)
  }
})

test('as JSON it is an array of names, types, sizes and times', async t => {
  const root = makeTree(t, { 'a"b.txt': 'abc', 'd/x': '' })
  utimesSync(join(root, 'a"b.txt'), 0, 784111777)
  utimesSync(join(root, 'd'), 0, 1_000_000_000)
  const { content } = await load(root, { listing: 'json' })
  const { head, body } = answerTo(content, '/')
  assert.match(head, /\r\nContent-Type: application\/json; charset=utf-8\r\n/)
  assert.deepEqual(JSON.parse(body.toString()), [
    { name: 'd', type: 'directory', mtime: '2001-09-09T01:46:40Z' },
    { name: 'a"b.txt', type: 'file', size: 3, mtime: '1994-11-06T08:49:37Z' },
  ])
})

test('what is not served is not listed, an empty folder is', async t => {
  const outside = makeTree(t, { secret: 'no' })
  const root = makeTree(t, { 'a.txt': 'a' })
  mkdirSync(join(root, 'empty'))
  symlinkSync(outside, join(root, 'out'))
  symlinkSync('nowhere', join(root, 'dangling'))
  symlinkSync('a.txt', join(root, 'link.txt'))
  const { content } = await load(root, { listing: 'html' })
  const names = linksOf(answerTo(content, '/').body.toString()).map(([, text]) => text)
  assert.deepEqual(names, ['empty/', 'a.txt', 'link.txt'])
  assert.deepEqual(linksOf(answerTo(content, '/empty/').body.toString()), [['../', '../']])
})

test('rules hold for listings, and without the setting there is none', async t => {
  const root = makeTree(t, { 'd/a.txt': 'a' })
  const rules = [{ match: '/d/', headers: { 'Cache-Control': 'no-cache' } }]
  const listed = (await load(root, { listing: 'html', rules })).content
  assert.match(answerTo(listed, '/d/').head, /\r\nCache-Control: no-cache\r\n/)
  assert.match(notModifiedTo(listed, '/d/').head, /\r\nCache-Control: no-cache\r\n/)
  const { content } = await load(root)
  assert.equal(find(content, '/d/'), -1)
  assert.equal(find(content, '/d'), -1)
})

test('sizes are told in units, and times that are not known are left out', () => {
  const sizes = [0, 1023, 1024, 10_240, 1_048_576, 5_368_709_120]
  const entries = sizes.map((size, i) => ({ name: `${i}`, isFolder: false, size, mtimeMs: 0 }))
  const html = makeListing('html', '/', entries).body.toString()
  const cells = [...html.matchAll(/<td>([^<]*)<\/td><td><\/td>/g)].map(([, cell]) => cell)
  assert.deepEqual(cells, ['0 B', '1023 B', '1.0 KiB', '10 KiB', '1.0 MiB', '5.0 GiB'])
  const [first] = JSON.parse(makeListing('json', '/', entries).body.toString())
  assert.deepEqual(first, { name: '0', type: 'file', size: 0 })
})
