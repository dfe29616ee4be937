/** Answers of origins on our own TCP: a port that brings pieces when the test wants. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { LiveContent } from '../src/content/live.ts'
import { attachContent } from '../src/content/table.ts'
import { IN_CHUNKS } from '../src/front/forwardRequest.ts'
import { OriginPaths } from '../src/http/originPaths.ts'
import { type FeedOrder, feedPort } from '../src/instance/feedOrder.ts'
import { PIECES_MAX } from '../src/mount/feeds.ts'
import { pieceBytes } from '../src/mount/requestBody.ts'
import { REQUEST_BUFFER_BYTES } from '../src/mount/requestBuffers.ts'
import { plainOrigin, plainSite } from '../src/site/site.ts'
import { makeTree } from './contentTree.ts'
import type { Peer } from './kit/peer.ts'
import { request, World, type WorldOptions } from './kit/world.ts'

const PEER = { mss: 1460, window: 65535, scale: 7 }
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

class Origin {
  readonly world: World
  readonly #live: LiveContent
  readonly orders: FeedOrder[] = []

  static async open(t: TestContext, options: Partial<WorldOptions> = {}): Promise<Origin> {
    const origin = plainOrigin('http://192.0.2.1:80') // never asked
    const site = { ...plainSite(makeTree(t, { 'a.txt': 'file' })), origin }
    const live = await LiveContent.open([site], {
      memoryBytes: 96 << 20,
      stackBytes: 64 << 20,
      onWarning: () => {},
    })
    return new Origin(live, options)
  }

  private constructor(live: LiveContent, options: Partial<WorldOptions>) {
    this.#live = live
    const content = attachContent(live.attach(() => {}).shared)
    const site = { content, bodies: new Map(), imageOf: () => 0, etagOf: () => '' }
    this.world = new World(site, {
      ...options,
      originPaths: new OriginPaths([[]]),
      feedPort: {
        ...feedPort(one => void this.orders.push(one)),
        open: () => assert.fail('no file is read'),
      },
    })
  }

  /** What was ordered since the last call. */
  kinds(): string[] {
    this.world.settle()
    return this.orders.splice(0).map(({ kind }) => kind)
  }

  /** A piece with these bytes, lent until the end of the test. */
  async piece(slot: number, serial: number, text: string, status = 200): Promise<void> {
    const { value } = await this.#live.lend(Buffer.from(text)).next()
    const { image, from, end } = value
    const answered = { status, bodyBytes: 2, from: 0, close: false }
    this.world.server.mount.onPiece(slot, serial, { image, from, end, isLast: false, answered })
  }

  fed(slot: number, serial: number, close = false): void {
    const answered = { status: 200, bodyBytes: 2, from: 0, close }
    this.world.server.mount.onFed(slot, serial, answered)
    this.world.settle()
  }

  /** The feed of the request that came last. */
  last(): { slot: number; serial: number } {
    this.world.settle()
    const order = this.orders.findLast(({ kind }) => kind === 'forward')
    assert.ok(order !== undefined)
    return order
  }
}

const text = (peer: Peer): string => Buffer.from(peer.stream).toString('latin1')

test('of an answer in many short pieces a client that takes nothing has few under way', async t => {
  const origin = await Origin.open(t)
  const peer = origin.world.connect({ ...PEER, autoAck: false })
  peer.send(request('/x'))
  const { slot, serial } = origin.last()
  assert.deepEqual(origin.kinds(), ['forward'])
  for (let n = 1; n < PIECES_MAX; n++) {
    await origin.piece(slot, serial, 'x')
    assert.deepEqual(origin.kinds(), ['more'])
  }
  await origin.piece(slot, serial, 'x')
  assert.deepEqual(origin.kinds(), [])
  assert.equal(origin.world.server.stats().inUse.sendRecords, PIECES_MAX)
})

test('what clients do not take of answers that have ended is bounded: the next are told to come again', async t => {
  const limits = { headTimeoutMs: 600_000, stallTimeoutMs: 600_000 }
  const origin = await Origin.open(t, { limits })
  const { world } = origin
  const { mount } = world.server
  for (let n = 0; n < 4000; n++) {
    const peer = world.connect({ ...PEER, autoAck: false })
    peer.send(request('/x'))
    if (mount.stats.feedsRefused > 0) break
    world.settle()
    if (mount.stats.feedsRefused > 0) break
    const { slot, serial } = origin.last()
    for (let piece = 0; piece < PIECES_MAX; piece++) {
      if (origin.kinds().length > 0) await origin.piece(slot, serial, 'x')
    }
    origin.fed(slot, serial)
    origin.orders.length = 0
  }
  assert.equal(mount.stats.feedsRefused, 1)
  const { sendRecords } = world.server.stats().inUse
  assert.ok(sendRecords > PIECES_MAX && sendRecords <= mount.answers.capacity)
})

const CHUNKED = 'PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'

/** What the orders hold of the body, and their kinds. */
const bodyOf = (orders: FeedOrder[]): string =>
  orders.map(one => (one.kind === 'body' ? Buffer.from(one.bytes).toString() : '')).join('')

