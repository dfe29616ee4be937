/** What all three strategies must do alike; what is special to one is in its own test file. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BUSY } from '@sandstorm/libtcpip'
import fc from 'fast-check'
import { HEAD_ROOM } from '../src/content/image.ts'
import { LADDER } from '../src/packetize/layouts.ts'
import { type Order, Sender } from './kit/sender.ts'
import { body } from './kit/site.ts'

/** Body lengths around every edge of every layout, and a body of zeros. */
const LENGTHS = [0, 1, 2, 3, 4095, 22_000]
for (const mss of LADDER) {
  const first = mss - HEAD_ROOM
  for (const edge of [first, first + mss, first + 2 * mss]) LENGTHS.push(edge - 1, edge, edge + 1)
}
const FILES: Record<string, Uint8Array> = { '/zeros': new Uint8Array(3000) }
for (const len of LENGTHS) FILES[`/${len}`] = body(len, len)

const MSS = [...LADDER, 1460, 536, 523, 216, 48]

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const order: fc.Arbitrary<Order> = fc.record(
  {
    connection: fc.nat(35),
    path: fc.constantFrom(...Object.keys(FILES)),
    headOnly: fc.boolean(),
    dateSec: fc.oneof(fc.integer({ min: 784111777, max: 784111779 }), fc.nat(2 ** 32 - 1)),
    close: fc.boolean(),
    at: fc.constant(0),
    base: int32,
    ack: int32,
    window: fc.integer({ min: 0, max: 65535 }),
    tsVal: int32,
    tsEcr: int32,
    ecn: fc.boolean(),
    fin: fc.boolean(),
  },
  {
    requiredKeys: ['connection', 'path', 'dateSec', 'close', 'at', 'base', 'ack', 'window', 'fin'],
  },
)

/** An answer whole, frame by frame, or a piece of it; `letOut`: then the wire is emptied. */
const job = fc.record({
  order,
  from: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 2 }),
  exactly: fc.option(fc.integer({ min: 1, max: 1500 }), { freq: 4 }),
  letOut: fc.boolean(),
})
type Job = typeof job extends fc.Arbitrary<infer T> ? T : never

const VARIANTS = [
  { name: 'template', options: { transmit: 'template' } },
  { name: 'template with 3 replicas ahead', options: { transmit: 'template', replicas: 3 } },
  { name: 'gather', options: { transmit: 'gather' } },
  { name: 'gather with offloads', options: { transmit: 'gather', offloads: true } },
  { name: 'copy', options: { transmit: 'copy' } },
] as const

/** Sends what a job says. */
function send(sender: Sender, { order, from, exactly }: Job): void {
  const total = sender.answer(order).length
  const at = from === null ? 0 : Math.min(total - 1, Math.floor(from * total))
  if (exactly !== null) {
    const mss = sender.mssOf(order.connection)
    sender.send({ ...order, at, exactly: Math.min(exactly, total - at, mss) })
    return
  }
  for (let next = at; next < total; ) {
    let sent = sender.send({ ...order, at: next })
    if (sent === BUSY) {
      // All frames are in flight or other images' templates: there are some once those are back.
      sender.check()
      sent = sender.send({ ...order, at: next })
    }
    assert.ok(sent > 0)
    next += sent
  }
}

for (const { name, options } of VARIANTS) {
  test(`a frame equals the one built from scratch: ${name}`, () => {
    let sender = new Sender(FILES, MSS, 36, options)
    const property = fc.property(fc.array(job, { minLength: 1, maxLength: 8 }), jobs => {
      try {
        for (const job of jobs) {
          send(sender, job)
          if (job.letOut) sender.check()
        }
        sender.check()
      } catch (error) {
        // Frames that nobody has looked at lie about: not what the next, shorter try shall fail of.
        sender = new Sender(FILES, MSS, 36, options)
        throw error
      }
    })
    fc.assert(property, { numRuns: 150 })
  })

  test(`every second that 32 bits can count has its Date, from the first frame on: ${name}`, () => {
    for (const dateSec of [0, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
      const sender = new Sender({ '/a': 900, '/b': 900 }, [1428], 1, options)
      const order = { connection: 0, dateSec, close: false, at: 0, base: 1, ack: 1, window: 1000 }
      for (const path of ['/a', '/b']) {
        sender.send({ ...order, path, fin: false })
        sender.check()
      }
    }
  })
}
