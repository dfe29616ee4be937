import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import fc from 'fast-check'
import type { Content } from '../src/content/content.ts'
import * as image from '../src/content/image.ts'
import { DEFAULT_LIMITS, type HttpLimits } from '../src/http/limits.ts'
import { HttpMachine } from '../src/http/machine.ts'
import { answerTo, etagOf, load, makeTree } from './contentTree.ts'

let content: Content
let etag: string

before(async t => {
  const files = { 'index.html': 'top', 'a.txt': 'a', 'dir/index.html': 'dir', 'ä b.txt': 'utf8' }
  content = (await load(makeTree(t as never, files))).content
  etag = etagOf(answerTo(content, '/a.txt').head)
})

interface Answer {
  status: number
  close: boolean
  headOnly: boolean
  skip: number
  taken: number
}

/** What the machine says to bytes that lie somewhere inside a larger buffer; undefined: more, please. */
function ask(
  machine: HttpMachine,
  bytes: Buffer,
  len = bytes.length,
  scanned = 0,
): Answer | undefined {
  const padded = Buffer.concat([
    Buffer.from('##'),
    bytes.subarray(0, len),
    Buffer.from('\r\n\r\n##'),
  ])
  const taken = machine.next(padded, 2, 2 + len, scanned)
  if (taken === 0) return undefined
  assert.ok(taken > 0 && taken <= len)
  const { close, headOnly, skip } = machine
  return { status: content.images[machine.image + image.STATUS], close, headOnly, skip, taken }
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** A request with these lines behind a valid HTTP/1.1 GET and Host. */
const get = (...lines: string[]): string =>
  `GET /a.txt HTTP/1.1\r\nHost: x\r\n${lines.map(l => `${l}\r\n`).join('')}\r\n`
const lineOf = (line: string): string => `${line}\r\nHost: x\r\n\r\n`
const withHost = (host: string): string => `GET /a.txt HTTP/1.1\r\nHost: ${host}\r\n\r\n`

const OPEN = false
const CLOSE = true
type Row = [
  request: string,
  status: number,
  close: boolean,
  more?: { headOnly?: boolean; skip?: number },
]

const PLAIN: Row[] = [
  [get(), 200, OPEN],
  [lineOf('GET / HTTP/1.1'), 200, OPEN],
  [lineOf('GET /dir/ HTTP/1.1'), 200, OPEN],
  [lineOf('GET /dir HTTP/1.1'), 308, OPEN],
  [lineOf('GET /a.txt?x=/../%zz HTTP/1.1'), 200, OPEN],
  [lineOf('GET /nothing HTTP/1.1'), 404, OPEN],
  [lineOf('HEAD /a.txt HTTP/1.1'), 200, OPEN, { headOnly: true }],
  [lineOf('HEAD /nothing HTTP/1.1'), 404, OPEN, { headOnly: true }],
  [lineOf('HEAD /%zz HTTP/1.1'), 400, CLOSE, { headOnly: true }],
  [lineOf('GET /%C3%A4%20b.txt HTTP/1.1'), 200, OPEN],
  [lineOf('GET /\xc3\xa4%20b.txt HTTP/1.1'), 200, OPEN],
  [lineOf('GET //a.txt HTTP/1.1'), 404, OPEN],
  [lineOf('GET /x/../a.txt HTTP/1.1'), 400, CLOSE],
  [lineOf('GET /.git/config HTTP/1.1'), 404, OPEN],
  [`\r\n${get()}`, 200, OPEN],
  [`\r\n\r\n\r\n\r\n${get()}`, 200, OPEN],
  [`\r\n\r\n\r\n\r\n\r\n${get()}`, 400, CLOSE],
  [`\n${get()}`, 400, CLOSE],
  ['\rGET / HTTP/1.1\r\n\r\n', 400, CLOSE],
]

const METHODS: Row[] = [
  ...['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT'].map(
    (method): Row => [lineOf(`${method} /a.txt HTTP/1.1`), 405, OPEN],
  ),
  [lineOf('OPTIONS * HTTP/1.1'), 405, OPEN],
  [lineOf('GET * HTTP/1.1'), 400, CLOSE],
  [lineOf('BREW /a.txt HTTP/1.1'), 501, OPEN],
  [lineOf('get /a.txt HTTP/1.1'), 501, OPEN],
  [lineOf('GETT /a.txt HTTP/1.1'), 501, OPEN],
  [lineOf(`${'M'.repeat(32)} /a.txt HTTP/1.1`), 501, OPEN],
  [lineOf(`${'M'.repeat(33)} /a.txt HTTP/1.1`), 501, CLOSE],
  [lineOf('G(T /a.txt HTTP/1.1'), 400, CLOSE],
  [lineOf(' GET /a.txt HTTP/1.1'), 400, CLOSE],
  [lineOf(''), 400, CLOSE], // the Host field is taken for the request line
  ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, CLOSE], // TLS
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505, CLOSE], // HTTP/2 with prior knowledge
]

