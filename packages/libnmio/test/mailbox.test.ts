/**
 * A mailbox against a plain list: what is put in comes out, in order, unharmed, in place; it is
 * full when it is full.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Region } from '../src/index.ts'
import { MAILBOX_BYTES, Mailbox } from '../src/spread/mailbox.ts'

const FRAME_MAX = 65_536
const BASE = 128
/** Frames to put are made here, behind the mailbox. */
const SCRATCH = BASE + MAILBOX_BYTES

function makeBoth(): { region: Region; writer: Mailbox; reader: Mailbox } {
  const region = new Region(SCRATCH + FRAME_MAX)
  const [writer, reader] = [new Mailbox(region, BASE), new Mailbox(region, BASE)]
  writer.openToWrite()
  reader.openToRead()
  return { region, writer, reader }
}

type Step = { put: number } | { take: number } | 'release'
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      put: fc.oneof(fc.integer({ min: 14, max: 200 }), fc.integer({ min: 14, max: FRAME_MAX })),
    }),
    fc.record({ take: fc.integer({ min: 1, max: 40 }) }),
    fc.constant('release' as const),
  ),
  { minLength: 50, maxLength: 300, size: 'max' },
)

test('what is put in comes out, in order, and lies still until it is given back', () => {
  fc.assert(
    fc.property(steps, steps => {
      const { region, writer, reader } = makeBoth()
      let number = 0
      const inside: { number: number; len: number }[] = []
      let held: { number: number; len: number; off: number }[] = []
      for (const step of steps) {
        if (step === 'release') {
          reader.release()
          held = []
        } else if ('put' in step) {
          region.bytes.fill(number & 0xff, SCRATCH, SCRATCH + step.put)
          const isIn = writer.put(SCRATCH, step.put, number)
          if (isIn) inside.push({ number: number++, len: step.put })
          else assert.ok(inside.length + held.length > 0, 'an empty one has room')
        } else {
          for (let i = 0; i < step.take && reader.take(); i++) {
            const next = inside.shift()
            assert.deepEqual([reader.flags, reader.len], [next?.number, next?.len])
            held.push({ number: reader.flags, len: reader.len, off: reader.off })
          }
          assert.equal(reader.isEmpty, inside.length === 0)
        }
        for (const { number, len, off } of held) {
          const bytes = region.bytes.subarray(off, off + len)
          assert.ok(
            bytes.every(byte => byte === (number & 0xff)),
            'untouched',
          )
          assert.ok(off >= BASE && off + len <= BASE + MAILBOX_BYTES)
        }
      }
    }),
    { numRuns: 60 },
  )
})

test('its indices may wrap', () => {
  const { region, writer, reader } = makeBoth()
  const words = new Int32Array(region.buffer)
  words.fill(0x7fffff00, BASE >> 2, (BASE >> 2) + 1)
  words.fill(0x7fffff00, (BASE + 64) >> 2, ((BASE + 64) >> 2) + 1)
  writer.openToWrite()
  reader.openToRead()
  for (let i = 0; i < 1000; i++) {
    assert.ok(writer.put(SCRATCH, 1000 + i, i))
    assert.ok(reader.take())
    assert.deepEqual([reader.len, reader.flags], [1000 + i, i])
    reader.release()
  }
  assert.ok(words[BASE >> 2] < 0, 'it has wrapped')
})

test('who opens it to read misses what was there, and makes room', () => {
  const { region, writer, reader } = makeBoth()
  while (writer.put(SCRATCH, 60_000, 0));
  const successor = new Mailbox(region, BASE)
  successor.openToRead()
  assert.ok(successor.isEmpty)
  assert.ok(!successor.take())
  assert.ok(writer.put(SCRATCH, 60_000, 7))
  assert.ok(successor.take())
  assert.equal(successor.flags, 7)
  assert.ok(!reader.isEmpty)
})
