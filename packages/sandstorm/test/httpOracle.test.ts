/**
 * The strictness of the parser against Node's own (llhttp), over a real socket: both must accept or
 * refuse the same heads, except where a row says why they differ.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import * as image from '../src/content/image.ts'
import { HttpMachine } from '../src/http/machine.ts'
import { load, makeTree } from './contentTree.ts'
import { RawClient } from './rawClient.ts'

const line = (first: string): string => `${first}\r\nHost: x\r\n\r\n`
const withFields = (first: string, fields: string[]): string =>
  `${first}\r\nHost: x\r\n${fields.map(f => `${f}\r\n`).join('')}\r\n`
const get = (...fields: string[]): string => withFields('GET / HTTP/1.1', fields)
/** With a body that is five bytes, or a whole chunked body. */
const post = (...fields: string[]): string => `${withFields('POST / HTTP/1.1', fields)}0\r\n\r\n`
const host = (value: string): string => `GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`

const BOTH_ACCEPT: string[] = [
  line('GET / HTTP/1.1'),
  line('GET /?a=b&c=%zz|^ HTTP/1.1'),
  line('HEAD / HTTP/1.1'),
  line('OPTIONS * HTTP/1.1'),
  line('DELETE / HTTP/1.1'),
  line('GET http://x/ HTTP/1.1'),
  line('GET /%41 HTTP/1.1'),
  'GET / HTTP/1.0\r\n\r\n',
  `\r\n${line('GET / HTTP/1.1')}`,
  get('X: y'),
  get('X:'),
  get('X:y'),
  get('X: \t y \t'),
  get('X: \xe4\xff'),
  get("!#$%&'*+-.^_`|~09azAZ: y"),
  get('Content-Length: 0'),
  get('Connection: keep-alive, Upgrade'),
  get('Connection: close'),
  get('Expect: 100-continue'),
  post('Content-Length: 5'),
  post('Content-Length: 005'),
  post('Transfer-Encoding: chunked'),
  post('transfer-encoding: CHUNKED'),
  host('a.b:80'),
  host('[::1]'),
]

const BOTH_REFUSE: string[] = [
  'GET\r\n\r\n',
  line('GET / HTTP/1'),
  line('GET / HTTP/1.'),
  line('GET / HTTP/1.x'),
  line('GET / HTTP/1.10'),
  line('GET / HTTP/9.9'),
  line('GET / http/1.1'),
  line('GET / HTTPS/1.1'),
  line('GET / XHTTP/1.1'),
  line('GET / HTTP/1.1 x'),
  line('GET /a b HTTP/1.1'),
  line('GET /\x00 HTTP/1.1'),
  line('GET /\x01 HTTP/1.1'),
  line('GET /\x7f HTTP/1.1'),
  line('get / HTTP/1.1'),
  line('G\x00T / HTTP/1.1'),
  line('G(T / HTTP/1.1'),
  line('GET\t/ HTTP/1.1'),
  line('UNHEARD-OF / HTTP/1.1'),
  'GET / HTTP/1.1\r\n\r\n',
  'GET / HTTP/1.1\r\n X: y\r\nHost: x\r\n\r\n',
  get('X : y'),
  get(': y'),
  get('no colon'),
  get('X(: y'),
  get('X\xe4: y'),
  get('X\x00: y'),
  get('X: a\x00b'),
  get('X: a\x01b'),
  get('X: a\x7fb'),
  get('X: a\rb'),
  get('X: a\r\r\nY: b'),
  post('Content-Length: 5', 'Content-Length: 6'),
  post('Content-Length: 5, 6'),
  post('Content-Length: +5'),
  post('Content-Length: -5'),
  post('Content-Length: 5 5'),
  post('Content-Length: 0x5'),
  post('Content-Length: 5a'),
  post('Content-Length : 5'),
  post('Content-Length:'),
  post('Content-Length: 18446744073709551621'),
  post('Transfer-Encoding: chunked', 'Content-Length: 5'),
  post('Content-Length: 5', 'Transfer-Encoding: chunked'),
  post('Transfer-Encoding : chunked'),
  post('Transfer-Encoding: chunked, identity'),
  get('X: y', ' folded'),
  get('X: y', '\tfolded'),
  get('X: a\nY: b'),
  'GET / HTTP/1.1\nHost: x\n\n',
  'GET / HTTP/1.1\r\nHost: x\r\n\n',
  line('GET / HTTP/1.1 '),
  line('GET a HTTP/1.1'),
  line('CONNECT x:80 HTTP/1.1'),
  line('GET / ICE/1.0'),
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  post('Content-Length: 5,'),
  post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
  post('Transfer-Encoding: chunked, chunked'),
  post('Transfer-Encoding:\nchunked'),
  post('Transfer-Encoding: chunked\x0b'),
  post('Transfer-Encoding: \x0bchunked'),
]

