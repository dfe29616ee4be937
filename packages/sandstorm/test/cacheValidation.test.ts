/** Validation in both directions: the client asks us, we ask the origin; HEAD; ranges. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatHttpDate } from '../src/cache/httpDate.ts'
import { fieldValue } from '../src/cache/message.ts'
import { type Headers, type Reply, Scene, START_MS } from './kit/cacheOrigin.ts'

const at = (sec: number): string => formatHttpDate(START_MS + sec * 1000)
const TEN = '0123456789'
const TAGGED: Headers = [
  ['Cache-Control', 'max-age=10'],
  ['ETag', '"v1"'],
  ['Last-Modified', at(-1000)],
  ['Date', at(0)],
  ['Content-Type', 'text/plain'],
]

const scene = (fields: Headers = TAGGED): Scene => new Scene(() => ({ fields, body: TEN }))

for (const [field, value, status, why] of [
  ['If-None-Match', '"v1"', 304, 'strong'],
  ['If-None-Match', 'W/"v1"', 304, 'weak comparison'],
  ['If-None-Match', '"a", "v1", "b"', 304, 'one of several'],
  ['If-None-Match', '*', 304, 'any'],
  ['If-None-Match', '"v2"', 200, 'another'],
  ['If-None-Match', '"a,v1"', 200, 'a comma in a tag'],
  ['If-Modified-Since', at(-1000), 304, 'the same date'],
  ['If-Modified-Since', at(-1), 304, 'a later date'],
  ['If-Modified-Since', at(-1001), 200, 'an earlier date'],
  ['If-Modified-Since', 'yesterday', 200, 'no date'],
] as const) {
  test(`RFC 9111 §4.3.2: ${field}: ${value} is answered ${status} from the store (${why})`, async () => {
    const s = scene()
    await s.get()
    const answer = await s.get('/a', [[field, value]])
    assert.equal(answer.status, status)
    assert.equal(answer.text, status === 304 ? '' : TEN)
    assert.equal(answer.get('ETag'), '"v1"')
    assert.equal(answer.get('Content-Type'), status === 304 ? undefined : 'text/plain')
    assert.equal(s.asked, 1)
  })
}

test('RFC 9110 §13.2.2: If-None-Match comes before If-Modified-Since', async () => {
  const s = scene()
  await s.get()
  const fields: Headers = [
    ['If-None-Match', '"v2"'],
    ['If-Modified-Since', at(-1)],
  ]
  assert.equal((await s.get('/a', fields)).status, 200)
})

test('RFC 9110 §13.2.1: conditions do not change an error', async () => {
  const fields = TAGGED
  const s = new Scene(() => ({ status: 404, fields, body: 'x' }))
  await s.get()
  assert.equal((await s.get('/a', [['If-None-Match', '"v1"']])).status, 404)
})

test('RFC 9111 §4.3.2: a condition on a miss is answered from the whole that was fetched', async () => {
  const s = scene()
  assert.equal((await s.get('/a', [['If-None-Match', '"v1"']])).status, 304)
  assert.equal(fieldValue(s.origin.asked[0].fields, 'if-none-match'), undefined)
  assert.equal((await s.get()).text, TEN)
  assert.equal(s.asked, 1)
})

test('RFC 9111 §4.3.2: If-Match and If-Unmodified-Since are the business of the origin', async () => {
  const s = scene()
  await s.get()
  s.origin.script = () => ({ status: 412, body: 'no' })
  assert.equal((await s.get('/a', [['If-Match', '"v1"']])).status, 412)
  assert.equal((await s.get('/a', [['If-Unmodified-Since', at(-1)]])).status, 412)
  assert.equal(s.asked, 3)
})

for (const [range, status, text, contentRange] of [
  ['bytes=0-1', 206, '01', 'bytes 0-1/10'],
  ['bytes=1-', 206, '123456789', 'bytes 1-9/10'],
  ['bytes=-1', 206, '9', 'bytes 9-9/10'],
  ['bytes=-99', 206, TEN, 'bytes 0-9/10'],
  ['bytes=8-99', 206, '89', 'bytes 8-9/10'],
  ['bytes=10-', 416, '', 'bytes */10'],
  ['bytes=-0', 416, '', 'bytes */10'],
  ['bytes=5-4', 200, TEN, undefined],
  ['bytes=0-1,3-4', 200, TEN, undefined],
  ['lines=0-1', 200, TEN, undefined],
  ['bytes=-', 200, TEN, undefined],
] as const) {
  test(`RFC 9110 §14.2: ${range} of a stored response is ${status} ${contentRange}`, async () => {
    const s = scene()
    await s.get()
    const answer = await s.get('/a', [['Range', range]])
    assert.deepEqual([answer.status, answer.text], [status, text])
    assert.equal(answer.get('Content-Range'), contentRange)
    assert.equal(answer.get('Content-Length'), String(text.length))
    assert.equal(s.asked, 1)
  })
}