test('of a body in chunks the content is handed on as it comes, then its end', async t => {
  const origin = await Origin.open(t)
  const peer = origin.world.connect(PEER)
  peer.send(`${CHUNKED}5;a=b\r\nhe`)
  const { slot, serial } = origin.last()
  const [first, second] = origin.orders.splice(0)
  assert.ok(first.kind === 'forward' && first.request.bodyBytes === IN_CHUNKS)
  assert.equal(bodyOf([second]), 'he')
  for (const part of ['l', 'lo\r', '\n3\r\nabc\r\n0', '\r\nT: v\r\n', `\r\n${request('/y')}`]) {
    peer.send(part)
    origin.world.settle()
  }
  assert.equal(bodyOf(origin.orders), 'lloabc')
  assert.deepEqual(origin.kinds(), ['body', 'body', 'body', 'bodyEnd'])
  await origin.piece(slot, serial, ANSWER)
  origin.fed(slot, serial)
  assert.deepEqual(origin.kinds(), ['more', 'drop', 'forward'])
  assert.equal(text(peer), ANSWER)
})

for (const [what, part, status] of [
  ['malformed', '3\r\nabcd', 400],
  ['too large', '10001\r\n', 413],
] as const) {
  test(`a body in chunks that is ${what} ends what the origin is asked, and the connection`, async t => {
    const origin = await Origin.open(t)
    for (const hasBegun of [false, true]) {
      const peer = origin.world.connect(PEER)
      peer.send(`${CHUNKED}2\r\nhe\r\n`)
      const { slot, serial } = origin.last()
      if (hasBegun) await origin.piece(slot, serial, 'HTTP/1.1 200 OK\r\n')
      origin.world.settle()
      origin.orders.length = 0
      peer.send(`${part}${request('/y')}`)
      assert.deepEqual(origin.kinds(), ['drop'])
      assert.equal(peer.reset, hasBegun)
      if (hasBegun) continue
      assert.match(text(peer), new RegExp(`^HTTP/1\\.1 ${status} [^]*\r\nConnection: close *\r\n`))
      assert.ok(peer.ended)
    }
  })

  test(`a body in chunks that is ${what} behind its answer ends the connection`, async t => {
    const origin = await Origin.open(t)
    const peer = origin.world.connect(PEER)
    peer.send(`${CHUNKED}2\r\nhe\r\n`)
    const { slot, serial } = origin.last()
    await origin.piece(slot, serial, ANSWER)
    origin.fed(slot, serial)
    origin.orders.length = 0
    peer.send(`3\r\nabc\r\n`)
    assert.deepEqual(origin.kinds(), [])
    assert.ok(!peer.ended)
    peer.send(`${part}${request('/y')}`)
    assert.deepEqual(origin.kinds(), [])
    assert.ok(peer.ended && !peer.reset)
    assert.equal(text(peer), ANSWER)
  })
}

test('a body in chunks is read over behind its answer, and the next request found', async t => {
  const origin = await Origin.open(t)
  const peer = origin.world.connect(PEER)
  peer.send(`${CHUNKED}5\r\nhe`)
  const { slot, serial } = origin.last()
  await origin.piece(slot, serial, ANSWER)
  origin.fed(slot, serial)
  origin.orders.length = 0
  for (const part of ['llo\r\n', '0\r\n\r', `\n${request('/y')}`]) {
    assert.deepEqual(origin.kinds(), [])
    peer.send(part)
  }
  assert.deepEqual(origin.kinds(), ['forward'])
})

/** Bytes that the window lets a client send of a body that nobody takes. */
const WINDOW_MOST = 256 * 1024 + REQUEST_BUFFER_BYTES

for (const [framing, head, wire] of [
  ['sized', 'PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n', 'x'.repeat(1_000_000)],
  ['chunked', CHUNKED, `${`3e8\r\n${'x'.repeat(1000)}\r\n`.repeat(1000)}0\r\n\r\n`],
] as const) {
  test(`of a body that the origin does not take a client can send no more than a window: ${framing}`, async t => {
    const limits = { http: { bodyBytes: 1 << 20 } }
    const origin = await Origin.open(t, { limits })
    const { world } = origin
    const { mount } = world.server
    const peer = world.connect(PEER)
    peer.send(head + wire)
    const { slot, serial } = origin.last()
    let sent = ''
    /** What has come since, with what its pieces take. */
    const taken = (): number => {
      world.settle()
      const pieces = origin.orders.splice(0).filter(({ kind }) => kind === 'body')
      sent += bodyOf(pieces)
      return pieces.reduce(
        (sum, one) => sum + (one.kind === 'body' ? pieceBytes(one.bytes.length) : 0),
        0,
      )
    }
    let waiting = taken()
    assert.ok(waiting > 200_000 && waiting <= WINDOW_MOST, `${waiting} bytes`)
    // Nobody takes anything: it is not the client that is slow, and its window stays shut.
    const before = sent.length
    world.pass(60_000)
    waiting += taken()
    assert.ok(sent.length - before <= 16, 'but for what probes a window')
    assert.ok(!peer.ended && !peer.reset)
    for (let rounds = 0; sent.length < 1_000_000; rounds++) {
      assert.ok(rounds < 100, 'it goes on')
      mount.onBodyTaken(slot, serial, 65536)
      waiting += taken() - 65536
      assert.ok(waiting <= WINDOW_MOST, `${waiting} bytes`)
    }
    assert.equal(sent, 'x'.repeat(1_000_000))
    await origin.piece(slot, serial, ANSWER)
    origin.fed(slot, serial)
    peer.send(request('/y'))
    assert.ok(origin.kinds().includes('forward'))
  })
}

