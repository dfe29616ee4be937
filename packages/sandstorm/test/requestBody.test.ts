/**
 * A request's body between a connection and an origin: whole or an error, and never more than its
 * room.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { IN_CHUNKS } from '../src/front/forwardRequest.ts'
import { RequestBody } from '../src/mount/requestBody.ts'
import { body as bytesOf } from './kit/site.ts'

/** Puts chunks in as long as there is room, and waits for it. */
class Feeder {
  readonly body: RequestBody
  inside = 0
  most = 0
  readonly #chunks: Uint8Array[]
  #off = 0

  constructor(length: number, chunks: Uint8Array[]) {
    this.#chunks = [...chunks]
    this.body = new RequestBody(length, () => this.feed())
  }

  feed(): void {
    while (this.#chunks.length > 0) {
      const taken = this.body.put(this.#chunks[0], this.#off)
      if (taken === 0) return
      this.inside += taken
      this.most = Math.max(this.most, this.inside)
      this.#off += taken
      if (this.#off === this.#chunks[0].length) {
        this.#chunks.shift()
        this.#off = 0
      }
    }
  }

  /** Bytes of chunks that it did not take. */
  get left(): number {
    return this.#chunks.reduce((sum, { length }) => sum + length, 0) - this.#off
  }
}

test('what is put in comes out, no more and no less, whatever the pieces', async () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 50_000 }), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(pieces, fc.nat(200_000), async (sizes, behind) => {
      const length = sizes.reduce((sum, size) => sum + size, 0)
      const all = bytesOf(length + behind)
      const chunks: Uint8Array[] = []
      for (let at = 0, i = 0; at < all.length; i++) {
        const size = sizes[i] ?? all.length - at
        chunks.push(all.subarray(at, at + size))
        at += size
      }
      const feeder = new Feeder(length, chunks)
      feeder.feed()
      const parts: Uint8Array[] = []
      for await (const part of feeder.body) {
        feeder.inside -= part.length
        parts.push(part)
      }
      assert.ok(Buffer.concat(parts).equals(all.subarray(0, length)))
      assert.equal(feeder.left, behind)
      // A piece over its room, and one that its reader has just been given.
      assert.ok(feeder.most <= 64 * 1024 + 2 * 50_000, `${feeder.most} bytes`)
    }),
    { numRuns: 50 },
  )
})

test('many small pieces take the room of few large ones', () => {
  const body = new RequestBody(300_000, () => {})
  let pieces = 0
  while (body.put(bytesOf(1), 0) === 1) pieces++
  assert.ok(pieces > 0 && pieces <= 128, `${pieces} pieces`)
})

test('what has no length ends when that is said, behind what has come', async () => {
  const body = new RequestBody(IN_CHUNKS, () => {})
  body.put(Buffer.from('hello'), 0)
  const parts: string[] = []
  const reading = (async () => {
    for await (const part of body) parts.push(Buffer.from(part).toString())
  })()
  await Promise.resolve()
  body.put(Buffer.from('!'), 0)
  body.end()
  assert.equal(body.left, 0)
  await reading
  assert.deepEqual(parts, ['hello', '!'])
})

test('what breaks off is an error behind what has come', async () => {
  const body = new RequestBody(10, () => {})
  body.put(Buffer.from('hello'), 0)
  body.fail()
  const parts: string[] = []
  const reading = (async () => {
    for await (const part of body) parts.push(Buffer.from(part).toString())
  })()
  await assert.rejects(reading, /broke off/)
  assert.deepEqual(parts, ['hello'])
})

test('a reader that waits is told of both', async () => {
  for (const [act, expected] of [
    [(body: RequestBody) => body.put(Buffer.from('x'), 0), 'x'],
    [(body: RequestBody) => body.fail(), 'error'],
  ] as const) {
    const body = new RequestBody(1, () => {})
    const first = body[Symbol.asyncIterator]().next()
    act(body)
    const told = await first.then(
      ({ value }) => Buffer.from(value).toString(),
      () => 'error',
    )
    assert.equal(told, expected)
  }
})

test('once its reader has left, the rest is taken and dropped', async () => {
  const feeder = new Feeder(300_000, [bytesOf(300_000)])
  const small = new Feeder(
    300_000,
    Array.from({ length: 6 }, () => bytesOf(50_000)),
  )
  for (const { body } of [feeder, small]) {
    const reader = body[Symbol.asyncIterator]()
    feeder.feed()
    small.feed()
    await reader.return?.()
    feeder.feed()
    small.feed()
    assert.equal(body.left, 0)
    assert.equal((await reader.next()).done, true)
  }
})
