/**
 * One ring of memif's in shared memory: descriptors, and two 16-bit indices that run on and wrap,
 * one written by each side. The client moves `head`, the server `tail`, whichever way frames go:
 *
 *   client to server: the client fills descriptors up to head, the server has taken those up to tail
 *   server to client: the client gives buffers up to head, the server has filled those up to tail
 *
 * The other side may change any byte at any moment: who reads here does so once, into a local, and
 * believes nothing before it is checked. Indices are loaded and stored atomically, and order all
 * else. Words of descriptors are read plainly: once read, a value stays what it is (ECMA-262
 * §29.11, "reads must be stable"), and V8 calls a function for each Atomics.load.
 */
import type { Region } from '../region.ts'
import * as layout from './layout.ts'

export class Ring {
  /** Words of the region. */
  readonly words: Int32Array
  size = 0
  readonly #halves: Uint16Array
  #flags = 0
  #head = 0
  #tail = 0
  #descs = 0

  constructor(region: Region) {
    this.words = new Int32Array(region.buffer, 0, region.byteLength >> 2)
    this.#halves = new Uint16Array(region.buffer, 0, region.byteLength >> 1)
  }

  /**
   * Sees the ring of 2^log2 descriptors at byte `off`; the caller knows that it lies in the region.
   */
  place(off: number, log2: number): void {
    this.size = 1 << log2
    this.#flags = (off + layout.RING_FLAGS) >> 1
    this.#head = (off + layout.RING_HEAD) >> 1
    this.#tail = (off + layout.RING_TAIL) >> 1
    this.#descs = (off + layout.RING_DESCS) >> 2
  }

  /** The word where the descriptor with index `i` begins. */
  desc(i: number): number {
    return this.#descs + (i & (this.size - 1)) * layout.DESC_WORDS
  }

  get head(): number {
    return Atomics.load(this.#halves, this.#head)
  }
  set head(index: number) {
    Atomics.store(this.#halves, this.#head, index)
  }

  get tail(): number {
    return Atomics.load(this.#halves, this.#tail)
  }
  set tail(index: number) {
    Atomics.store(this.#halves, this.#tail, index)
  }

  /** Whoever consumes wants an interrupt for what comes next. */
  get wantsInterrupt(): boolean {
    return (Atomics.load(this.#halves, this.#flags) & layout.MASK_INT) === 0
  }
  set wantsInterrupt(wants: boolean) {
    Atomics.store(this.#halves, this.#flags, wants ? 0 : layout.MASK_INT)
  }
}

/** From index b to index a. */
export const distance = (a: number, b: number): number => (a - b) & 0xffff
