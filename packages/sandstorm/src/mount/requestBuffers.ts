/**
 * Buffers for requests that cannot be answered at once: a head that comes in pieces, or requests
 * that wait behind answers. One buffer is as large as the receive window, so whatever a client
 * may send fits; there are few, since hardly any connection needs one.
 */
import type { Region } from '@sandstorm/libnmio'

/** Bytes of one buffer, and the receive window of every connection. */
export const REQUEST_BUFFER_BYTES = 16384
export const REQUEST_BUFFER_COUNT = 1024
const NO_BUFFER = -1

export class RequestBuffers {
  // By buffer: bytes in it, and how many of those the HTTP machine has seen
  readonly #used: Int32Array = new Int32Array(REQUEST_BUFFER_COUNT)
  readonly #scanned: Int32Array = new Int32Array(REQUEST_BUFFER_COUNT)
  readonly #region: Region
  readonly #base: number
  readonly #free: Int32Array = new Int32Array(REQUEST_BUFFER_COUNT)
  #freeCount: number = REQUEST_BUFFER_COUNT
  /** By connection index. */
  readonly #buffer: Int16Array

  constructor(region: Region, maxConnections: number) {
    this.#region = region
    this.#base = region.reserve(REQUEST_BUFFER_COUNT * REQUEST_BUFFER_BYTES)
    for (let n = 0; n < REQUEST_BUFFER_COUNT; n++) this.#free[n] = REQUEST_BUFFER_COUNT - 1 - n
    this.#buffer = new Int16Array(maxConnections).fill(NO_BUFFER)
  }

  get usedCount(): number {
    return REQUEST_BUFFER_COUNT - this.#freeCount
  }

  has(i: number): boolean {
    return this.#buffer[i] !== NO_BUFFER
  }

  /** What connection `i` keeps are the region's bytes [startOf, endOf). */
  startOf(i: number): number {
    return this.#base + this.#buffer[i] * REQUEST_BUFFER_BYTES
  }

  endOf(i: number): number {
    return this.startOf(i) + this.#used[this.#buffer[i]]
  }

  /** Of these, how many the machine has seen. */
  scannedOf(i: number): number {
    return this.#scanned[this.#buffer[i]]
  }

  /** The machine has seen all of them. */
  noteScanned(i: number): void {
    this.#scanned[this.#buffer[i]] = this.#used[this.#buffer[i]]
  }

  /** How many bytes connection `i` may still send. */
  roomOf(i: number): number {
    return REQUEST_BUFFER_BYTES - (this.has(i) ? this.#used[this.#buffer[i]] : 0)
  }

  /** Gives the connection an empty one; false if there is none. */
  open(i: number): boolean {
    if (this.#freeCount === 0) return false
    const buffer = this.#free[--this.#freeCount]
    this.#used[buffer] = 0
    this.#scanned[buffer] = 0
    this.#buffer[i] = buffer
    return true
  }

  close(i: number): void {
    this.#free[this.#freeCount++] = this.#buffer[i]
    this.#buffer[i] = NO_BUFFER
  }

  /** Copies `len` bytes of the region into the connection's buffer; returns how many fit. */
  append(i: number, off: number, len: number): number {
    const room = this.roomOf(i)
    const taken = len < room ? len : room
    this.#region.copy(this.endOf(i), off, taken)
    this.#used[this.#buffer[i]] += taken
    return taken
  }

  /** Takes the first `count` bytes out of it. */
  consume(i: number, count: number): void {
    if (count === 0) return
    const start = this.startOf(i)
    this.#region.copy(start, start + count, this.endOf(i) - start - count)
    this.#used[this.#buffer[i]] -= count
    this.#scanned[this.#buffer[i]] = 0
  }
}
