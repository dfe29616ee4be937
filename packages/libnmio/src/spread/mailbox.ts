/**
 * A mailbox: frames that one worker hands to another, in memory that both see (a part of the
 * region, so that the receiver reads them in place). One writes, one reads, and neither ever waits
 * for the other: the writer sees when there is no room, the reader when there is nothing.
 *
 *   0 produced: bytes written, in all   64 consumed: bytes read, in all   128 … records
 *   a record: length (32), RX_ flags (32), the frame; a multiple of 8 bytes, in one piece
 *
 * Indices run on and wrap. What is left at the end, too short for a record, is skipped: a length of
 * SKIP says so.
 */
import { assert } from '../assert.ts'
import type { Region } from '../region.ts'

const PRODUCED = 0
const CONSUMED = 64
const RECORDS = 128
const HEAD_LEN = 8
const SKIP = -1
/** Room for some of the largest frames; a power of two. */
const CAPACITY = 1 << 18
const MASK = CAPACITY - 1

export const MAILBOX_BYTES: number = RECORDS + CAPACITY

export class Mailbox {
  readonly #words: Int32Array
  readonly #region: Region
  readonly #base: number
  /** Our index: what we have written, or looked at. */
  #at = 0
  /** What lies in it since the last `take`. */
  off = 0
  len = 0
  flags = 0

  /**
   * The mailbox at byte offset `base` of the region, a multiple of 64, as the other side left it.
   */
  constructor(region: Region, base: number) {
    assert(base % 64 === 0, 'a mailbox begins a cache line')
    this.#words = new Int32Array(region.buffer, 0, region.byteLength >> 2)
    this.#region = region
    this.#base = base
  }

  /** To write from now on: behind what is there. */
  openToWrite(): void {
    this.#at = this.#load(PRODUCED)
  }

  /** To read from now on: only what is yet to come. */
  openToRead(): void {
    this.#at = this.#load(PRODUCED)
    this.release()
  }

  /** Copies the frame [off, off + len) of the region into it; false: there is no room. */
  put(off: number, len: number, flags: number): boolean {
    const size = recordLen(len)
    let place = this.#at & MASK
    const gap = CAPACITY - place < size ? CAPACITY - place : 0
    const used = (this.#at - this.#load(CONSUMED)) | 0
    if (used + gap + size > CAPACITY) return false
    if (gap > 0) {
      this.#words[this.#wordAt(place)] = SKIP
      place = 0
    }
    const word = this.#wordAt(place)
    this.#words[word] = len
    this.#words[word + 1] = flags
    this.#region.copy((word << 2) + HEAD_LEN, off, len)
    this.#at = (this.#at + gap + size) | 0
    Atomics.store(this.#words, (this.#base + PRODUCED) >> 2, this.#at)
    return true
  }

  /**
   * Takes the next frame: `off`, `len` and `flags` tell where it lies until `release`; false: there
   * is none.
   */
  take(): boolean {
    if (this.isEmpty) return false
    if (this.#words[this.#wordAt(this.#at & MASK)] === SKIP) {
      this.#at = (this.#at + CAPACITY - (this.#at & MASK)) | 0
    }
    const word = this.#wordAt(this.#at & MASK)
    this.len = this.#words[word]
    this.flags = this.#words[word + 1]
    this.off = (word << 2) + HEAD_LEN
    this.#at = (this.#at + recordLen(this.len)) | 0
    return true
  }

  /** Gives back the room of all that was taken. */
  release(): void {
    Atomics.store(this.#words, (this.#base + CONSUMED) >> 2, this.#at)
  }

  /** For the reader: has everything been taken? */
  get isEmpty(): boolean {
    return this.#load(PRODUCED) === this.#at
  }

  #load(index: number): number {
    return Atomics.load(this.#words, (this.#base + index) >> 2)
  }

  #wordAt(place: number): number {
    return (this.#base + RECORDS + place) >> 2
  }
}

const recordLen = (len: number): number => (HEAD_LEN + len + 7) & ~7