const REQUEST_LINES: Row[] = [
  [lineOf('GET /a.txt HTTP/1.2'), 200, OPEN],
  [lineOf('GET /a.txt HTTP/1.9'), 200, OPEN],
  [lineOf('GET /a.txt HTTP/2.0'), 505, CLOSE],
  [lineOf('GET /a.txt HTTP/0.9'), 505, CLOSE],
  [lineOf('GET /a.txt HTTP/1.10'), 400, CLOSE],
  [lineOf('GET /a.txt HTTP/1'), 400, CLOSE],
  [lineOf('GET /a.txt HTTP/1.'), 400, CLOSE],
  [lineOf('GET /a.txt HTTP/1.x'), 400, CLOSE],
  [lineOf('GET /a.txt http/1.1'), 400, CLOSE],
  [lineOf('GET /a.txt HTTPS/1.1'), 400, CLOSE],
  [lineOf('GET /a.txt ICY/1.1'), 400, CLOSE],
  [lineOf('GET /a.txt'), 400, CLOSE],
  ['GET /a.txt\r\n', 400, CLOSE], // HTTP/0.9 sends no more than this
  ['GET /a.txt \r\n', 400, CLOSE],
  ['GET\r\n\r\n', 400, CLOSE],
  [lineOf('GET  /a.txt HTTP/1.1'), 400, CLOSE],
  [lineOf('GET /a.txt  HTTP/1.1'), 400, CLOSE],
  [lineOf('GET /a.txt HTTP/1.1 '), 400, CLOSE],
  [lineOf('GET\t/a.txt HTTP/1.1'), 400, CLOSE],
  [lineOf('GET /a b.txt HTTP/1.1'), 400, CLOSE],
  [lineOf('GET /a.txt#frag HTTP/1.1'), 400, CLOSE],
  [lineOf('GET /a\x00.txt HTTP/1.1'), 400, CLOSE],
  [lineOf('GET /a\x7f.txt HTTP/1.1'), 400, CLOSE],
  [lineOf('GET a.txt HTTP/1.1'), 400, CLOSE],
  [lineOf('GET ?a HTTP/1.1'), 400, CLOSE],
  [lineOf('GET x:80 HTTP/1.1'), 400, CLOSE],
  [lineOf('CONNECT x:80 HTTP/1.1'), 400, CLOSE],
  [lineOf('GET http://x/a.txt HTTP/1.1'), 200, OPEN],
  [lineOf('GET HTTP://other:8080/a.txt?q HTTP/1.1'), 200, OPEN],
  [lineOf('GET http://x HTTP/1.1'), 200, OPEN],
  [lineOf('GET http://x?q HTTP/1.1'), 200, OPEN],
  [lineOf('GET http://[::1]:80/a.txt HTTP/1.1'), 200, OPEN],
  [lineOf('GET http:///a.txt HTTP/1.1'), 400, CLOSE],
  [lineOf('GET http:// HTTP/1.1'), 400, CLOSE],
  [lineOf('GET http:/ HTTP/1.1'), 400, CLOSE],
  [lineOf('GET http://user@x/a.txt HTTP/1.1'), 400, CLOSE],
  [lineOf('GET ftp://x/a.txt HTTP/1.1'), 400, CLOSE],
  ['GET http://x/a.txt HTTP/1.1\r\n\r\n', 400, CLOSE], // Host is due all the same
]

