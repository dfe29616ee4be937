/**
 * The cache behind either mount, over sockets: what it stores and serves, whatever the origin does.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import http from 'node:http'
import { type TestContext, test } from 'node:test'
import { makeTree } from './contentTree.ts'
import { gate } from './kit/cacheOrigin.ts'
import { type FrontMount, how, type Open, onEachMount, read, type Whole } from './kit/frontMount.ts'
import { httpOrigin, rawOrigin } from './kit/httpOrigin.ts'

const FRESH = { 'Cache-Control': 'max-age=60' }
const OK = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n'

onEachMount('requests', open => {
  test('by hundreds for one missing key are one request upstream', async t => {
    const held = gate()
    let asked = 0
    const url = await httpOrigin(async (_, response) => {
      asked++
      await held.promise
      response.writeHead(200, FRESH).end('x'.repeat(100_000))
    })
    const front = await open(t, url)
    const answers = Array.from({ length: 200 }, () => front.ask('/a'))
    while ((await front.count('cache', 'requests')) !== 200) await tick()
    held.open()
    for (const { status, body } of await Promise.all(answers))
      assert.deepEqual([status, body.length], [200, 100_000])
    assert.equal(asked, 1)
    assert.equal(await front.count('cache', 'collapsed'), 199)
  })

  test('are answered by what Vary selects', async t => {
    const url = await httpOrigin((request, response) => {
      const language = request.headers['accept-language'] ?? ''
      response.writeHead(200, { ...FRESH, Vary: 'Accept-Language' }).end(language)
    })
    const front = await open(t, url)
    const ask = (language: string): Promise<Whole> =>
      front.ask('/a', { headers: { 'Accept-Language': language } })
    for (const [language, expected] of [
      ['de', 'fwd=uri-miss'],
      ['en', 'fwd=vary-miss'],
      ['de', 'hit'],
      ['EN', 'hit'],
    ]) {
      const answer = await ask(language)
      assert.deepEqual([answer.body, how(answer)], [language.toLowerCase(), expected])
    }
  })

  test('are not answered by what a field chose that the origin did not get', async t => {
    const url = await httpOrigin((request, response) => {
      const answer = String(request.headers['x-a'])
      response.writeHead(200, { ...FRESH, Vary: 'X-A' }).end(answer)
    })
    const front = await open(t, url)
    const ask = async (headers: http.OutgoingHttpHeaders): Promise<string> =>
      (await front.ask('/a', { headers })).body
    assert.equal(await ask({ 'X-A': '1', Connection: 'close, x-a' }), 'undefined')
    assert.equal(await ask({ 'X-A': '1' }), '1')
    assert.equal(await ask({}), 'undefined')
  })

  test('for heads, parts and what has not changed are answered from the store', async t => {
    let asked = 0
    const url = await httpOrigin((_, response) => {
      asked++
      response.writeHead(200, { ...FRESH, ETag: '"v1"', 'Content-Length': 10 }).end('0123456789')
    })
    const front = await open(t, url)
    await front.ask('/a')
    const head = await front.ask('/a', { method: 'HEAD' })
    assert.deepEqual([head.status, head.body, head.headers['content-length']], [200, '', '10'])
    const part = await front.ask('/a', { headers: { Range: 'bytes=2-4' } })
    assert.deepEqual([part.status, part.body], [206, '234'])
    assert.equal(part.headers['content-range'], 'bytes 2-4/10')
    const beyond = await front.ask('/a', { headers: { Range: 'bytes=10-' } })
    assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, 'bytes */10'])
    const same = await front.ask('/a', { headers: { 'If-None-Match': '"v1"' } })
    assert.deepEqual([same.status, same.body, same.headers.etag], [304, '', '"v1"'])
    assert.equal(asked, 1)
  })

  test('with an unsafe method drop what they change', async t => {
    let version = 0
    const url = await httpOrigin((request, response) => {
      if (request.method === 'PUT') version++
      response.writeHead(200, FRESH).end(`v${version}`)
    })
    const front = await open(t, url)
    assert.equal((await front.ask('/a')).body, 'v0')
    await front.ask('/a', { method: 'PUT' }, 'x')
    assert.equal((await front.ask('/a')).body, 'v1')
  })

  test('of one client who leaves go on for the others', async t => {
    const held = gate()
    const arrived = gate()
    const url = await httpOrigin(async (_, response) => {
      arrived.open()
      await held.promise
      response.writeHead(200, FRESH).end('shared')
    })
    const front = await open(t, url)
    const first = await front.client()
    first.send('GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    await arrived.promise
    const second = front.ask('/a', { headers: { Host: '127.0.0.1' } })
    while ((await front.count('cache', 'requests')) !== 2) await tick()
    first.socket.resetAndDestroy()
    while ((await front.stats()).open !== 1) await tick()
    held.open()
    assert.equal((await second).body, 'shared')
  })
})

