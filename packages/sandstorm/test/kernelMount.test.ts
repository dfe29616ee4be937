import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { Agent, get, type IncomingMessage, request } from 'node:http'
import { type TestContext, test } from 'node:test'
import {
  clientOf,
  type KernelLimits,
  type KernelMount,
  listenFailure,
  mountOnKernel,
} from '../src/mount/kernelMount.ts'
import { load, makeTree } from './contentTree.ts'
import { RawClient } from './rawClient.ts'

const FILES = {
  'index.html': '<h1>top</h1>',
  'a.txt': 'hello',
  empty: '',
  'dir/index.html': 'dir',
  'photo.jpg': randomBytes(22_000),
  'big.bin': randomBytes(20_000_000),
}
const NOW = Date.UTC(2025, 1, 28, 23, 59, 59, 999)

async function mount(t: TestContext, limits: Partial<KernelLimits> = {}): Promise<KernelMount> {
  const { content } = await load(makeTree(t, FILES))
  const mounted = await mountOnKernel(content, {
    host: '127.0.0.1',
    port: 0,
    limits,
    clock: () => NOW,
  })
  t.after(async () => {
    for (const raw of clients.get(mounted) ?? []) raw.close()
    await mounted.close()
  })
  return mounted
}

/** The clients of each mount: they end before it, so that it has nobody to wait for. */
const clients = new WeakMap<KernelMount, RawClient[]>()

async function client(mounted: KernelMount): Promise<RawClient> {
  const raw = await RawClient.to(mounted.port)
  clients.set(mounted, [...(clients.get(mounted) ?? []), raw])
  return raw
}

function fetchWith(
  port: number,
  path: string,
  options: object = {},
): Promise<{ res: IncomingMessage; body: Buffer }> {
  return new Promise((resolve, reject) => {
    get({ port, path, host: '127.0.0.1', ...options }, async res => {
      const parts: Buffer[] = []
      for await (const part of res) parts.push(part)
      resolve({ res, body: Buffer.concat(parts) })
    }).on('error', reject)
  })
}

const HEAD_END = 'Host: x\r\n\r\n'

