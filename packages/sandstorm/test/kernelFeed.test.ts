/** Bodies from disk on the kernel mount: how they are written, whatever the sockets have room for. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Holds } from '../src/content/holds.ts'
import { LiveContent } from '../src/content/live.ts'
import { EXTENT_BYTES, type Piece } from '../src/content/pager.ts'
import { attachContent } from '../src/content/table.ts'
import { KernelFeed } from '../src/mount/kernelFeed.ts'
import { mountOnKernel } from '../src/mount/kernelMount.ts'
import { Turns } from '../src/mount/turns.ts'
import { plainSite } from '../src/site/site.ts'
import { makeTree } from './contentTree.ts'
import { HangingDisk } from './kit/contentFs.ts'

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
      onEnd,
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
  assert.equal(sockets.released, 3 * PIECES)
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
  assert.deepEqual([sockets.writes, sockets.released], [[], 1])
  assert.equal(sockets.holds.isHeld(0), false)
})

test('a disk that hangs resets who waits for it', { timeout: 60_000 }, async t => {
  const disk = new HangingDisk()
  const live = await LiveContent.open([plainSite(makeTree(t, { 'big.bin': 'big' }))], {
    memoryBytes: 64 << 20,
    fileBytesMax: 0,
    stallTimeoutMs: 50,
    fs: disk.fs,
    onWarning: () => {},
  })
  const content = attachContent(live.attach(() => {}).shared)
  const mounted = await mountOnKernel(content, { host: '127.0.0.1', port: 0, pieces: live.pieces })
  t.after(async () => {
    await mounted.close()
    await live.close()
  })
  const client = connect(mounted.port, '127.0.0.1')
  client.write('GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n')
  const [head] = await once(client, 'data')
  assert.match(`${head}`, /^HTTP\/1\.1 200 .*\r\n\r\n$/s)
  const [error] = await once(client, 'error')
  assert.equal(error.code, 'ECONNRESET')
  disk.mend()
  const answer = await fetch(`http://127.0.0.1:${mounted.port}/big.bin`)
  assert.equal(await answer.text(), 'big')
})
