/**
 * The cache before real origins that behave, die, stall, lie about lengths and break off: never a
 * wrong stored answer.
 */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import type { Outcome } from '../src/cache/answer.ts'
import { Cache } from '../src/cache/cache.ts'
import { DEFAULT_FORWARD, forwardedFields } from '../src/cache/forward.ts'
import { DEFAULT_HEALTH, Health } from '../src/cache/health.ts'
import { OriginError } from '../src/cache/origin.ts'
import { makeRequest, readAnswer, settle } from './kit/cacheOrigin.ts'
import { cacheServer, httpOrigin, rawOrigin, upstreamOf } from './kit/httpOrigin.ts'

const HEAD = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n'

/** One request through a cache before a raw origin; the answer, or the error of its body. */
async function through(
  answer: (socket: Socket, head: string, count: number) => void,
): Promise<{ cache: Cache; outcome: Outcome; text: string | undefined }> {
  const upstream = await upstreamOf(await rawOrigin(answer), { headMs: 200, bodyMs: 200 })
  const cache = new Cache(upstream, {}, Date.now)
  const outcome = await cache.handle(makeRequest('/a'), Date.now())
  const text = await readAnswer(outcome).then(
    read => read.text,
    () => undefined,
  )
  await settle()
  return { cache, outcome, text }
}

for (const [what, answer] of [
  ['ends before its Content-Length', `${HEAD}Content-Length: 10\r\n\r\n12345`],
  ['ends before its last chunk', `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n`],
  ['ends in a chunk', `${HEAD}Transfer-Encoding: chunked\r\n\r\n9\r\n12345`],
  ['has a bad chunk size', `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nxyz\r\n`],
  [
    'has a chunk longer than said',
    `${HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\n12345\r\n0\r\n\r\n`,
  ],
] as const) {
  test(`RFC 9111 §3.3: a body that ${what} is an error to its reader and not stored`, async () => {
    const { cache, text } = await through(socket => socket.end(answer))
    assert.equal(text, undefined)
    assert.equal(cache.store.stats.entries, 0)
  })
}

