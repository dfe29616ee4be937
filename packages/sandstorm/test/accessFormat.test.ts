/** Lines of the access log: as analysers expect them, and one line each whatever a client sends. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ACCESS_FORMAT_NAMES, accessFormat } from '../src/log/accessFormat.ts'
import { CLOSES, FROM_ORIGIN, FROM_STORE } from '../src/log/accessLog.ts'
import { AccessRing, HEAD_KEPT_BYTES } from '../src/log/accessRing.ts'
import { clientAddress } from '../src/log/client.ts'

interface Noted {
  readonly client?: string
  readonly status?: number
  readonly bodyBytes?: number
  readonly flags?: number
}

/** The line for a head that went through a ring. */
function line(
  format: 'common' | 'combined' | 'json',
  head: string | Uint8Array,
  noted: Noted = {},
) {
  const ring = new AccessRing(AccessRing.allocate(0))
  const { version, w0, w1, w2, w3 } = clientAddress(noted.client ?? '192.0.2.7')
  const bytes = typeof head === 'string' ? Buffer.from(head, 'latin1') : head
  const { status = 200, bodyBytes = 2326, flags = 0 } = noted
  ring.timeMs = Date.UTC(2000, 9, 10, 13, 55, 36, 123)
  ring.request(version, w0, w1, w2, w3, 50_000, bytes, 0, bytes.length, status, bodyBytes, flags)
  let text = ''
  ring.drain(record => {
    text = accessFormat(format)(record)
  })
  return text
}

const GET =
  'GET /a.gif HTTP/1.1\r\nhost:  example.org \r\nREFERER: http://x/\r\nUser-Agent: curl/8\r\n\r\n'
const BEGIN = '192.0.2.7 - - [10/Oct/2000:13:55:36 +0000]'

