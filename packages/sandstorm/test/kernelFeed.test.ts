/**
 * Bodies from disk on the kernel mount: how they are written, whatever the sockets have room for.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { truncateSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { type ContentFs, REAL_FS } from '../src/content/fileSystem.ts'
import { Holds } from '../src/content/holds.ts'
import { LiveContent } from '../src/content/live.ts'
import { EXTENT_BYTES, type Piece } from '../src/content/pager.ts'
import { attachContent } from '../src/content/table.ts'
import { CLIENT_LEFT } from '../src/log/accessLog.ts'
import { KernelFeed } from '../src/mount/kernelFeed.ts'
import { type KernelMount, mountOnKernel } from '../src/mount/kernelMount.ts'
import { Turns } from '../src/mount/turns.ts'
import { plainSite } from '../src/site/site.ts'
import { makeTree } from './contentTree.ts'
import { HangingDisk } from './kit/contentFs.ts'
import { body } from './kit/site.ts'
import { RawClient } from './rawClient.ts'

const RECORDS = 8
const PIECES = 3

interface Write {
  readonly feed: number
  readonly from: number
  readonly end: number
  /** Turns of the event loop before it. */
  readonly turn: number
}

/** Feeds of sockets that take whatever they get; settles when all have ended. */
class Sockets {
  readonly writes: Write[] = []
  readonly holds = new Holds(Holds.allocate(RECORDS))
  released = 0
  begun = 0
  readonly #turns = new Turns()
  #turn = 0

  async run(count: number): Promise<void> {
    let ended = 0
    for (let feed = 0; feed < count; feed++) this.feed(feed, () => ended++)
    for (; ended < count; this.#turn++) await turn()
  }

  feed(feed: number, onEnd: () => void = () => {}): KernelFeed {
    return new KernelFeed({
      socket: { writableNeedDrain: false, resetAndDestroy: () => assert.fail('nothing is cut') },
      sender: {
        body: (_, from, end) => void this.writes.push({ feed, from, end, turn: this.#turn }),
      },
      pieces: this.#pieces(),
      image: 0,
      holds: this.holds,
      turns: this.#turns,
      close: false,
      request: new Uint8Array(),
      onBegin: () => this.begun++,
      onEnd,
      onNone: () => assert.fail('there are pieces'),
    })
  }

  async *#pieces(): AsyncGenerator<Piece> {
    for (let n = 0; n < PIECES; n++) {
      yield { image: 0, from: 1, end: EXTENT_BYTES, release: () => this.released++ }
    }
  }
}

test('between any two writes the event loop has its turn, and all feeds go on alike', async () => {
  const sockets = new Sockets()
  await sockets.run(3)
  const { writes } = sockets
  for (const [i, { turn }] of writes.slice(1).entries()) {
    assert.ok(turn > writes[i].turn, `write ${i + 1} comes in a turn of its own`)
  }
  for (let feed = 0; feed < 3; feed++) {
    const mine = writes.filter(one => one.feed === feed)
    const bytes = mine.reduce((sum, { from, end }) => sum + end - from, 0)
    assert.equal(bytes, PIECES * (EXTENT_BYTES - 1))
    assert.ok(mine.every(({ from, end }) => end - from <= 64 << 10))
  }
  assert.deepEqual(
    writes.slice(0, 6).map(({ feed }) => feed),
    [0, 1, 2, 0, 1, 2],
  )
  assert.deepEqual([sockets.released, sockets.begun], [3 * PIECES, 3])
  assert.equal(sockets.holds.isHeld(0), false)
})

test('a request that has come is seen before the next write', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const client = connect(port, '127.0.0.1')
  const [accepted] = await once(server, 'connection')
  t.after(() => {
    client.destroy()
    server.close()
  })
  const turns = new Turns()
  const events: string[] = []
  accepted.once('data', () => events.push('request'))
  const first = turns.next().then(() => {
    client.write('x')
    events.push('first')
  })
  await Promise.all([first, turns.next().then(() => events.push('second'))])
  assert.deepEqual(events, ['first', 'request', 'second'])
})

test('a feed whose client has gone waits for its turn and writes nothing', async () => {
  const sockets = new Sockets()
  const feed = sockets.feed(0)
  feed.cancel()
  for (let n = 0; n < 4; n++) await turn()
  assert.deepEqual([sockets.writes, sockets.released, sockets.begun], [[], 1, 0])
  assert.equal(sockets.holds.isHeld(0), false)
})

interface Served {
  readonly root: string
  readonly mounted: KernelMount
  readonly noted: [status: number, bodyBytes: number][]
}

const FILE_BYTES = 3 * EXTENT_BYTES

/** A mount with a file on this disk. */
async function serve(t: TestContext, fs: ContentFs): Promise<Served> {
  const root = makeTree(t, { 'big.bin': body(FILE_BYTES) })
  const live = await LiveContent.open([plainSite(root)], {
    memoryBytes: 64 << 20,
    fileBytesMax: 0,
    stallTimeoutMs: 50,
    fs,
    onWarning: () => {},
  })
  const noted: Served['noted'] = []
  const mounted = await mountOnKernel(attachContent(live.attach(() => {}).shared), {
    host: '127.0.0.1',
    port: 0,
    pieces: live.pieces,
    accessLog: { timeMs: 0, request: (...args) => void noted.push([args[9], args[10]]) },
  })
  t.after(async () => {
    await mounted.close()
    await live.close()
  })
  return { root, mounted, noted }
}

const GET = 'GET /big.bin HTTP/1.1\r\nHost: a\r\n'
const LIMIT = { timeout: 60_000 }

test('a disk that hangs is no answer, but another', LIMIT, async t => {
  const disk = new HangingDisk()
  const { mounted, noted } = await serve(t, disk.fs)
  const client = await RawClient.to(mounted.port)
  client.send(`${GET}\r\n`)
  const { status, head, body: page } = await client.answer()
  assert.equal(status, 503)
  assert.match(head, /^Connection: close *$/m)
  assert.equal((await client.ended()).length, 0)
  client.close()
  disk.mend()
  const answer = await fetch(`http://127.0.0.1:${mounted.port}/big.bin`)
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), Buffer.from(body(FILE_BYTES)))
  assert.deepEqual(noted, [
    [503, page.length],
    [200, FILE_BYTES],
  ])
  assert.equal(mounted.stats.answers, 2)
})