/** Heads that we treat otherwise than Node does, and why. */
const DIFFER: [why: string, ours: 'accept' | 'refuse', heads: string[]][] = [
  [
    'Host must be a valid authority, exactly once (RFC 9112 §3.2); Node only asks that it is there',
    'refuse',
    ['', 'a b', 'a@b', 'a/b', 'x:y', 'x:65536'].map(host).concat(get('Host: x'), get('Host: y')),
  ],
  [
    'a body whose last coding is not chunked has no known end (RFC 9112 §6.3 rule 4): 400',
    'refuse',
    ['identity', 'xchunked', '"chunked"'].map(coding => post(`Transfer-Encoding: ${coding}`)),
  ],
  [
    'a coding that we do not have is 501 (RFC 9112 §6.1); Node leaves it to its user',
    'refuse',
    [post('Transfer-Encoding: gzip, chunked')],
  ],
  ['HTTP/0.9 is not spoken: 400', 'refuse', ['GET /\r\n\r\n']],
  [
    'only major version 1 is spoken: 505; Node takes 0.9 and 2.0 for its own',
    'refuse',
    [line('GET / HTTP/2.0'), line('GET / HTTP/0.9')],
  ],
  [
    'any minor version of HTTP/1 is read as 1.1 (RFC 9110 §2.5); Node knows 1.0 and 1.1',
    'accept',
    [line('GET / HTTP/1.2'), line('GET / HTTP/1.9')],
  ],
  ['ICE is not HTTP; Node serves Icecast sources', 'refuse', [line('SOURCE / ICE/1.0')]],
  [
    'exactly one space (RFC 9112 §3), and no line that ends in LF alone (§2.2 allows either)',
    'refuse',
    [line('GET  / HTTP/1.1'), line('GET /  HTTP/1.1'), `\n${line('GET / HTTP/1.1')}`],
  ],
  [
    'the target is judged here, by Node’s user there: forms (RFC 9112 §3.2), fragments, user names',
    'refuse',
    ['ftp://x/', '/#f', '*', 'http://u@x/', 'http:///x', '/%zz', '/../x'].map(target =>
      line(`GET ${target} HTTP/1.1`),
    ),
  ],
  [
    'a raw byte beyond ASCII is what curl sends for a name as typed; it is checked as UTF-8',
    'accept',
    [line('GET /\xc3\xa4 HTTP/1.1')],
  ],
  ['methods of WebDAV are unknown: 501', 'refuse', [line('PROPFIND / HTTP/1.1')]],
  [
    'a Content-Length repeated with the same value means that value (RFC 9112 §6.3 rule 5)',
    'accept',
    [post('Content-Length: 5, 5'), post('Content-Length: 5', 'Content-Length: 5')],
  ],
]

/** Statuses that refuse a head; 404 and 405 answer a request that was understood. */
const REFUSALS = [400, 413, 414, 431, 501, 505]

