/**
 * What a static server answers, on both mounts: ranges (RFC 9110 §14), conditions (§13), codings
 * (§12.5.3), methods (§9), redirects. The same tests, the same answers.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type MountedSite, onBothMounts } from './kit/mounts.ts'
import { type Answer, partsOf } from './kit/response.ts'
import { body } from './kit/site.ts'

const BIG = body(100_000)
const FILES = {
  'index.html': '<title>top</title>',
  'a.txt': 'abcdefghij',
  'empty.txt': '',
  'big.bin': BIG,
  'dir/index.html': 'dir',
  'style.css': 'p { color: red }'.repeat(40),
  'style.css.gz': 'not really gzip',
  'style.css.br': 'brotli',
}

const statusOf = async (site: MountedSite, target: string, fields = {}): Promise<number> =>
  (await site.get(target, { fields })).status

const text = (answer: Answer): string => Buffer.from(answer.body).toString('latin1')

onBothMounts('one range is 206 with its place and its bytes', FILES, async site => {
  for (const [range, expected, place] of [
    ['bytes=0-0', 'a', '0-0'],
    ['bytes=2-4', 'cde', '2-4'],
    ['bytes=5-', 'fghij', '5-9'],
    ['bytes=-3', 'hij', '7-9'],
    ['bytes=8-100', 'ij', '8-9'],
    ['bytes=0-', 'abcdefghij', '0-9'],
    ['bytes=1-1,99-', 'b', '1-1'],
  ]) {
    const answer = await site.get('/a.txt', { fields: { Range: range } })
    assert.equal(answer.status, 206, range)
    assert.equal(text(answer), expected)
    assert.equal(answer.fields.get('content-range'), `bytes ${place}/10`)
    assert.equal(answer.fields.get('content-length'), String(expected.length))
    assert.equal(answer.fields.get('content-type'), 'text/plain; charset=utf-8')
    assert.equal(answer.fields.get('accept-ranges'), 'bytes')
    assert.equal(answer.fields.get('date'), 'Sun, 06 Nov 1994 08:49:37 GMT')
    assert.equal(answer.fields.get('connection'), 'close')
    const whole = await site.get('/a.txt')
    for (const name of ['etag', 'last-modified']) {
      assert.equal(answer.fields.get(name), whole.fields.get(name))
    }
  }
})

onBothMounts('a range that is not there is 416, and says how long it is', FILES, async site => {
  for (const [path, range, len] of [
    ['/a.txt', 'bytes=10-', 10],
    ['/a.txt', 'bytes=-0', 10],
    ['/empty.txt', 'bytes=0-0', 0],
    ['/a.txt', `bytes=${'0-,'.repeat(20)}`, 10],
  ] as const) {
    const answer = await site.get(path, { fields: { Range: range } })
    assert.equal(answer.status, 416, range)
    assert.equal(answer.fields.get('content-range'), `bytes */${len}`)
    assert.ok(answer.body.length > 0)
  }
})

onBothMounts('what is no range of bytes is answered with the whole', FILES, async site => {
  for (const range of ['bytes=5-3', 'items=0-1', 'bytes=', 'bytes=a-b']) {
    assert.equal(text(await site.get('/a.txt', { fields: { Range: range } })), 'abcdefghij', range)
  }
  const head = await site.get('/a.txt', { method: 'HEAD', fields: { Range: 'bytes=0-0' } })
  assert.deepEqual([head.status, head.fields.get('content-length')], [200, '10'])
  assert.equal(await statusOf(site, '/none', { Range: 'bytes=0-0' }), 404)
  const twice = 'GET /a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0\r\nRange: bytes=1-1\r\n'
  const [answer] = await site.send(`${twice}Connection: close\r\n\r\n`, ['GET'])
  assert.equal(answer.status, 200)
})

onBothMounts('several ranges are parts of one answer', FILES, async site => {
  const answer = await site.get('/a.txt', { fields: { Range: 'bytes=0-1,4-4,-2' } })
  assert.equal(answer.status, 206)
  assert.equal(answer.fields.get('content-range'), undefined)
  assert.deepEqual(
    partsOf(answer).map(({ range, type, bytes }) => [range, type, bytes.toString()]),
    [
      ['0-1/10', 'text/plain; charset=utf-8', 'ab'],
      ['4-4/10', 'text/plain; charset=utf-8', 'e'],
      ['8-9/10', 'text/plain; charset=utf-8', 'ij'],
    ],
  )
})

onBothMounts('any ranges of a large file have its bytes', FILES, async site => {
  const place = fc.nat(BIG.length + 500)
  const spec = fc.oneof(
    fc.tuple(place, place).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    place.map(from => `${from}-`),
    place.map(suffix => `-${suffix}`),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(spec, { minLength: 1, maxLength: 3 }), async specs => {
      const answer = await site.get('/big.bin', { fields: { Range: `bytes=${specs.join()}` } })
      const found = specs
        .map(one => one.split('-'))
        .map(([first, last]) =>
          first === ''
            ? [Math.max(0, BIG.length - Number(last)), BIG.length]
            : [Number(first), last === '' ? BIG.length : Math.min(BIG.length, Number(last) + 1)],
        )
        .filter(([from, end]) => from < end)
      if (found.length === 0) return assert.equal(answer.status, 416)
      assert.equal(answer.status, 206)
      const expected = found.map(([from, end]) => Buffer.from(BIG.slice(from, end)))
      const parts =
        found.length === 1 ? [Buffer.from(answer.body)] : partsOf(answer).map(p => p.bytes)
      assert.equal(parts.length, expected.length)
      assert.ok(Buffer.concat(parts).equals(Buffer.concat(expected)), `${specs}`)
    }),
    { numRuns: 60 },
  )
})

onBothMounts('If-Range: the part of what the client has, else the whole', FILES, async site => {
  const { fields } = await site.get('/a.txt')
  const etag = fields.get('etag')!
  const modified = fields.get('last-modified')!
  for (const [validator, status] of [
    [etag, 206],
    [modified, 206],
    [`W/${etag}`, 200],
    ['"another"', 200],
    [`${etag}, "b"`, 200],
    ['*', 200],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 200],
    ['yesterday', 200],
  ] as const) {
    const asked = { Range: 'bytes=0-1', 'If-Range': validator }
    assert.equal(await statusOf(site, '/a.txt', asked), status, validator)
  }
})

onBothMounts('conditions in the order of RFC 9110 §13.2.2', FILES, async site => {
  const { fields } = await site.get('/a.txt')
  const etag = fields.get('etag')!
  const modified = fields.get('last-modified')!
  const sec = Date.parse(modified) / 1000
  const at = (seconds: number): string => new Date(seconds * 1000).toUTCString()
  for (const [asked, status] of [
    [{ 'If-None-Match': etag }, 304],
    [{ 'If-None-Match': `W/${etag}` }, 304],
    [{ 'If-None-Match': `"x", ${etag}` }, 304],
    [{ 'If-None-Match': '*' }, 304],
    [{ 'If-None-Match': '"x"' }, 200],
    [{ 'If-None-Match': '"x"', 'If-Modified-Since': modified }, 200],
    [{ 'If-Modified-Since': modified }, 304],
    [{ 'If-Modified-Since': at(sec + 1000) }, 304],
    [{ 'If-Modified-Since': at(sec - 1) }, 200],
    [{ 'If-Modified-Since': 'yesterday' }, 200],
    [{ 'If-Match': etag }, 200],
    [{ 'If-Match': '*' }, 200],
    [{ 'If-Match': `W/${etag}` }, 412],
    [{ 'If-Match': '"x"' }, 412],
    [{ 'If-Match': '"x"', 'If-None-Match': etag }, 412],
    [{ 'If-Match': etag, 'If-Unmodified-Since': at(sec - 1) }, 200],
    [{ 'If-Unmodified-Since': modified }, 200],
    [{ 'If-Unmodified-Since': at(sec - 1) }, 412],
    [{ 'If-Unmodified-Since': 'yesterday' }, 200],
    [{ 'If-None-Match': etag, Range: 'bytes=0-1' }, 304],
    [{ 'If-Match': etag, Range: 'bytes=0-1' }, 206],
  ] as const) {
    assert.equal(await statusOf(site, '/a.txt', asked), status, JSON.stringify(asked))
  }
  assert.equal(await statusOf(site, '/none', { 'If-None-Match': '*' }), 404)
  const answer = await site.get('/a.txt', { fields: { 'If-None-Match': etag } })
  assert.equal(answer.body.length, 0)
  assert.equal(answer.fields.get('etag'), etag)
})

onBothMounts(
  'the coding that the client likes best, and the smallest of those',
  FILES,
  async site => {
    const plain = FILES['style.css']
    for (const [accept, coding, expected] of [
      ['', undefined, plain],
      ['gzip', 'gzip', 'not really gzip'],
      ['gzip, br', 'br', 'brotli'],
      ['gzip;q=1, br;q=0.5', 'gzip', 'not really gzip'],
      ['gzip;q=0, br;q=0', undefined, plain],
      ['*', 'br', 'brotli'],
      ['identity', undefined, plain],
      ['gzip;q=0.5, identity', undefined, plain],
      ['zstd', undefined, plain],
      ['*;q=0', undefined, plain],
    ] as const) {
      const answer = await site.get('/style.css', { fields: { 'Accept-Encoding': accept } })
      assert.deepEqual(
        [answer.fields.get('content-encoding'), text(answer)],
        [coding, expected],
        accept,
      )
      assert.equal(answer.fields.get('vary'), 'Accept-Encoding')
      assert.equal(answer.fields.get('content-type'), 'text/css; charset=utf-8')
    }
    const { fields } = await site.get('/a.txt', { fields: { 'Accept-Encoding': 'gzip' } })
    assert.equal(fields.get('vary'), undefined)
  },
)

onBothMounts('ranges and conditions are about the coded bytes', FILES, async site => {
  const gzip = { 'Accept-Encoding': 'gzip' }
  const { fields } = await site.get('/style.css', { fields: gzip })
  const etag = fields.get('etag')!
  const plain = (await site.get('/style.css')).fields.get('etag')!
  assert.notEqual(etag, plain)
  const part = await site.get('/style.css', { fields: { ...gzip, Range: 'bytes=4-9' } })
  assert.equal(text(part), 'really')
  assert.equal(part.fields.get('content-encoding'), 'gzip')
  assert.equal(part.fields.get('vary'), 'Accept-Encoding')
  assert.equal(await statusOf(site, '/style.css', { ...gzip, 'If-None-Match': etag }), 304)
  assert.equal(await statusOf(site, '/style.css', { ...gzip, 'If-None-Match': plain }), 200)
  const notModified = await site.get('/style.css', { fields: { ...gzip, 'If-None-Match': etag } })
  assert.equal(notModified.fields.get('vary'), 'Accept-Encoding')
})

onBothMounts(
  'a folder’s path without its slash is redirected, the query kept',
  FILES,
  async site => {
    for (const [target, location] of [
      ['/dir', './dir/'],
      ['/dir?', './dir/?'],
      ['/dir?a=b&c=/d?e', './dir/?a=b&c=/d?e'],
    ]) {
      const answer = await site.get(target)
      assert.equal(answer.status, 308)
      assert.equal(answer.fields.get('location'), location)
      assert.equal(answer.fields.get('date'), 'Sun, 06 Nov 1994 08:49:37 GMT')
    }
    const query = 'x'.repeat(4000)
    const { fields } = await site.get(`/dir?${query}`)
    assert.equal(fields.get('location'), `./dir/?${query}`)
    assert.equal((await site.get('/dir?q', { method: 'HEAD' })).fields.get('location'), './dir/?q')
  },
)

onBothMounts(
  'methods that files do not have are refused with those that they have',
  FILES,
  async site => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const answer = await site.get('/a.txt', { method })
      assert.deepEqual([answer.status, answer.fields.get('allow')], [405, 'GET, HEAD, OPTIONS'])
    }
    assert.equal((await site.get('/a.txt', { method: 'BREW' })).status, 501)
    for (const target of ['/a.txt', '*']) {
      const answer = await site.get(target, { method: 'OPTIONS' })
      assert.deepEqual([answer.status, answer.fields.get('allow')], [204, 'GET, HEAD, OPTIONS'])
    }
  },
)

onBothMounts('pipelined parts and wholes come in order', FILES, async site => {
  const one = (fields: string): string => `GET /a.txt HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
  const stream = [
    one('Range: bytes=0-1\r\n'),
    one(''),
    one('Range: bytes=0-1,3-4\r\n'),
    one('Range: bytes=50-\r\n'),
    'GET /dir?q HTTP/1.1\r\nHost: a\r\n\r\n',
    one('If-None-Match: *\r\n'),
    one('Connection: close\r\n'),
  ].join('')
  const answers = await site.send(stream, Array<string>(7).fill('GET'))
  assert.deepEqual(
    answers.map(({ status }) => status),
    [206, 200, 206, 416, 308, 304, 200],
  )
})

