/**
 * Outcomes as messages: framing by method, version and status, and the fields of the connection.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Outcome } from '../src/cache/answer.ts'
import type { Field } from '../src/cache/message.ts'
import { interimBytes, type WireAnswer, type WireClient, wireAnswer } from '../src/front/wire.ts'
import { START_MS } from './kit/cacheOrigin.ts'

const BODY = Buffer.from('hello')
const CLIENT: WireClient = { method: 'GET', minor: 1, close: false }

async function* stream(): AsyncGenerator<Uint8Array> {
  yield BODY
}

function wire(
  outcome: Partial<Outcome>,
  client: Partial<WireClient> = {},
  serverName = 'sandstorm',
): WireAnswer & { lines: string[] } {
  const whole = { status: 200, fields: [], body: BODY, cacheStatus: 'x; hit', ...outcome }
  const answer = wireAnswer(whole, { ...CLIENT, ...client }, serverName, START_MS)
  const text = Buffer.from(answer.head).toString('latin1')
  assert.ok(text.endsWith('\r\n\r\n'))
  return { ...answer, lines: text.slice(0, -4).split('\r\n') }
}

test('an answer from the store has its length, Date, Server and Connection', () => {
  const { lines, framing, length } = wire({ fields: [['X-A', '\xe4']] })
  assert.deepEqual(lines, [
    'HTTP/1.1 200 OK',
    'Date: Sat, 28 Nov 2026 12:00:00 GMT',
    'Server: sandstorm',
    'Connection: keep-alive',
    'Content-Length: 5',
    'X-A: \xe4',
  ])
  assert.deepEqual([framing, length], ['sized', 5])
})

test("the origin's own Date and Server stay, and a hidden server is hidden in both", () => {
  const fields: Field[] = [
    ['date', 'Thu, 01 Jan 1970 00:00:00 GMT'],
    ['server', 'nginx'],
  ]
  const lines = (serverName: string): string[] =>
    wire({ fields }, {}, serverName).lines.filter(line => /^(date|server)/i.test(line))
  assert.deepEqual(lines('sandstorm'), ['date: Thu, 01 Jan 1970 00:00:00 GMT', 'server: nginx'])
  assert.deepEqual(lines(''), ['date: Thu, 01 Jan 1970 00:00:00 GMT'])
})

test('fields of the connection are ours alone', () => {
  const fields: Field[] = [
    ['Connection', 'upgrade, x'],
    ['Keep-Alive', 'timeout=5'],
    ['Transfer-Encoding', 'chunked'],
    ['Content-Length', '99'],
    ['content-length', '99'],
  ]
  assert.deepEqual(wire({ fields }, { close: true }).lines.slice(3), [
    'Connection: close',
    'Content-Length: 5',
  ])
})

for (const [what, outcome, client, framing, lines, close] of [
  [
    'of known length',
    { fields: [['Content-Length', '5']] },
    {},
    'sized',
    ['Content-Length: 5'],
    false,
  ],
  ['of unknown length', {}, {}, 'chunked', ['Transfer-Encoding: chunked'], false],
  ['of unknown length, for HTTP/1.0', {}, { minor: 0 }, 'close', [], true],
] as const)
  test(`a stream ${what} is framed: ${framing}`, () => {
    const answer = wire({ body: stream(), ...(outcome as Partial<Outcome>) }, client)
    assert.deepEqual([answer.framing, answer.close], [framing, close])
    assert.deepEqual(answer.lines.slice(4), lines)
    assert.equal(answer.lines[3], `Connection: ${close ? 'close' : 'keep-alive'}`)
  })

test('what has no body has no framing, but the length that was said', () => {
  const none = new Uint8Array()
  const said: Field[] = [['Content-Length', '5']]
  const lines = (outcome: Partial<Outcome>, method = 'GET'): string[] => {
    const answer = wire({ body: none, ...outcome }, { method })
    assert.equal(answer.framing, 'none')
    assert.equal((answer.body as Uint8Array).length, 0)
    return answer.lines.slice(4)
  }
  assert.deepEqual(lines({ fields: said }, 'HEAD'), ['Content-Length: 5'])
  assert.deepEqual(lines({}, 'HEAD'), [])
  assert.deepEqual(lines({ body: BODY }, 'HEAD'), [])
  assert.deepEqual(lines({ status: 304 }), [])
  assert.deepEqual(lines({ status: 204, fields: said }), [])
  assert.deepEqual(wire({ status: 404, body: none }).lines.slice(4), ['Content-Length: 0'])
})

test('a status without a name has none', () => {
  assert.equal(wire({ status: 299 }).lines[0], 'HTTP/1.1 299 ')
  assert.equal(wire({ status: 418 }).lines[0], "HTTP/1.1 418 I'm a Teapot")
})

test('interim answers are passed on, but for those that are not for this client', () => {
  const fields: Field[] = [['Link', '</a.css>; rel=preload']]
  const bytes = interimBytes({ status: 103, fields }, 1)
  const text = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n'
  assert.equal(Buffer.from(bytes!).toString(), text)
  assert.equal(interimBytes({ status: 103, fields }, 0), undefined)
  assert.equal(interimBytes({ status: 100, fields: [] }, 1), undefined)
  assert.equal(interimBytes({ status: 101, fields: [] }, 1), undefined)
})