for (const [what, answer] of [
  ['no HTTP', 'SSH-2.0-x\r\n\r\n'],
  ['two lengths', `${HEAD}Content-Length: 3\r\nContent-Length: 4\r\n\r\n1234`],
  ['a length that is none', `${HEAD}Content-Length: 3x\r\n\r\n123`],
  [
    'a length and chunks',
    `${HEAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'a transfer coding that nobody asked for',
    `${HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n3\r\n123\r\n0\r\n\r\n`,
  ],
  ['a transfer coding without chunks', `${HEAD}Transfer-Encoding: gzip\r\n\r\n123`],
  ['a control byte in a field', `${HEAD}X: a\x00b\r\nContent-Length: 0\r\n\r\n`],
  ['half a head', HEAD],
] as const) {
  test(`RFC 9110 §15.6.3: an origin that sends ${what} makes a 502`, async () => {
    const { cache, outcome } = await through(socket => socket.end(answer))
    assert.equal(outcome.status, 502)
    assert.equal(cache.store.stats.entries, 0)
  })
}

test('RFC 9110 §15.6.5: an origin that says nothing makes a 504, one that stalls breaks off', async () => {
  const silent = await through(() => {})
  assert.equal(silent.outcome.status, 504)
  const stalled = await through(socket => socket.write(`${HEAD}Content-Length: 10\r\n\r\n12345`))
  assert.equal(stalled.outcome.status, 200)
  assert.equal(stalled.text, undefined)
  assert.equal(stalled.cache.store.stats.entries, 0)
})

test('RFC 9112 §6.3: more bytes than its length never reach this answer or the next', async () => {
  const { cache, text } = await through(socket =>
    socket.write(
      `${HEAD}Content-Length: 3\r\n\r\n123HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`,
    ),
  )
  assert.ok(text === '123' || text === undefined, text)
  const next = await readAnswer(await cache.handle(makeRequest('/b'), Date.now()))
  assert.ok(!next.text.includes('evil'))
})

test('RFC 9110 §15.2: interim answers are handed on, and only the last one is stored', async () => {
  const origin = await rawOrigin(socket =>
    socket.write(
      'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n' +
        `${HEAD}Content-Length: 2\r\nETag: "\xfc"\r\n\r\nok`,
      'latin1',
    ),
  )
  const cache = new Cache(await upstreamOf(origin), {}, Date.now)
  const interim: unknown[] = []
  const onInterim = (head: unknown): void => void interim.push(head)
  const request = makeRequest('/a', [], { onInterim })
  assert.equal((await readAnswer(await cache.handle(request, Date.now()))).text, 'ok')
  await settle()
  assert.deepEqual(interim, [
    { status: 103, fields: [['Link', '</x>']] },
    { status: 102, fields: [] },
  ])
  assert.equal([...cache.store.entries()][0].etag, '"\xfc"')
})

test('200 clients of one missing URL make one request of the origin', async () => {
  let count = 0
  const origin = await httpOrigin((_request, response) => {
    count++
    response.setHeader('Cache-Control', 'max-age=60')
    response.end('x'.repeat(100_000))
  })
  const cache = new Cache(await upstreamOf(origin), {}, Date.now)
  const url = await cacheServer(cache)
  const texts = await Promise.all(
    Array.from({ length: 200 }, async () => (await fetch(`${url}/a`)).text()),
  )
  assert.ok(texts.every(text => text.length === 100_000))
  assert.equal(count, 1)
})

test('RFC 9110 §9.2.2: an idempotent request that got no byte is tried twice more, a POST is not', async () => {
  let tries = 0
  const origin = await rawOrigin((socket, _head, count) => {
    tries = count
    if (count < 3) socket.destroy()
    else socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const pauses: number[] = []
  const upstream = await upstreamOf(origin, {}, pauses)
  const answer = await upstream.fetch(makeRequest('/a'))
  assert.equal(answer.status, 200)
  answer.cancel()
  assert.deepEqual(pauses, [25, 50])
  assert.equal(tries, 3)
  const broken = await upstreamOf(await rawOrigin(socket => socket.destroy()), {}, pauses)
  await assert.rejects(broken.fetch(makeRequest('/a', [], { method: 'POST' })), OriginError)
  assert.equal(broken.stats.requests, 1)
  for (let i = 0; i < 6; i++) await assert.rejects(broken.fetch(makeRequest('/a')), OriginError)
  assert.equal(broken.stats.requests, 1 + 6 * 3)
  assert.ok(!broken.health.isDown, 'it listens')
})

test('an origin that is not there fails, is left alone for a while, and is found again', async () => {
  let nowMs = 0
  const health = new Health({ ...DEFAULT_HEALTH, failures: 2, pauseMs: 100 }, () => 0)
  health.onFailure(nowMs)
  assert.ok(health.mayTry(nowMs))
  health.onFailure(nowMs)
  assert.ok(health.isDown)
  assert.equal(health.mayTry(nowMs + 99), false)
  nowMs += 100
  assert.equal(health.mayTry(nowMs), true)
  assert.equal(health.mayTry(nowMs), false, 'one probe at a time')
  health.onFailure(nowMs)
  assert.equal(health.mayTry(nowMs + 199), false, 'pauses double')
  nowMs += 200
  assert.equal(health.mayTry(nowMs), true)
  health.onSuccess()
  assert.ok(health.mayTry(nowMs) && !health.isDown)
})

test('a port where nobody listens: 502, and soon without a try', async () => {
  const upstream = await upstreamOf('http://127.0.0.1:1')
  const cache = new Cache(upstream, {}, Date.now)
  for (let i = 0; i < 6; i++) {
    assert.equal((await cache.handle(makeRequest('/a'), Date.now())).status, 502)
  }
  assert.equal(upstream.stats.requests, 3 * DEFAULT_HEALTH.failures)
  assert.ok(upstream.stats.refused > 0)
})

test('an origin that dies under a stored answer: stale while it is away, fresh when it is back', async () => {
  let isDead = false
  const origin = await rawOrigin(socket => {
    if (isDead) socket.destroy()
    else socket.write('HTTP/1.1 200 OK\r\nCache-Control: max-age=1\r\nContent-Length: 2\r\n\r\nok')
  })
  const health = { failures: 100, pauseMs: 1, pauseMaxMs: 1 }
  const cache = new Cache(await upstreamOf(origin, { health }), {}, Date.now)
  const ask = async (aheadMs: number): ReturnType<typeof readAnswer> =>
    readAnswer(await cache.handle(makeRequest('/a'), Date.now() + aheadMs))
  assert.equal((await ask(0)).text, 'ok')
  await settle()
  isDead = true
  const stale = await ask(2500)
  assert.deepEqual([stale.status, stale.text], [200, 'ok'])
  assert.match(stale.cacheStatus, /fwd=stale.*detail=closed/)
  isDead = false
  assert.match((await ask(2500)).cacheStatus, /fwd=stale; fwd-status=200/)
})

test('a client that leaves ends the request that was its own', async () => {
  let closed = (): void => {}
  const isClosed = new Promise<void>(resolve => {
    closed = resolve
  })
  const origin = await httpOrigin((_request, response) => {
    response.on('close', closed)
    response.write('x')
  })
  const url = await cacheServer(new Cache(await upstreamOf(origin), {}, Date.now))
  const leaving = new AbortController()
  const response = await fetch(`${url}/a`, { signal: leaving.signal })
  assert.equal(response.status, 200)
  leaving.abort()
  await isClosed
})

test('a POST passes through with its body, in both directions', async () => {
  const origin = await httpOrigin(async (request, response) => {
    response.setHeader('X-Method', request.method ?? '')
    for await (const chunk of request) response.write(chunk)
    response.end('!')
  })
  const url = await cacheServer(new Cache(await upstreamOf(origin), {}, Date.now))
  const response = await fetch(`${url}/a`, { method: 'POST', body: 'x'.repeat(200_000) })
  assert.equal((await response.text()).length, 200_001)
  assert.equal(response.headers.get('x-method'), 'POST')
})

test('a large body passes at the pace of its reader, in bounded memory', async () => {
  const size = 8 * 2 ** 20
  const origin = await httpOrigin((_request, response) => {
    response.setHeader('Cache-Control', 'max-age=60')
    response.end(Buffer.alloc(size, 'x'))
  })
  const config = { objectBytes: 2 ** 20, fillBytes: 2 ** 20 }
  const cache = new Cache(await upstreamOf(origin), config, Date.now)
  const url = await cacheServer(cache)
  for (const path of ['/a', '/a']) {
    const response = await fetch(url + path)
    assert.equal((await response.arrayBuffer()).byteLength, size)
  }
  assert.equal(cache.store.stats.entries, 0)
})

test('a request that cannot be sent, or breaks off, is its client’s fault alone', async () => {
  const origin = await httpOrigin((request, response) => {
    request.resume().on('end', () => response.end('ok'))
  })
  const upstream = await upstreamOf(origin)
  const cache = new Cache(upstream, {}, Date.now)
  const odd = makeRequest('/a', [['X', 'a\r\nb']], { method: 'POST' })
  assert.equal((await cache.handle(odd, Date.now())).status, 400)
  const body = (async function* () {
    yield Buffer.from('half')
    throw new Error('gone')
  })()
  const broken = makeRequest('/a', [['Content-Length', '10']], { method: 'POST', body })
  assert.equal((await cache.handle(broken, Date.now())).status, 400)
  assert.equal(upstream.stats.failures, 0)
})

test('too many requests that wait for the origin: 503 at once', async () => {
  const origin = await rawOrigin(() => {})
  const upstream = await upstreamOf(origin, { pendingMax: 1, headMs: 300 })
  const cache = new Cache(upstream, {}, Date.now)
  const waiting = cache.handle(makeRequest('/a'), Date.now())
  await settle()
  assert.equal((await cache.handle(makeRequest('/b'), Date.now())).status, 503)
  assert.equal((await waiting).status, 504)
})

test('RFC 9110 §7.6: the origin gets what is for it, and our name', () => {
  const request = makeRequest('/a', [
    ['Expect', '100-continue'],
    ['Cookie', 'a=b'],
    ['Via', '1.1 other'],
    ['X-Forwarded-For', '10.0.0.1'],
    ['Forwarded', 'for=10.0.0.1'],
  ])
  const fields = (config = {}): Record<string, string> =>
    Object.fromEntries(forwardedFields(request, 'o:1', { ...DEFAULT_FORWARD, ...config }, 's'))
  assert.deepEqual(fields(), {
    Host: 'example.org',
    Cookie: 'a=b',
    Via: '1.1 other, 1.1 s',
    'X-Forwarded-For': '192.0.2.1',
    'X-Forwarded-Proto': 'http',
    'X-Forwarded-Host': 'example.org',
  })
  assert.deepEqual(fields({ keepsHost: false, xForwarded: false, forwarded: true }), {
    Host: 'o:1',
    Cookie: 'a=b',
    Via: '1.1 other, 1.1 s',
    Forwarded: 'for=192.0.2.1;host="example.org";proto=http',
  })
  assert.equal(fields({ trustsClient: true })['X-Forwarded-For'], '10.0.0.1, 192.0.2.1')
})
