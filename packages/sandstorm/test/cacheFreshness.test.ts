/** Which responses are stored and for how long they answer: one row, one rule. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CacheConfig } from '../src/cache/config.ts'
import { formatHttpDate } from '../src/cache/httpDate.ts'
import { type Headers, Scene, START_MS } from './kit/cacheOrigin.ts'

const at = (sec: number): string => formatHttpDate(START_MS + sec * 1000)
const NOW = ['Date', at(0)] as const

interface Row {
  rule: string
  status?: number
  response: Headers
  request?: Headers
  second?: Headers
  config?: Partial<CacheConfig>
  /** Seconds between the two requests. */
  pass?: number
  isHit: boolean
}

const hit = (rule: string, response: Headers, more: Partial<Row> = {}): Row => ({
  rule,
  response,
  isHit: true,
  ...more,
})
const miss = (rule: string, response: Headers, more: Partial<Row> = {}): Row => ({
  ...hit(rule, response, more),
  isHit: false,
})
const cc = (value: string): Headers => [['Cache-Control', value], NOW]
const modified = (sec: number, ...more: Headers): Headers => [
  ['Last-Modified', at(-sec)],
  NOW,
  ...more,
]

const ROWS: Row[] = [
  hit('§4.2.1: max-age', cc('max-age=10'), { pass: 9 }),
  miss('§4.2.1: max-age is over', cc('max-age=10'), { pass: 10 }),
  hit('§4.2.1: s-maxage before max-age', cc('s-maxage=10, max-age=1'), { pass: 5 }),
  miss('§4.2.1: a short s-maxage', cc('s-maxage=1, max-age=10'), { pass: 5 }),
  hit('§4.2.1: Expires', [['Expires', at(10)], NOW], { pass: 9 }),
  miss('§4.2.1: Expires is over', [['Expires', at(10)], NOW], { pass: 10 }),
  hit('§5.3: max-age before Expires', [...cc('max-age=10'), ['Expires', at(-10)]]),
  miss('§5.3: max-age=0 before Expires', [...cc('max-age=0'), ['Expires', at(10)]]),
  miss('§5.3: Expires 0', [['Expires', '0'], NOW]),
  miss('§5.3: Expires in no known form', [['Expires', `${at(10)}x`], NOW]),
  hit('§5.3: Expires without Date', [['Expires', at(10)]], { pass: 9 }),
  hit('§4.2: Expires as of RFC 850', [['Expires', 'Saturday, 28-Nov-26 13:00:00 GMT'], NOW]),
  miss(
    '§4.2.1: Expires counts from Date',
    [
      ['Expires', at(65)],
      ['Date', at(60)],
    ],
    { pass: 5 },
  ),
  miss('§4.2.3: Age counts', [...cc('max-age=10'), ['Age', '10']]),
  hit('§4.2.3: Age counts on', [...cc('max-age=10'), ['Age', '4']], { pass: 5 }),
  miss('§4.2.3: Age counts on to the end', [...cc('max-age=10'), ['Age', '5']], { pass: 5 }),
  miss('§4.2.3: an old Date counts', [
    ['Cache-Control', 'max-age=10'],
    ['Date', at(-20)],
  ]),
  hit('§4.2.3: a Date ahead does not', [
    ['Cache-Control', 'max-age=10'],
    ['Date', at(60)],
  ]),
  hit('§4.2.3: a bad Date is none', [
    ['Cache-Control', 'max-age=10'],
    ['Date', 'yesterday'],
  ]),
  miss('§5.1: the first member of Age', [...cc('max-age=10'), ['Age', '20, 0']]),
  hit('§5.1: the first line of Age', [...cc('max-age=10'), ['Age', '0'], ['Age', '20']]),
  hit('§5.1: an Age that is none', [...cc('max-age=10'), ['Age', 'abc']]),
  hit('§5.1: a negative Age', [...cc('max-age=10'), ['Age', '-20']]),
  hit('§4.2.2: a tenth of the time unchanged', modified(1000), { pass: 99 }),
  miss('§4.2.2: no more', modified(1000), { pass: 100 }),
  miss('§4.2.2: not if it is off', modified(1000), { config: { heuristic: false } }),
  miss('§4.2.2: not with explicit freshness', modified(1000, ['Cache-Control', 'max-age=0'])),
  miss('§4.2.2: not from the future', modified(-1000)),
  hit('§4.2.2: at most a day', modified(1e9), { pass: 86_399 }),
  miss('§4.2.2: a day is over', modified(1e9), { pass: 86_400 }),
  ...[200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501].map(status =>
    hit(`RFC 9110 §15.1: ${status} on a guess`, modified(1000), { status }),
  ),
  ...[201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599].map(status =>
    miss(`RFC 9110 §15.1: ${status} not on a guess`, modified(1000), { status }),
  ),
  hit('§5.2.2.9: public makes a guess lawful', modified(1000, ['Cache-Control', 'public']), {
    status: 599,
  }),
  ...[200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599].map(
    status => hit(`§3: ${status} with max-age`, cc('max-age=10'), { status }),
  ),
  ...[206, 304].map(status => miss(`§3: ${status} never`, cc('max-age=10'), { status })),
  hit('RFC 9110 §14.4: a 200 with Content-Range is whole', [
    ...cc('max-age=9'),
    ['Content-Range', 'bytes 0-1/2'],
  ]),
  miss('§3: nothing said', [NOW]),
  miss('§5.2.2.5: no-store', cc('max-age=10, no-store')),
  miss('§5.2.2.5: No-StOrE', cc('max-age=10, No-StOrE')),
  miss('§5.2.2.5: no-store on a second line', [...cc('max-age=10'), ['cache-control', 'no-store']]),
  miss('§5.2.2.7: private', cc('private, max-age=10')),
  hit('§5.2.2.7: private for a field', cc('private="x", max-age=10')),
  miss('§5.2.2.4: no-cache', cc('max-age=10, no-cache')),
  hit('§5.2.2.4: no-cache for a field', cc('max-age=10, no-cache="x"')),
  hit('§5.2.2.3: must-understand lifts no-store', cc('max-age=10, must-understand, no-store')),
  miss('§5.2.2.3: not for an unknown status', cc('max-age=10, must-understand'), { status: 299 }),
  hit('§5.2.3: extensions are ignored', cc('max-age=10, foo=bar, immutable')),
  hit('§5.4: Pragma says nothing in a response', [...cc('max-age=10'), ['Pragma', 'no-cache']]),
  hit('§7.3: Set-Cookie with freshness', [...cc('max-age=10'), ['Set-Cookie', 'a=b']]),
  miss('§7.3: Set-Cookie on a guess', modified(1000, ['Set-Cookie', 'a=b'])),
  miss('§3.5: Authorization', cc('max-age=10'), { request: [['Authorization', 'x']] }),
  ...['public', 's-maxage=10', 'must-revalidate'].map(directive =>
    hit(`§3.5: Authorization and ${directive}`, cc(`max-age=10, ${directive}`), {
      request: [['Authorization', 'x']],
    }),
  ),
  miss('§4.1: Vary *', [...cc('max-age=10'), ['Vary', 'x, *']]),
  hit('§4.1: Vary and the same', [...cc('max-age=10'), ['Vary', 'foo']], {
    request: [['Foo', '1']],
    second: [['Foo', '1']],
  }),
  miss('§4.1: Vary and another', [...cc('max-age=10'), ['Vary', 'Foo']], {
    request: [['Foo', '1']],
    second: [['Foo', '2']],
  }),
  miss('§4.1: Vary and none', [...cc('max-age=10'), ['Vary', 'Foo']], { request: [['Foo', '1']] }),
  hit('§4.1: Vary and neither', [...cc('max-age=10'), ['Vary', 'Foo']]),
  miss('§5.2.1.4: request no-cache', cc('max-age=10'), { second: cc('no-cache') }),
  miss('§5.4: request Pragma', cc('max-age=10'), { second: [['Pragma', 'no-cache']] }),
  miss('§5.2.1.1: request max-age', cc('max-age=10'), { second: cc('max-age=2'), pass: 3 }),
  hit('§5.2.1.1: request max-age is met', cc('max-age=10'), { second: cc('max-age=3'), pass: 3 }),
  miss('§5.2.1.3: request min-fresh', cc('max-age=10'), { second: cc('min-fresh=8'), pass: 3 }),
  hit('§5.2.1.3: request min-fresh is met', cc('max-age=10'), {
    second: cc('min-fresh=7'),
    pass: 3,
  }),
  hit('§5.2.1.2: request max-stale', cc('max-age=1'), { second: cc('max-stale=2'), pass: 3 }),
  miss('§5.2.1.2: request max-stale is passed', cc('max-age=1'), {
    second: cc('max-stale=1'),
    pass: 3,
  }),
  hit('§5.2.1.2: any max-stale', cc('max-age=1'), { second: cc('max-stale'), pass: 300 }),
  miss('§5.2.2.2: must-revalidate forbids it', cc('max-age=1, must-revalidate'), {
    second: cc('max-stale'),
    pass: 3,
  }),
  miss('§5.2.2.8: proxy-revalidate forbids it', cc('max-age=1, proxy-revalidate'), {
    second: cc('max-stale'),
    pass: 3,
  }),
  miss('§5.2.2.10: s-maxage forbids it', cc('s-maxage=1'), { second: cc('max-stale'), pass: 3 }),
  miss('§5.2.1.5: request no-store', cc('max-age=10'), { request: cc('no-store') }),
  hit('§5.2.1: requests are not honoured if so told', cc('max-age=10'), {
    second: cc('no-cache'),
    config: { honorsRequests: false },
  }),
  hit('§5.2.1: a Cookie changes nothing', cc('max-age=10'), { second: [['Cookie', 'a=b']] }),
  hit('RFC 9213: CDN-Cache-Control', [['CDN-Cache-Control', 'max-age=10'], NOW]),
  hit('RFC 9213: over no-store', [...cc('no-store'), ['CDN-Cache-Control', 'max-age=10']]),
  miss('RFC 9213: no-store over max-age', [...cc('max-age=9'), ['CDN-Cache-Control', 'no-store']]),
  miss('RFC 9213: private over max-age', [...cc('max-age=9'), ['CDN-Cache-Control', 'private']]),
  miss('RFC 9213: max-age=0 over Expires', [
    ['CDN-Cache-Control', 'max-age=0'],
    ['Expires', at(10)],
    NOW,
  ]),
  miss('RFC 9213: the shorter one', [...cc('max-age=9'), ['CDN-Cache-Control', 'max-age=1']], {
    pass: 3,
  }),
  hit('RFC 9213: the longer one', [...cc('max-age=1'), ['CDN-Cache-Control', 'max-age=9']], {
    pass: 3,
  }),
  miss('RFC 9213: a bad one is ignored', [
    ...cc('no-store'),
    ['CDN-Cache-Control', 'max-age=10, &&&'],
  ]),
  hit('our choice: negative caching', [NOW], {
    status: 404,
    config: { negativeSec: { 404: 5 } },
    pass: 4,
  }),
  miss('our choice: it ends', [NOW], { status: 503, config: { negativeSec: { 503: 5 } }, pass: 5 }),
]

