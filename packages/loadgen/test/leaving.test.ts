/** In which order connections are let go in the end, and how fast. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Leaving } from '../src/leaving.ts'
import type { Transport } from '../src/transport.ts'

/** One that is only asked how much room there is. */
const transportWith = (endRoom: number): { -readonly [K in keyof Transport]: Transport[K] } => ({
  open: () => true,
  ask: () => {},
  close: () => {},
  abort: () => {},
  endRoom,
})

test('those with a request go first, then all others, and none twice', () => {
  const leaving = new Leaving(transportWith(3), Uint8Array.of(0, 1, 0, 1, 1, 0, 1))
  const gone: number[] = []
  for (let step = 0; !leaving.isOver; step++) {
    const before = gone.length
    leaving.step(i => !gone.includes(i) && gone.push(i) > 0)
    assert.ok(gone.length - before <= 3 && step < 10)
  }
  assert.deepEqual(gone, [1, 3, 4, 6, 0, 2, 5])
})

test('nobody goes while there is no room, and a few at a time with any amount of it', () => {
  const transport = transportWith(-5)
  const leaving = new Leaving(transport, new Uint8Array(100))
  let gone = 0
  const letGo = (): boolean => ++gone > 0
  leaving.step(letGo)
  assert.deepEqual([leaving.room, gone], [0, 0])
  transport.endRoom = 1e6
  leaving.step(letGo)
  assert.deepEqual([leaving.room, gone], [32, 32])
})
