/**
 * Answers under way: which image a connection sends at which place of its stream. A connection has a
 * short queue of them, oldest first (keep-alive and pipelining: an ACK may straddle two answers);
 * one is given back when its last byte is acknowledged. Together with the images this is all that
 * is needed to send any byte again, so there is no retransmission queue.
 *
 * Records are int32 fields in one array, drawn from a pool: `records[a + IMAGE]`.
 */

export const IMAGE = 0 // image handle
export const BASE = 1 // sequence number of its first byte
export const LEN = 2 // bytes: the head alone, or head and body
export const DATE_SEC = 3 // the second in its Date field: a byte sent again must be the same byte
export const CLOSE = 4 // 1: Connection: close
export const NEXT = 5 // next answer of the same connection
const STRIDE = 6

/** No answer. */
export const NO_ANSWER = -1

export class Answers {
  readonly records: Int32Array
  readonly capacity: number
  readonly #free: Int32Array
  #freeCount: number

  constructor(capacity: number) {
    this.capacity = capacity
    this.records = new Int32Array(capacity * STRIDE)
    this.#free = new Int32Array(capacity)
    this.#freeCount = capacity
    for (let i = 0; i < capacity; i++) this.#free[i] = (capacity - 1 - i) * STRIDE
  }

  get usedCount(): number {
    return this.capacity - this.#freeCount
  }

  /** A record with NEXT set to NO_ANSWER, or NO_ANSWER when all are in use. */
  alloc(): number {
    if (this.#freeCount === 0) return NO_ANSWER
    const a = this.#free[--this.#freeCount]
    this.records[a + NEXT] = NO_ANSWER
    return a
  }

  free(a: number): void {
    this.#free[this.#freeCount++] = a
  }
}