for (const row of ROWS) {
  const section = row.rule.startsWith('§') ? 'RFC 9111 ' : ''
  const shown = row.response.map(([name, value]) => `${name}: ${value}`).join(' | ')
  test(`${section}${row.rule}: ${row.isHit ? 'hit' : 'no hit'} (${shown})`, async () => {
    const { status = 200 } = row
    const fields = row.response
    const scene = new Scene(() => ({ status, fields, body: status === 204 ? '' : 'x' }), row.config)
    const first = await scene.get('/a', row.request)
    assert.equal(first.status, status)
    scene.pass(row.pass ?? 0)
    const second = await scene.get('/a', row.second)
    assert.equal(second.cacheStatus.startsWith('sandstorm; hit'), row.isHit, second.cacheStatus)
    assert.equal(scene.asked, row.isHit ? 1 : 2)
    assert.equal(second.status, status)
  })
}

test('RFC 9111 §5.1: Age is sent with every stored response, and grows', async () => {
  const scene = new Scene(() => ({ fields: [...cc('max-age=600'), ['Age', '30']], body: 'x' }))
  assert.equal((await scene.get()).get('Age'), '30')
  scene.pass(3.9)
  const second = await scene.get()
  assert.equal(second.get('Age'), '33')
  assert.equal(second.get('Date'), at(0))
  assert.equal(second.cacheStatus, 'sandstorm; hit; ttl=566')
})

