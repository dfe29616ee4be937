import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { type Content, NO_RESOURCE, NO_VARIANT } from '../src/content/content.ts'
import { plainSite } from '../src/site/site.ts'
import {
  answerOf,
  answerTo,
  find,
  load,
  loadSites,
  makeTree,
  siteOf,
  variantOf,
} from './contentTree.ts'

const loadHosts = async (root: string, ...hosts: string[][]): Promise<Content> =>
  (await loadSites(hosts.map(names => ({ ...plainSite(root), hosts: names })))).content

test('a Host names the site with this name, else the nearest wildcard, else the first', async t => {
  const root = makeTree(t, {})
  const content = await loadHosts(
    root,
    ['default.example'],
    ['example.org', '*.example.org', '::1', '[2001:DB8::2]'],
    ['www.example.org', '*.deep.example.org', '127.0.0.1'],
  )
  const expected: Record<string, number> = {
    'default.example': 0,
    'example.org': 1,
    'EXAMPLE.org': 1,
    'example.org.': 1,
    'example.org:80': 1,
    'Example.Org.:8080': 1,
    'a.example.org': 1,
    'a.b.example.org:443': 1,
    'www.example.org': 2,
    'WWW.example.org.': 2,
    'a.www.example.org': 1,
    'deep.example.org': 1,
    'x.deep.example.org': 2,
    'x.y.deep.example.org.:1': 2,
    '127.0.0.1:8080': 2,
    '[::1]': 1,
    '[::1]:80': 1,
    '[2001:db8::2]:80': 1,
    '[::2]': 0,
    '::1': 0,
    'example.org..': 0,
    'xexample.org': 0,
    'example.orgx': 0,
    'example.com': 0,
    '.example.org': 1,
    org: 0,
    '': 0,
    '.': 0,
    ':80': 0,
    '[': 0,
  }
  for (const [host, site] of Object.entries(expected))
    assert.equal(siteOf(content, host), site, host)
  assert.equal(siteOf(content, `${'a.'.repeat(200)}example.org`), 0, 'longer than a name can be')
  assert.equal(siteOf(content, `${'a.'.repeat(121)}example.org`), 1)
})

test('any bytes as Host name a site, and never throw', async t => {
  const content = await loadHosts(makeTree(t, {}), [], ['a.b', '*.c'])
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
      const site = content.siteOf(bytes, 0, bytes.length)
      assert.ok(site === 0 || site === 1)
    }),
  )
})

test('without host names every Host is the first site', async t => {
  const content = await loadHosts(makeTree(t, {}), [])
  assert.equal(siteOf(content, 'anything'), 0)
})

test('of two sites with one name the first answers', async t => {
  const content = await loadHosts(makeTree(t, {}), [], ['a.b'], ['a.b', '*.b'])
  assert.equal(siteOf(content, 'a.b'), 1)
  assert.equal(siteOf(content, 'c.b'), 2)
})

test('a hundred sites with a hundred names each are told apart', async t => {
  const root = makeTree(t, {})
  const names = (site: number): string[] =>
    Array.from({ length: 100 }, (_, i) => (i % 10 === 0 ? `*.w${i}.s${site}` : `h${i}.s${site}`))
  const content = await loadHosts(root, ...Array.from({ length: 100 }, (_, i) => names(i)))
  for (let site = 0; site < 100; site++) {
    for (const name of names(site)) assert.equal(siteOf(content, name.replace('*', 'x.y')), site)
  }
})

test('each site has its own paths, server name and pages', async t => {
  const one = makeTree(t, { 'a.txt': 'one', 'only.txt': 'one' })
  const two = makeTree(t, { 'a.txt': 'two', 'index.html': 'two', 'e/404.html': '<p>gone' })
  const { content } = await loadSites([
    plainSite(one),
    { ...plainSite(two), serverName: 'two', errorPages: { 404: '/e/404.html' } },
    plainSite(one),
  ])
  const bodyOf = (site: number, path: string): string =>
    answerTo(content, path, { site }).body.toString()
  assert.deepEqual(
    [0, 1, 2].map(site => bodyOf(site, '/a.txt')),
    ['one', 'two', 'one'],
  )
  assert.notEqual(find(content, '/a.txt', 0), find(content, '/a.txt', 2))
  assert.equal(find(content, '/only.txt', 1), NO_RESOURCE)
  assert.equal(find(content, '/', 0), NO_RESOURCE)
  assert.equal(bodyOf(1, '/none'), '<p>gone')
  assert.match(bodyOf(0, '/none'), /404 Not Found/)
  assert.match(answerOf(content, content.statusImage(1, 400)).head, /\r\nServer: two\r\n/)
  assert.match(answerOf(content, content.statusImage(2, 400)).head, /\r\nServer: sandstorm\r\n/)
})

