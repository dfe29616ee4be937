/**
 * What a site is told to do (site/site.ts), on both mounts: rules, listings, error pages, clean
 * URLs, a page for all that names nothing, cross-origin requests.
 */
import assert from 'node:assert/strict'
import { onBothMounts } from './kit/mounts.ts'
import type { Answer } from './kit/response.ts'
import { body } from './kit/site.ts'

const FILES = {
  'index.html': 'top',
  'about.html': 'about',
  'a.txt': 'abc',
  'app.0a1b2c3d.js': 'js',
  '404.html': '<p>nothing here',
  'docs/one.txt': 'one',
  'docs/<two> & "three".txt': 'two',
  'docs/.hidden': 'secret',
  'docs/deep/x.txt': 'x',
  '.well-known/security.txt': 'Contact:',
  '.git/config': 'secret',
}

const text = (answer: Answer): string => Buffer.from(answer.body).toString('utf8')

onBothMounts(
  'rules give fields, the last that matches; "" takes one out',
  FILES,
  async site => {
    const plain = await site.get('/a.txt')
    assert.equal(plain.fields.get('cache-control'), 'max-age=60')
    assert.equal(plain.fields.get('x-frame-options'), 'DENY')
    assert.equal(plain.fields.get('x-content-type-options'), undefined)
    const hashed = await site.get('/app.0a1b2c3d.js')
    assert.equal(hashed.fields.get('cache-control'), 'max-age=31536000, immutable')
    assert.equal(hashed.fields.get('x-frame-options'), undefined)
    // A cache that asks again learns what it may do with its copy.
    const etag = plain.fields.get('etag')!
    const again = await site.get('/a.txt', { fields: { 'If-None-Match': etag } })
    assert.equal(again.status, 304)
    assert.equal(again.fields.get('cache-control'), 'max-age=60')
    const part = await site.get('/a.txt', { fields: { Range: 'bytes=1-1' } })
    assert.deepEqual([text(part), part.fields.get('x-frame-options')], ['b', 'DENY'])
  },
  {
    rules: [
      { match: '**', headers: { 'Cache-Control': 'max-age=60', 'X-Frame-Options': 'DENY' } },
      { match: '**', headers: { 'X-Content-Type-Options': '' } },
      {
        match: '*.[0-9a-f]*.js',
        headers: { 'Cache-Control': 'max-age=31536000, immutable', 'X-Frame-Options': '' },
      },
    ],
  },
)

onBothMounts(
  'a listing names what can be asked for, and nothing else',
  FILES,
  async site => {
    const page = await site.get('/docs/')
    assert.equal(page.fields.get('content-type'), 'text/html; charset=utf-8')
    const links = [...text(page).matchAll(/<a href="([^"]*)"/g)].map(([, href]) => href)
    assert.deepEqual(links.map(href => new URL(href, 'http://a/docs/').pathname).sort(), [
      '/',
      '/docs/%3Ctwo%3E%20%26%20%22three%22.txt',
      '/docs/deep/',
      '/docs/one.txt',
    ])
    for (const href of links) {
      const { status } = await site.get(new URL(href, 'http://a/docs/').pathname)
      assert.equal(status, 200, href)
    }
    assert.doesNotMatch(text(page), /hidden|<two>/)
    assert.equal((await site.get('/docs')).status, 308)
    assert.equal(text(await site.get('/')), 'top', 'an index comes first')
  },
  { listing: 'html' },
)

onBothMounts(
  'a listing in JSON',
  FILES,
  async site => {
    const answer = await site.get('/docs/')
    assert.match(answer.fields.get('content-type')!, /^application\/json/)
    const entries = JSON.parse(text(answer)) as { name: string; type: string; size?: number }[]
    assert.deepEqual(entries.map(({ name, type }) => [name, type]).sort(), [
      ['<two> & "three".txt', 'file'],
      ['deep', 'directory'],
      ['one.txt', 'file'],
    ])
  },
  { listing: 'json' },
)

onBothMounts('without a listing a folder is 404', FILES, async site => {
  assert.equal((await site.get('/docs/')).status, 404)
  assert.equal((await site.get('/docs')).status, 404)
})

