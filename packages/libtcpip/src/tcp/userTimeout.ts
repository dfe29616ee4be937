/**
 * User time-outs (RFC 9293 §3.9.1, RFC 5482 §3, without the option): for how long data may remain
 * unacknowledged before a connection is given up. They stand beside the TCBs, since only the
 * retransmission timer looks at them; a connection without one is given up by the number of its
 * time-outs (R2, RFC 9293 §3.8.3).
 */
import { indexOf } from './tcb.ts'

/** No time-out is set. */
export const NO_LIMIT = 0

export class UserTimeouts {
  // By connection index, milliseconds
  readonly #limit: Int32Array
  readonly #since: Int32Array

  constructor(maxConnections: number) {
    this.#limit = new Int32Array(maxConnections)
    this.#since = new Int32Array(maxConnections)
  }

  set(c: number, ms: number): void {
    this.#limit[indexOf(c)] = ms
  }

  /** The first time-out in a row: nothing has been acknowledged since `sinceMs`. */
  begin(c: number, sinceMs: number): void {
    this.#since[indexOf(c)] = sinceMs
  }

  /** Milliseconds that connection `c` may still wait, NO_LIMIT or less when it has waited long enough. */
  leftMs(c: number, nowMs: number): number {
    const i = indexOf(c)
    return this.#limit[i] - ((nowMs - this.#since[i]) | 0)
  }

  isSet(c: number): boolean {
    return this.#limit[indexOf(c)] !== NO_LIMIT
  }
}