for (const [condition, status] of [
  ['"v1"', 206],
  ['"v2"', 200],
  ['W/"v1"', 200],
  [at(-1000), 206],
  [at(-999), 200],
] as const) {
  test(`RFC 9110 §13.1.5: If-Range ${condition} gives ${status}`, async () => {
    const s = scene()
    await s.get()
    const fields: Headers = [
      ['Range', 'bytes=0-1'],
      ['If-Range', condition],
    ]
    assert.equal((await s.get('/a', fields)).status, status)
  })
}

for (const [field, value, others, status] of [
  ['If-Modified-Since', at(-1), [], 304],
  ['Range', 'bytes=0-1', [], 206],
  ['If-Range', '"v1"', [['Range', 'bytes=0-1']], 206],
] as const) {
  test(`RFC 9110 §13.1.3, §13.1.5, §14.2: one ${field} counts, of two neither`, async () => {
    const s = scene()
    await s.get()
    const line = [field, value] as const
    assert.equal((await s.get('/a', [...others, line])).status, status)
    assert.equal((await s.get('/a', [...others, line, line])).status, 200)
  })
}

test('RFC 9110 §14.4: a Content-Range of the whole is none of its part', async () => {
  const s = scene([...TAGGED, ['Content-Range', 'bytes 0-1/99']])
  await s.get()
  const part = await s.get('/a', [['Range', 'bytes=0-1']])
  assert.deepEqual([part.status, part.get('Content-Range')], [206, 'bytes 0-1/10'])
  assert.equal((await s.get()).get('Content-Range'), undefined)
})

test('RFC 9111 §3.3: a part of what is not stored passes through, and is not stored', async () => {
  const part: Reply = {
    status: 206,
    fields: [
      ['Cache-Control', 'max-age=10'],
      ['Content-Range', 'bytes 0-1/10'],
    ],
    body: '01',
  }
  const s = new Scene(request =>
    fieldValue(request.fields, 'range') ? part : { fields: TAGGED, body: TEN },
  )
  assert.equal((await s.get('/a', [['Range', 'bytes=0-1']])).text, '01')
  assert.equal((await s.get()).text, TEN)
  assert.equal(s.asked, 2)
})

test('RFC 9111 §4.3.1: a stale response is validated with its tag and date', async () => {
  const s = scene()
  await s.get()
  s.pass(10)
  s.origin.script = () => ({ status: 304, fields: [['ETag', '"v1"']] })
  const answer = await s.get()
  const { fields } = s.origin.asked[1]
  assert.equal(fieldValue(fields, 'if-none-match'), '"v1"')
  assert.equal(fieldValue(fields, 'if-modified-since'), at(-1000))
  assert.deepEqual([answer.status, answer.text, answer.get('Age')], [200, TEN, '0'])
  assert.equal(answer.cacheStatus, 'sandstorm; fwd=stale; fwd-status=304; ttl=10')
  assert.equal((await s.get()).cacheStatus, 'sandstorm; hit; ttl=10')
})

test('RFC 9111 §3.2: a 304 exchanges stored fields, but for those of the bytes', async () => {
  const s = scene([...TAGGED, ['X', 'old'], ['Keep', 'kept'], ['Age', '3'], ['Set-Cookie', 'a=b']])
  await s.get()
  s.pass(10)
  s.origin.script = () => ({
    status: 304,
    fields: [
      ['Cache-Control', 'max-age=60'],
      ['X', 'new'],
      ['X', 'newer'],
      ['Set-Cookie', 'a=c'],
      ['Content-Type', 'text/html'],
      ['Content-Length', '999'],
      ['Content-Encoding', 'gzip'],
      ['Connection', 'y'],
      ['y', '1'],
      ['Date', at(10)],
    ],
  })
  for (const answer of [await s.get(), await s.get()]) {
    const seen = ['X', 'Keep', 'Set-Cookie', 'Content-Type', 'Content-Length', 'Date', 'Age']
    assert.deepEqual(
      seen.map(name => answer.get(name)),
      ['new', 'kept', 'a=c', 'text/html', '10', at(10), '0'],
    )
    assert.equal(answer.get('Content-Encoding'), undefined)
    assert.equal(answer.get('y'), undefined)
  }
  s.pass(59)
  assert.match((await s.get()).cacheStatus, /hit/)
})