for (const more of ['', 'Range: bytes=5-9\r\n', 'Range: bytes=5-9,20-29\r\n'])
  test(
    `a file that is not what it was is no answer, but another: ${more.trim()}`,
    LIMIT,
    async t => {
      const { root, mounted, noted } = await serve(t, REAL_FS)
      const client = await RawClient.to(mounted.port)
      client.send(`${GET}${more}\r\n`)
      assert.equal((await client.answer()).status, more === '' ? 200 : 206)
      truncateSync(join(root, 'big.bin'), FILE_BYTES - 1)
      client.send(`${GET}${more}\r\n`)
      assert.equal((await client.answer()).status, 503)
      assert.equal((await client.ended()).length, 0)
      client.close()
      assert.deepEqual(
        noted.map(([status]) => status),
        [more === '' ? 200 : 206, 503],
      )
    },
  )

test('an answer that has begun is cut off by a reset', LIMIT, async t => {
  let reads = 0
  const { mounted, noted } = await serve(t, {
    ...REAL_FS,
    read: (...args) => {
      if (++reads > 1) throw Object.assign(new Error(), { code: 'EIO' })
      return REAL_FS.read(...args)
    },
  })
  const client = connect(mounted.port, '127.0.0.1').resume()
  client.write(`${GET}\r\n`)
  const [error] = await once(client, 'error')
  assert.equal(error.code, 'ECONNRESET')
  assert.deepEqual(noted, [[200, FILE_BYTES]])
})

test('a client that leaves before there is an answer is noted as that', LIMIT, async t => {
  const disk = new HangingDisk()
  const { mounted, noted } = await serve(t, disk.fs)
  const client = connect(mounted.port, '127.0.0.1')
  client.write(`${GET}\r\n`)
  while (mounted.stats.open === 0) await turn()
  await sleep(10)
  client.resetAndDestroy()
  while (mounted.stats.open > 0) await turn()
  disk.mend()
  assert.deepEqual(noted, [[CLIENT_LEFT, 0]])
})
