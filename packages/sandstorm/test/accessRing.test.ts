/**
 * The ring of access records against a plain queue: what is put in comes out, in order, unharmed,
 * and what finds no room is counted; then with a writer on another thread.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { type AccessRecord, HEAD_CUT, HEAD_ONLY } from '../src/log/accessLog.ts'
import { AccessRing, HEAD_KEPT_BYTES } from '../src/log/accessRing.ts'

const CAPACITY = 16384
const SOURCE = Uint8Array.from({ length: 20_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff)

/** A copy of what a record holds. */
const copyOf = (record: AccessRecord): object => ({
  ...record,
  bytes: undefined,
  start: 0,
  end: 0,
  head: Buffer.from(record.bytes.slice(record.start, record.end)).toString('latin1'),
})

const put = (ring: AccessRing, number: number, start: number, len: number): void =>
  ring.request(
    number & 1 ? 6 : 4,
    number,
    ~number,
    number << 8,
    -1,
    number & 0xffff,
    SOURCE,
    start,
    start + len,
    200 + (number % 400),
    number * 2 ** 22,
    number & 1 ? HEAD_ONLY : 0,
  )

const expected = (number: number, start: number, len: number, timeMs: number): object => ({
  timeMs,
  version: number & 1 ? 6 : 4,
  w0: number,
  w1: ~number,
  w2: number << 8,
  w3: -1,
  port: number & 0xffff,
  status: 200 + (number % 400),
  bodyBytes: number * 2 ** 22,
  flags: (number & 1 ? HEAD_ONLY : 0) | (len > HEAD_KEPT_BYTES ? HEAD_CUT : 0),
  bytes: undefined,
  start: 0,
  end: 0,
  head: Buffer.from(SOURCE.subarray(start, start + Math.min(len, HEAD_KEPT_BYTES))).toString(
    'latin1',
  ),
})

type Step = { start: number; len: number } | 'drain'
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ start: fc.nat(9000), len: fc.nat(700) }) },
    { weight: 1, arbitrary: fc.record({ start: fc.nat(9000), len: fc.nat(9000) }) },
    { weight: 1, arbitrary: fc.constant('drain' as const) },
  ),
  { minLength: 50, maxLength: 400, size: 'max' },
)

test('what is put in comes out, in order and unharmed; what finds no room is counted', () => {
  fc.assert(
    fc.property(steps, fc.integer(), (steps, index) => {
      const memory = AccessRing.allocate(CAPACITY)
      // Anywhere, also just before the indices wrap
      new Int32Array(memory)[0] = new Int32Array(memory)[16] = index & ~7
      const [writer, reader] = [new AccessRing(memory), new AccessRing(memory)]
      let queue: object[] = []
      let dropped = 0
      let number = 0
      const drain = (): void => {
        const out: object[] = []
        assert.equal(
          reader.drain(record => out.push(copyOf(record))),
          queue.length,
        )
        assert.deepEqual(out, queue)
        queue = []
      }
      for (const step of steps) {
        if (step === 'drain') {
          drain()
          continue
        }
        writer.timeMs = 1.8e12 + number / 4
        const before = reader.dropped
        put(writer, number, step.start, step.len)
        dropped += reader.dropped - before
        assert.ok(reader.dropped === before || queue.length > 0, 'an empty one has room')
        if (reader.dropped === before)
          queue.push(expected(number, step.start, step.len, writer.timeMs))
        number++
      }
      drain()
      assert.equal(reader.dropped, dropped)
    }),
    { numRuns: 200 },
  )
})

test('a full ring takes records again when it has been drained', () => {
  const memory = AccessRing.allocate(CAPACITY)
  const ring = new AccessRing(memory)
  for (let i = 0; i < 1000; i++) put(ring, i, 0, 100)
  const kept = 1000 - ring.dropped
  assert.ok(kept > 90 && kept < 110, `${kept} records of 160 bytes fit in 16 KiB`)
  assert.equal(
    ring.drain(() => {}),
    kept,
  )
  put(ring, 7, 0, 100)
  assert.equal(
    ring.drain(({ w0 }) => assert.equal(w0, 7)),
    1,
  )
})

test('a head at the very end of its memory is copied whole', () => {
  const ring = new AccessRing(AccessRing.allocate(CAPACITY))
  for (const len of [0, 1, 2, 3, 4, 5, 7, 8, 9]) {
    put(ring, len, SOURCE.length - len, len)
    ring.drain(record => {
      const head = record.bytes.slice(record.start, record.end)
      assert.deepEqual([...head], [...SOURCE.slice(SOURCE.length - len)])
    })
  }
})

test('nothing is allocated for a record', () => {
  const ring = new AccessRing(AccessRing.allocate(CAPACITY))
  const count = (record: AccessRecord): void => {
    sum += record.status
  }
  let sum = 0
  const run = (times: number): void => {
    for (let i = 0; i < times; i++) {
      const start = i & 1023
      ring.request(4, i, 0, 0, 0, 80, SOURCE, start, start + 300, 200, 22_000, 0)
      if ((i & 31) < 31) continue
      ring.drain(count)
      ring.timeMs = 1.8e12 + i // once a batch, as a packet thread does
    }
  }
  run(100_000)
  const growth: number[] = []
  for (let round = 0; round < 5; round++) {
    const before = process.memoryUsage().heapUsed
    run(100_000)
    growth.push(process.memoryUsage().heapUsed - before)
  }
  // A view of each head would be 10 MB a round.
  assert.ok(Math.min(...growth.map(Math.abs)) < 500_000, `${growth} bytes`)
  assert.ok(sum > 0)
})

const WRITER = `
import { workerData, parentPort } from 'node:worker_threads'
import { AccessRing } from '${new URL('../src/log/accessRing.js', import.meta.url)}'
const { memory, count } = workerData
const ring = new AccessRing(memory)
const source = new Uint8Array(5000)
let refused = 0
for (let i = 0; i < count; ) {
  const len = (i * 7919) % 900
  source.fill(i, 0, len)
  const before = ring.dropped
  ring.request(4, i, 0, 0, 0, 80, source, 0, len, 200, i, 0)
  if (ring.dropped === before) i++
  else refused++
}
parentPort.postMessage(refused)
`

test('a writer on another thread loses nothing that found room', { timeout: 300_000 }, async () => {
  const count = 100_000
  const memory = AccessRing.allocate(1 << 16)
  const ring = new AccessRing(memory)
  const code = new URL(`data:text/javascript,${encodeURIComponent(WRITER)}`)
  const worker = new Worker(code, { workerData: { memory, count } })
  const refused = once(worker, 'message')
  let next = 0
  while (next < count) {
    ring.drain(({ w0, bodyBytes, bytes, start, end }) => {
      assert.equal(w0, next)
      assert.equal(bodyBytes, next)
      assert.equal(end - start, (next * 7919) % 900)
      for (let i = start; i < end; i++) if (bytes[i] !== (next & 0xff)) assert.fail('torn')
      next++
    })
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.equal(ring.dropped, ((await refused) as number[])[0])
})
