/**
 * Stored answers that readers give by themselves, through the kernel mount, with a clock moved by
 * hand.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import { type TestContext, test } from 'node:test'
import { LiveContent } from '../src/content/live.ts'
import { attachContent } from '../src/content/table.ts'
import { Fronts } from '../src/front/fronts.ts'
import { mountOnKernel } from '../src/mount/kernelMount.ts'
import { plainSite } from '../src/site/site.ts'
import { how, read, type Whole } from './kit/frontMount.ts'
import { httpOrigin } from './kit/httpOrigin.ts'

interface Served {
  readonly clock: { nowMs: number }
  readonly fronts: Fronts
  readonly live: LiveContent
  /** How many answers were given without asking the cache. */
  hits(): number
  ask(path: string, headers?: http.OutgoingHttpHeaders, method?: string): Promise<Whole>
}

async function serve(t: TestContext, handler: http.RequestListener): Promise<Served> {
  const url = await httpOrigin(handler)
  const origin = { url, paths: [], folder: '', cache: {}, upstream: {} }
  const sites = [{ ...plainSite(''), origin }]
  const clock = { nowMs: 1_800_000_000_000 }
  const nowMs = (): number => clock.nowMs
  const fronts = (await Fronts.open(sites, { nowMs }))!
  const live = await LiveContent.open(sites, {
    memoryBytes: 64 << 20,
    hitBytes: 1 << 20,
    onWarning: () => {},
  })
  fronts.publish(live.hits)
  const { shared } = live.attach(mail => content.take(mail))
  const content = attachContent(shared)
  const where = { host: '127.0.0.1', port: 0 }
  const mount = await mountOnKernel(content, { ...where, fronts, clock: nowMs })
  t.after(async () => {
    await mount.close()
    await fronts.close()
    await live.close()
  })
  const ask: Served['ask'] = async (path, headers = {}, method = 'GET') => {
    const { port } = mount
    const request = http.request({ host: '127.0.0.1', port, path, method, headers, agent: false })
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return read(response)
  }
  return { clock, fronts, live, hits: () => mount.stats.storeHits, ask }
}

/** Answers with what it was asked and how often; every answer is dated now, by the test's clock. */
function counting(
  fields: http.OutgoingHttpHeaders = { 'Cache-Control': 'max-age=60' },
): http.RequestListener & { count: number } {
  const handler = (request: IncomingMessage, response: http.ServerResponse): void => {
    handler.count++
    response.sendDate = false
    response.writeHead(200, { 'X-Count': handler.count, ...fields })
    response.end(`${request.url} ${handler.count}`)
  }
  handler.count = 0
  return handler
}

test('a second request for a URL is answered with the image of the first answer', async t => {
  const origin = counting()
  const { ask, hits, clock } = await serve(t, origin)
  const first = await ask('/a?b')
  assert.deepEqual([first.body, how(first), hits()], ['/a?b 1', 'fwd=uri-miss', 0])
  clock.nowMs += 12_000
  const second = await ask('/a?b')
  assert.deepEqual([second.body, how(second), hits()], ['/a?b 1', 'hit', 1])
  assert.equal(second.headers.age, '12')
  assert.equal(second.headers['x-count'], '1')
  assert.equal(second.headers['content-length'], '6')
  assert.equal(second.headers.server, 'sandstorm')
  clock.nowMs += 30_000
  assert.equal((await ask('/a?b')).headers.age, '42')
  const head = await ask('/a?b', {}, 'HEAD')
  assert.deepEqual([head.body, head.headers['content-length'], hits()], ['', '6', 3])
  assert.equal(origin.count, 1)
})

test('what has expired is the cache’s to decide', async t => {
  const origin = counting()
  const { ask, hits, clock } = await serve(t, origin)
  await ask('/')
  clock.nowMs += 61_000
  assert.equal((await ask('/')).body, '/ 2')
  assert.deepEqual([hits(), origin.count], [0, 2])
  assert.equal((await ask('/')).body, '/ 2')
  assert.equal(hits(), 1)
})

test('requests that want something special are the cache’s to answer', async t => {
  const { ask, hits } = await serve(t, counting())
  await ask('/')
  for (const headers of [
    { 'Cache-Control': 'no-cache' },
    { Pragma: 'no-cache' },
    { Authorization: 'Basic x' },
    { Range: 'bytes=0-1' },
    { 'If-None-Match': '*' },
  ]) {
    await ask('/', headers)
  }
  await ask('/', {}, 'POST')
  assert.equal(hits(), 0)
})

test('answers that differ, or are not to be given unasked, are no hits', async t => {
  for (const fields of [
    { 'Cache-Control': 'max-age=60', Vary: 'Accept-Language' },
    { 'Cache-Control': 'no-store' },
    { 'Cache-Control': 'no-cache', ETag: '"x"' },
    { 'Cache-Control': 'private, max-age=60' },
    { 'Cache-Control': 'max-age=60', 'X-Long': 'x'.repeat(5000) },
  ]) {
    const { ask, hits } = await serve(t, counting(fields))
    await ask('/')
    await ask('/')
    assert.equal(hits(), 0, JSON.stringify(fields).slice(0, 100))
  }
})

test('a purge, soft or not, takes effect at once', async t => {
  const origin = counting()
  const { ask, fronts } = await serve(t, origin)
  await ask('/')
  fronts.purge({ all: true }, 'drop')
  assert.equal((await ask('/')).body, '/ 2')
  fronts.purge({ all: true }, 'stale')
  assert.equal((await ask('/')).body, '/ 3')
  assert.equal((await ask('/')).body, '/ 3')
})

test('hosts are told apart, in any case and with their default port', async t => {
  const origin = counting()
  const { ask, hits } = await serve(t, origin)
  await ask('/', { Host: 'a.example' })
  assert.equal((await ask('/', { Host: 'A.Example' })).body, '/ 1')
  assert.equal(hits(), 1)
  assert.equal((await ask('/', { Host: 'a.example:80' })).body, '/ 1')
  assert.equal(hits(), 2)
  assert.equal((await ask('/', { Host: 'b.example' })).body, '/ 2')
  assert.equal((await ask('/', { Host: 'a.example:8' })).body, '/ 3')
  assert.equal(hits(), 2)
})

test('what readers use does not give way in the store', async t => {
  const { ask, fronts } = await serve(t, counting())
  const { store } = fronts.of(0)!.cache
  await ask('/used')
  await ask('/unused')
  await ask('/used')
  const [used, unused] = ['/used', '/unused'].map(
    path => [...store.entries()].find(({ key }) => key.endsWith(path))!,
  )
  assert.deepEqual([store.wasUsed(used), store.wasUsed(unused)], [true, false])
})
