/**
 * How much each source has of something: half-open or open connections. A fixed table of counters
 * in sets of eight, one cache line each; a source lives in the set its key names, for as long as it
 * has anything. One source must not fill a table that all share.
 *
 * A count is never more than the truth, so nobody is refused because of others: when eight other
 * sources hold a set, what a ninth adds is not counted (the owner keeps that answer and takes away
 * only what was). An outsider who does not know the secret in the key cannot fill a chosen set.
 */
import { assert } from '@sandstorm/libnmio'

const WAYS = 8
const COUNT = 1
const STRIDE = 2
const NOWHERE = -1

/**
 * The key of an IPv4 address: mixed with a secret, so that nobody can choose who falls together. No
 * two addresses have the same one.
 */
export function sourceKey(addr: number, secret: number): number {
  let h = addr ^ secret
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d)
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b ^ (secret & ~1))
  return h ^ (h >>> 16)
}

export class SourceLimit {
  /** What one source may have; 0: as much as it likes, and nothing is counted. */
  readonly max: number
  readonly #entries: Int32Array
  readonly #setMask: number

  /** Room for about `sources` at once, at a load of one half. */
  constructor(sources: number, max: number) {
    assert(sources > 0 && sources <= 2 ** 26 && max >= 0, 'a number of sources, and a limit')
    let sets = 1
    while (max > 0 && sets * WAYS < sources * 2) sets *= 2
    this.max = max
    this.#entries = new Int32Array(sets * WAYS * STRIDE)
    this.#setMask = sets - 1
  }

  /**
   * Has this source all it may have? `key`: its address, or the /64 of an IPv6 address, mixed with
   * a secret; an int32 that other sources had better not share, since the two would be one.
   */
  isFull(key: number): boolean {
    if (this.max === 0) return false
    const e = this.#find(key)
    return e !== NOWHERE && this.#entries[e + COUNT] >= this.max
  }

  /** One more. True if it was counted: then, and only then, `remove` must follow one day. */
  add(key: number): boolean {
    if (this.max === 0) return false
    const e = this.#find(key)
    if (e === NOWHERE) return false
    this.#entries[e] = key
    this.#entries[e + COUNT]++
    return true
  }

  /** One less of what `add` counted. */
  remove(key: number): void {
    const e = this.#find(key)
    assert(e !== NOWHERE && this.#entries[e + COUNT] > 0, 'only what was counted is taken away')
    this.#entries[e + COUNT]--
  }

  /** What is counted for a source. */
  count(key: number): number {
    const e = this.#find(key)
    return e === NOWHERE ? 0 : this.#entries[e + COUNT]
  }

  /** The source's entry; else a free one of its set; else NOWHERE. */
  #find(key: number): number {
    const entries = this.#entries
    const first = (key & this.#setMask) * WAYS * STRIDE
    let free = NOWHERE
    for (let e = first; e < first + WAYS * STRIDE; e += STRIDE) {
      if (entries[e + COUNT] === 0) free = e
      else if (entries[e] === key) return e
    }
    return free
  }
}
