/** Bodies that are not in memory, on our own TCP: a port that brings pieces when the test wants. */
import assert from 'node:assert/strict'
import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Content } from '../src/content/content.ts'
import { LiveContent, type LoadOptions } from '../src/content/live.ts'
import { EXTENT_BYTES, type Piece } from '../src/content/pager.ts'
import { NO_BYTES, type Slice } from '../src/content/slices.ts'
import { attachContent } from '../src/content/table.ts'
import { FeedDesk } from '../src/instance/feedDesk.ts'
import { type FeedOrder, feedPort } from '../src/instance/feedOrder.ts'
import type { Mail } from '../src/instance/workerSetup.ts'
import { type AccessLog, CLIENT_LEFT } from '../src/log/accessLog.ts'
import { FEED_COUNT, PIECES_MAX } from '../src/mount/feeds.ts'
import { plainSite } from '../src/site/site.ts'
import { makeTree } from './contentTree.ts'
import { HangingDisk } from './kit/contentFs.ts'
import { parseAnswers, partsOf } from './kit/response.ts'
import { body } from './kit/site.ts'
import { World, type WorldOptions } from './kit/world.ts'

const BIG_BYTES = 5 * EXTENT_BYTES + 777
const BIG = body(BIG_BYTES)

interface Fed {
  readonly root: string
  readonly world: World
  readonly live: LiveContent
  readonly content: Content
  /** Orders of the mount, oldest first. */
  readonly orders: FeedOrder[]
  /** The access log: statuses and bytes of bodies. */
  readonly noted: [status: number, bodyBytes: number][]
  /** Lets the main thread work until the wire is quiet. */
  run(until: () => boolean): Promise<void>
}

/**
 * A server with a small file in memory and a big one that is not, and the main thread's end of its
 * feeds.
 */
async function feed(
  t: TestContext,
  options: Partial<WorldOptions> = {},
  disk: Partial<LoadOptions> = {},
): Promise<Fed> {
  const root = makeTree(t, { 'small.txt': 'small', 'big.bin': BIG })
  const live = await LiveContent.open([plainSite(root)], {
    memoryBytes: 96 << 20,
    stackBytes: 64 << 20,
    fileBytesMax: 1000,
    onWarning: () => {},
    ...disk,
  })
  const content = attachContent(live.attach(() => {}).shared)
  const orders: FeedOrder[] = []
  const mails: Mail[] = []
  const desk = new FeedDesk(live, undefined, mail => void mails.push(mail))
  const order = (one: FeedOrder): void => {
    orders.push(one)
    desk.take(one)
  }
  const noted: Fed['noted'] = []
  const accessLog: AccessLog = {
    timeMs: 0,
    request: (...args) => void noted.push([args[9], args[10]]),
  }
  const site = { content, bodies: new Map(), imageOf: () => 0, etagOf: () => '' }
  const world = new World(site, {
    ...options,
    feedPort: feedPort(order),
    accessLog,
  })
  const deliver = (): void => {
    for (const mail of mails.splice(0)) {
      const { mount } = world.server
      if (mail.kind === 'piece') mount.onPiece(mail.slot, mail.serial, mail.piece)
      else if (mail.kind === 'feedFailed') mount.onFeedFailed(mail.slot, mail.serial)
    }
  }
  const run = async (until: () => boolean): Promise<void> => {
    for (let turns = 0; !until(); turns++) {
      assert.ok(turns < 20_000, 'the test ends')
      await new Promise(resolve => setImmediate(resolve))
      deliver()
      world.pass(1)
    }
  }
  return { root, world, live, content, orders, noted, run }
}

const PEER = { mss: 1460, window: 65535, scale: 7 }
const get = (target: string, more = ''): string =>
  `GET ${target} HTTP/1.1\r\nHost: a\r\n${more}\r\n`

for (const transmit of ['template', 'gather', 'copy'] as const) {
  test(`a body from disk arrives whole, between answers from memory: ${transmit}`, async t => {
    const { world, run, orders } = await feed(t, { transmit })
    const peer = world.connect(PEER)
    peer.send(get('/small.txt') + get('/big.bin') + get('/small.txt', 'Connection: close\r\n'))
    await run(() => peer.ended)
    const answers = parseAnswers(peer.stream, ['GET', 'GET', 'GET'])
    assert.deepEqual(
      answers.map(answer => answer.status),
      [200, 200, 200],
    )
    assert.deepEqual(Buffer.from(answers[1].body), Buffer.from(BIG))
    assert.equal(Buffer.from(answers[2].body).toString(), 'small')
    assert.deepEqual(
      orders.map(({ kind }) => kind),
      ['open', 'more', 'more', 'more', 'more', 'more', 'drop'],
    )
  })

  test(`any range of it has its bytes: ${transmit}`, async t => {
    const { world, run } = await feed(t, { transmit })
    const ends = [0, 1, EXTENT_BYTES - 1, EXTENT_BYTES, EXTENT_BYTES + 1, BIG_BYTES - 1]
    for (const from of ends) {
      for (const last of ends.filter(end => end >= from)) {
        const peer = world.connect(PEER)
        peer.send(get('/big.bin', `Range: bytes=${from}-${last}\r\nConnection: close\r\n`))
        await run(() => peer.ended)
        const [answer] = parseAnswers(peer.stream, ['GET'])
        assert.equal(answer.status, 206)
        assert.equal(Buffer.compare(answer.body, BIG.subarray(from, last + 1)), 0)
      }
    }
  })
}

