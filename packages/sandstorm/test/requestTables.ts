/**
 * Requests with the answer that each must get, by theme: http.test.ts sends them whole, cut and
 * mutated.
 */

export const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** A request with these lines behind a valid HTTP/1.1 GET and Host. */
export const get = (...lines: string[]): string =>
  `GET /a.txt HTTP/1.1\r\nHost: x\r\n${lines.map(l => `${l}\r\n`).join('')}\r\n`
export const lineOf = (line: string): string => `${line}\r\nHost: x\r\n\r\n`
/** With a body in chunks; the fields replace the one that says so. */
const chunked = (body: string, ...fields: string[]): string =>
  get(
    ...(fields.some(f => /^transfer/i.test(f)) ? [] : ['Transfer-Encoding: chunked']),
    ...fields,
  ) + body
const withHost = (host: string): string => `GET /a.txt HTTP/1.1\r\nHost: ${host}\r\n\r\n`

const OPEN = false
const CLOSE = true
/**
 * A request in Latin-1; the rest is what the machine says to it, headOnly false and skip 0 unless
 * given.
 */
export type Row = [
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
  ...['POST', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'CONNECT'].map(
    (method): Row => [lineOf(`${method} /a.txt HTTP/1.1`), 405, OPEN],
  ),
  [lineOf('OPTIONS * HTTP/1.1'), 204, OPEN],
  [lineOf('OPTIONS /a.txt HTTP/1.1'), 204, OPEN],
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
  [get(`Content-Length: ${'9'.repeat(400)}`), 400, CLOSE],
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
  [chunked('0\r\n\r\n'), 200, OPEN],
  [chunked('0\r\n\r\n', 'transfer-encoding: Chunked'), 200, OPEN],
  [chunked('5\r\nhello\r\n0\r\n\r\n'), 200, OPEN],
  [chunked('0005\r\nhello\r\n3\r\n\r\n\r\r\n00\r\n\r\n'), 200, OPEN],
  [chunked('A\r\n0123456789\r\n0\r\n\r\n'), 200, OPEN],
  [chunked('5;name=value\r\nhello\r\n0;x;y="a b"\r\nTrailer: yes\r\n\r\n'), 200, OPEN],
  [chunked('5\r\nhello\r\n0\r\n\r\n', 'Connection: close'), 200, CLOSE],
  [chunked('5\r\nhello\r\n0\r\n\r\n').replace('GET', 'POST'), 405, OPEN],
  [chunked('5\r\nhello\r\n0\r\n\r\n').replace('a.txt', 'none'), 404, OPEN],
  [chunked('', 'Transfer-Encoding: chunked', 'Expect: 100-continue'), 200, CLOSE],
  ...[
    'x\r\n',
    '-1\r\n',
    '+1\r\n',
    '0x1\r\n',
    ' 5\r\n',
    '\r\n',
    ';\r\n',
    '5\nhello\n',
    '5\rhello\r',
    '5\r\nhello0\r\n\r\n',
    '5\r\nhello!\r\n0\r\n\r\n',
    '5\r\nhello\n0\r\n\r\n',
    '5 5\r\nhello\r\n',
    '5;a\x00b\r\nhello\r\n',
    '5;a\nb\r\nhello\r\n',
    '5;\r\nhello\r\n',
    '5;=b\r\nhello\r\n',
    '5;a="b\r\nhello\r\n',
    '5 ;a\r\nhello\r\n',
    '0\r\nT: \x01\r\n\r\n',
    '0\r\n\n',
  ].map((body): Row => [chunked(body), 400, CLOSE]),
  [chunked(`ffffffff\r\n`), 413, CLOSE],
  [chunked(`10000000000000005\r\nhello\r\n`), 400, CLOSE],
  [chunked(`2001\r\n${'x'.repeat(9000)}`), 413, CLOSE],
  [chunked('1\r\nx\r\n'.repeat(2000)), 413, CLOSE],
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

export const TABLES: Record<string, Row[]> = {
  PLAIN,
  METHODS,
  REQUEST_LINES,
  FIELDS,
  PERSISTENCE,
  FRAMING,
  LIMITS,
}

export const print = (request: string): string =>
  request.length > 160
    ? `${JSON.stringify(request.slice(0, 150))}… (${request.length})`
    : JSON.stringify(request)