test('RFC 9111 §4.3.4: a 304 about another version is no answer, and the whole is fetched', async () => {
  const s = scene()
  await s.get()
  s.pass(10)
  s.origin.script = request =>
    fieldValue(request.fields, 'if-none-match') === undefined
      ? { fields: TAGGED, body: 'new' }
      : { status: 304, fields: [['ETag', '"v9"']] }
  assert.equal((await s.get()).text, 'new')
  assert.equal(s.asked, 3)
})

test('RFC 9111 §4.3.3: a full response takes the place of the stale one', async () => {
  const s = scene()
  await s.get()
  s.pass(10)
  s.origin.script = () => ({ fields: [...TAGGED, ['Date', at(10)]], body: 'new' })
  assert.equal((await s.get()).text, 'new')
  assert.equal((await s.get()).text, 'new')
  assert.equal(s.cache.store.stats.entries, 1)
})

test('RFC 9111 §5.2.2.4: no-cache is stored and validated at each use', async () => {
  const s = scene([
    ['Cache-Control', 'no-cache'],
    ['ETag', '"v1"'],
  ])
  await s.get()
  s.origin.script = () => ({ status: 304 })
  assert.equal((await s.get()).text, TEN)
  assert.equal((await s.get()).text, TEN)
  assert.equal(s.asked, 3)
})

test('RFC 9111 §3.2: what a 304 forbids to store is used once more and dropped', async () => {
  const s = scene()
  await s.get()
  s.pass(10)
  s.origin.script = () => ({ status: 304, fields: [['Cache-Control', 'no-store']] })
  assert.equal((await s.get()).text, TEN)
  assert.equal(s.cache.store.stats.entries, 0)
})

for (const [what, first, second] of [
  ['the 200', 'max-age=10, private="Set-Cookie"', []],
  ['the 304', 'max-age=10', [['Cache-Control', 'max-age=10, private="Set-Cookie"']]],
] as [string, string, Headers][]) {
  test(`RFC 9111 §5.2.2.7: what ${what} calls private is not kept of either`, async () => {
    const cookie = (value: string): Headers => [['Set-Cookie', value]]
    const s = scene([['Cache-Control', first], ['ETag', '"v1"'], ...cookie('a=1')])
    await s.get()
    s.pass(10)
    s.origin.script = () => ({ status: 304, fields: [...second, ...cookie('a=2')] })
    await s.get()
    const answer = await s.get()
    assert.equal(s.asked, 2)
    assert.equal(answer.get('Set-Cookie'), undefined)
  })
}

test('RFC 9111 §4.3.3: an answer that may not be stored drops the one that it replaces', async () => {
  const s = scene()
  await s.get()
  s.pass(10)
  s.origin.script = () => ({ fields: [['Cache-Control', 'private']], body: 'mine' })
  assert.equal((await s.get()).text, 'mine')
  assert.equal(s.cache.store.stats.entries, 0)
})

test('RFC 9111 §4.1: a request that Vary selects nothing for is not validated', async () => {
  const s = scene([...TAGGED, ['Vary', 'foo']])
  await s.get('/a', [['foo', '1']])
  const second = await s.get('/a', [['foo', '2']])
  assert.match(second.cacheStatus, /fwd=vary-miss/)
  assert.equal(fieldValue(s.origin.asked[1].fields, 'if-none-match'), undefined)
  await s.get('/a', [['foo', '1']])
  await s.get('/a', [['foo', '2']])
  assert.equal(s.asked, 2)
  assert.equal(s.cache.store.stats.entries, 2)
})

test('RFC 9110 §9.3.2: HEAD is answered from a stored GET', async () => {
  const s = scene()
  await s.get()
  const head = await s.get('/a', [], { method: 'HEAD' })
  assert.deepEqual([head.status, head.text, head.get('Content-Length')], [200, '', '10'])
  assert.equal(s.asked, 1)
})