const FIELDS: Row[] = [
  ['GET /a.txt HTTP/1.1\r\n\r\n', 400, CLOSE],
  [get('Host: x'), 400, CLOSE],
  [get('hOST: y'), 400, CLOSE],
  ['GET /a.txt HTTP/1.1\r\nhOsT:x\r\n\r\n', 200, OPEN],
  ...['a.b-c_d', 'x:80', 'x:', '127.0.0.1:8080', '[::1]', '[2001:db8::1]:80', 'a%20b', ' x '].map(
    (host): Row => [withHost(host), 200, OPEN],
  ),
  ...[
    '',
    'x:y',
    'x:80:80',
    'x:65536',
    'a b',
    'a/b',
    'a@b',
    'a?b',
    'a,b/',
    '[::1',
    '[]',
    '::1',
    '[g]',
    '[::1]x',
    'a%2',
    'a%zz',
    ':80',
    '\xe4',
  ].map((host): Row => [withHost(host), 400, CLOSE]),
  [get('X-Any: \t value with "anything" \xe4\xff:;, \t'), 200, OPEN],
  [get('X-Empty:'), 200, OPEN],
  [get('X : y'), 400, CLOSE],
  [get(': y'), 400, CLOSE],
  [get('no colon'), 400, CLOSE],
  [get('X[: y'), 400, CLOSE],
  [get('X\xe4: y'), 400, CLOSE],
  [get('X: y', ' folded'), 400, CLOSE],
  [get('X: y', '\tfolded: z'), 400, CLOSE],
  [get('X: a\rb'), 400, CLOSE],
  [get('X: a\nb'), 400, CLOSE],
  [get('X: a\nY: b'), 400, CLOSE],
  [get('X: a\x00b'), 400, CLOSE],
  [get('X: a\x01b'), 400, CLOSE],
  [get('X: a\x7fb'), 400, CLOSE],
  [get('X\x00: b'), 400, CLOSE],
  ['GET /a.txt HTTP/1.1\nHost: x\n\n', 400, CLOSE],
  ['GET /a.txt HTTP/1.1\r\nHost: x\r\n\n', 400, CLOSE],
  ['GET /a.txt HTTP/1.1\r\nHost: x\r\n\rX', 400, CLOSE],
]

const PERSISTENCE: Row[] = [
  [get('Connection: close'), 200, CLOSE],
  [get('connection:CLOSE'), 200, CLOSE],
  [get('Connection: keep-alive'), 200, OPEN],
  [get('Connection: keep-alive, close'), 200, CLOSE],
  [get('Connection: Upgrade, , close ,x'), 200, CLOSE],
  [get('Connection: keep-alive', 'Connection: close'), 200, CLOSE],
  [get('Connection: closed'), 200, OPEN],
  [get('Connection: not close'), 200, OPEN],
  [get('Connection:'), 200, OPEN],
  ['GET /a.txt HTTP/1.0\r\n\r\n', 200, CLOSE],
  ['GET /a.txt HTTP/1.0\r\nHost: x\r\n\r\n', 200, CLOSE],
  ['GET /a.txt HTTP/1.0\r\nHost: a b\r\n\r\n', 400, CLOSE],
  ['GET /a.txt HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n', 200, OPEN],
  ['GET /a.txt HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n', 200, CLOSE],
]

