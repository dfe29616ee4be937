/** An origin behind either mount: who answers what, bodies, order, and the connection. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type http from 'node:http'
import { test } from 'node:test'
import fc from 'fast-check'
import { CLIENT_LEFT, CLOSES, FROM_ORIGIN, FROM_STORE } from '../src/log/accessLog.ts'
import { gate } from './kit/cacheOrigin.ts'
import { type FrontMount, how, onEachMount } from './kit/frontMount.ts'
import { httpOrigin, rawOrigin } from './kit/httpOrigin.ts'

const FRESH = { 'Cache-Control': 'max-age=60' }
const BEHIND = 'Host: x\r\n\r\n'
const CHUNK = Buffer.from('10000\r\n')
const CRLF = Buffer.from('\r\n')

/** Says what it was asked, and counts. */
function echo(fields: http.OutgoingHttpHeaders = FRESH): {
  asked: http.IncomingMessage[]
  handler: http.RequestListener
} {
  const asked: http.IncomingMessage[] = []
  const handler: http.RequestListener = async (request, response) => {
    asked.push(request)
    const parts: Buffer[] = []
    try {
      for await (const part of request) parts.push(part)
    } catch {
      return // it broke off
    }
    response.writeHead(200, fields)
    response.end(`${request.method} ${request.url} ${Buffer.concat(parts)}`)
  }
  return { asked, handler }
}

