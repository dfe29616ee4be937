/**
 * Buffers for requests that cannot be answered at once: a head that comes in pieces, or requests
 * that wait behind answers. One buffer is as large as the receive window, so whatever a client
 * may send fits; there are few, since hardly any connection needs one.
 */
import type { Region } from '@sandstorm/libnmio'

/** Bytes of one buffer, and the receive window of every connection. */
export const REQUEST_BUFFER_BYTES = 16384
export const REQUEST_BUFFER_COUNT = 1024
/** No buffer. */
export const NO_BUFFER = -1

export class RequestBuffers {
  /** By buffer: bytes in it, and how many of those the HTTP machine has seen. */
  readonly used: Int32Array = new Int32Array(REQUEST_BUFFER_COUNT)
  readonly scanned: Int32Array = new Int32Array(REQUEST_BUFFER_COUNT)
  readonly #bytes: Uint8Array
  readonly #base: number
  readonly #free: Int32Array = new Int32Array(REQUEST_BUFFER_COUNT)
  #freeCount: number = REQUEST_BUFFER_COUNT

  constructor(region: Region) {
    this.#bytes = region.bytes
    this.#base = region.reserve(REQUEST_BUFFER_COUNT * REQUEST_BUFFER_BYTES)
    for (let i = 0; i < REQUEST_BUFFER_COUNT; i++) this.#free[i] = REQUEST_BUFFER_COUNT - 1 - i
  }

  get usedCount(): number {
    return REQUEST_BUFFER_COUNT - this.#freeCount
  }

  /** Byte offset of a buffer in the region. */
  offOf(buffer: number): number {
    return this.#base + buffer * REQUEST_BUFFER_BYTES
  }

  /** An empty buffer, or NO_BUFFER. */
  alloc(): number {
    if (this.#freeCount === 0) return NO_BUFFER
    const buffer = this.#free[--this.#freeCount]
    this.used[buffer] = 0
    this.scanned[buffer] = 0
    return buffer
  }

  free(buffer: number): void {
    this.#free[this.#freeCount++] = buffer
  }

  /** Copies `len` bytes of the region into a buffer; returns how many fit. */
  append(buffer: number, off: number, len: number): number {
    const room = REQUEST_BUFFER_BYTES - this.used[buffer]
    const taken = len < room ? len : room
    this.#bytes.copyWithin(this.offOf(buffer) + this.used[buffer], off, off + taken)
    this.used[buffer] += taken
    return taken
  }

  /** Takes the first `count` bytes out of a buffer. */
  consume(buffer: number, count: number): void {
    if (count === 0) return
    const start = this.offOf(buffer)
    this.#bytes.copyWithin(start, start + count, start + this.used[buffer])
    this.used[buffer] -= count
    this.scanned[buffer] = 0
  }
}