test('it has the conditions of any file, and HEAD asks for nothing', async t => {
  const { world, run, orders } = await feed(t)
  const ask = async (method: string, more = ''): Promise<ReturnType<typeof parseAnswers>[0]> => {
    const peer = world.connect(PEER)
    peer.send(`${method} /big.bin HTTP/1.1\r\nHost: a\r\n${more}Connection: close\r\n\r\n`)
    await run(() => peer.ended)
    return parseAnswers(peer.stream, [method])[0]
  }
  const { fields } = await ask('HEAD')
  assert.equal(fields.get('content-length'), `${BIG_BYTES}`)
  const etag = fields.get('etag')
  assert.equal((await ask('GET', `If-None-Match: ${etag}\r\n`)).status, 304)
  assert.equal((await ask('GET', 'If-Match: "x"\r\n')).status, 412)
  assert.equal((await ask('GET', `Range: bytes=${BIG_BYTES}-\r\n`)).status, 416)
  assert.equal(orders.length, 0)
})

test('several ranges of it are parts of one answer, in their order', async t => {
  const { world, run, orders } = await feed(t, { transmit: 'gather' })
  const ranges = [
    [EXTENT_BYTES - 5, EXTENT_BYTES + 5],
    [0, 1],
    [2 * EXTENT_BYTES, 4 * EXTENT_BYTES + 1],
    ...Array.from({ length: 20 }, (_, i) => [BIG_BYTES - 1 - i, BIG_BYTES - i]),
  ]
  const value = ranges.map(([from, end]) => `${from}-${end - 1}`).join()
  const peer = world.connect(PEER)
  peer.send(get('/big.bin', `Range: bytes=${value}\r\n`) + get('/small.txt'))
  peer.send(get('/big.bin', 'Range: bytes=7-7\r\nConnection: close\r\n'))
  await run(() => peer.ended)
  const [answer, small, last] = parseAnswers(peer.stream, ['GET', 'GET', 'GET'])
  assert.equal(answer.status, 206)
  assert.deepEqual(
    partsOf(answer).map(({ range, bytes }) => [range, bytes]),
    ranges.map(([from, end]) => [
      `${from}-${end - 1}/${BIG_BYTES}`,
      Buffer.from(BIG.subarray(from, end)),
    ]),
  )
  assert.equal(Buffer.from(small.body).toString(), 'small')
  assert.deepEqual([last.status, ...last.body], [206, BIG[7]])
  assert.equal(orders.filter(({ kind }) => kind === 'open').length, 2, 'one feed for all parts')
  assert.equal(world.settle().server.stats().inUse.sendRecords, 0)
})

test('a client of several ranges that takes nothing has few pieces under way', async t => {
  const { world, run, orders } = await feed(t)
  const peer = world.connect({ ...PEER, autoAck: false })
  const ranges = Array.from({ length: 20 }, (_, i) => `${9 * i}-${9 * i}`)
  peer.send(get('/big.bin', `Range: bytes=${ranges.join()}\r\n`))
  await run(() => orders.length > 2)
  for (let i = 0; i < 50; i++) await new Promise(resolve => setImmediate(resolve))
  assert.ok(world.server.stats().inUse.sendRecords <= PIECES_MAX)
  peer.rst()
  await run(() => orders.at(-1)!.kind === 'drop')
  assert.equal(world.server.stats().inUse.sendRecords, 0)
})

test('a client that takes nothing is not fetched for, and one that leaves ends its feed', async t => {
  const { world, run, orders, live } = await feed(t)
  const peer = world.connect({ ...PEER, autoAck: false })
  const free = live.freeBytes
  peer.send(get('/big.bin'))
  await run(() => orders.length > 1)
  for (let i = 0; i < 50; i++) await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(
    orders.map(({ kind }) => kind),
    ['open', 'more'],
    'two pieces ahead',
  )
  peer.rst()
  await run(() => orders.length > 2)
  assert.equal(orders[2].kind, 'drop')
  assert.equal(world.server.stats().inUse.sendRecords, 0)
  assert.ok(free - live.freeBytes <= 3 * EXTENT_BYTES, 'extents stay as a cache')
})

