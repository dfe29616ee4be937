/**
 * How many requests a second one client may send: a generic cell rate algorithm (ITU-T I.371, as
 * ATM and its successors police) over a bounded table, one for all packet threads. A client is an
 * IPv4 address or the /64 of an IPv6 address. Of each is kept when its next request would be due if
 * all came evenly; who is ahead of that by more than a burst is refused until time has caught up.
 *
 * The table holds CLIENTS in sets of two; where both are taken the one that is least ahead gives
 * way, so who is limited stays so. Threads write without locks: what a race loses is one request's
 * count.
 *
 * Invariant: `take` allocates nothing; the hash has a key, so nobody can aim at another's set.
 */

/** Bytes of the table: 12 for each client. */
const CLIENTS = 65536
const WAYS = 2
const SETS = CLIENTS / WAYS

export class RequestRate {
  /** Of each client the rest of its hash; 0: free. */
  readonly #tags: Int32Array
  /** Of each client when its next request is due, in milliseconds of the caller's clock. */
  readonly #dueMs: Float64Array
  readonly #key: number
  readonly #intervalMs: number
  readonly #aheadMs: number

  /**
   * `perSecond` requests, at least 1, and as many at once; `key`: a random int32, of all threads
   * the same.
   */
  constructor(shared: SharedArrayBuffer, key: number, perSecond: number) {
    this.#dueMs = new Float64Array(shared, 0, CLIENTS)
    this.#tags = new Int32Array(shared, 8 * CLIENTS, CLIENTS)
    this.#key = key
    this.#intervalMs = 1000 / perSecond
    this.#aheadMs = 1000
  }

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(12 * CLIENTS)
  }

  /**
   * May the client with these address words (IPv4: the first, the second is 0) have an answer now?
   */
  take(w0: number, w1: number, nowMs: number): boolean {
    const hash = mix(Math.imul(mix(w0 ^ this.#key), 0x9e3779b1) ^ w1, this.#key)
    const tag = mix(hash, w0 ^ Math.imul(w1, 0x85ebca6b)) | 1
    const at = this.#place((hash >>> 0) % SETS, tag)
    const due = this.#dueMs[at] > nowMs ? this.#dueMs[at] : nowMs
    if (due + this.#intervalMs - nowMs > this.#aheadMs + this.#intervalMs / 2) return false
    this.#dueMs[at] = due + this.#intervalMs
    return true
  }

  /** Where the client is, now at the latest. */
  #place(set: number, tag: number): number {
    const first = set * WAYS
    const second = first + 1
    if (this.#tags[first] === tag) return first
    if (this.#tags[second] === tag) return second
    const at = this.#dueMs[first] <= this.#dueMs[second] ? first : second
    this.#tags[at] = tag
    this.#dueMs[at] = 0
    return at
  }
}

function mix(value: number, key: number = 0): number {
  let h = value ^ key
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