describe('common and combined', () => {
  test('are what Apache writes', () => {
    assert.equal(line('common', GET), `${BEGIN} "GET /a.gif HTTP/1.1" 200 2326\n`)
    assert.equal(
      line('combined', GET),
      `${BEGIN} "GET /a.gif HTTP/1.1" 200 2326 "http://x/" "curl/8"\n`,
    )
  })

  test('have a dash for what is not there', () => {
    assert.equal(
      line('combined', '', { status: 408, bodyBytes: 0 }),
      `${BEGIN} "-" 408 - "-" "-"\n`,
    )
  })

  test('show IPv6 clients, and IPv4 clients that the kernel maps', () => {
    assert.match(line('common', GET, { client: '2001:db8::5' }), /^2001:db8::5 - - \[/)
    assert.match(line('common', GET, { client: '::ffff:10.0.0.9' }), /^10\.0\.0\.9 - - \[/)
    assert.match(line('common', GET, { client: 'fe80::1%eth0' }), /^fe80::1 - - \[/)
    assert.match(line('common', GET, { client: 'nobody' }), /^0\.0\.0\.0 - - \[/)
  })

  test('escape what could end a line or a quotation, or speak to a terminal', () => {
    const head = 'GET /"\\\x1b[2J\x7f\xe9\t HTTP/1.1\r\nUser-Agent: "\x00\r\n\r\n'
    assert.equal(
      line('combined', head),
      `${BEGIN} "GET /\\x22\\x5C\\x1B[2J\\x7F\\xE9\\x09 HTTP/1.1" 200 2326 "-" "\\x22\\x00"\n`,
    )
  })

  test('take a bare CR for a byte of the line, and a bare LF for its end', () => {
    assert.match(line('common', 'GET /\rX\nreferer: r\n\n'), /"GET \/\\x0DX" /)
    assert.match(line('combined', 'GET /\nreferer: r\n\n'), /"GET \/" 200 2326 "r" "-"/)
  })

  test('skip empty lines before a request', () => {
    assert.match(line('common', `\r\n\r\n${GET}`), /"GET \/a\.gif HTTP\/1\.1"/)
  })
})

describe('what is read of a head', () => {
  test('ends with its empty line', () => {
    assert.match(line('combined', 'GET / HTTP/1.1\r\n\r\nReferer: body\r\n'), /"-" "-"\n$/)
  })

  test('is the first of two fields, and no field whose name only ends or begins like it', () => {
    const head = 'GET / HTTP/1.1\r\nX-Referer: a\r\nReferers: b\r\nReferer: c\r\nReferer: d\r\n\r\n'
    assert.match(line('combined', head), / "c" "-"\n$/)
    assert.match(
      line('combined', 'GET / HTTP/1.1\r\n__proto__: x\r\n: y\r\nz\r\n\r\n'),
      / "-" "-"\n/,
    )
  })

  test('is found whatever is between', () => {
    const rest =
      'Host\r\na\nb:\nuser-agenT:\r\nX-Y-Z-A-BC: v\r\n User-Agent: folded\r\nUser-Agent:u:v'
    assert.match(line('combined', `GET / HTTP/1.1\r\n${rest}\r\n\r\n`), / "-" "u:v"\n$/)
    assert.equal(JSON.parse(line('json', `GET / HTTP/1.1\r\n${rest}`)).host, null)
  })

  test('is cut where it is too long, and shows it', () => {
    const long = 'x'.repeat(3000)
    const cutLine = line('common', `GET /${long} HTTP/1.1\r\n\r\n`)
    assert.ok(cutLine.includes(`"GET /${long.slice(0, 2043)}..." `))
    const cutValue = line('combined', `GET / HTTP/1.1\r\nUser-Agent: ${long}\r\n\r\n`)
    assert.ok(cutValue.endsWith(`"${long.slice(0, 512)}..."\n`))
    const padding = `GET / HTTP/1.1\r\nX: ${'x'.repeat(HEAD_KEPT_BYTES - 40)}\r\nReferer: `
    const open = line('combined', `${padding}${long}`)
    assert.match(open, /"x+\.\.\." "-"\n$/)
  })
})

describe('json', () => {
  test('is one object a line', () => {
    assert.deepEqual(JSON.parse(line('json', GET)), {
      time: '2000-10-10T13:55:36.123Z',
      client: '192.0.2.7',
      port: 50_000,
      method: 'GET',
      target: '/a.gif',
      version: 'HTTP/1.1',
      host: 'example.org',
      status: 200,
      bytes: 2326,
      referer: 'http://x/',
      userAgent: 'curl/8',
    })
  })

  test('tells of the cache where an origin was to answer', () => {
    const cache = (flags: number): unknown => JSON.parse(line('json', GET, { flags })).cache
    assert.equal(cache(FROM_STORE), 'hit')
    assert.equal(cache(FROM_ORIGIN | CLOSES), 'fwd')
    assert.equal(cache(CLOSES), undefined)
  })

  test('has null for what is not there', () => {
    const { method, target, version, host } = JSON.parse(line('json', 'GET'))
    assert.deepEqual([method, target, version, host], ['GET', null, null, null])
  })

  test('splits a line leniently', () => {
    const words = (text: string): unknown[] => {
      const { method, target, version } = JSON.parse(line('json', text))
      return [method, target, version]
    }
    assert.deepEqual(words('GET /a b HTTP/1.1'), ['GET', '/a b', 'HTTP/1.1'])
    assert.deepEqual(words('GET /'), ['GET', '/', null])
    assert.deepEqual(words('GET  HTTP/1.1'), ['GET', null, 'HTTP/1.1'])
    assert.deepEqual(words('GET HTTP/1.1'), ['GET', null, 'HTTP/1.1'])
    assert.deepEqual(words(' / HTTP/1.1'), [null, '/', 'HTTP/1.1'])
  })

  test('shows UTF-8 as text, in ASCII', () => {
    const text = line('json', Buffer.from('GET / HTTP/1.1\r\nUser-Agent: é\u2028€\r\n\r\n', 'utf8'))
    assert.ok(/^[\x20-\x7e]*\n$/.test(text))
    assert.equal(JSON.parse(text).userAgent, 'é\u2028€')
  })
})

/** Bytes as an attacker would choose them: mostly those with a meaning to somebody. */
const hostile: fc.Arbitrary<Uint8Array> = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...'\r\n \t:"\\\x00\x1b\x7f\x85\xff\xe2\x80\xa8') },
      { weight: 1, arbitrary: fc.constantFrom('Referer:', 'User-Agent: ', 'HTTP/1.1', 'GET /') },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 700 }) },
    ),
    { maxLength: 60 },
  )
  .map(parts => Buffer.from(parts.join(''), 'latin1'))

describe('whatever a client sends', () => {
  for (const name of ACCESS_FORMAT_NAMES) {
    test(`is one printable line in ${name}`, () => {
      fc.assert(
        fc.property(fc.oneof(hostile, fc.uint8Array({ maxLength: 5000 })), head => {
          const text = line(name, head)
          assert.match(text, /^[\x20-\x7e]*\n$/)
          if (name === 'json') JSON.parse(text)
          else assert.match(text, name === 'common' ? COMMON : COMBINED)
        }),
        { numRuns: 500 },
      )
    })
  }
})

const COMMON = /^[\d.]+ - - \[[^\]]*\] "[^"]*" \d{3} (\d+|-)\n$/
const COMBINED = /^[\d.]+ - - \[[^\]]*\] "[^"]*" \d{3} (\d+|-) "[^"]*" "[^"]*"\n$/
