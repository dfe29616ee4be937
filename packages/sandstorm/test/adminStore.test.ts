/**
 * Orders to drop stored answers, and lists of them, over HTTP: only from those who may give them.
 */
import assert from 'node:assert/strict'
import http from 'node:http'
import { describe, type TestContext, test } from 'node:test'
import { AdminServer } from '../src/admin/adminServer.ts'
import type { AdminStore } from '../src/admin/storeAnswers.ts'
import { FrontMount, how } from './kit/frontMount.ts'
import { httpOrigin } from './kit/httpOrigin.ts'

async function start(t: TestContext, store?: AdminStore): Promise<string> {
  const server = await AdminServer.start({
    address: '127.0.0.1',
    port: 0,
    snapshot: async () => ({ counters: {} }),
    health: () => 'serving',
    connections: () => undefined,
    store: () => store,
    log: { limited: () => {} },
  })
  t.after(() => server.close())
  return `http://127.0.0.1:${server.port}`
}

/** A store that keeps its orders. */
function recorder(): { orders: unknown[]; store: AdminStore } {
  const orders: unknown[] = []
  const store: AdminStore = {
    purge: (what, mode) => orders.push([what, mode]),
    list: () => ({ lines: [], total: 0, next: undefined }),
  }
  return { orders, store }
}

/** fetch would not send Origin. */
async function post(
  url: string,
  headers: http.OutgoingHttpHeaders = {},
  body = '',
): Promise<number> {
  return await new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST', headers, agent: false }, response => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    request.on('error', reject)
    request.end(body)
  })
}

describe('an order', () => {
  test('is understood in the query and as JSON', async t => {
    const { orders, store } = recorder()
    const url = `${await start(t, store)}/purge`
    const encoded = encodeURIComponent('http://example.org/a?b=1&c=2')
    for (const [query, body] of [
      [`?url=${encoded}`, ''],
      ['?tag=a%20b&soft', ''],
      ['?all', ''],
      ['?all=1&soft=true', ''],
      ['', '{"url": "http://example.org/", "soft": true}'],
      ['?soft', '{"tag": "x"}'],
      ['', ' {"all": true, "soft": false}\n'],
    ])
      assert.equal(await post(url + query, {}, body), 200, query + body)
    assert.deepEqual(orders, [
      [{ url: 'http://example.org/a?b=1&c=2' }, 'drop'],
      [{ tag: 'a b' }, 'stale'],
      [{ all: true }, 'drop'],
      [{ all: true }, 'stale'],
      [{ url: 'http://example.org/' }, 'stale'],
      [{ tag: 'x' }, 'stale'],
      [{ all: true }, 'drop'],
    ])
  })

  test('that is not clear is refused, and nothing is dropped', async t => {
    const { orders, store } = recorder()
    const url = `${await start(t, store)}/purge`
    for (const [query, body] of [
      ['', ''],
      ['?soft', ''],
      ['?all=no', ''],
      ['?all=false', ''],
      ['?url=/a', ''],
      ['?url=ftp://a/', ''],
      ['?tag=', ''],
      ['?all&tag=x', ''],
      ['?everything', ''],
      ['', '{"all": "true"}'],
      ['', '{"url": 1}'],
      ['', '[]'],
      ['', 'null'],
      ['', '{"all": true'],
    ])
      assert.equal(await post(url + query, {}, body), 400, query + body)
    assert.equal(await post(url, {}, ' '.repeat(65537)), 413)
    assert.deepEqual(orders, [])
  })

  test('is a POST, to us, and from no page of somebody else', async t => {
    const { orders, store } = recorder()
    const base = await start(t, store)
    const url = `${base}/purge?all`
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await fetch(url, { method })
      assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'POST'])
    }
    for (const origin of ['http://evil.example', 'null', 'https://127.0.0.1', 'http://localhost'])
      assert.equal(await post(url, { Origin: origin }), 403, origin)
    assert.equal(await post(url, { Host: 'evil.example' }), 403)
    assert.equal(await post(url, { Host: 'evil.example', Origin: 'http://evil.example' }), 403)
    assert.deepEqual(orders, [])
    assert.equal(await post(url, { Origin: base }), 200)
    assert.equal(orders.length, 1)
  })

  test('finds nothing where there is no origin', async t => {
    const url = await start(t)
    assert.equal(await post(`${url}/purge?all`), 404)
    assert.equal((await fetch(`${url}/cache`)).status, 404)
  })
})

test('stored answers are listed page by page, and dropped by order', async t => {
  const origin = await httpOrigin((_, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Cache-Tag': 'news' }).end('x')
  })
  const front = await FrontMount.open('kernel', t, origin)
  const admin = await start(t, front.store)
  const headers = { Host: 'example.org' }
  for (let i = 0; i < 1003; i++) await front.ask(`/${i}`, { headers })
  const page = async (from: string): Promise<Record<string, unknown>[]> => {
    const answer = await fetch(`${admin}/cache${from}`)
    assert.equal(answer.headers.get('content-type'), 'application/x-ndjson')
    const text = await answer.text()
    return text
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
  }
  const first = await page('')
  assert.equal(first.length, 1001)
  assert.deepEqual([first[0]['key'], first[0]['tags']], ['http://example.org/0', ['news']])
  assert.deepEqual(first.at(-1), { entries: 1003, next: 1000 })
  const second = await page('?from=1000')
  assert.deepEqual(second.map(({ key, next }) => key ?? next).at(-1), null)
  assert.equal(second.length, 4)
  assert.equal((await fetch(`${admin}/cache?from=x`)).status, 400)

  assert.equal(how(await front.ask('/7', { headers })), 'hit')
  assert.equal(await post(`${admin}/purge?url=http://example.org/7`), 200)
  assert.equal(how(await front.ask('/7', { headers })), 'fwd=uri-miss')
  const all = await fetch(`${admin}/purge`, { method: 'POST', body: '{"tag":"news"}' })
  assert.deepEqual(await all.json(), { purged: 1003 })
  assert.deepEqual(await page(''), [{ entries: 0, next: null }])
})
