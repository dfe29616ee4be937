import assert from 'node:assert/strict'
import { test } from 'node:test'
import { REQUEST_BUFFER_COUNT } from '../src/mount/requestBuffers.ts'
import { parseAnswers } from './kit/response.ts'
import { request, World } from './kit/world.ts'

const FILES = { '/a.html': 5000, '/b.txt': 3, '/empty': 0, '/big.bin': 200_000 }
const GET_A = request('/a.html')

const gets = (count: number): string[] => new Array<string>(count).fill('GET')

test('HEAD sends the head of GET and no body', () => {
  const world = new World(FILES)
  const head = world.fetch('/a.html', {}, 'HEAD')
  const get = world.fetch('/a.html')
  assert.equal(head.head, get.head)
  assert.equal(head.fields.get('content-length'), '5000')
  assert.equal(head.body.length, 0)
})

test('a client that names the entity tag gets 304 without a body', () => {
  const world = new World(FILES)
  const etag = world.site.etagOf('/a.html')
  const peer = world.connect()
  peer.send(request('/a.html', { fields: [`If-None-Match: ${etag}`] })).send(GET_A)
  world.settle()
  const [first, second] = parseAnswers(peer.stream, gets(2))
  assert.equal(first.status, 304)
  assert.equal(first.fields.get('etag'), etag)
  assert.equal(second.status, 200)
  assert.deepEqual(second.body, world.site.bodies.get('/a.html'))
})

test('what is not there is answered 404, and the connection goes on', () => {
  const world = new World(FILES)
  const peer = world.connect().send(request('/nothing')).send(GET_A)
  world.settle()
  const [first, second] = parseAnswers(peer.stream, gets(2))
  assert.equal(first.status, 404)
  assert.equal(second.status, 200)
})

test('a bad request is answered 400 and the connection ends', () => {
  const world = new World(FILES)
  const peer = world.connect().send('nonsense\r\n\r\n')
  world.settle()
  const [answer] = parseAnswers(peer.stream, ['GET'])
  assert.equal(answer.status, 400)
  assert.equal(answer.fields.get('connection'), 'close')
  assert.ok(peer.ended)
})

test('keep-alive and close are said as asked, and done as said', () => {
  const world = new World(FILES)
  const peer = world.connect().send(GET_A)
  world.settle()
  assert.ok(!peer.ended)
  peer.send(request('/a.html', { close: true }))
  world.settle()
  const answers = parseAnswers(peer.stream, gets(2))
  assert.deepEqual(
    answers.map(answer => answer.fields.get('connection')),
    ['keep-alive', 'close'],
  )
  assert.ok(peer.ended)
})

for (const sendBytes of [1, 100, 1460]) {
  test(`50 pipelined requests in segments of ${sendBytes} get 50 answers in order`, () => {
    const world = new World(FILES)
    const paths = Object.keys(FILES)
    const asked = Array.from({ length: 50 }, (_, i) => paths[i % paths.length])
    const peer = world.connect({ sendBytes })
    peer.send(asked.map(path => request(path)).join(''))
    assert.ok(world.runUntil(() => parseable(peer.stream, asked.length)))
    const answers = parseAnswers(peer.stream, gets(50))
    answers.forEach((answer, i) => {
      assert.deepEqual(answer.body, world.site.bodies.get(asked[i]))
    })
    assert.deepEqual(world.server.stats().inUse, {
      ...world.server.stats().inUse,
      requestBuffers: 0,
    })
  })
}

function parseable(stream: Uint8Array, count: number): boolean {
  try {
    return parseAnswers(stream, gets(count)).length === count
  } catch {
    return false
  }
}

test('a head may be cut at every byte', () => {
  const world = new World(FILES)
  const text = request('/b.txt')
  for (let at = 1; at < text.length; at++) {
    const peer = world.connect().send(text.slice(0, at))
    world.settle()
    assert.equal(peer.stream.length, 0)
    peer.send(text.slice(at))
    world.settle()
    const [answer] = parseAnswers(peer.stream, ['GET'])
    assert.deepEqual(answer.body, world.site.bodies.get('/b.txt'))
    peer.rst()
    world.settle()
  }
  assert.equal(world.server.stats().inUse.requestBuffers, 0)
})

