/**
 * User time-outs (RFC 9293 §3.9.1, RFC 5482 §3, without the option): for how long data may remain
 * unacknowledged before a connection is given up. They stand beside the TCBs, since only the
 * retransmission timer looks at them; a connection without one is given up by the number of its
 * time-outs (R2, RFC 9293 §3.8.3).
 */
import { indexOf } from '../tcb.ts'

/** No time-out is set. */
export const NO_LIMIT = 0
const NONE = new Int32Array(0)

export class UserTimeouts {
  readonly #maxConnections: number
  // By connection index, milliseconds; made when the first is set, since most applications set none
  #limit: Int32Array = NONE
  #since: Int32Array = NONE

  constructor(maxConnections: number) {
    this.#maxConnections = maxConnections
  }

  set(c: number, ms: number): void {
    if (this.#limit === NONE) {
      if (ms === NO_LIMIT) return
      this.#limit = new Int32Array(this.#maxConnections)
      this.#since = new Int32Array(this.#maxConnections)
    }
    this.#limit[indexOf(c)] = ms
  }

  /**
   * The first time-out in a row: nothing has been acknowledged since `sinceMs`. `isSet` is true.
   */
  begin(c: number, sinceMs: number): void {
    this.#since[indexOf(c)] = sinceMs
  }

  /**
   * Milliseconds that connection `c` may still wait, NO_LIMIT or less when it has waited long
   * enough.
   */
  leftMs(c: number, nowMs: number): number {
    const i = indexOf(c)
    return this.#limit[i] - ((nowMs - this.#since[i]) | 0)
  }

  isSet(c: number): boolean {
    return this.#limit !== NONE && this.#limit[indexOf(c)] !== NO_LIMIT
  }
}
