/**
 * The neighbour cache (RFC 4861 §5.1): which hardware address answers for an IPv6 address, and how
 * sure that is. Built like libeth's table for ARP: sets of eight ways, so that every operation
 * touches eight entries, and nothing ever grows. The transitions are neighbours.ts's.
 *
 * Invariant (RFC 6583 §7): a flood cannot push out who is in use. Unresolved addresses hold at most
 * half of a set; an entry that was used in the last minute, or asked for within the last second, is
 * never replaced. When no way is left the newcomer is refused, and counted by the caller.
 */
import { NO_NEIGHBOUR } from '@sandstorm/libeth'
import { assert } from '@sandstorm/libnmio'

/** States of an entry (RFC 4861 §7.3.2), in the order that the tests below want. */
export const FREE = 0
export const INCOMPLETE = 1
export const STALE = 2
export const REACHABLE = 3
export const DELAY = 4
export const PROBE = 5

const WAYS = 8
/** How many ways of a set may wait for an answer. */
const INCOMPLETE_MAX: number = WAYS / 2
/** An entry used within this time is not replaced. */
const PROTECT_MS = 60_000

export class NeighbourCache {
  readonly capacity: number
  /** Four words an entry. */
  readonly words: Int32Array
  readonly state: Uint8Array
  readonly macHi: Uint16Array
  readonly macLo: Int32Array
  /** Solicitations sent since the state was entered. */
  readonly solicits: Uint8Array
  readonly askedMs: Float64Array
  /** When we last wanted it; -Infinity: never. */
  readonly usedMs: Float64Array
  /** When the state's timer ends; Infinity: it has none. */
  readonly dueMs: Float64Array
  readonly #setMask: number
  readonly #retransMs: number

  /** `capacity`: a power of two, at least 8. An address is asked for once per `retransMs`. */
  constructor(capacity: number, retransMs: number) {
    const powerOfTwo = capacity > 0 && (capacity & (capacity - 1)) === 0
    assert(powerOfTwo && capacity >= WAYS, 'the neighbour cache has a power of two of entries, ≥ 8')
    this.capacity = capacity
    this.words = new Int32Array(4 * capacity)
    this.state = new Uint8Array(capacity)
    this.macHi = new Uint16Array(capacity)
    this.macLo = new Int32Array(capacity)
    this.solicits = new Uint8Array(capacity)
    this.askedMs = new Float64Array(capacity)
    this.usedMs = new Float64Array(capacity)
    this.dueMs = new Float64Array(capacity)
    this.#setMask = capacity / WAYS - 1
    this.#retransMs = retransMs
  }

  /** Is `entry` this address's? False for NO_NEIGHBOUR and a free entry. */
  is(entry: number, w0: number, w1: number, w2: number, w3: number): boolean {
    const words = this.words
    const at = 4 * entry
    if (words[at + 3] !== w3 || words[at + 2] !== w2) return false
    return words[at + 1] === w1 && words[at] === w0 && this.state[entry] !== FREE
  }

  /** The entry of an address, resolved or not, or NO_NEIGHBOUR. */
  find(w0: number, w1: number, w2: number, w3: number): number {
    const first = this.#firstWay(w2, w3)
    for (let i = first; i < first + WAYS; i++) if (this.is(i, w0, w1, w2, w3)) return i
    return NO_NEIGHBOUR
  }

  /**
   * Gives an address that is not in the cache an entry, INCOMPLETE and never asked for; replaces
   * the least recently used one that may go. NO_NEIGHBOUR if none may. `willResolve`: the caller
   * knows the hardware address already.
   */
  claim(
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    nowMs: number,
    willResolve: boolean,
  ): number {
    const first = this.#firstWay(w2, w3)
    let incomplete = 0
    for (let i = first; i < first + WAYS; i++) if (this.state[i] === INCOMPLETE) incomplete++
    const onlyIncomplete = !willResolve && incomplete >= INCOMPLETE_MAX
    let victim = NO_NEIGHBOUR
    for (let i = first; i < first + WAYS; i++) {
      if (onlyIncomplete && this.state[i] !== INCOMPLETE) continue
      if (this.state[i] === FREE) {
        victim = i
        break
      }
      if (!this.#mayGo(i, nowMs)) continue
      if (victim === NO_NEIGHBOUR || this.usedMs[i] < this.usedMs[victim]) victim = i
    }
    if (victim !== NO_NEIGHBOUR) this.#reset(victim, INCOMPLETE, w0, w1, w2, w3)
    return victim
  }

  /** Empties an entry: `is` is false for it from now on. */
  free(entry: number): void {
    this.#reset(entry, FREE, 0, 0, 0, 0)
  }

  /** Neighbours of a subnet differ in their last words. */
  #firstWay(w2: number, w3: number): number {
    return ((w2 ^ (w2 >>> 16) ^ w3 ^ (w3 >>> 16)) & this.#setMask) * WAYS
  }

  #mayGo(entry: number, nowMs: number): boolean {
    if (this.state[entry] === INCOMPLETE) return nowMs - this.askedMs[entry] >= this.#retransMs
    return nowMs - this.usedMs[entry] >= PROTECT_MS
  }

  #reset(entry: number, state: number, w0: number, w1: number, w2: number, w3: number): void {
    const at = 4 * entry
    this.words[at] = w0
    this.words[at + 1] = w1
    this.words[at + 2] = w2
    this.words[at + 3] = w3
    this.state[entry] = state
    this.macHi[entry] = 0
    this.macLo[entry] = 0
    this.solicits[entry] = 0
    this.askedMs[entry] = -Infinity
    this.usedMs[entry] = -Infinity
    this.dueMs[entry] = Infinity
  }
}
