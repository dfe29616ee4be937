/**
 * Answers under way: which image a connection sends at which place of its stream. A connection has a
 * short queue of them, oldest first (keep-alive and pipelining: an ACK may straddle two answers);
 * one is given back when its last byte is acknowledged. Together with the images this is all that
 * is needed to send any byte again, so there is no retransmission queue.
 *
 * Records are int32 fields in one array, drawn from a pool: `records[a + IMAGE]`.
 */

export const WHAT = 0 // image handle << 1 | 1 if it says Connection: close; read by imageOf, closes
export const BASE = 1 // sequence number of its first byte
export const LEN = 2 // bytes: the head alone, or head and body
export const DATE_SEC = 3 // the second in its Date field: a byte sent again must be the same byte
export const NEXT = 4 // next answer of the same connection
const STRIDE = 5

/** No answer. */
export const NO_ANSWER = -1

export const what = (image: number, close: boolean): number => (image << 1) | (close ? 1 : 0)
/** The image that answer `a` sends. */
export const imageOf = (records: Int32Array, a: number): number => records[a + WHAT] >> 1
/** 1 if answer `a` says Connection: close, else 0. */
export const closes = (records: Int32Array, a: number): number => records[a + WHAT] & 1

export class Answers {
  readonly records: Int32Array
  readonly capacity: number
  /** Records that were given back are a list through NEXT … */
  #firstFree: number = NO_ANSWER
  /** … and from here on they were never used. */
  #firstUnused = 0
  #usedCount = 0

  constructor(capacity: number) {
    this.capacity = capacity
    this.records = new Int32Array(capacity * STRIDE)
  }

  get usedCount(): number {
    return this.#usedCount
  }

  /** A record with NEXT set to NO_ANSWER, or NO_ANSWER when all are in use. */
  alloc(): number {
    const a = this.#take()
    if (a === NO_ANSWER) return NO_ANSWER
    this.#usedCount++
    this.records[a + NEXT] = NO_ANSWER
    return a
  }

  free(a: number): void {
    this.#usedCount--
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