test('heads are accepted and refused as by llhttp, but for the differences that are explained', async t => {
  const { content } = await load(makeTree(t, { 'index.html': 'x' }))
  const machine = new HttpMachine(content)
  const oursAccepts = (head: string): boolean => {
    const bytes = Buffer.from(head, 'latin1')
    assert.ok(machine.next(bytes, 0, bytes.length, 0) > 0, JSON.stringify(head))
    return !REFUSALS.includes(content.images[machine.image + image.STATUS])
  }

  let wasAccepted = false
  const server = createServer((_, res) => {
    wasAccepted = true
    res.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const nodeAccepts = async (head: string): Promise<boolean> => {
    wasAccepted = false
    const raw = await RawClient.to((server.address() as AddressInfo).port)
    raw.send(head)
    raw.socket.end()
    await raw.answer(true).catch(() => {}) // CONNECT is hung up on
    raw.close()
    return wasAccepted
  }

  const check = async (head: string, ours: boolean, node: boolean, why: string): Promise<void> => {
    assert.equal(oursAccepts(head), ours, `ours: ${JSON.stringify(head)} ${why}`)
    assert.equal(await nodeAccepts(head), node, `Node: ${JSON.stringify(head)} ${why}`)
  }
  for (const head of BOTH_ACCEPT) await check(head, true, true, 'is accepted')
  for (const head of BOTH_REFUSE) await check(head, false, false, 'is refused')
  for (const [why, ours, heads] of DIFFER) {
    for (const head of heads) await check(head, ours === 'accept', ours !== 'accept', why)
  }
})

/** Pieces of bodies in chunks, right and wrong. */
const PIECES = [
  ...['5', '0', '00', 'a', 'A', '1f', 'g', '-1', '+5', '0x5', ' '],
  ...['\r\n', '\r\n', '\r\n', '\r', '\n', ';', ';a=b', '; "x"', '\t', '\x01'],
  ...['hello', '0123456789', 'T: v', ':'],
]

test('a body in chunks ends where llhttp says, or both refuse it', async t => {
  const { content } = await load(makeTree(t, { 'index.html': 'x' }))
  const machine = new HttpMachine(content)
  const head = withFields('POST / HTTP/1.1', ['Transfer-Encoding: chunked'])
  /** Where the next request begins; undefined: refused, or not there yet. */
  const ours = (bytes: Buffer): number | undefined => {
    const taken = machine.next(bytes, 0, bytes.length, 0)
    return taken === 0 || machine.close ? undefined : taken
  }
  let ended = 0
  const server = createServer((req, res) => {
    req.on('end', () => ended++).resume()
    res.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const theirs = async (bytes: Buffer): Promise<boolean> => {
    ended = 0
    const raw = await RawClient.to((server.address() as AddressInfo).port)
    raw.socket.end(bytes)
    await raw.ended().catch(() => {})
    raw.close()
    return ended > 0
  }
  const body = fc.oneof(
    fc.array(fc.constantFrom(...PIECES), { maxLength: 10 }).map(pieces => pieces.join('')),
    // Right but for one change.
    fc.tuple(fc.nat(40), fc.constantFrom(...PIECES, '')).map(([at, piece]) => {
      const right = '5\r\nhello\r\na;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n'
      return right.slice(0, at) + piece + right.slice(at + 1)
    }),
  )
  await fc.assert(
    fc.asyncProperty(body, async text => {
      const bytes = Buffer.from(head + text, 'latin1')
      const isEnded = ours(bytes) !== undefined
      // We may be stricter, never laxer.
      if (isEnded) assert.ok(await theirs(bytes), JSON.stringify(text))
    }),
    { numRuns: 2000 },
  )
  for (const right of ['0\r\n\r\n', '5\r\nhello\r\n0\r\n\r\n', '1;a=b\r\nx\r\n0\r\nT: v\r\n\r\n']) {
    const bytes = Buffer.from(head + right)
    assert.deepEqual([ours(bytes), await theirs(bytes)], [bytes.length, true])
  }
})