test('where the rest can not be had the connection is reset', async t => {
  const { world, live } = await feed(t)
  const pieces = live.pieces
  async function* cut(image: number, slices: readonly Slice[]): AsyncGenerator<Piece> {
    for await (const piece of pieces(image, slices)) {
      yield piece
      throw new Error('gone')
    }
  }
  const mails: Mail[] = []
  const desk = new FeedDesk({ ...live, pieces: cut }, undefined, mail => void mails.push(mail))
  const slices = [{ made: NO_BYTES, from: 0, end: BIG_BYTES }]
  desk.take({ kind: 'open', slot: 3, serial: 7, image: bigImage(world), slices })
  await untilMail(mails, 1)
  desk.take({ kind: 'more', slot: 3, serial: 6 })
  desk.take({ kind: 'more', slot: 3, serial: 7 })
  await untilMail(mails, 2)
  assert.deepEqual(
    mails.map(({ kind }) => kind),
    ['piece', 'feedFailed'],
  )
})

test('a feed that fails in the middle resets its connection, and what comes late is ignored', async t => {
  const { world, run, orders, noted } = await feed(t)
  const peer = world.connect(PEER)
  peer.send(get('/big.bin'))
  await run(() => peer.stream.length > 1000)
  const { slot, serial } = orders[0]
  world.server.mount.onFeedFailed(slot, serial)
  await run(() => peer.reset)
  world.server.mount.onFeedFailed(slot, serial)
  const piece = { image: 0, from: 0, end: 10, isLast: true, answered: undefined }
  world.server.mount.onPiece(slot, serial, piece)
  assert.equal(world.server.stats().http.feedsFailed, 1)
  assert.equal(world.server.stats().inUse.sendRecords, 0)
  assert.deepEqual(noted, [[200, BIG_BYTES]])
})

const RANGES = ['', 'Range: bytes=5-10\r\n', 'Range: bytes=5-10,20-30\r\n']
for (const more of [...RANGES, 'Connection: close\r\n']) {
  test(`a file that is not what it was is no answer, but another: ${more.trim()}`, async t => {
    const { world, run, noted, root } = await feed(t)
    truncateSync(join(root, 'big.bin'), BIG_BYTES - 1)
    const peer = world.connect(PEER)
    peer.send(get('/small.txt') + get('/big.bin', more) + get('/small.txt'))
    await run(() => peer.ended)
    const answers = parseAnswers(peer.stream, ['GET', 'GET'])
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 503],
    )
    assert.equal(answers[1].fields.get('connection'), 'close')
    assert.deepEqual(noted, [
      [200, 5],
      [503, answers[1].body.length],
    ])
    assertNothingHeld(world)
  })
}

test('a client that leaves before there is a piece leaves nothing behind', async t => {
  const { world, orders, noted } = await feed(t)
  for (const more of RANGES) {
    const peer = world.connect(PEER)
    peer.send(get('/big.bin', more))
    world.settle()
    assert.equal(peer.stream.length, 0)
    peer.rst()
    world.settle()
  }
  assert.deepEqual(
    orders.map(({ kind }) => kind),
    ['open', 'drop', 'open', 'drop', 'open', 'drop'],
  )
  assert.deepEqual(noted, Array(3).fill([CLIENT_LEFT, 0]))
  assertNothingHeld(world)
})

test('a disk that hangs is no answer, but another, and what it brings at last is ignored', async t => {
  const disk = new HangingDisk()
  const { world, run, live, orders } = await feed(t, {}, { fs: disk.fs, stallTimeoutMs: 50 })
  const peer = world.connect(PEER)
  peer.send(get('/big.bin'))
  await run(() => peer.ended)
  assert.equal(parseAnswers(peer.stream, ['GET'])[0].status, 503)
  assert.equal(orders.at(-1)?.kind, 'drop')
  disk.mend()
  const next = world.connect(PEER)
  next.send(get('/big.bin', 'Connection: close\r\n'))
  await run(() => next.ended)
  assert.equal(Buffer.compare(parseAnswers(next.stream, ['GET'])[0].body, BIG), 0)
  assert.equal(live.pagingStats.failed, 1)
})

test('when there are as many feeds as there may be the next client is told to come again', async t => {
  const { world, run, orders } = await feed(t)
  for (let n = 0; n < FEED_COUNT; n++) {
    const peer = world.connect({ ...PEER, autoAck: false })
    peer.send(get('/big.bin', 'Range: bytes=0-10\r\n'))
    if (n % 64 === 0) world.settle()
  }
  world.settle()
  assert.equal(orders.filter(({ kind }) => kind === 'open').length, FEED_COUNT)
  const peer = world.connect(PEER)
  peer.send(get('/big.bin', 'Connection: close\r\n'))
  await run(() => peer.ended)
  assert.equal(parseAnswers(peer.stream, ['GET'])[0].status, 503)
})

/** Of answers, and of heads that were made. */
function assertNothingHeld(world: World): void {
  const { answers } = world.server.mount
  assert.deepEqual([answers.usedCount, answers.heads.usedCount], [0, 0])
}

function bigImage(world: World): number {
  const { content } = world.site
  const path = Buffer.from('/big.bin')
  return content.imageOf(content.variantOf(content.find(0, path, 0, path.length), 0))
}

async function untilMail(mails: readonly Mail[], count: number): Promise<void> {
  while (mails.length < count) await new Promise(resolve => setImmediate(resolve))
}
