/**
 * Answers under way: what a connection sends at which place of its stream. A connection has a short
 * queue of them, oldest first (keep-alive and pipelining: an ACK may straddle two answers); one is
 * given back when its last byte is acknowledged. Together with the images this is all that is
 * needed to send any byte again, so there is no retransmission queue.
 *
 * An answer is an image from its first byte on, or a made head and a slice of an image's body
 * (madeHeads.ts). It holds its image (content/holds.ts) as long as it is there. Records are int32
 * fields in one array, drawn from a pool: `records[a + BASE]`.
 */
import type { Holds } from '../content/holds.ts'
import { type MadeHeads, NO_HEAD } from './madeHeads.ts'

const WHAT = 0 // see `ready` and `made`; read and written by the methods below
export const BASE = 1 // sequence number of its first byte
export const LEN = 2 // bytes: the head alone, or head and body
export const DATE_SEC = 3 // the second in its Date field: a byte sent again must be the same byte
export const NEXT = 4 // next answer of the same connection
const STRIDE = 5

/** No answer. */
export const NO_ANSWER = -1

/** WHAT of an image as it stands. */
export const ready = (image: number, close: boolean): number => (image << 1) | (close ? 1 : 0)
/** WHAT of a made head and what follows it. */
export const made = (slot: number): number => ~slot

export class Answers {
  readonly records: Int32Array
  readonly capacity: number
  readonly heads: MadeHeads
  /** Records that were given back are a list through NEXT … */
  #firstFree: number = NO_ANSWER
  /** … and from here on they were never used. */
  #firstUnused = 0
  #usedCount = 0
  readonly #holds: Holds

  constructor(capacity: number, heads: MadeHeads, holds: Holds) {
    this.capacity = capacity
    this.heads = heads
    this.#holds = holds
    this.records = new Int32Array(capacity * STRIDE)
  }

  get usedCount(): number {
    return this.#usedCount
  }

  /** The slot of its made head; NO_HEAD if the answer is an image as it stands. */
  headOf(a: number): number {
    const what = this.records[a + WHAT]
    return what < 0 ? ~what : NO_HEAD
  }

  /** The image whose bytes it sends. */
  imageOf(a: number): number {
    const what = this.records[a + WHAT]
    return what < 0 ? this.heads.image[~what] : what >> 1
  }

  /** 1 if an answer that is an image as it stands says Connection: close, else 0. */
  closes(a: number): number {
    return this.records[a + WHAT] & 1
  }

  /** A record for `what`, with NEXT set to NO_ANSWER; or NO_ANSWER when all are in use. */
  alloc(what: number): number {
    const a = this.#take()
    if (a === NO_ANSWER) return NO_ANSWER
    this.#usedCount++
    this.records[a + WHAT] = what
    this.records[a + NEXT] = NO_ANSWER
    this.#holds.hold(this.imageOf(a))
    return a
  }

  free(a: number): void {
    this.#holds.release(this.imageOf(a))
    const head = this.headOf(a)
    if (head !== NO_HEAD) this.heads.free(head)
    this.#usedCount--
    this.records[a + WHAT] = 0
    this.records[a + NEXT] = this.#firstFree
    this.#firstFree = a
  }

  #take(): number {
    const a = this.#firstFree
    if (a !== NO_ANSWER) {
      this.#firstFree = this.records[a + NEXT]
      return a
    }
    if (this.#firstUnused === this.records.length) return NO_ANSWER
    this.#firstUnused += STRIDE
    return this.#firstUnused - STRIDE
  }
}