onEachMount('an origin that', open => {
  /** Asks a raw origin twice; it answers the first with `bytes` and its end, the second well. */
  const twice = async (t: TestContext, bytes: string): Promise<(Whole | 'cut')[]> => {
    const url = await rawOrigin((socket, _, count) => {
      socket.end(count === 1 ? bytes : `${OK}Content-Length: 4\r\n\r\ngood`)
    })
    const front = await open(t, url, { origin: { upstream: { retries: 0 } } })
    const ask = (): Promise<Whole | 'cut'> => front.ask('/a').catch(() => 'cut' as const)
    return [await ask(), await ask(), await ask()]
  }
  for (const [what, bytes, first] of [
    ['sends less than its length', `${OK}Content-Length: 9\r\n\r\nbad`, 'cut'],
    ['ends in the middle of a chunk', `${OK}Transfer-Encoding: chunked\r\n\r\n9\r\nbad`, 'cut'],
    ['has no last chunk', `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n`, 'cut'],
    ['has a chunk of no size', `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nbad\r\nzz\r\n`, 'cut'],
    ['has two lengths', `${OK}Content-Length: 3\r\nContent-Length: 4\r\n\r\nbad!`, 502],
    ['ends in its head', `${OK}Content-Le`, 502],
    ['sends no HTTP', 'hello\r\n\r\n', 502],
    ['says nothing', '', 502],
  ] as const)
    test(`${what} leaves nothing in the store`, async t => {
      const [one, two, three] = await twice(t, bytes)
      assert.equal(one === 'cut' ? 'cut' : one.status, first)
      assert.ok(two !== 'cut' && three !== 'cut')
      assert.deepEqual([two.body, how(two), three.body], ['good', 'fwd=uri-miss', 'good'])
      assert.equal(how(three), 'hit')
    })

  test('breaks off is cut for HTTP/1.0 so that it does not look whole', async t => {
    const held = gate()
    const url = await rawOrigin(async socket => {
      socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n`)
      await held.promise
      socket.destroy()
    })
    const front = await open(t, url)
    const client = await front.client()
    client.send('GET / HTTP/1.0\r\n\r\n')
    while (!client.received.toString().endsWith('bad')) await tick()
    const error = new Promise<NodeJS.ErrnoException>(resolve => client.socket.on('error', resolve))
    held.open()
    assert.equal((await error).code, 'ECONNRESET')
    assert.equal(client.hasEnded, false)
  })

  test('stalls is answered 504, in its head, and cut in its body', async t => {
    const url = await rawOrigin((socket, head) => {
      if (head.startsWith('GET /body')) socket.write(`${OK}Content-Length: 9\r\n\r\nbad`)
    })
    const upstream = { headMs: 100, bodyMs: 100, retries: 0 }
    const front = await open(t, url, { origin: { upstream } })
    assert.equal((await front.ask('/head')).status, 504)
    await assert.rejects(front.ask('/body'))
    assert.equal(await front.count('cache', 'entries'), 0)
  })

  test('dies is stood in for by what is stored, and else answered 502', async t => {
    const server = http.createServer((_, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=0', ETag: '"1"' }).end('stored')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const front = await open(t, `http://127.0.0.1:${port}`)
    assert.equal((await front.ask('/a')).body, 'stored')
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
    const stale = await front.ask('/a')
    assert.equal(stale.body, 'stored')
    assert.match(
      String(stale.headers['cache-status']),
      /fwd=stale; ttl=-?\d+; detail=(down|closed)/,
    )
    assert.equal((await front.ask('/b')).status, 502)
  })
})

onEachMount('a large answer', open => {
  test('goes through at the pace of its client, in bounded memory', async t => {
    const chunk = Buffer.alloc(64 * 1024, 'x')
    const total = 1024
    let sent = 0
    const url = await httpOrigin(async (_, response) => {
      response.writeHead(200, FRESH)
      for (; sent < total; sent++) {
        if (!response.write(chunk)) await new Promise(resolve => response.once('drain', resolve))
      }
      response.end()
    })
    const front = await open(t, url, { origin: { cache: { objectBytes: 1 << 20 } } })
    const response = await front.head('/')
    // Nothing is read until the origin can send no more.
    for (let before = -1; before !== sent; ) {
      before = sent
      for (let i = 0; i < 50; i++) await tick()
    }
    assert.ok(sent < total, `${sent} of ${total} chunks have gone into somebody's memory`)
    const { body } = await read(response)
    assert.equal(body.length, total * chunk.length)
    assert.equal(await front.count('cache', 'entries'), 0)
  })
})

onEachMount('what is stored', open => {
  test('outlives the process in its folder', async t => {
    let asked = 0
    const url = await httpOrigin((_, response) => {
      response.writeHead(200, FRESH).end(`answer ${++asked}`)
    })
    const folder = makeTree(t, {})
    const host = { headers: { Host: 'example.org' } }
    const first = await open(t, url, { origin: { folder } })
    assert.equal((await first.ask('/a', host)).body, 'answer 1')
    await first.close()
    assert.equal(readdirSync(folder).length, 1)
    const second = await open(t, url, { origin: { folder } })
    const warm = await second.ask('/a', host)
    assert.deepEqual([warm.body, how(warm)], ['answer 1', 'hit'])
    assert.equal(await second.count('cacheDisk', 'loaded'), 1)
    assert.equal(second.store.purge({ all: true }, 'drop'), 1)
    await second.close()
    assert.equal(readdirSync(folder).length, 0)
  })

  test('is dropped, or made stale, by URL, by tag and as a whole', async t => {
    let asked = 0
    const url = await httpOrigin((request, response) => {
      asked++
      if (request.headers['if-none-match'] !== undefined) response.writeHead(304, FRESH).end()
      else response.writeHead(200, { ...FRESH, ETag: '"1"', 'Cache-Tag': 'news, all' }).end('x')
    })
    const { store, ask } = await openAt(open, t, url)
    await ask('/a')
    await ask('/b')
    assert.equal(store.purge({ url: 'http://EXAMPLE.org:80/a' }, 'drop'), 1)
    assert.equal(store.purge({ url: 'http://other.example/a' }, 'drop'), 0)
    assert.equal(how(await ask('/a')), 'fwd=uri-miss')
    assert.equal(how(await ask('/b')), 'hit')
    assert.equal(store.purge({ tag: 'news' }, 'stale'), 2)
    const soft = await ask('/a')
    assert.deepEqual([soft.status, how(soft)], [200, 'fwd=stale'])
    assert.match(String(soft.headers['cache-status']), /fwd-status=304/)
    assert.equal(store.purge({ all: true }, 'drop'), 2)
    assert.equal(store.list(0, 9).total, 0)
    assert.equal(asked, 4)
  })

  test('can be listed', async t => {
    const url = await httpOrigin((_, response) => {
      const fields = { ...FRESH, Vary: 'Accept-Language', 'Cache-Tag': 'news' }
      response.writeHead(200, fields).end('hello')
    })
    const { store, ask } = await openAt(open, t, url)
    await ask('/a?b', { 'Accept-Language': 'de' })
    const { lines, total, next } = store.list(0, 9)
    assert.deepEqual([lines.length, total, next], [1, 1, undefined])
    const { ageSec, ttlSec, ...rest } = lines[0]
    assert.ok(ageSec >= 0 && ttlSec <= 60)
    assert.deepEqual(rest, {
      key: 'http://example.org/a?b',
      status: 200,
      bytes: 5,
      tags: ['news'],
      vary: 'accept-language=de',
    })
    await ask('/b')
    await ask('/c')
    const page = store.list(1, 1)
    assert.deepEqual([page.lines[0].key, page.next], ['http://example.org/b', 2])
    assert.deepEqual(store.list(3, 1).lines, [])
  })
})

async function openAt(
  open: Open,
  t: TestContext,
  url: string,
): Promise<{
  store: FrontMount['store']
  ask: (path: string, headers?: http.OutgoingHttpHeaders) => Promise<Whole>
}> {
  const front = await open(t, url)
  return {
    store: front.store,
    ask: (path, headers = {}) => front.ask(path, { headers: { Host: 'example.org', ...headers } }),
  }
}

const tick = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 2))
