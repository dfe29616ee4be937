/**
 * Path MTUs by destination (RFC 1191 §6.3, RFC 8201 §5.2): what one connection has learned, later
 * ones begin with. Bounded: each address has one place, and a newcomer takes it. An entry is
 * forgotten after ten minutes, since paths change; then the next large packet finds out anew.
 */
import { assert } from '@sandstorm/libnmio'

/** RFC 1191 §6.3: not to be raised sooner. */
export const LIFETIME_MS: number = 600_000

// Fields of an entry; the address comes first, four words, IPv4 in the first
const MTU = 4 // 0: empty
const UNTIL = 5 // seconds of the stack's clock
const STRIDE = 6

export class PathMtuCache {
  readonly #entries: Int32Array
  readonly #mask: number

  /** `size`: a power of two. */
  constructor(size: number) {
    assert(size > 0 && (size & (size - 1)) === 0, 'the size of the cache is a power of two')
    this.#entries = new Int32Array(size * STRIDE)
    this.#mask = size - 1
  }

  /** The MTU towards the address in four words from `at` on, 0 if nothing is known. */
  find(words: Int32Array, at: number, nowMs: number): number {
    const entries = this.#entries
    const e = this.#place(words, at)
    for (let i = 0; i < 4; i++) if (entries[e + i] !== words[at + i]) return 0
    return nowMs / 1000 < entries[e + UNTIL] ? entries[e + MTU] : 0
  }

  /** Notes the MTU towards an address. `nowMs`: the clock that never wraps. */
  set(words: Int32Array, at: number, mtu: number, nowMs: number): void {
    const entries = this.#entries
    const e = this.#place(words, at)
    for (let i = 0; i < 4; i++) entries[e + i] = words[at + i]
    entries[e + MTU] = mtu
    entries[e + UNTIL] = Math.ceil((nowMs + LIFETIME_MS) / 1000)
  }

  /** Not keyed: whoever aims at a place makes somebody's next large packet find out once more. */
  #place(words: Int32Array, at: number): number {
    let h = 0
    for (let i = 0; i < 4; i++) h = Math.imul(h ^ words[at + i], 0x2c1b3c6d)
    return ((h ^ (h >>> 15)) & this.#mask) * STRIDE
  }
}
