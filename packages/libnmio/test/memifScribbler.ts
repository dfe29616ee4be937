/** A thread that writes at random into memory that a device reads, until the flag is set. */
import { workerData } from 'node:worker_threads'
import { Prng } from '../src/wrap/prng.ts'

export interface Scribbler {
  readonly memory: SharedArrayBuffer
  /** Words where rings are, and how many. */
  readonly from: number
  readonly count: number
  readonly seed: number
  readonly flag: Int32Array
}

const { memory, from, count, seed, flag } = workerData as Scribbler
const words = new Int32Array(memory)
const random = new Prng(seed, 0)
while (Atomics.load(flag, 0) === 0) {
  // Mostly what a descriptor or an index could be.
  const value = [random.below(65536), random.below(32), -1, 100 << 16][random.below(4)]
  Atomics.store(words, from + random.below(count), value)
}
