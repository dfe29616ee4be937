/** The frame pool against a model: every frame is free, held, retained or in flight. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  AssertionError,
  DEVICE_HEADROOM,
  FramePool,
  NO_FRAME,
  PAYLOAD_OFF,
  Region,
} from '../src/index.ts'

const pool = (count: number, shift = 11): FramePool =>
  new FramePool(new Region((count << shift) + 4096), count, shift)

test('frames can be taken until the pool is dry, each once', () => {
  const frames = pool(16)
  const taken = new Set<number>()
  for (let i = 0; i < 16; i++) taken.add(frames.alloc())
  assert.deepEqual(
    [...taken].sort((a, b) => a - b),
    [...Array(16).keys()],
  )
  assert.equal(frames.alloc(), NO_FRAME)
  assert.equal(frames.freeCount, 0)
  frames.free(7)
  assert.equal(frames.alloc(), 7)
})

test('payloads lie apart, with room for headers and the device in front', () => {
  const frames = pool(4, 11)
  const offs = Array.from({ length: 4 }, (_, frame) => frames.payloadOff(frame))
  assert.ok(Math.min(...offs) >= PAYLOAD_OFF && PAYLOAD_OFF > DEVICE_HEADROOM)
  for (let i = 1; i < 4; i++) assert.equal(offs[i] - offs[i - 1], frames.frameSize)
})

test('a transient frame is free again when the device is done with it', () => {
  const frames = pool(2)
  const frame = frames.alloc()
  frames.sent(frame)
  assert.equal(frames.isInFlight(frame), true)
  assert.equal(frames.inFlightCount, 1)
  frames.complete(frames.payloadOff(frame) - 54) // where the headers began
  assert.equal(frames.isInFlight(frame), false)
  assert.equal(frames.inFlightCount, 0)
  assert.equal(frames.freeCount, 2)
})

test('a retained frame is sent again and again, and is free only when given back', () => {
  const frames = pool(2)
  const frame = frames.alloc()
  frames.retain(frame)
  for (let i = 0; i < 3; i++) {
    frames.sent(frame)
    frames.complete(frames.payloadOff(frame))
    assert.equal(frames.freeCount, 1)
  }
  frames.free(frame)
  assert.equal(frames.freeCount, 2)
})

test('what a caller must not do asserts', () => {
  const frames = pool(2)
  const frame = frames.alloc()
  const off = frames.payloadOff(frame)
  assert.throws(() => frames.complete(off), AssertionError, 'never sent')
  frames.sent(frame)
  assert.throws(() => frames.free(frame), AssertionError, 'in flight')
  assert.throws(() => frames.retain(frame), AssertionError, 'in flight')
  frames.complete(off)
  assert.throws(() => frames.complete(off), AssertionError, 'completed twice')
  assert.throws(() => frames.free(frame), AssertionError, 'freed twice')
  assert.throws(() => frames.retain(frame), AssertionError, 'free')
})

const FREE = 0
const HELD = 1
const RETAINED = 2

test('any order of calls keeps the model’s books', () => {
  const op = fc.record({ what: fc.nat(4), which: fc.nat(100) })
  fc.assert(
    fc.property(fc.array(op, { maxLength: 200 }), ops => {
      const frames = pool(8, 9)
      const state: number[] = Array(8).fill(FREE)
      const flying: boolean[] = Array(8).fill(false)
      const pick = (which: number, fits: (frame: number) => boolean): number => {
        const able = [...state.keys()].filter(fits)
        return able.length === 0 ? NO_FRAME : able[which % able.length]
      }
      for (const { what, which } of ops) {
        if (what === 0) {
          const frame = frames.alloc()
          if (frame === NO_FRAME) assert.equal(state.includes(FREE), false)
          else {
            assert.equal(state[frame], FREE)
            state[frame] = HELD
          }
        } else if (what === 1) {
          const frame = pick(which, f => state[f] === HELD && !flying[f])
          if (frame === NO_FRAME) continue
          frames.retain(frame)
          state[frame] = RETAINED
        } else if (what === 2) {
          const frame = pick(which, f => state[f] !== FREE && !flying[f])
          if (frame === NO_FRAME) continue
          frames.free(frame)
          state[frame] = FREE
        } else if (what === 3) {
          const frame = pick(which, f => state[f] !== FREE && !flying[f])
          if (frame === NO_FRAME) continue
          frames.sent(frame)
          flying[frame] = true
        } else {
          const frame = pick(which, f => flying[f])
          if (frame === NO_FRAME) continue
          frames.complete(frames.payloadOff(frame) - (which % 100))
          flying[frame] = false
          if (state[frame] === HELD) state[frame] = FREE
        }
        assert.equal(frames.freeCount, state.filter(s => s === FREE).length)
        assert.equal(frames.inFlightCount, flying.filter(f => f).length)
        for (let f = 0; f < 8; f++) assert.equal(frames.isInFlight(f), flying[f])
      }
    }),
  )
})

test('what cannot be a pool, or is no frame of it, is told at once', () => {
  const region = new Region(65536)
  for (const count of [0, -1, 1.5, Number.NaN]) {
    assert.throws(() => new FramePool(region, count), AssertionError, `${count} frames`)
  }
  for (const shift of [5, 7, 11.5, 31]) {
    assert.throws(() => new FramePool(region, 1, shift), AssertionError, `2^${shift} bytes`)
  }
  assert.throws(() => new FramePool(region, 65536, 16), AssertionError, '4 GiB')
  const frames = pool(2)
  assert.throws(() => frames.complete(frames.payloadOff(2)), AssertionError)
  assert.throws(() => frames.complete(frames.payloadOff(-1)), AssertionError)
  assert.equal(frames.inFlightCount, 0)
})
