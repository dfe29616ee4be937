/**
 * A token bucket: at most `burst` at once and `perSecond` in the long run, whatever is asked. For
 * answers that somebody else can provoke (RFC 5961 §7). Tokens are counted in thousandths, so that
 * each millisecond adds a whole number of them.
 */
import { assert } from '@sandstorm/libnmio'

const MILLI = 1000

/** So many at once, and so many a second. */
export class TokenBucket {
  readonly #perSecond: number
  readonly #fullMilli: number
  readonly #fillMs: number
  #milli: number
  #atMs = 0

  /** Full at first. `perSecond` and `burst`: tokens, at least 1. */
  constructor(perSecond: number, burst: number) {
    assert(perSecond >= 1 && burst >= 1, 'a bucket lets at least one token a second through')
    this.#perSecond = perSecond
    this.#fullMilli = burst * MILLI
    this.#fillMs = Math.ceil(this.#fullMilli / perSecond)
    this.#milli = this.#fullMilli
  }

  /** Takes a token if there is one. `nowMs`: an int32 clock that wraps and never goes back. */
  take(nowMs: number): boolean {
    const elapsed = (nowMs - this.#atMs) >>> 0
    this.#atMs = nowMs
    const filled =
      elapsed < this.#fillMs ? this.#milli + elapsed * this.#perSecond : this.#fullMilli
    this.#milli = filled < this.#fullMilli ? filled : this.#fullMilli
    if (this.#milli < MILLI) return false
    this.#milli -= MILLI
    return true
  }
}