test("Node's client fetches every file, kept alive, 16 at a time, whole", async t => {
  const { port, stats } = await mount(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  t.after(() => agent.destroy())
  const names = Array.from({ length: 8 }, () => Object.keys(FILES)).flat()
  await Promise.all(
    names.map(async name => {
      const { res, body } = await fetchWith(port, `/${name}`, { agent })
      const sha = (bytes: string | Buffer): string =>
        createHash('sha256').update(bytes).digest('hex')
      assert.equal(res.statusCode, 200)
      assert.equal(sha(body), sha(FILES[name as keyof typeof FILES]), name)
      assert.equal(res.headers.date, 'Fri, 28 Feb 2025 23:59:59 GMT')
      assert.equal(res.headers.connection, 'keep-alive')
      assert.equal(res.headers.server, 'sandstorm')
    }),
  )
  assert.equal(stats.answers, names.length)
  assert.ok(stats.accepted <= 16, `${stats.accepted} connections`)
})

test('a head and its body come in one piece', async t => {
  const raw = await client(await mount(t))
  const chunks: Buffer[] = []
  raw.socket.on('data', chunk => chunks.push(chunk))
  raw.send(`GET /a.txt HTTP/1.1\r\n${HEAD_END}`)
  await raw.answer()
  assert.equal(chunks.length, 1)
  assert.ok(chunks[0].toString().endsWith('\r\n\r\nhello'))
})

test('HEAD has the head of GET and no body', async t => {
  const raw = await client(await mount(t))
  raw.send(
    `GET /photo.jpg HTTP/1.1\r\n${HEAD_END}HEAD /photo.jpg HTTP/1.1\r\n${HEAD_END}GET /a.txt HTTP/1.1\r\n${HEAD_END}`,
  )
  const whole = await raw.answer()
  const head = await raw.answer(true)
  assert.equal(head.head, whole.head)
  assert.equal((await raw.answer()).body.toString(), 'hello')
})

test('an entity tag sent back gets 304 without a body', async t => {
  const { port } = await mount(t)
  const { res } = await fetchWith(port, '/a.txt')
  const again = await fetchWith(port, '/a.txt', { headers: { 'If-None-Match': res.headers.etag } })
  assert.equal(again.res.statusCode, 304)
  assert.equal(again.res.headers.etag, res.headers.etag)
  assert.equal(again.body.length, 0)
})

test('POST with a body: 405 with Allow, the body is dropped, the connection lives on', async t => {
  const raw = await client(await mount(t))
  const body = 'GET /smuggled HTTP/1.1\r\n\r\n'.repeat(1000)
  raw.send(`POST /a.txt HTTP/1.1\r\nContent-Length: ${body.length}\r\n${HEAD_END}`)
  raw.send(body)
  raw.send(`GET /a.txt HTTP/1.1\r\n${HEAD_END}`)
  const refused = await raw.answer()
  assert.equal(refused.status, 405)
  assert.match(refused.head, /\r\nAllow: GET, HEAD, OPTIONS\r\n/)
  assert.equal((await raw.answer()).body.toString(), 'hello')
})

test('HTTP/1.0: closed, or kept and announced if asked for', async t => {
  const mounted = await mount(t)
  const kept = await client(mounted)
  kept.send('GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
  assert.match((await kept.answer()).head, /\r\nConnection: keep-alive\r\n/)
  kept.send('GET /a.txt HTTP/1.0\r\n\r\n')
  assert.match((await kept.answer()).head, /\r\nConnection: close {5}\r\n/)
  assert.equal((await kept.ended()).length, 0)
})

test('fifty pipelined requests, large answers among them, are answered in order', async t => {
  const mounted = await mount(t)
  const raw = await client(mounted)
  const names = Object.keys(FILES).slice(0, 5)
  const order = Array.from({ length: 50 }, (_, i) => (i === 20 ? 'big.bin' : names[(i * 7) % 5]))
  raw.send(order.map(name => `GET /${name} HTTP/1.1\r\n${HEAD_END}`).join(''))
  for (const name of order) {
    const { body } = await raw.answer()
    assert.ok(body.equals(Buffer.from(FILES[name as keyof typeof FILES] as string)), name)
  }
  assert.equal(mounted.stats.answers, 50)
})

test('while answers are unread, no further request is parsed', async t => {
  const mounted = await mount(t)
  const raw = await client(mounted)
  raw.socket.pause()
  raw.send(`GET /big.bin HTTP/1.1\r\n${HEAD_END}`.repeat(100))
  await new Promise(resolve => setTimeout(resolve, 300))
  const { answers } = mounted.stats
  assert.ok(answers >= 1 && answers < 5, `${answers} answers`)
})

test('heads in pieces of every size are answered, bodies and next heads included', async t => {
  const mounted = await mount(t)
  const stream = `GET /a.txt HTTP/1.1\r\n${HEAD_END}POST / HTTP/1.1\r\nContent-Length: 10\r\n${HEAD_END}0123456789HEAD / HTTP/1.1\r\n${HEAD_END}GET / HTTP/1.1\r\n${HEAD_END}`
  const sizes = [1, 2, 3, 7, 30, 41, 42, 43, 100]
  await Promise.all(
    sizes.map(async size => {
      const raw = await client(mounted)
      for (let off = 0; off < stream.length; off += size) {
        raw.send(stream.slice(off, off + size))
        await new Promise(resolve => setImmediate(resolve))
      }
      const answers = [
        await raw.answer(),
        await raw.answer(),
        await raw.answer(true),
        await raw.answer(),
      ]
      assert.deepEqual(
        answers.map(a => a.status),
        [200, 405, 200, 200],
      )
      assert.equal(answers[3].body.toString(), '<h1>top</h1>')
    }),
  )
})

test('a client that ends its side first still gets every answer', async t => {
  const raw = await client(await mount(t))
  raw.socket.end(`GET /big.bin HTTP/1.1\r\n${HEAD_END}`.repeat(3))
  for (let i = 0; i < 3; i++)
    assert.equal((await raw.answer()).body.length, FILES['big.bin'].length)
  await raw.ended()
})

test('a refusal is readable although the client is still sending', async t => {
  const raw = await client(await mount(t))
  raw.send(`POST / HTTP/1.1\r\nContent-Length: 900000\r\n${HEAD_END}`)
  raw.send('x'.repeat(900_000))
  assert.equal((await raw.answer()).status, 405)
  assert.equal((await raw.ended()).length, 0)
})

test('a client that reads the refusal only after 8 MB of its upload still gets all of it', async t => {
  const raw = await client(await mount(t))
  const errors: Error[] = []
  raw.socket.on('error', error => errors.push(error))
  raw.socket.pause()
  raw.send(`POST / HTTP/1.1\r\nContent-Length: 8000000\r\n${HEAD_END}`)
  raw.send('x'.repeat(8_000_000))
  await new Promise(resolve => setTimeout(resolve, 500))
  raw.socket.resume()
  assert.equal((await raw.answer()).status, 405)
  assert.equal((await raw.ended()).length, 0)
  assert.deepEqual(errors, [], 'no reset before the answer was read')
})

test('a client that goes on sending after the last answer is cut off', async t => {
  const raw = await client(await mount(t))
  const closed = new Promise(resolve => raw.socket.once('close', resolve))
  raw.send('nonsense\r\n')
  assert.equal((await raw.answer()).status, 400)
  const flood = setInterval(() => raw.send('x'.repeat(100_000)), 5)
  await closed
  clearInterval(flood)
})

test('a slow head is answered 408 and closed, one in time is not', async t => {
  const mounted = await mount(t, { headTimeoutMs: 300 })
  const slow = await client(mounted)
  slow.send('GET /a.txt HTTP/1.1\r\nHost: x\r\n')
  const answer = await slow.answer()
  assert.equal(answer.status, 408)
  assert.match(answer.head, /\r\nConnection: close/)
  await slow.ended()
  assert.equal(mounted.stats.slow, 1)
})

test('trickled bytes do not extend the time for a head', async t => {
  const mounted = await mount(t, { headTimeoutMs: 300 })
  const raw = await client(mounted)
  raw.send('GET /a.txt HTTP/1.1\r\nX: ')
  const trickle = setInterval(() => raw.send('x'), 20)
  assert.equal((await raw.answer()).status, 408)
  clearInterval(trickle)
})

test('a body that does not come in time ends the connection', async t => {
  const mounted = await mount(t, { headTimeoutMs: 200 })
  const raw = await client(mounted)
  raw.send(`POST / HTTP/1.1\r\nContent-Length: 10\r\n${HEAD_END}`)
  assert.equal((await raw.answer()).status, 405)
  assert.equal((await raw.ended()).length, 0)
  assert.equal(mounted.stats.slow, 1)
})

test('idle connections are closed without a word', async t => {
  const mounted = await mount(t, { idleTimeoutMs: 200 })
  const silent = await client(mounted)
  const used = await client(mounted)
  used.send(`GET /a.txt HTTP/1.1\r\n${HEAD_END}`)
  assert.equal((await used.answer()).status, 200)
  assert.equal((await silent.ended()).length, 0)
  assert.equal((await used.ended()).length, 0)
  assert.equal(mounted.stats.idle, 2)
})

test('connections over the limit are refused and counted', async t => {
  const mounted = await mount(t, { maxConnections: 1 })
  const first = await client(mounted)
  first.send(`GET /a.txt HTTP/1.1\r\n${HEAD_END}`)
  await first.answer()
  const second = await client(mounted)
  await new Promise(resolve => second.socket.once('close', resolve).end())
  assert.equal(mounted.stats.refused, 1)
  assert.equal(mounted.stats.open, 1)
})

test('close ends idle connections at once and lets answers under way be finished', async t => {
  const mounted = await mount(t)
  const idle = await client(mounted)
  idle.send(`GET /a.txt HTTP/1.1\r\n${HEAD_END}`)
  await idle.answer()
  const busy = await client(mounted)
  busy.socket.pause()
  busy.send(`GET /big.bin HTTP/1.1\r\n${HEAD_END}`)
  await new Promise(resolve => setTimeout(resolve, 200))
  const closed = mounted.close()
  await idle.ended()
  assert.ok(!busy.hasEnded)
  busy.socket.resume()
  assert.equal((await busy.answer()).body.length, FILES['big.bin'].length)
  await busy.ended()
  busy.socket.end()
  await closed
  assert.equal(mounted.stats.open, 0)
  await assert.rejects(RawClient.to(mounted.port), /ECONNREFUSED/)
})

test('close does not wait for ever for a client that does not read', async t => {
  const mounted = await mount(t, { drainTimeoutMs: 200 })
  const stuck = await client(mounted)
  stuck.socket.pause()
  stuck.send(`GET /big.bin HTTP/1.1\r\n${HEAD_END}`)
  await new Promise(resolve => setTimeout(resolve, 100))
  await mounted.close()
  assert.equal(mounted.stats.open, 0)
})

test('an address that cannot be had is one clear line', async t => {
  const { port } = await mount(t)
  const { content } = await load(makeTree(t, {}))
  const failure = (host: string, at: number): Promise<Error> =>
    mountOnKernel(content, { host, port: at }).then(
      () => assert.fail('listens'),
      e => e,
    )
  assert.match((await failure('127.0.0.1', port)).message, /another program does already.*--port$/)
  assert.match((await failure('192.0.2.1', 0)).message, /no such address.*--address$/)
  assert.match(
    listenFailure(Object.assign(new Error(), { code: 'EACCES' }), '::', 80),
    /need root.*--port$/,
  )
})

test('a request body sent by a real client with Expect gets the final status', async t => {
  const { port } = await mount(t)
  const status = await new Promise(resolve => {
    const req = request({
      port,
      method: 'PUT',
      headers: { Expect: '100-continue', 'Content-Length': 5 },
    })
    req.on('response', res => resolve(res.statusCode))
    req.on('error', () => {})
    req.flushHeaders()
  })
  assert.equal(status, 405)
})

const ONE_GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

test('an address has so many connections at once, and again when one has ended', async t => {
  const mounted = await mount(t, { connectionsPerAddress: 2 })
  const [first, second] = [await client(mounted), await client(mounted)]
  const third = await client(mounted)
  third.send(ONE_GET)
  await assert.rejects(third.answer())
  assert.equal(mounted.stats.refused, 1)
  first.send(ONE_GET)
  assert.equal((await first.answer()).status, 200)
  first.close()
  while (mounted.stats.open > 1) await new Promise(resolve => setTimeout(resolve, 5))
  const fourth = await client(mounted)
  fourth.send(ONE_GET)
  assert.equal((await fourth.answer()).status, 200)
  second.close()
})

test('a client is an IPv4 address, or the /64 of an IPv6 address', () => {
  for (const [address, expected] of [
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.1'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['2001:db8:0:0:1:2:3:4', '2001:db8:0:0'],
    ['2001:db8:1:2::', '2001:db8:1:2'],
    ['::1', '0:0:0:0'],
  ]) {
    assert.equal(clientOf(address), expected, address)
  }
})