onBothMounts(
  'error pages are the body of errors, with their status',
  FILES,
  async site => {
    const answer = await site.get('/none')
    assert.deepEqual([answer.status, text(answer)], [404, '<p>nothing here'])
    assert.equal(answer.fields.get('content-type'), 'text/html; charset=utf-8')
    assert.equal(answer.fields.get('etag'), undefined)
    assert.equal((await site.get('/none', { method: 'HEAD' })).fields.get('content-length'), '15')
    assert.match(text(await site.get('/a.txt', { method: 'POST' })), /405/)
  },
  { errorPages: { 404: '/404.html' } },
)

onBothMounts(
  'clean URLs: a page has its name without .html as well',
  FILES,
  async site => {
    assert.equal(text(await site.get('/about')), 'about')
    assert.equal(text(await site.get('/about.html')), 'about')
    assert.equal((await site.get('/about/')).status, 404)
  },
  { cleanUrls: true },
)

onBothMounts(
  'a single-page application answers for every path that is no file’s',
  FILES,
  async site => {
    for (const path of ['/user/17', '/x', '/docs/']) {
      const answer = await site.get(path)
      assert.deepEqual([answer.status, text(answer)], [200, 'top'], path)
    }
    assert.equal(text(await site.get('/a.txt')), 'abc')
    for (const path of ['/missing.js', '/.git/config', '/.git', '/.hidden']) {
      assert.equal((await site.get(path)).status, 404, path)
    }
    const { fields } = await site.get('/user/17')
    const again = { 'If-None-Match': fields.get('etag')! }
    assert.equal((await site.get('/user/18', { fields: again })).status, 304)
  },
  { fallback: '/index.html' },
)

onBothMounts(
  'cross-origin requests: the field on every answer, and a preflight',
  FILES,
  async site => {
    assert.equal((await site.get('/a.txt')).fields.get('access-control-allow-origin'), '*')
    const preflight = await site.get('/a.txt', {
      method: 'OPTIONS',
      fields: { Origin: 'https://b', 'Access-Control-Request-Method': 'GET' },
    })
    assert.equal(preflight.status, 204)
    assert.equal(preflight.fields.get('access-control-allow-origin'), '*')
    assert.equal(preflight.fields.get('access-control-allow-methods'), 'GET, HEAD, OPTIONS')
  },
  { rules: [{ match: '**', headers: { 'Access-Control-Allow-Origin': '*' } }] },
)

onBothMounts(
  'what the server is called can be left out',
  FILES,
  async site => {
    for (const path of ['/a.txt', '/none', '/docs']) {
      assert.equal((await site.get(path)).fields.get('server'), undefined)
    }
  },
  { serverName: '' },
)

onBothMounts('hidden files are not there, but for /.well-known', FILES, async site => {
  assert.equal(text(await site.get('/.well-known/security.txt')), 'Contact:')
  for (const path of ['/.git/config', '/docs/.hidden']) {
    assert.equal((await site.get(path)).status, 404)
  }
})

const LONG = 'x'.repeat(3500)
onBothMounts(
  'a head may be longer than a segment, and than a frame',
  { 'a.txt': 'abc', 'big.bin': body(50_000) },
  async site => {
    const answer = await site.get('/a.txt')
    assert.deepEqual([text(answer), answer.fields.get('x-long')], ['abc', LONG])
    const big = await site.get('/big.bin')
    assert.ok(Buffer.from(body(50_000)).equals(Buffer.from(big.body)))
    const part = await site.get('/big.bin', { fields: { Range: 'bytes=20000-29999' } })
    assert.deepEqual([part.status, part.fields.get('x-long')], [206, LONG])
    assert.ok(Buffer.from(body(50_000).slice(20_000, 30_000)).equals(Buffer.from(part.body)))
    assert.equal((await site.get('/a.txt', { method: 'HEAD' })).fields.get('x-long'), LONG)
  },
  { rules: [{ match: '**', headers: { 'X-Long': LONG } }] },
)