onEachMount('who answers', open => {
  test('files do what they can, the origin the rest, and the store what it has', async t => {
    const { asked, handler } = echo()
    const front = await open(t, await httpOrigin(handler), {
      files: { 'a.txt': 'file' },
    })
    assert.equal((await front.ask('/a.txt')).body, 'file')
    const first = await front.ask('/b?c')
    assert.deepEqual([first.status, first.body, how(first)], [200, 'GET /b?c ', 'fwd=uri-miss'])
    const second = await front.ask('/b?c')
    assert.deepEqual([second.body, how(second)], ['GET /b?c ', 'hit'])
    assert.equal((await front.ask('/a.txt', { method: 'POST' }, 'x')).body, 'POST /a.txt x')
    assert.equal((await front.ask('/b', { method: 'TRACE' })).status, 405)
    assert.equal(asked.length, 2)
    assert.equal((await front.stats()).answers, 5)
    assert.equal(await front.count('cache', 'hits'), 0, 'the mount had it by itself')
  })

  test('without a folder it is the origin alone', async t => {
    const front = await open(t, await httpOrigin(echo().handler))
    assert.equal((await front.ask('/')).body, 'GET / ')
  })

  test('the origin gets the client’s Host and address, and none of its connection', async t => {
    const { asked, handler } = echo()
    const front = await open(t, await httpOrigin(handler))
    await front.ask('/', {
      headers: {
        Host: 'www.example:81',
        'Keep-Alive': 'x',
        Connection: 'close, x-a',
        'X-A': '1',
        'X-B': '2',
      },
    })
    const { headers } = asked[0]
    assert.equal(headers.host, 'www.example:81')
    assert.equal(headers['x-forwarded-for'], front.clientAddress)
    assert.equal(headers.via, '1.1 sandstorm')
    assert.equal(headers['x-b'], '2')
    assert.deepEqual([headers['x-a'], headers['keep-alive']], [undefined, undefined])
  })

  test('RFC 9110 §7.6.2: of an OPTIONS with Max-Forwards it gets one less, and none with 0', async t => {
    const { asked, handler } = echo()
    const front = await open(t, await httpOrigin(handler))
    const options = async (hops: string): Promise<unknown[]> => {
      const answer = await front.ask('/', { method: 'OPTIONS', headers: { 'Max-Forwards': hops } })
      return [answer.status, asked.at(-1)?.headers['max-forwards']]
    }
    assert.deepEqual(await options('0'), [204, undefined])
    assert.deepEqual(await options('7'), [200, '6'])
    assert.deepEqual(await options('1'), [200, '0'])
    assert.deepEqual(await options('9'.repeat(20)), [200, '255'])
    assert.deepEqual(await options('-1'), [200, '-1'])
    await front.ask('/', { headers: { 'Max-Forwards': '7' } })
    assert.equal(asked.at(-1)?.headers['max-forwards'], '7')
  })

  test('a request that names no host is for the origin’s own', async t => {
    const { asked, handler } = echo()
    const url = await httpOrigin(handler)
    const front = await open(t, url)
    const client = await front.client()
    client.send('GET /old HTTP/1.0\r\n\r\n')
    assert.match((await client.ended()).toString(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*GET \/old $/)
    assert.equal(asked[0].headers.host, new URL(url).host)
  })
})

onEachMount('bodies', open => {
  test('of requests reach the origin whole, sized or in chunks, and their rest is no request', async t => {
    const { handler } = echo({})
    const front = await open(t, await httpOrigin(handler))
    const client = await front.client()
    const post = (field: string): string => `POST /p HTTP/1.1\r\n${field}\r\n${BEHIND}`
    client.send(`${post('Content-Length: 5')}hello${post('Transfer-Encoding: chunked')}`)
    client.send('3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n')
    client.send(
      `${post('Content-Length: 2, 2')}fg${post('Content-Length: 3\r\nContent-Length: 3')}hij`,
    )
    client.send(`GET /next HTTP/1.1\r\n${BEHIND}`)
    for (const body of [
      'POST /p hello',
      'POST /p abcde',
      'POST /p fg',
      'POST /p hij',
      'GET /next ',
    ]) {
      assert.equal(await client.text(), body)
    }
  })

  test('are asked for with 100 Continue', async t => {
    const front = await open(t, await httpOrigin(echo({}).handler))
    for (const [field, body] of [
      ['Content-Length: 5', 'hello'],
      ['Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'],
    ]) {
      const client = await front.client()
      client.send(`PUT /p HTTP/1.1\r\n${field}\r\nExpect: 100-continue\r\n${BEHIND}`)
      assert.equal((await client.answer()).status, 100)
      client.send(body)
      assert.equal(await client.text(), 'PUT /p hello')
    }
  })

  test('of megabytes go through in both directions, as fast as the slower end takes them', async t => {
    const size = 8 << 20
    const url = await httpOrigin(async (request, response) => {
      let bytes = 0
      for await (const part of request) bytes += part.length
      response.end(Buffer.alloc(bytes, 'x'))
    })
    const limits = { bodyBytes: size }
    const front = await open(t, url, { limits })
    const { body } = await front.ask('/', { method: 'POST' }, 'y'.repeat(100))
    assert.equal(body, 'x'.repeat(100))
    const headers = { 'Content-Length': size }
    const whole = await front.ask('/', { method: 'POST', headers }, 'y'.repeat(size))
    assert.equal(whole.body.length, size)
  })

  test('in chunks go through however long they are, and the origin gets them in chunks', async t => {
    const size = 8 << 20
    const { promise: asked, open: arrived } = gate()
    const codings: (string | undefined)[] = []
    const url = await httpOrigin(async (request, response) => {
      arrived()
      codings.push(request.headers['transfer-encoding'])
      const hash = createHash('sha256')
      for await (const part of request) hash.update(part)
      response.end(hash.digest('hex'))
    })
    const front = await open(t, url, { limits: { bodyBytes: size } })
    const all = Buffer.alloc(size, 'all kinds of bytes, ')
    const client = await front.client()
    const first = all.toString('latin1', 0, 9)
    client.send(`POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${BEHIND}9\r\n${first}\r\n`)
    await asked // long before its end has come
    for (let at = 9, n = 0; at < size; n++) {
      const part = all.toString('latin1', at, at + 1 + ((n * 7919) % 300_000))
      client.send(`${part.length.toString(16)};n=${n}\r\n${part}\r\n`)
      at += part.length
    }
    client.send(`0\r\nTrailer: x\r\n\r\nGET /next HTTP/1.1\r\n${BEHIND}`)
    const hash = createHash('sha256').update(all).digest('hex')
    assert.equal(await client.text(), hash)
    await client.text()
    assert.deepEqual(codings, ['chunked', undefined])
  })

  for (const [what, body, status] of [
    ['are malformed', '3\r\nabcd', 400],
    ['are over bodyBytes', 'b\r\n', 413],
    ['have too much beside their content', `5;${'x'.repeat(9000)}`, 413],
  ] as const) {
    test(`in chunks that ${what} are refused, and the origin is left`, async t => {
      const [arrived, left] = [gate(), gate()]
      const url = await httpOrigin(request => {
        request.on('data', () => arrived.open())
        request.on('error', () => left.open())
      })
      const front = await open(t, url, { limits: { bodyBytes: 10 } })
      const client = await front.client()
      client.send(`POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${BEHIND}2\r\nhe\r\n`)
      await arrived.promise
      client.send(`${body}GET /next HTTP/1.1\r\n${BEHIND}`)
      assert.equal((await client.answer()).status, status)
      assert.equal((await client.ended()).length, 0)
      await left.promise
    })
  }

  test('in chunks that turn out malformed in the middle of the answer cut it', async t => {
    const url = await rawOrigin((socket, _, count) => {
      if (count === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe')
    })
    const front = await open(t, url)
    const client = await front.client()
    client.send(`POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${BEHIND}2\r\nhe\r\n`)
    assert.equal((await client.answer(true)).status, 200)
    client.send(`x\r\nGET /next HTTP/1.1\r\n${BEHIND}`)
    await client.ended().catch(() => {}) // a reset, on our TCP
    assert.ok(client.received.length <= 2, client.received.toString())
  })

  for (const framing of ['Content-Length', 'Transfer-Encoding']) {
    test(`that the origin does not take stay with the client: ${framing}`, async t => {
      const [arrived, held] = [gate(), gate()]
      const url = await httpOrigin(async (request, response) => {
        arrived.open()
        await held.promise
        let bytes = 0
        for await (const part of request) bytes += part.length
        response.end(String(bytes))
      })
      const size = 64 << 20
      const front = await open(t, url, { limits: { bodyBytes: size } })
      const client = await front.client()
      const isChunked = framing === 'Transfer-Encoding'
      client.send(`POST / HTTP/1.1\r\n${framing}: ${isChunked ? 'chunked' : size}\r\n${BEHIND}`)
      const part = Buffer.alloc(65536, 'x')
      const wire = isChunked ? Buffer.concat([CHUNK, part, CRLF]) : part
      let sent = 0
      const sending = (async () => {
        for (; sent < size; sent += part.length) {
          if (!client.socket.write(wire)) await once(client.socket, 'drain')
        }
        if (isChunked) client.send('0\r\n\r\n')
      })()
      await arrived.promise
      await standsStill(() => sent)
      assert.ok(sent < size / 2, `${sent} bytes have gone into somebody's memory`)
      held.open()
      await sending
      assert.equal(await client.text(), String(size))
    })
  }

  test('over bodyBytes are refused before the origin is asked', async t => {
    const { asked, handler } = echo()
    const limits = { bodyBytes: 10 }
    const front = await open(t, await httpOrigin(handler), { limits })
    const client = await front.client()
    client.send(`POST / HTTP/1.1\r\nContent-Length: 11\r\n${BEHIND}`)
    assert.equal((await client.answer()).status, 413)
    await client.ended()
    assert.equal(asked.length, 0)
  })

  test('that do not come in time are answered 408, and the origin is left', async t => {
    const left = gate()
    const url = await httpOrigin(request => request.on('error', () => left.open()))
    const front = await open(t, url, { limits: { headTimeoutMs: 100 } })
    const client = await front.client()
    client.send(`POST / HTTP/1.1\r\nContent-Length: 11\r\n${BEHIND}hel`)
    assert.equal((await client.answer()).status, 408)
    await client.ended()
    await left.promise
    assert.equal((await front.stats()).slow, 1)
  })

  test('that break off are no request', async t => {
    const front = await open(t, await httpOrigin(echo().handler))
    for (const [field, part] of [
      ['Content-Length: 11', 'hel'],
      ['Transfer-Encoding: chunked', '5\r\nhel'],
    ]) {
      const client = await front.client()
      client.send(`POST / HTTP/1.1\r\n${field}\r\n${BEHIND}${part}`)
      client.socket.end()
      const text = (await client.ended()).toString()
      assert.match(text, /^HTTP\/1\.1 400 [\s\S]*\r\nConnection: close\r\n/)
    }
  })

  test('that an early answer leaves unread are read over', async t => {
    const url = await rawOrigin((socket, head) => {
      const isPost = head.startsWith('POST')
      socket.write(`HTTP/1.1 ${isPost ? 403 : 200} X\r\nContent-Length: 2\r\n\r\nno`)
    })
    const front = await open(t, url)
    const client = await front.client()
    client.send(`POST / HTTP/1.1\r\nContent-Length: 11\r\n${BEHIND}hello`)
    assert.equal((await client.answer()).status, 403)
    client.send(` hello`)
    client.send(`GET /x HTTP/1.1\r\n${BEHIND}`)
    assert.equal((await client.answer()).status, 200)
    client.send(`POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${BEHIND}5\r\nhel`)
    assert.equal((await client.answer()).status, 403)
    client.send(`lo\r\n0\r\n\r\nGET /x HTTP/1.1\r\n${BEHIND}`)
    assert.equal((await client.answer()).status, 200)
    client.send(`POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${BEHIND}5\r\nhel`)
    assert.equal((await client.answer()).status, 403)
    client.send(`loGET /x HTTP/1.1\r\n${BEHIND}`)
    assert.equal((await client.ended()).length, 0, 'but what is no body ends the connection')
  })
})

onEachMount('the connection', open => {
  test('answers the same however its bytes are cut', async t => {
    const { handler } = echo({ 'Cache-Control': 'no-store' })
    const front = await open(t, await httpOrigin(handler), { files: { a: 'file' } })
    const inner = 'GET /x HTTP/1.1\r\n\r\nGET'
    const post = `POST /c HTTP/1.1\r\nContent-Length: ${inner.length}\r\n${BEHIND}`
    const put = `PUT /d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${BEHIND}`
    const exchanges: [request: string, body: string][] = [
      [`GET /a HTTP/1.1\r\n${BEHIND}`, 'file'],
      [`GET /b HTTP/1.1\r\n${BEHIND}`, 'GET /b '],
      [post + inner, `POST /c ${inner}`],
      [`${put}3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n`, 'PUT /d abcd'],
      [`DELETE /e HTTP/1.1\r\n${BEHIND}`, 'DELETE /e '],
    ]
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(exchanges.length - 1), { minLength: 1, maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        async (order, cuts) => {
          const client = await front.client()
          const text = order.map(i => exchanges[i][0]).join('')
          const sent = (async () => {
            for (let at = 0, n = 0; at < text.length; n++) {
              const len = cuts[n % cuts.length]
              client.send(text.slice(at, at + len))
              at += len
              await new Promise(resolve => setImmediate(resolve))
            }
          })()
          for (const i of order) assert.equal(await client.text(), exchanges[i][1])
          await sent
          assert.equal(client.received.length, 0)
          client.close()
        },
      ),
      { numRuns: 40 },
    )
  })

  test('answers in order, files behind a slow origin too', async t => {
    const held = gate()
    const url = await httpOrigin(async (request, response) => {
      await held.promise
      response.end(`origin ${request.url}`)
    })
    const files = { 'a.txt': 'one', 'b.txt': 'two' }
    const front = await open(t, url, { files })
    const client = await front.client()
    const get = (path: string): string => `GET ${path} HTTP/1.1\r\n${BEHIND}`
    client.send(get('/a.txt') + get('/slow') + get('/b.txt') + get('/slow2'))
    assert.equal((await client.answer()).body.toString(), 'one')
    client.send(get('/b.txt'))
    held.open()
    assert.equal(await client.text(), 'origin /slow')
    assert.equal((await client.answer()).body.toString(), 'two')
    assert.equal(await client.text(), 'origin /slow2')
    assert.equal((await client.answer()).body.toString(), 'two')
  })

  test('is closed to HTTP/1.0, which knows no chunks, and with the last request', async t => {
    const front = await open(t, await httpOrigin(echo({}).handler), {
      limits: { requestsPerConnection: 2 },
    })
    const old = await front.client()
    old.send('GET /o HTTP/1.0\r\n\r\n')
    const text = (await old.ended()).toString()
    assert.match(text, /\r\nConnection: close\r\n/)
    assert.doesNotMatch(text, /Transfer-Encoding/)
    assert.ok(text.endsWith('\r\n\r\nGET /o '))
    const client = await front.client()
    client.send(
      `GET /1 HTTP/1.1\r\n${BEHIND}GET /2 HTTP/1.1\r\n${BEHIND}GET /3 HTTP/1.1\r\n${BEHIND}`,
    )
    const both = (await client.ended()).toString()
    assert.equal(both.match(/HTTP\/1\.1 200/g)?.length, 2)
  })

  test('passes interim answers on', async t => {
    const url = await rawOrigin(socket => {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n')
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
    const front = await open(t, url)
    const client = await front.client()
    client.send(`GET / HTTP/1.1\r\n${BEHIND}`)
    assert.match((await client.answer()).head, /^HTTP\/1\.1 103 Early Hints\r\nLink: <a>\r\n\r\n$/)
    assert.equal((await client.answer()).body.toString(), 'ok')
    const old = await front.client()
    old.send('GET /2 HTTP/1.0\r\n\r\n')
    assert.match((await old.ended()).toString(), /^HTTP\/1\.1 200/)
  })

  test('that ends ends what it had asked for alone', async t => {
    const arrived = gate()
    const left = gate()
    const url = await httpOrigin((_, response) => {
      arrived.open()
      response.on('close', () => left.open())
    })
    const front = await open(t, url)
    const client = await front.client()
    client.send(`POST / HTTP/1.1\r\n${BEHIND}`)
    await arrived.promise
    client.socket.resetAndDestroy()
    await left.promise
  })

  test('that has sent its last gets its answer', async t => {
    const front = await open(t, await httpOrigin(echo({}).handler))
    const client = await front.client()
    client.send(`GET /x HTTP/1.1\r\n${BEHIND}`)
    client.socket.end()
    assert.match((await client.ended()).toString(), /200 OK[\s\S]*GET \/x \r\n0\r\n\r\n$/)
  })

  test('that waits for the origin is not idle, one whose client takes nothing is', async t => {
    const held = gate()
    const url = await httpOrigin(async (request, response) => {
      if (request.url === '/slow') await held.promise
      response.end(request.url === '/slow' ? 'ok' : Buffer.alloc(32 << 20))
    })
    const limits = { idleTimeoutMs: 100, headTimeoutMs: 100, stallTimeoutMs: 100 }
    const front = await open(t, url, {
      limits,
      origin: { cache: { objectBytes: 1024 } },
    })
    const idle = await front.client()
    const waiting = await front.client()
    waiting.send(`GET /slow HTTP/1.1\r\n${BEHIND}`)
    await idle.ended() // so long the other has waited, too
    held.open()
    assert.equal(await waiting.text(), 'ok')
    idle.close()
    waiting.close()
    const stalled = await front.client()
    stalled.socket.pause()
    stalled.send(`GET /big HTTP/1.1\r\n${BEHIND}`)
    await until(async () => (await front.stats()).idle === 2)
    await until(async () => (await front.stats()).open === 0)
  })

  test('drains: the answer under way is finished, and says that it is the last', async t => {
    const held = gate()
    const arrived = gate()
    const url = await httpOrigin(async (_, response) => {
      arrived.open()
      await held.promise
      response.end('done')
    })
    const front = await open(t, url)
    const [client, idle] = [await front.client(), await front.client()]
    client.send(`GET / HTTP/1.1\r\n${BEHIND}GET /2 HTTP/1.1\r\n${BEHIND}`)
    await arrived.promise
    const closed = front.drain()
    await idle.ended() // by then it drains
    held.open()
    const text = (await client.ended()).toString()
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close\r\n[\s\S]*done$/)
    client.close()
    idle.close()
    await closed
  })

  test('is noted in the log when the answer has ended', async t => {
    const url = await rawOrigin((socket, head) => {
      const isCut = head.startsWith('GET /cut')
      socket.end(
        `HTTP/1.1 201 X\r\nCache-Control: max-age=60\r\nContent-Length: ${isCut ? 99 : 2}\r\n\r\nok`,
      )
    })
    const front = await open(t, url)
    await front.ask('/whole')
    await front.ask('/whole')
    await assert.rejects(front.ask('/cut'))
    assert.deepEqual(await lines(front, 3), [
      ['GET /whole', true, 201, 2, FROM_ORIGIN],
      ['GET /whole', true, 201, 2, FROM_STORE],
      ['GET /cut', true, 201, 2, FROM_ORIGIN],
    ])
  })

  test('whose client leaves before there is an answer is noted as such', async t => {
    const arrived = gate()
    const front = await open(t, await httpOrigin(() => arrived.open()))
    const client = await front.client()
    client.send(`POST /x HTTP/1.1\r\n${BEHIND}`)
    await arrived.promise
    client.socket.resetAndDestroy()
    assert.deepEqual(await lines(front, 1), [['POST /x', true, CLIENT_LEFT, 0, 0]])
  })
})

/** Waits until this has not changed for as long as the loop turns fifty times. */
async function standsStill(value: () => number): Promise<void> {
  for (let before = -1; before !== value(); ) {
    before = value()
    for (let i = 0; i < 50; i++) await new Promise(resolve => setTimeout(resolve, 1))
  }
}

/** Looks again and again; for what has no event that a client sees. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise(resolve => setTimeout(resolve, 5))
}

/** What the access log has of so many answers: request line, is it whole, status, bytes, flags. */
async function lines(front: FrontMount, count: number): Promise<unknown[]> {
  const all: unknown[] = []
  await until(async () => {
    front.noted(({ bytes, start, end, status, bodyBytes, flags }) => {
      const head = Buffer.from(bytes.slice(start, end)).toString()
      const line = head.split(' ', 2).join(' ')
      all.push([line, head.endsWith('\r\n\r\n'), status, bodyBytes, flags & ~CLOSES])
    })
    return all.length >= count
  })
  return all
}