test('RFC 9110 §6.6.1: a response without Date gets the time at which it came', async () => {
  const scene = new Scene(() => ({ fields: [['Cache-Control', 'max-age=9']], body: 'x' }))
  assert.equal((await scene.get()).get('Date'), at(0))
  scene.pass(5)
  assert.equal((await scene.get()).get('Date'), at(0))
})

test('RFC 9111 §3.1: what belongs to the connection is not stored', async () => {
  const fields: Headers = [
    ...cc('max-age=10'),
    ['Connection', 'a, b'],
    ['a', '1'],
    ['B', '2'],
    ['c', '3'],
    ['Keep-Alive', 'timeout=5'],
    ['Proxy-Authenticate', 'x'],
    ['Upgrade', 'x'],
  ]
  const scene = new Scene(() => ({ fields, body: 'x' }))
  for (const answer of [await scene.get(), await scene.get()]) {
    for (const name of ['connection', 'a', 'b', 'keep-alive', 'proxy-authenticate', 'upgrade']) {
      assert.equal(answer.get(name), undefined)
    }
    assert.equal(answer.get('c'), '3')
    assert.equal(answer.get('Via'), '1.1 sandstorm')
  }
})

test('RFC 9111 §5.2.2.4, §5.2.2.7: fields that no-cache and private list reach one client', async () => {
  const fields = cc('max-age=10, no-cache="a, B", private="c"')
  const scene = new Scene(() => ({
    fields: [...fields, ['A', '1'], ['b', '2'], ['c', '3'], ['d', '4']],
    body: 'x',
  }))
  assert.equal((await scene.get()).get('a'), '1')
  const second = await scene.get()
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map(name => second.get(name)),
    [undefined, undefined, undefined, '4'],
  )
})

