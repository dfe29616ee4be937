/** What the HTTP machine has the origin answer, and what it tells of such requests. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Content } from '../src/content/content.ts'
import { requestText } from '../src/front/requestText.ts'
import { HttpMachine } from '../src/http/machine.ts'
import { OriginPaths } from '../src/http/originPaths.ts'
import { plainSite, type SiteOrigin } from '../src/site/site.ts'
import { load, makeTree } from './contentTree.ts'

const ORIGIN: SiteOrigin = {
  url: 'http://127.0.0.1:1',
  paths: [],
  folder: '',
  cache: {},
  upstream: {},
}
const FILES = { 'a.txt': 'hello', 'dir/index.html': 'dir', 'api/file': 'shadowed' }

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
const request = (line: string, ...fields: string[]): string =>
  `${line} HTTP/1.1\r\nHost: x\r\n${fields.map(field => `${field}\r\n`).join('')}\r\n`

/** 'forward', or the status. */
function verdict(machine: HttpMachine, text: string): string | number {
  const bytes = latin1(text)
  assert.ok(machine.next(bytes, 0, bytes.length, 0) > 0, text)
  return machine.forward ? 'forward' : machine.status
}

describe('a site with an origin', () => {
  const make = async (
    t: TestContext,
    paths: readonly string[],
    fallback = '',
  ): Promise<HttpMachine> => {
    const root = makeTree(t, { ...FILES, 'app.html': 'app' })
    const { content } = await load(root, { origin: { ...ORIGIN, paths }, fallback })
    return new HttpMachine(content, {}, 'b', new OriginPaths([paths]))
  }

  test('answers with files first, and has the origin answer all else', async t => {
    const machine = await make(t, [])
    for (const [text, expected] of [
      [request('GET /a.txt'), 200],
      [request('HEAD /a.txt'), 200],
      [request('GET /dir'), 308],
      [request('GET /a.txt?x'), 200],
      [request('OPTIONS /a.txt'), 204],
      [request('OPTIONS *'), 204],
      [request('GET /nothing'), 'forward'],
      [request('HEAD /nothing'), 'forward'],
      [request('OPTIONS /nothing'), 'forward'],
      [request('GET /.git/config'), 'forward'],
      [request('GET //a.txt'), 'forward'],
      [request('GET http://x?q'), 'forward'],
      [request('POST /a.txt'), 'forward'],
      [request('PUT /a.txt'), 'forward'],
      [request('DELETE /a.txt'), 'forward'],
      [request('PATCH /nothing'), 'forward'],
      [request('PURGE /a.txt'), 'forward'],
      [request('OPTIONS /nothing', 'Max-Forwards: 1'), 'forward'],
      [request('OPTIONS /nothing', 'Max-Forwards: 0'), 204],
      [request('GET /nothing', 'Max-Forwards: 0'), 'forward'],
      [request('TRACE /a.txt'), 405],
      [request('CONNECT /a.txt'), 405],
      [request('CONNECT x:80'), 400],
      [request('GET /%2f'), 400],
      [request('GET /x/../y'), 400],
      [request('POST /x', 'Content-Length: 70000'), 413],
      [request('POST /x', 'Content-Length: 5', 'Content-Length: 6'), 400],
      [request('POST /x', 'Transfer-Encoding: gzip, chunked'), 501],
      [request('POST /x', 'Transfer-Encoding: chunked', 'Content-Length: 1'), 400],
      ['POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
      ['GET /x HTTP/1.1\r\n\r\n', 400],
      ['GET /x HTTP/1.0\r\n\r\n', 'forward'],
      ['GET /x HTTP/2.0\r\nHost: x\r\n\r\n', 505],
    ] as const)
      assert.equal(verdict(machine, text), expected, text)
  })

  test('has none on a mount that cannot ask it', async t => {
    const { content } = await load(makeTree(t, FILES), { origin: ORIGIN })
    const machine = new HttpMachine(content)
    for (const [text, expected] of [
      [request('GET /nothing'), 404],
      [request('POST /a.txt'), 405],
      [request('PURGE /a.txt'), 501],
    ] as const)
      assert.equal(verdict(machine, text), expected, text)
  })

  test('has a fallback answer before the origin', async t => {
    const machine = await make(t, [], '/app.html')
    assert.equal(verdict(machine, request('GET /some/page')), 200)
    assert.equal(verdict(machine, request('GET /some/page.js')), 'forward')
    assert.equal(verdict(machine, request('POST /some/page')), 'forward')
  })

  test('with named paths has the origin answer these, whatever there is, and no others', async t => {
    const machine = await make(t, ['/api/', '/login'], '/app.html')
    for (const [text, expected] of [
      [request('GET /api/'), 'forward'],
      [request('GET /api/file'), 'forward'],
      [request('GET /%61pi/file?x'), 'forward'],
      [request('OPTIONS /api/file'), 'forward'],
      [request('POST /login?next=/'), 'forward'],
      [request('GET /api'), 200],
      [request('GET /apis/x'), 200],
      [request('GET /login/x'), 200],
      [request('GET /page'), 200],
      [request('GET /none.js'), 404],
      [request('POST /page'), 405],
      [request('BREW /page'), 501],
      [request('TRACE /api/'), 405],
    ] as const)
      assert.equal(verdict(machine, text), expected, text)
  })
})

describe('of a request for the origin', async () => {
  let content: Content
  const machineOf = async (t: TestContext): Promise<HttpMachine> => {
    const loaded = await load(makeTree(t, FILES), { ...plainRest, origin: ORIGIN })
    content = loaded.content
    assert.ok(content.hasOrigin(0))
    return new HttpMachine(content, {}, 'b', new OriginPaths([]))
  }
  const { root: _, ...plainRest } = plainSite('')

  test('head, body and connection are told', async t => {
    const machine = await machineOf(t)
    const ask = (text: string): object => {
      const bytes = latin1(text)
      const taken = machine.next(bytes, 0, bytes.length, 0)
      const { isChunked, skip, close, minor, headOnly, wantsContinue } = machine
      return { rest: bytes.length - taken, isChunked, skip, close, minor, headOnly, wantsContinue }
    }
    const plain = {
      rest: 0,
      isChunked: false,
      skip: 0,
      close: false,
      minor: 1,
      headOnly: false,
      wantsContinue: false,
    }
    assert.deepEqual(ask(request('GET /x')), plain)
    assert.deepEqual(ask(request('HEAD /x')), { ...plain, headOnly: true })
    assert.deepEqual(ask(request('POST /x', 'Content-Length: 7')), { ...plain, skip: 7 })
    assert.deepEqual(ask(request('POST /x', 'Content-Length: 7', 'Connection: close')), {
      ...plain,
      skip: 7,
      close: true,
    })
    assert.deepEqual(ask('POST /x HTTP/1.0\r\nContent-Length: 7\r\n\r\n'), {
      ...plain,
      skip: 7,
      close: true,
      minor: 0,
    })
    const waiting = request('POST /x', 'Content-Length: 7', 'Expect: 100-continue')
    assert.deepEqual(ask(waiting), { ...plain, skip: 7, wantsContinue: true })
    assert.deepEqual(ask(request('POST /x', 'Expect: 100-continue')), plain)
    const body = '3;a=b\r\nabc\r\n0\r\n\r\n'
    const chunked = request('POST /x', 'Transfer-Encoding: chunked')
    assert.deepEqual(ask(chunked + body), { ...plain, rest: body.length, isChunked: true })
    const both = request('POST /x', 'Transfer-Encoding: chunked', 'Expect: 100-continue')
    assert.deepEqual(ask(both), { ...plain, isChunked: true, wantsContinue: true })
    assert.deepEqual(ask(request('GET /x')), plain, 'which is said of no other request')
  })

  test('a body that only the origin would have been sent ends the connection if that is not asked', async t => {
    const machine = await machineOf(t)
    for (const [fields, closes] of [
      [['Transfer-Encoding: chunked'], true],
      [['Content-Length: 3', 'Expect: 100-continue'], true],
      [['Content-Length: 3'], false],
    ] as const) {
      const bytes = latin1(request('POST /x', ...fields))
      machine.next(bytes, 0, bytes.length, 0)
      machine.refuse(503)
      assert.equal(machine.close, closes)
    }
  })

  test('the text is what was sent', () => {
    const text = (bytes: string): object => requestText(latin1(`##${bytes}`), 2, bytes.length + 2)
    const lines = 'B: 1\r\na:\t x y \r\nHOST:  Example.org:80\r\nb: \xe4\r\nC:\r\n\r\n'
    const fields = [
      ['B', '1'],
      ['a', 'x y'],
      ['b', '\xe4'],
      ['C', ''],
    ]
    const asked = { method: 'GET', fields }
    assert.deepEqual(text(`\r\nGET /a%20b?c HTTP/1.1\r\n${lines}`), {
      ...asked,
      target: '/a%20b?c',
      authority: 'Example.org:80',
    })
    for (const [target, path] of [
      ['http://other:8080/a?b', '/a?b'],
      ['HTTP://other:8080', '/'],
      ['http://other:8080?b', '/?b'],
    ])
      assert.deepEqual(text(`GET ${target} HTTP/1.1\r\n${lines}`), {
        ...asked,
        target: path,
        authority: 'other:8080',
      })
    assert.deepEqual(text('GET / HTTP/1.0\r\n\r\n'), {
      method: 'GET',
      target: '/',
      authority: '',
      fields: [],
    })
  })

  test('RFC 9110 §7.6.1: without the fields of the connection, whichever those are', () => {
    const lines = [
      'Connection: x, close, cookie',
      'X: 1',
      'TE: trailers',
      'Upgrade: h2c',
      'Cookie: a=b',
    ]
    const bytes = latin1(request('GET /', ...lines, 'Transfer-Encoding: chunked', 'Y: 2'))
    assert.deepEqual(requestText(bytes, 0, bytes.length).fields, [
      ['Cookie', 'a=b'],
      ['Y', '2'],
    ])
  })
})
