/** About messages and connections (RFC 9112), methods and hosts. */
import {
  ask,
  askAll,
  body,
  CLOSE,
  field,
  get,
  open,
  refuse,
  request,
  status,
  statusAnd,
} from './question.ts'
import { TEXT } from './site.ts'

// ── Connections
askAll(
  'connections',
  'pipelined requests are answered in order',
  open('/a.txt') + open('/sub/') + get('/empty.txt'),
  ['GET', 'GET', 'GET'],
  ({ replies }) =>
    replies.map(({ body }) => body.toString()).join('|') === `${TEXT}|sub|`
      ? ''
      : `${replies.length} answers`,
)
askAll(
  'connections',
  'HTTP/1.0 keep-alive, announced',
  'GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  ['GET'],
  ({ replies: [first], isClosed }) =>
    first?.status !== 200
      ? String(first?.status)
      : isClosed
        ? 'closed'
        : field('connection', /keep-alive/i)(first),
)
askAll(
  'connections',
  'HTTP/1.0 closes',
  'GET /a.txt HTTP/1.0\r\n\r\n',
  ['GET'],
  ({ replies: [first], isClosed }) =>
    first?.status !== 200 ? String(first?.status) : isClosed ? '' : 'left open',
)
ask('connections', 'a request byte by byte', [...get('/a.txt')], statusAnd(200, body(TEXT)))
ask('connections', 'an empty line before the request', `\r\n${get('/a.txt')}`, status(200))

// ── Methods
askAll(
  'methods',
  'HEAD: the head of GET, no body',
  request('HEAD', '/a.txt'),
  ['HEAD'],
  ({ replies: [first], raw }) =>
    first === undefined
      ? 'no answer'
      : !raw.toString('latin1').endsWith('\r\n\r\n')
        ? 'a body'
        : field('content-length', new RegExp(`^${TEXT.length}$`))(first),
)
ask(
  'methods',
  'POST is 405 with Allow',
  request('POST', '/a.txt', 'Content-Length: 0'),
  statusAnd(405, field('allow', /GET/)),
)
ask(
  'methods',
  'DELETE is 405 with Allow',
  request('DELETE', '/a.txt'),
  statusAnd(405, field('allow', /GET/)),
)
ask('methods', 'an unknown method is 501', request('BREW', '/a.txt'), status(501))
ask(
  'methods',
  'OPTIONS says what is allowed',
  request('OPTIONS', '/a.txt'),
  reply => status(200, 204)(reply) || field('allow', /GET/)(reply),
)

// ── Host and target
ask('host', 'missing in 1.1 is 400', `GET / HTTP/1.1\r\n${CLOSE}\r\n`, status(400))
ask('host', 'repeated is 400', get('/', 'Host: b'), status(400))
ask('host', 'invalid is 400', `GET / HTTP/1.1\r\nHost: a b\r\n${CLOSE}\r\n`, status(400))
ask('host', 'absolute-form is accepted', get('http://a/a.txt'), statusAnd(200, body(TEXT)))

// ── Malformed heads
const next = open('/a.txt')
refuse('framing', 'a bare LF', `GET / HTTP/1.1\nHost: a\n\n${next}`)
refuse('framing', 'a bare CR in a value', `GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n${next}`)
refuse(
  'framing',
  'a control byte in a value',
  `GET / HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n\r\n${next}`,
)
refuse('framing', 'NUL in a value', `GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n${next}`)
refuse('framing', 'a space before the colon', `GET / HTTP/1.1\r\nHost : a\r\n\r\n${next}`)
refuse('framing', 'a folded line', `GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n${next}`)
refuse('framing', 'a line without a colon', `GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n${next}`)
refuse('framing', 'no version (HTTP/0.9)', 'GET /\r\n')
refuse('framing', 'a bad version', `GET / HTTP/1.x\r\nHost: a\r\n\r\n${next}`)
refuse('framing', 'two spaces in the request line', `GET  / HTTP/1.1\r\nHost: a\r\n\r\n${next}`)
ask('framing', 'a target too long is 414', get(`/${'x'.repeat(60_000)}`), status(414))
ask('framing', 'a head too large is 431', get('/', `X: ${'x'.repeat(60_000)}`), status(431))

// ── Bodies
const post = (fields: string, rest: string): string =>
  `POST /a.txt HTTP/1.1\r\nHost: a\r\n${fields}\r\n${rest}`
refuse(
  'bodies',
  'Content-Length and Transfer-Encoding',
  post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${next}`),
)
refuse(
  'bodies',
  'two Content-Lengths',
  post('Content-Length: 5\r\nContent-Length: 6\r\n', `hello${next}`),
)
refuse('bodies', 'Content-Length with a sign', post('Content-Length: +5\r\n', `hello${next}`))
refuse('bodies', 'Content-Length with a space', post('Content-Length: 1 5\r\n', `hello${next}`))
refuse(
  'bodies',
  'Content-Length beyond 2^64',
  post('Content-Length: 18446744073709551621\r\n', `hello${next}`),
)
refuse(
  'bodies',
  'a last coding that is not chunked',
  post('Transfer-Encoding: chunked, gzip\r\n', `0\r\n\r\n${next}`),
)
refuse(
  'bodies',
  'a chunk size with a sign',
  post('Transfer-Encoding: chunked\r\n', `+5\r\nhello\r\n0\r\n\r\n${next}`),
)
refuse(
  'bodies',
  'a chunk size of hex and 0x',
  post('Transfer-Encoding: chunked\r\n', `0x5\r\nhello\r\n0\r\n\r\n${next}`),
)
refuse(
  'bodies',
  'a chunk longer than it says',
  post('Transfer-Encoding: chunked\r\n', `5\r\nhello!\r\n0\r\n\r\n${next}`),
)
refuse(
  'bodies',
  'a chunk size ended by LF',
  post('Transfer-Encoding: chunked\r\n', `5\nhello\r\n0\r\n\r\n${next}`),
)
for (const [name, fields, sentBody] of [
  ['a sized body', 'Content-Length: 5\r\n', 'hello'],
  ['a chunked body', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'],
]) {
  askAll(
    'bodies',
    `${name} of a GET is read over`,
    `GET /a.txt HTTP/1.1\r\nHost: a\r\n${fields}\r\n${sentBody}${get('/sub/')}`,
    ['GET', 'GET'],
    ({ replies }) =>
      replies.length === 2 && replies[1].body.toString() === 'sub'
        ? ''
        : `${replies.length} answers`,
  )
}
askAll(
  'bodies',
  'Expect: 100-continue',
  request('POST', '/a.txt', 'Content-Length: 5', 'Expect: 100-continue'),
  ['POST'],
  ({ replies }) =>
    replies.some(({ status }) => status === 100 || status === 405) ? '' : 'no answer',
)
askAll(
  'bodies',
  'an early 4xx can be read by who is still sending',
  [post('Content-Length: 3000000\r\n', ''), ...Array<string>(30).fill('x'.repeat(100_000))],
  ['POST'],
  ({ replies: [first], isReset }) =>
    first === undefined ? (isReset ? 'reset' : 'no answer') : status(405, 413)(first),
)