test('the body of a POST is skipped, wherever it is cut', () => {
  const world = new World(FILES)
  const post = request('/a.html', { method: 'POST', fields: ['Content-Length: 3000'] })
  const peer = world.connect({ sendBytes: 700 }).send(post)
  world.settle()
  peer.send('x'.repeat(1000))
  world.settle()
  peer.send(`${'y'.repeat(2000)}${GET_A}`)
  world.settle()
  const [first, second] = parseAnswers(peer.stream, ['POST', 'GET'])
  assert.equal(first.status, 405)
  assert.deepEqual(second.body, world.site.bodies.get('/a.html'))
})

test('a client that has closed its half still gets its answer', () => {
  const world = new World(FILES)
  const peer = world.connect().send(request('/big.bin')).fin()
  assert.ok(world.runUntil(() => peer.ended))
  const [answer] = parseAnswers(peer.stream, ['GET'])
  assert.deepEqual(answer.body, world.site.bodies.get('/big.bin'))
  assert.ok(peer.finAcked)
  assert.equal(world.server.stats().inUse.connections, 0)
})

test('a client that has closed its half gets all of many pipelined answers', () => {
  const world = new World(FILES)
  const peer = world.connect().send(GET_A.repeat(40)).fin()
  assert.ok(world.runUntil(() => peer.ended))
  assert.equal(parseAnswers(peer.stream, gets(40)).length, 40)
})

test('half a request and a FIN end the connection behind the answers before it', () => {
  const world = new World(FILES)
  const peer = world.connect({ autoAck: false })
  peer.send(GET_A + GET_A.slice(0, 20)).fin()
  world.settle()
  peer.ack()
  assert.ok(world.runUntil(() => peer.ended, 1000))
  assert.equal(parseAnswers(peer.stream, ['GET']).length, 1)
})

test('half a head is answered 408 after the head time-out', () => {
  const world = new World(FILES)
  const peer = world.connect().send('GET / HT')
  world.pass(9_000)
  assert.equal(peer.stream.length, 0)
  world.pass(2_000)
  const [answer] = parseAnswers(peer.stream, ['GET'])
  assert.equal(answer.status, 408)
  assert.ok(peer.ended)
  assert.equal(world.server.mount.stats.headTimeouts, 1)
})

test('half a head that came right behind a request has no more time than any other', () => {
  const world = new World(FILES)
  const peer = world.connect({ autoAck: false }).send(`${GET_A}GET / HT`)
  world.settle()
  peer.ack()
  world.pass(11_000)
  peer.ack()
  const [, second] = parseAnswers(peer.stream, gets(2))
  assert.equal(second.status, 408)
})

test('bytes that trickle in do not prolong the time for a head', () => {
  const world = new World(FILES)
  const peer = world.connect().send('GET /')
  for (let i = 0; i < 12; i++) {
    world.pass(1000)
    peer.send('x')
  }
  world.settle()
  assert.equal(parseAnswers(peer.stream, ['GET'])[0].status, 408)
})

test('an idle connection is closed, one that never asked sooner', () => {
  const world = new World(FILES)
  const silent = world.connect()
  const asked = world.connect().send(GET_A)
  world.pass(11_000)
  assert.ok(silent.ended)
  assert.equal(silent.stream.length, 0)
  world.pass(45_000)
  assert.ok(!asked.ended)
  world.pass(5_000)
  assert.ok(asked.ended)
  assert.equal(world.server.mount.stats.idleTimeouts, 2)
})

test('an answer that nobody takes is given up', () => {
  const world = new World(FILES, { limits: { stallTimeoutMs: 5000 } })
  const peer = world.connect({ autoAck: false, window: 8000 }).send(request('/big.bin'))
  world.pass(4000)
  assert.ok(!peer.reset)
  world.pass(3000)
  assert.ok(peer.reset)
  assert.equal(world.server.mount.stats.stallTimeouts, 1)
  assert.equal(world.server.stats().inUse.connections, 0)
})

