/**
 * Byte rings in the region, one for each connection that there can be: a connection's place in the
 * TCB pool is its ring's. A byte of a stream lies at its position modulo the ring, and positions,
 * like sequence numbers, are int32 that wrap; since a ring is a power of two, nothing else keeps
 * them.
 *
 * A ring knows neither its beginning nor its end: who uses it copies only what is in it.
 */
import { assert, type Region } from '@sandstorm/libnmio'

export class Rings {
  /** Bytes of one ring. */
  readonly size: number
  readonly #region: Region
  readonly #base: number
  readonly #mask: number

  /** Takes `count * size` bytes of the region; `size` is a power of two. */
  constructor(region: Region, count: number, size: number) {
    assert(size > 0 && (size & (size - 1)) === 0, 'a ring is a power of two')
    this.size = size
    this.#mask = size - 1
    this.#region = region
    this.#base = region.reserve(count * size)
  }

  /** Copies `len` bytes at `off` in the region into ring `i`, to position `pos`. */
  put(i: number, pos: number, off: number, len: number): void {
    const first = this.#untilWrap(pos, len)
    this.#region.copy(this.#at(i, pos), off, first)
    this.#region.copy(this.#at(i, 0), off + first, len - first)
  }

  /** Copies `len` bytes of ring `i` from position `pos` on to `off` in the region. */
  get(i: number, pos: number, off: number, len: number): void {
    const first = this.#untilWrap(pos, len)
    const at = this.#at(i, pos)
    this.#region.copy(off, at, first)
    this.#region.copy(off + first, this.#at(i, 0), len - first)
  }

  // Between the region and the application's own memory bytes go one by one: anything else would
  // make a view of a piece of either, an object per call.

  /** Copies from[at … at + len) into ring `i`, to position `pos`. */
  putFrom(i: number, pos: number, from: Uint8Array, at: number, len: number): void {
    const { bytes } = this.#region
    const ring = this.#at(i, 0)
    const mask = this.#mask
    for (let k = 0; k < len; k++) bytes[ring + ((pos + k) & mask)] = from[at + k]
  }

  /** Copies `len` bytes of ring `i` from position `pos` on to into[at … at + len). */
  getInto(i: number, pos: number, into: Uint8Array, at: number, len: number): void {
    const { bytes } = this.#region
    const ring = this.#at(i, 0)
    const mask = this.#mask
    for (let k = 0; k < len; k++) into[at + k] = bytes[ring + ((pos + k) & mask)]
  }

  #at(i: number, pos: number): number {
    return this.#base + i * this.size + (pos & this.#mask)
  }

  /** How many of `len` bytes from `pos` on come before the ring begins again. */
  #untilWrap(pos: number, len: number): number {
    const left = this.size - (pos & this.#mask)
    return len < left ? len : left
  }
}