test('RFC 9110 §13.1.2: a HEAD of a stale response is answered 304, too', async () => {
  const s = scene()
  await s.get()
  s.pass(10)
  const answer = await s.get('/a', [['If-None-Match', '"v1"']], { method: 'HEAD' })
  assert.deepEqual([answer.status, answer.get('ETag')], [304, '"v1"'])
  assert.match(answer.cacheStatus, /fwd=stale; fwd-status=200/)
  assert.equal((await s.get('/a', [['If-None-Match', '"v2"']], { method: 'HEAD' })).status, 200)
})

test('RFC 9110 §13.1.2: so is the first request for what is not stored', async () => {
  const s = scene([['Cache-Control', 'private'], ...TAGGED.slice(1)])
  const answer = await s.get('/a', [['If-None-Match', '"v1"']])
  assert.deepEqual([answer.status, answer.text], [304, ''])
  // From now on the origin judges by itself.
  assert.equal((await s.get('/a', [['If-None-Match', '"v1"']])).status, 200)
  assert.equal((await s.get('/b', [['If-None-Match', '"v2"']])).text, TEN)
})

test('RFC 9111 §3: the answer to a HEAD is not stored', async () => {
  const s = new Scene(request => ({ fields: TAGGED, body: request.method === 'GET' ? TEN : '' }))
  await s.get('/a', [], { method: 'HEAD' })
  assert.equal((await s.get()).text, TEN)
  assert.equal(s.asked, 2)
})

test('RFC 9111 §4.3.5: a HEAD that describes the stored response freshens it', async () => {
  const s = scene()
  await s.get()
  s.pass(10)
  s.origin.script = () => ({
    fields: [...TAGGED.slice(0, 3), ['X', 'new'], ['Content-Length', '10']],
  })
  await s.get('/a', [], { method: 'HEAD' })
  const answer = await s.get()
  assert.deepEqual([answer.text, answer.get('X'), s.asked], [TEN, 'new', 2])
})

for (const [change, fields] of [
  ['tag', [...TAGGED.filter(([name]) => name !== 'ETag'), ['ETag', '"v2"']]],
  ['date', [...TAGGED.filter(([name]) => name !== 'Last-Modified'), ['Last-Modified', at(0)]]],
  ['length', [...TAGGED, ['Content-Length', '11']]],
] as [string, Headers][]) {
  test(`RFC 9111 §4.3.5: a HEAD with another ${change} drops the stored response`, async () => {
    const s = scene()
    await s.get()
    s.pass(10)
    s.origin.script = () => ({ fields })
    await s.get('/a', [], { method: 'HEAD' })
    assert.equal(s.cache.store.stats.entries, 0)
  })
}

for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'M-SEARCH']) {
  test(`RFC 9111 §4.4: ${method} invalidates its URL, Location and Content-Location`, async () => {
    const s = scene()
    for (const target of ['/a', '/b', '/c', '/d']) await s.get(target)
    s.origin.script = () => ({
      status: 201,
      fields: [
        ['Location', '/b'],
        ['Content-Location', 'http://example.org/c'],
      ],
    })
    const answer = await s.get('/a', [], { method })
    assert.match(answer.cacheStatus, /fwd=method; fwd-status=201/)
    assert.equal(s.cache.store.stats.entries, 1)
    assert.match((await s.get('/d')).cacheStatus, /hit/)
  })
  test(`RFC 9111 §4.4: ${method} that fails, or names another origin, invalidates nothing`, async () => {
    const s = scene()
    await s.get()
    s.origin.script = () => ({ status: 500, fields: [['Location', '/a']] })
    await s.get('/a', [], { method })
    s.origin.script = () => ({ status: 200, fields: [['Location', 'http://evil.example/a']] })
    await s.get('/z', [], { method })
    assert.match((await s.get()).cacheStatus, /hit/)
  })
}

test('RFC 9111 §4.4: OPTIONS passes through and invalidates nothing', async () => {
  const s = scene()
  await s.get()
  await s.get('/a', [], { method: 'OPTIONS' })
  assert.match((await s.get()).cacheStatus, /hit/)
})

test('RFC 9110 §9.3.1: a GET with a body is neither stored nor answered from the store', async () => {
  const s = scene()
  const body = (async function* () {
    yield Buffer.from('q')
  })()
  await s.get('/a', [], { body })
  await s.get()
  assert.equal(s.asked, 2)
})