test('an error page is sent with its bytes and its type', async t => {
  const files = { '404.html': 'not here', 'errors/down.json': '{}', 'e.txt': '' }
  const { content } = await load(makeTree(t, files), {
    errorPages: { 404: '/404.html', 503: 'errors/down.json', 405: '/e.txt' },
    rules: [{ match: '*.json', headers: { 'Content-Type': 'application/problem+json' } }],
  })
  const page = (status: number) => answerOf(content, content.statusImage(0, status))
  assert.match(page(404).head, /^HTTP\/1.1 404 .*\r\nContent-Type: text\/html; charset=utf-8\r\n/s)
  assert.match(page(404).head, /\r\nContent-Length: 8\r\n/)
  assert.equal(page(404).body.toString(), 'not here')
  assert.match(
    page(503).head,
    /\r\nContent-Type: application\/problem\+json\r\nContent-Length: 2\r\n/,
  )
  assert.match(page(405).head, /\r\nContent-Length: 0\r\nAllow: GET, HEAD, OPTIONS\r\n/)
  assert.equal(answerTo(content, '/404.html').status, 200)
})

test('an error page or fallback that is not there is an error that names key and path', async t => {
  const root = makeTree(t, { 'a.html': 'x', 'dir/index.html': 'x' })
  const refused = (site: Parameters<typeof load>[1], why: RegExp): Promise<void> =>
    assert.rejects(load(root, site), { name: 'StartError', message: why })
  await refused(
    { errorPages: { 404: '/gone.html' } },
    /errorPages\.404: there is no file \/gone\.html/,
  )
  await refused({ errorPages: { 404: '/../x' } }, /errorPages\.404: there is no file \/\.\.\/x/)
  await refused({ errorPages: { 299: '/a.html' } }, /errorPages\.299: no answer has this status/)
  await refused({ errorPages: { 204: '/a.html' } }, /errorPages\.204: no answer has this status/)
  await refused({ fallback: '/app.html' }, /fallback: there is no file \/app\.html/)
  await refused({ fallback: '/dir' }, /fallback: there is no file \/dir /)
})

test('a fallback is a resource of its site', async t => {
  const root = makeTree(t, { 'index.html': 'app', 'a.html': 'a' })
  const { content } = await loadSites([
    plainSite(root),
    { ...plainSite(root), fallback: '/index.html' },
    { ...plainSite(root), fallback: 'a.html' },
    { ...plainSite(root), fallback: '/' },
  ])
  assert.equal(content.fallbackOf(0), NO_RESOURCE)
  assert.equal(content.fallbackOf(1), find(content, '/index.html', 1))
  assert.equal(content.fallbackOf(2), find(content, '/a.html', 2))
  assert.equal(content.fallbackOf(3), find(content, '/', 3))
})

test('clean URLs: a page answers without its suffix, unless something there has the name', async t => {
  const files = {
    'index.html': 'top',
    'about.html': 'about',
    'taken.html': 'page',
    taken: 'file',
    'folder.html': 'page',
    'folder/x.txt': 'x',
    'deep/page.html': 'deep',
    'deep/index.html': 'index',
    'a.b.html': 'dotted',
    'note.txt': 'x',
  }
  const root = makeTree(t, files)
  const plain = (await load(root)).content
  assert.equal(answerTo(plain, '/about').status, 404)
  const { content } = await load(root, { cleanUrls: true })
  assert.equal(answerTo(content, '/about').body.toString(), 'about')
  assert.equal(variantOf(content, '/about'), variantOf(content, '/about.html'))
  assert.equal(answerTo(content, '/taken').body.toString(), 'file')
  assert.equal(answerTo(content, '/folder').status, 404)
  assert.equal(answerTo(content, '/deep/page').body.toString(), 'deep')
  assert.equal(answerTo(content, '/deep').status, 308)
  assert.equal(answerTo(content, '/deep/').body.toString(), 'index')
  assert.equal(answerTo(content, '/a.b').body.toString(), 'dotted')
  for (const path of ['/index', '/deep/index', '/note', '/about/']) {
    assert.equal(answerTo(content, path).status, 404, path)
  }
})

test('finding a site and a file allocates nothing', async t => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const root = makeTree(t, { 'a.txt': 'x' })
  const content = await loadHosts(root, ['a.example'], ['*.b.example'])
  const host = Buffer.from('x.y.B.example.:8080')
  const path = Buffer.from('/a.txt')
  let sum = 0
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const site = content.siteOf(host, 0, host.length)
      const variant = content.variantOf(content.find(site, path, 0, path.length), i & 3)
      if (variant === NO_VARIANT) sum += content.statusImage(site, 404) + content.fallbackOf(site)
      else sum += content.imageOf(variant) + content.notModifiedOf(variant)
      sum |= 0
    }
  }
  run(200_000) // compiles
  gc()
  const before = process.memoryUsage().heapUsed
  run(200_000)
  const grown = process.memoryUsage().heapUsed - before
  // One object of two words per call would be 3.2 MB.
  assert.ok(grown < 500_000, `the heap grew by ${grown} bytes for ${sum}`)
})