test('RFC 9111 §4: another query, host or scheme is another response', async () => {
  const scene = new Scene((_request, count) => ({ fields: cc('max-age=10'), body: `${count}` }))
  await scene.get('/a')
  await scene.get('/a?b')
  await scene.get('/a?c')
  await scene.get('/a', [], { authority: 'other.example' })
  await scene.get('/a', [], { scheme: 'https' })
  assert.equal(scene.asked, 5)
  assert.equal((await scene.get('/a?b')).text, '2')
  assert.equal((await scene.get('/a', [], { authority: 'EXAMPLE.org' })).text, '1')
})

test('RFC 9111 §5.2.1.7: only-if-cached never asks the origin', async () => {
  const scene = new Scene(() => ({ fields: cc('max-age=10'), body: 'x' }))
  const none = await scene.get('/a', cc('only-if-cached'))
  assert.equal(none.status, 504)
  assert.equal(none.cacheStatus, 'sandstorm; detail=only-if-cached')
  assert.equal((await scene.get('/a', cc('only-if-cached'), { method: 'HEAD' })).text, '')
  await scene.get()
  assert.equal((await scene.get('/a', cc('only-if-cached'))).status, 200)
  scene.pass(10)
  assert.equal((await scene.get('/a', cc('only-if-cached'))).status, 504)
  assert.equal(scene.asked, 1)
})