test('an answer that is taken slowly is not given up', () => {
  const world = new World(FILES, { limits: { stallTimeoutMs: 5000 } })
  const peer = world.connect({ autoAck: false, window: 8000 }).send(request('/big.bin'))
  for (let i = 0; i < 60 && peer.stream.length < 200_000; i++) {
    world.pass(4000)
    peer.ack()
  }
  world.settle()
  assert.ok(!peer.reset)
  assert.deepEqual(parseAnswers(peer.stream, ['GET'])[0].body, world.site.bodies.get('/big.bin'))
})

test('what a client still sends after the end is dropped, up to a bound', () => {
  const world = new World(FILES, { limits: { lingerBytes: 20_000 } })
  const peer = world.connect().send(request('/a.html', { close: true }))
  world.settle()
  peer.send(new Uint8Array(19_000))
  world.settle()
  assert.ok(!peer.reset)
  assert.ok(!peer.hasUnacknowledged)
  peer.send(new Uint8Array(2_000))
  world.settle()
  assert.ok(peer.hasUnacknowledged, 'no more is taken')
  assert.ok(!peer.reset, 'a reset could overtake the answer')
  assert.equal(parseAnswers(peer.stream, ['GET'])[0].status, 200)
  world.pass(61_000)
  assert.equal(world.server.stats().inUse.connections, 0, 'the connection ends with FIN-WAIT-2')
})

test('when all request buffers are in use, whole requests are served and halves wait', () => {
  const world = new World(FILES)
  const half = GET_A.slice(0, 20)
  const holders = Array.from({ length: REQUEST_BUFFER_COUNT }, () => world.host.peer().open())
  world.settle()
  for (const holder of holders) holder.send(half)
  world.settle()
  assert.equal(world.server.stats().inUse.requestBuffers, REQUEST_BUFFER_COUNT)
  const late = world.connect().send(half)
  world.settle()
  assert.ok(late.hasUnacknowledged)
  assert.equal(world.fetch('/a.html').status, 200)
  holders[0].send(GET_A.slice(20))
  late.send(GET_A.slice(20))
  assert.ok(world.runUntil(() => late.stream.length > 5000, 2000))
  assert.equal(parseAnswers(late.stream, ['GET'])[0].status, 200)
})

test('when the answer records run short, pipelined requests wait and none is lost', () => {
  const world = new World(FILES, { tcp: { maxConnections: 4 } })
  const peers = Array.from({ length: 4 }, () => world.connect())
  for (const peer of peers) peer.send(GET_A.repeat(30))
  assert.ok(world.runUntil(() => peers.every(peer => parseable(peer.stream, 30))))
  assert.equal(world.server.stats().inUse.sendRecords, 0)
})

test('clients that pipeline and take nothing leave one answer for everybody else', () => {
  const world = new World(FILES, { tcp: { maxConnections: 8 } })
  for (let i = 0; i < 7; i++) world.connect({ autoAck: false }).send(GET_A.repeat(8))
  world.settle()
  const { answers } = world.server.mount
  assert.equal(answers.usedCount, 7 + 2, 'a quarter of the connections may have a second one')
  assert.equal(world.fetch('/a.html').status, 200)
})

test('a connection beyond the last is not answered until there is room', () => {
  const world = new World(FILES, { tcp: { maxConnections: 2 } })
  const [first] = [world.connect(), world.connect()]
  const third = world.host.peer().open()
  world.settle()
  assert.ok(!third.isOpen)
  first.rst()
  assert.ok(world.runUntil(() => third.isOpen, 2000))
})

test('a body that is dropped must come in the time of a head, however slowly it trickles', () => {
  const world = new World(FILES)
  const peer = world.connect()
  peer.send('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n')
  for (let seconds = 0; seconds < 9; seconds++) world.pass(1000) && peer.send('x')
  assert.ok(!peer.ended, 'it has its time')
  world.pass(2000)
  assert.ok(peer.ended)
  assert.equal(world.server.mount.stats.headTimeouts, 1)
})

test('after such a body the connection has the time of an idle one', () => {
  const world = new World(FILES)
  const peer = world.connect()
  peer.send('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n')
  world.pass(5000)
  peer.send('xx')
  world.pass(50_000)
  assert.ok(!peer.ended)
  peer.send(request('/a', { close: true }))
  assert.ok(world.runUntil(() => peer.ended, 1000))
})