test('a client that had to wait for the origin has its time anew', async t => {
  // Whatever is left of its time when the origin goes on, it would be too little in one of the two.
  for (const waitMs of [60_000, 65_000]) {
    const origin = await Origin.open(t, { limits: { http: { bodyBytes: 1 << 20 } } })
    const peer = origin.world.connect(PEER)
    peer.send('PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n')
    // Until the window shuts, and then no step more.
    for (let sent = 0; bodyOf(origin.orders).length === sent; sent += 1000) {
      peer.send('x'.repeat(1000))
      origin.world.settle()
    }
    const { slot, serial } = origin.last()
    origin.world.pass(waitMs)
    for (let n = 0; n < 4; n++) origin.world.server.mount.onBodyTaken(slot, serial, 65536)
    origin.world.pass(9_000)
    assert.ok(!peer.ended)
    assert.ok(origin.world.runUntil(() => peer.ended, 3_000))
    assert.match(text(peer), /^HTTP\/1\.1 408 /)
  }
})

test('who shuts the window over a body opens it for what is read over', async t => {
  const origin = await Origin.open(t, { limits: { http: { bodyBytes: 1 << 20 } } })
  const peer = origin.world.connect(PEER)
  peer.send(`PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1_000_000)}`)
  const { slot, serial } = origin.last()
  await origin.piece(slot, serial, ANSWER)
  origin.fed(slot, serial)
  origin.orders.length = 0
  peer.send(request('/y'))
  assert.ok(origin.world.runUntil(() => origin.orders.length > 0, 10_000))
  assert.deepEqual(origin.kinds(), ['forward'])
})

test('who waits for its origin is not the one to be timed out', async t => {
  const origin = await Origin.open(t)
  const peer = origin.world.connect(PEER)
  peer.send(request('/x'))
  const { slot, serial } = origin.last()
  origin.world.pass(900_000)
  assert.ok(!peer.ended && !peer.reset)
  await origin.piece(slot, serial, ANSWER)
  origin.fed(slot, serial)
  assert.equal(text(peer), ANSWER)
})

const post = (length: number): string =>
  `POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`

test('a body that does not come is answered 408, but not in the middle of an answer', async t => {
  const origin = await Origin.open(t)
  const peer = origin.world.connect(PEER)
  peer.send(`${post(5)}he`)
  assert.deepEqual(origin.kinds(), ['forward', 'body'])
  assert.ok(origin.world.runUntil(() => peer.ended, 60_000))
  assert.match(text(peer), /^HTTP\/1\.1 408 /)
  assert.deepEqual(origin.kinds(), ['drop'])
  const other = origin.world.connect(PEER)
  other.send(`${post(5)}he`)
  const { slot, serial } = origin.last()
  await origin.piece(slot, serial, 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no')
  assert.ok(origin.world.runUntil(() => other.reset, 60_000))
  assert.match(text(other), /^HTTP\/1\.1 200 [\s\S]*\r\n\r\no$/)
})

test('an answer that fails before it has begun is 500, one that fails later is cut', async t => {
  const origin = await Origin.open(t)
  for (const hasBegun of [false, true]) {
    const peer = origin.world.connect(PEER)
    peer.send(request('/x'))
    const { slot, serial } = origin.last()
    if (hasBegun) await origin.piece(slot, serial, 'HTTP/1.1 200 OK\r\n')
    origin.world.settle()
    origin.world.server.mount.onFeedFailed(slot, serial)
    origin.world.settle()
    assert.equal(peer.reset, hasBegun)
    if (!hasBegun) assert.match(text(peer), /^HTTP\/1\.1 500 /)
  }
})

test('a server that ends lets the body and the answer under way come to their ends', async t => {
  const origin = await Origin.open(t)
  const peer = origin.world.connect(PEER)
  peer.send(`${post(5)}he`)
  assert.deepEqual(origin.kinds(), ['forward', 'body'])
  origin.world.server.drain()
  assert.deepEqual(origin.kinds(), ['close'])
  peer.send(`llo${request('/next')}`)
  origin.world.settle()
  const body = origin.orders.splice(0)
  assert.deepEqual(
    body.map(order => order.kind === 'body' && Buffer.from(order.bytes).toString()),
    ['llo'],
  )
  const { slot, serial } = { slot: body[0].slot, serial: body[0].serial }
  await origin.piece(slot, serial, ANSWER)
  origin.fed(slot, serial)
  assert.ok(peer.ended)
  assert.equal(text(peer), ANSWER)
  assert.deepEqual(origin.kinds(), ['more', 'drop'])
})