onBothMounts(
  'the last request that a connection may make closes it',
  FILES,
  async site => {
    const one = 'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n'
    const answers = await site.send(one.repeat(5), ['GET', 'GET', 'GET'])
    assert.deepEqual(
      answers.map(({ fields }) => fields.get('connection')),
      ['keep-alive', 'keep-alive', 'close'],
    )
  },
  {},
  { requestsPerConnection: 3 },
)

onBothMounts(
  'limits of a request are those that were set',
  FILES,
  async site => {
    assert.equal(await statusOf(site, `/${'x'.repeat(200)}`), 414)
    assert.equal(await statusOf(site, '/a.txt', { X: 'x'.repeat(1000) }), 431)
    assert.equal(await statusOf(site, '/a.txt', { 'Content-Length': '11' }), 413)
    assert.equal(await statusOf(site, '/a.txt', { A: '1', B: '2', C: '3' }), 431)
  },
  {},
  { http: { targetBytes: 100, headBytes: 512, bodyBytes: 10, fields: 4 } },
)

onBothMounts(
  'a query that does not fit behind a long head is 414',
  FILES,
  async site => {
    assert.equal(await statusOf(site, '/dir?short'), 308)
    assert.equal(await statusOf(site, `/dir?${'x'.repeat(2000)}`), 414)
  },
  { rules: [{ match: '/dir', headers: { 'X-Long': 'x'.repeat(3000) } }] },
)