const FRAMING: Row[] = [
  [get('Content-Length: 0'), 200, OPEN],
  [get('Content-Length: 5'), 200, OPEN, { skip: 5 }],
  [get('content-length:5  '), 200, OPEN, { skip: 5 }],
  [get('Content-Length: 0005'), 200, OPEN, { skip: 5 }],
  [get('Content-Length: 65536'), 200, OPEN, { skip: 65536 }],
  [get('Content-Length: 65537'), 413, CLOSE],
  [get('Content-Length: 4294967297'), 413, CLOSE],
  [get(`Content-Length: ${'9'.repeat(400)}`), 413, CLOSE],
  [get('Content-Length: 5, 5'), 200, OPEN, { skip: 5 }],
  [get('Content-Length: 5', 'Content-Length: 5'), 200, OPEN, { skip: 5 }],
  [get('Content-Length: 5', 'Content-Length: 6'), 400, CLOSE],
  [get('Content-Length: 6', 'content-length: 5'), 400, CLOSE],
  ...[
    '',
    '5, 6',
    '5,',
    ',5',
    '+5',
    '-5',
    '-0',
    '5 5',
    '5;',
    '0x5',
    '5.0',
    '5e1',
    'five',
    '\xb25',
  ].map((length): Row => [get(`Content-Length: ${length}`), 400, CLOSE]),
  [get('Connection: close', 'Content-Length: 5'), 200, CLOSE],
  ['POST /a.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n', 405, OPEN, { skip: 3 }],
  ['BREW /a.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n', 501, OPEN, { skip: 3 }],
  [get('Transfer-Encoding: chunked'), 200, CLOSE],
  [get('transfer-encoding: Chunked'), 200, CLOSE],
  ['POST /a.txt HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n', 405, CLOSE],
  [
    'GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n',
    200,
    CLOSE,
  ],
  [get('Transfer-Encoding: gzip, chunked'), 501, CLOSE],
  [get('Transfer-Encoding: chunked, chunked'), 501, CLOSE],
  ...[
    '',
    'gzip',
    'identity',
    'chunked, gzip',
    'xchunked',
    'chunked;',
    'chunked x',
    '"chunked"',
    'chunke',
    '\x0bchunked',
  ].map((coding): Row => [get(`Transfer-Encoding: ${coding}`), 400, CLOSE]),
  [get('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), 400, CLOSE],
  [get('Transfer-Encoding: chunked', 'Content-Length: 5'), 400, CLOSE],
  [get('Content-Length: 5', 'Transfer-Encoding: chunked'), 400, CLOSE],
  [get('Transfer-Encoding : chunked'), 400, CLOSE],
  [get('Expect: 100-continue', 'Content-Length: 5'), 200, CLOSE],
  [get('expect: 100-Continue', 'Content-Length: 5'), 200, CLOSE],
  [get('Expect: 100-continue'), 200, OPEN], // no body to wait for
  [get('Expect: something', 'Content-Length: 5'), 200, OPEN, { skip: 5 }],
  [
    'GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n',
    200,
    OPEN,
    { skip: 5 },
  ],
]

const LIMITS: Row[] = [
  [lineOf(`GET /${'x'.repeat(4095)} HTTP/1.1`), 404, OPEN],
  [lineOf(`GET /${'x'.repeat(4096)} HTTP/1.1`), 414, CLOSE],
  [`GET /${'x'.repeat(4200)}`, 414, CLOSE],
  [`GET /${'x'.repeat(20000)}`, 414, CLOSE],
  [get(...Array.from({ length: 99 }, (_, i) => `X${i}: y`)), 200, OPEN],
  [get(...Array.from({ length: 100 }, (_, i) => `X${i}: y`)), 431, CLOSE],
  [get(`X: ${'y'.repeat(8192 - get('X: ').length)}`), 200, OPEN],
  [get(`X: ${'y'.repeat(8193 - get('X: ').length)}`), 431, CLOSE],
  [`GET / HTTP/1.1\r\nX: ${'y'.repeat(20000)}`, 431, CLOSE],
  [`GET / HTTP/1.1\r\n${'y'.repeat(20000)}`, 431, CLOSE],
]

const TABLES = { PLAIN, METHODS, REQUEST_LINES, FIELDS, PERSISTENCE, FRAMING, LIMITS }

const print = (request: string): string =>
  request.length > 160
    ? `${JSON.stringify(request.slice(0, 150))}… (${request.length})`
    : JSON.stringify(request)

for (const [name, rows] of Object.entries(TABLES)) {
  test(`${name}: status, persistence, framing`, () => {
    const machine = new HttpMachine(content)
    for (const [request, status, close, more] of rows) {
      const bytes = latin1(request)
      const answer = ask(machine, bytes)
      const expected = { status, close, headOnly: false, skip: 0, taken: bytes.length, ...more }
      assert.deepEqual(answer, expected, print(request))
    }
  })
}

test('a head cut at every byte, in two or byte by byte, gets the same answer', () => {
  const machine = new HttpMachine(content)
  for (const [request] of Object.values(TABLES).flat()) {
    const bytes = latin1(request)
    const { taken: _, ...whole } = ask(machine, bytes)!
    const same = (answer: Answer | undefined, len: number, how: string): void => {
      assert.ok(answer, `${how} ${print(request)}: no answer`)
      const { taken, ...rest } = answer
      assert.deepEqual(rest, whole, `${how} ${print(request)}`)
      assert.equal(taken, len)
    }
    let scanned = 0
    let answer: Answer | undefined
    while (answer === undefined && scanned < bytes.length) {
      answer = ask(machine, bytes, scanned + 1, scanned)
      scanned++
    }
    same(answer, scanned, 'byte by byte:')
    // Cuts deep inside a long value differ in nothing.
    for (let cut = 1; cut < bytes.length; cut += cut > 300 && cut < bytes.length - 300 ? 97 : 1) {
      const first = ask(machine, bytes, cut)
      if (first) same(first, cut, `first ${cut} of`)
      else same(ask(machine, bytes, bytes.length, cut), bytes.length, `cut at ${cut}:`)
    }
  }
})

test('a refusal does not wait for the end of the head', () => {
  const machine = new HttpMachine(content)
  for (const [request, status] of [
    ['GET /\r\n', 400],
    ['GET / HTTP/1.1\n', 400],
    ['GET / HTTP/3.0\r\n', 505],
    [`GET /${'x'.repeat(5000)}`, 414],
    ['GET / HTTP/1.1\r\nX: \x01', 400],
  ] as const) {
    assert.equal(ask(machine, latin1(request))?.status, status, print(request))
  }
  // The same when it comes byte by byte, but for control bytes, which may wait for the head's end.
  for (const request of ['GET /\r\n', 'GET / HTTP/1.1\n', 'GET / HTTP/1.1\r\nX: a\rb']) {
    const bytes = latin1(request)
    let answer: Answer | undefined
    for (let len = 1; len <= bytes.length; len++) answer = ask(machine, bytes, len, len - 1)
    assert.equal(answer?.status, 400, print(request))
  }
})

test('no head makes its reader keep more than headBytes, or a target more than its limit', () => {
  const machine = new HttpMachine(content)
  for (const prefix of [
    '',
    'GET ',
    'GET /',
    'GET / HTTP/1.1\r\n',
    'GET / HTTP/1.1\r\nX: ',
    '\r\n',
  ]) {
    const bytes = latin1(prefix + 'x'.repeat(9000))
    let len = 1
    while (ask(machine, bytes, len, len - 1) === undefined) len++
    assert.ok(len <= DEFAULT_LIMITS.headBytes, prefix)
    if (prefix.startsWith('GET ') && !prefix.includes('HTTP')) assert.ok(len <= 4096 + 50)
  }
})

test('a head that comes byte by byte is parsed a fixed number of times', () => {
  const machine = new HttpMachine(content)
  const bytes = latin1(get(...Array.from({ length: 60 }, () => `X: ${'y'.repeat(100)}`)))
  let parses = 0
  for (let len = 1; len <= bytes.length; len++) {
    // Whether the machine parses shows in a head that is spoilt at its first byte: only then is it
    // refused.
    const spoilt = Buffer.from(bytes.subarray(0, len))
    spoilt[0] = 0
    if (machine.next(spoilt, 0, len, len - 1) > 0) parses++
  }
  // At its first byte, at the end of its first line, where the target must have ended, at its end.
  assert.equal(parses, 4)
})

test('several requests in one buffer are taken one by one', () => {
  const machine = new HttpMachine(content)
  const first = get() + lineOf('HEAD /nothing HTTP/1.1')
  const bytes = latin1(`${first}\r\n${get('Content-Length: 5')}abcde${get()}`)
  const seen: number[] = []
  for (let off = 0; off < bytes.length; ) {
    const taken = machine.next(bytes, off, bytes.length, 0)
    assert.ok(taken > 0)
    seen.push(content.images[machine.image + image.STATUS])
    off += taken + machine.skip
  }
  assert.deepEqual(seen, [200, 404, 200, 200])
})

test('what follows a request of doubtful length is never taken for a request', () => {
  const machine = new HttpMachine(content)
  for (const field of ['Transfer-Encoding: chunked', 'Content-Length: 3\r\nExpect: 100-continue']) {
    const bytes = latin1(get(field) + get())
    assert.equal(machine.next(bytes, 0, bytes.length, 0), bytes.length)
    assert.ok(machine.close)
  }
})

test('If-None-Match turns a 200 into a 304, and nothing else', () => {
  const machine = new HttpMachine(content)
  const status = (request: string): number => ask(machine, latin1(request))!.status
  assert.equal(status(get(`If-None-Match: ${etag}`)), 304)
  assert.equal(status(get(`if-none-match: "x", W/${etag}`)), 304)
  assert.equal(status(get('If-None-Match: *')), 304)
  assert.equal(status(get('If-None-Match: "x"', `If-None-Match: ${etag}`)), 304)
  assert.equal(status(get('If-None-Match: "x"')), 200)
  assert.equal(status(get('If-None-Match:')), 200)
  const line = (first: string): string => `${first} HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n`
  assert.equal(status(line('HEAD /a.txt')), 304)
  assert.equal(status(line('GET /nothing')), 404)
  assert.equal(status(line('GET /dir')), 308)
  assert.equal(status(line('POST /a.txt')), 405)
})

test('the machine keeps nothing from one request to the next', () => {
  const machine = new HttpMachine(content)
  const plain = ask(machine, latin1(get()))
  for (const [request] of Object.values(TABLES).flat()) {
    ask(machine, latin1(request))
    assert.deepEqual(ask(machine, latin1(get())), plain, `after ${print(request)}`)
  }
})

test('limits can be set, and contradicting ones are refused', () => {
  const answer = (limits: Partial<HttpLimits>, request: string): number | undefined =>
    ask(new HttpMachine(content, limits), latin1(request))?.status
  assert.equal(answer({ targetBytes: 6 }, get()), 200)
  assert.equal(answer({ targetBytes: 5 }, get()), 414)
  assert.equal(answer({ fields: 1 }, get()), 200)
  assert.equal(answer({ fields: 1 }, get('X: y')), 431)
  assert.equal(answer({ bodyBytes: 4 }, get('Content-Length: 5')), 413)
  assert.throws(() => new HttpMachine(content, { headBytes: 4096 }), /room for its target/)
})

/** Takes requests until the bytes are used up, like a mount; fails if that does not end. */
function drive(machine: HttpMachine, bytes: Buffer): void {
  for (let off = 0; off < bytes.length; ) {
    const taken = machine.next(bytes, off, bytes.length, 0)
    assert.ok(Number.isInteger(taken) && taken >= 0 && off + taken <= bytes.length)
    if (taken === 0) {
      assert.ok(bytes.length - off < DEFAULT_LIMITS.headBytes)
      return
    }
    assert.ok(content.images[machine.image + image.STATUS] >= 200)
    assert.ok(machine.skip >= 0 && machine.skip <= DEFAULT_LIMITS.bodyBytes)
    if (machine.close) return
    off += taken + machine.skip
  }
}

test('random bytes never throw, and always end', () => {
  const machine = new HttpMachine(content)
  const anyByte = fc.uint8Array({ maxLength: 600 })
  const likely = fc
    .array(
      fc.constantFrom(
        '\r\n',
        'GET ',
        '/',
        'a.txt',
        ' HTTP/1.1',
        'Host: x',
        ':',
        ' ',
        '%',
        '\n',
        'Content-Length: ',
        '5',
      ),
      { maxLength: 40 },
    )
    .map(parts => latin1(parts.join('')))
  fc.assert(
    fc.property(fc.oneof(anyByte, likely), bytes => drive(machine, Buffer.from(bytes))),
    { numRuns: 20000 },
  )
})

test('mutated heads never throw, and are answered the same however they are cut', () => {
  const machine = new HttpMachine(content)
  const valid = Object.values(TABLES)
    .flat()
    .map(([request]) => request)
    .filter(r => r.length < 400)
  const mutation = fc.record({
    at: fc.nat(),
    byte: fc.nat(255),
    kind: fc.constantFrom('set', 'insert', 'delete', 'double'),
  })
  fc.assert(
    fc.property(
      fc.constantFrom(...valid),
      fc.array(mutation, { maxLength: 3 }),
      fc.nat(),
      (request, mutations, cutAt) => {
        let text = request
        for (const { at, byte, kind } of mutations) {
          const i = at % text.length
          const c = String.fromCharCode(byte)
          const middle = { set: c, insert: c + text[i], delete: '', double: text[i] + text[i] }[
            kind
          ]!
          text = text.slice(0, i) + middle + text.slice(i + 1) || 'x'
        }
        const bytes = latin1(text)
        drive(machine, bytes)
        const whole = ask(machine, bytes)
        const cut = 1 + (cutAt % bytes.length)
        const first = ask(machine, bytes, cut)
        let answer = first ?? ask(machine, bytes, bytes.length, cut)
        // What is refused while incomplete may be refused later, but no later than at its end.
        const ended = Buffer.concat([bytes, latin1('\r\n\r\n')])
        if (whole && whole.status >= 400) answer ??= ask(machine, ended, ended.length, bytes.length)
        assert.deepEqual({ ...answer, taken: 0 }, { ...whole, taken: 0 })
      },
    ),
    { numRuns: 20000 },
  )
})
