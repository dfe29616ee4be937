/**
 * Address resolution and neighbour unreachability detection (RFC 4861 §7.2, §7.3): the neighbour
 * cache's life.
 *
 *              lookup          answer                 30 s          lookup        5 s
 *     (none) ---------> INCOMPLETE ---------> REACHABLE -----> STALE ------> DELAY ----> PROBE
 *                        asks all               ^ confirm, solicited answer |           | asks it
 *                           | 3 questions       +---------------------------+-----------+
 *                           v                                                           | 3 questions
 *                        (none) <-------------------------------------------------------+
 *
 * Invariant: per unresolved address at most one solicitation a second leaves; an entry can be used
 * in every state but INCOMPLETE, so that a live connection never waits.
 */
import { NO_NEIGHBOUR, OK } from '@sandstorm/libeth'
import { NDP_UNSOLICITED } from '../drops.ts'
import * as ipv6 from '../wire/ipv6.ts'
import * as ndp from '../wire/ndp.ts'
import type { NdpSender } from './ndpSender.ts'
import {
  DELAY,
  FREE,
  INCOMPLETE,
  NeighbourCache,
  PROBE,
  REACHABLE,
  STALE,
} from './neighbourCache.ts'
import { NO_ADDRESS, type OwnAddresses } from './ownAddresses.ts'

/** The numbers of RFC 4861 §10, under its names where it has them. */
export interface NeighbourOptions {
  /** Entries of the cache: a power of two, at least 8. */
  capacity: number
  /** REACHABLE_TIME: an entry this long without confirmation is STALE. */
  reachableMs: number
  /** RETRANS_TIMER: between two solicitations for the same address. */
  retransMs: number
  /** DELAY_FIRST_PROBE_TIME: how long traffic on a stale entry may confirm it by itself. */
  delayMs: number
  /** MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT: questions until an entry is given up. */
  solicitMax: number
}

/** When a solicitation found no ring space or no frame. */
const RETRY_MS = 10

export class Neighbours {
  readonly cache: NeighbourCache
  /** Bumped whenever an address becomes resolved: time to look again at what waits for one. */
  resolvedCount = 0
  /** When `sweep` has something to do. */
  nextMs: number = Infinity
  readonly #own: OwnAddresses
  readonly #sender: NdpSender
  readonly #options: NeighbourOptions

  constructor(own: OwnAddresses, sender: NdpSender, options: NeighbourOptions) {
    this.cache = new NeighbourCache(options.capacity, options.retransMs)
    this.#own = own
    this.#sender = sender
    this.#options = options
  }

  /** As `Ndp.holds`. */
  holds(entry: number, w0: number, w1: number, w2: number, w3: number): boolean {
    return this.cache.is(entry, w0, w1, w2, w3) && this.cache.state[entry] > STALE
  }

  /** As `Ndp.lookup`. */
  lookup(w0: number, w1: number, w2: number, w3: number, nowMs: number): number {
    const cache = this.cache
    if (ipv6.isBadSource(w0, w1, w2) || this.#own.indexOf(w0, w1, w2, w3) !== NO_ADDRESS) {
      return NO_NEIGHBOUR
    }
    let entry = cache.find(w0, w1, w2, w3)
    if (entry === NO_NEIGHBOUR) entry = cache.claim(w0, w1, w2, w3, nowMs, false)
    if (entry === NO_NEIGHBOUR) {
      this.#sender.stats.refused++
      return NO_NEIGHBOUR
    }
    cache.usedMs[entry] = nowMs
    if (cache.state[entry] === STALE) this.#enter(entry, DELAY, nowMs + this.#options.delayMs)
    if (cache.state[entry] !== INCOMPLETE) return entry
    if (nowMs - cache.askedMs[entry] >= this.#options.retransMs) {
      // Somebody wants it now, so the count of fruitless questions starts again.
      cache.solicits[entry] = 0
      this.#ask(entry, nowMs)
    }
    return NO_NEIGHBOUR
  }

  /** As `Ndp.confirm`. */
  confirm(entry: number, nowMs: number): void {
    this.cache.usedMs[entry] = nowMs
    this.#enter(entry, REACHABLE, nowMs + this.#options.reachableMs)
  }

  /**
   * Somebody who asked for us, and will be answered, said where it is (RFC 4861 §7.2.3): its
   * address is at byte offset `at`. False: there is no entry for it.
   */
  learn(view: DataView, at: number, hi: number, lo: number, nowMs: number): boolean {
    const cache = this.cache
    const w0 = view.getInt32(at)
    const w1 = view.getInt32(at + 4)
    const w2 = view.getInt32(at + 8)
    const w3 = view.getInt32(at + 12)
    let entry = cache.find(w0, w1, w2, w3)
    if (entry === NO_NEIGHBOUR) entry = cache.claim(w0, w1, w2, w3, nowMs, true)
    if (entry === NO_NEIGHBOUR) {
      this.#sender.stats.refused++
      return false
    }
    if (this.#setMac(entry, hi, lo)) this.#enter(entry, STALE, Infinity)
    return true
  }

  /**
   * An advertisement about the address at byte offset `at` (RFC 4861 §7.2.5). `option`: where its
   * hardware address is, or NO_OPTION. Returns OK or a drop reason.
   */
  advertised(view: DataView, at: number, flags: number, option: number, nowMs: number): number {
    const cache = this.cache
    const entry = cache.find(
      view.getInt32(at),
      view.getInt32(at + 4),
      view.getInt32(at + 8),
      view.getInt32(at + 12),
    )
    if (entry === NO_NEIGHBOUR) return NDP_UNSOLICITED
    const hasMac = option !== ndp.NO_OPTION
    const hi = hasMac ? ndp.macHi(view, option) : cache.macHi[entry]
    const lo = hasMac ? ndp.macLo(view, option) : cache.macLo[entry]
    const isIncomplete = cache.state[entry] === INCOMPLETE
    if (isIncomplete && !hasMac) return NDP_UNSOLICITED
    const differs = hi !== cache.macHi[entry] || lo !== cache.macLo[entry]
    if (differs && !isIncomplete && (flags & ndp.OVERRIDE) === 0) {
      // Not to be believed, but no longer sure either.
      if (cache.state[entry] === REACHABLE) this.#enter(entry, STALE, Infinity)
      return OK
    }
    const changed = this.#setMac(entry, hi, lo)
    const isSolicited = (flags & ndp.SOLICITED) !== 0
    if (isSolicited) this.#enter(entry, REACHABLE, nowMs + this.#options.reachableMs)
    else if (changed) this.#enter(entry, STALE, Infinity)
    return OK
  }

  /** Takes what is due a step further, and sets `nextMs`. */
  sweep(nowMs: number): void {
    const cache = this.cache
    this.nextMs = Infinity
    for (let entry = 0; entry < cache.capacity; entry++) {
      if (cache.state[entry] === FREE) continue
      if (nowMs < cache.dueMs[entry]) this.#due(cache.dueMs[entry])
      else this.#step(entry, nowMs)
    }
  }

  /** The timer of an entry's state has ended. */
  #step(entry: number, nowMs: number): void {
    const cache = this.cache
    const state = cache.state[entry]
    if (state === REACHABLE) {
      this.#enter(entry, STALE, Infinity)
    } else if (state === DELAY) {
      this.#enter(entry, PROBE, Infinity)
      this.#ask(entry, nowMs)
    } else if (cache.solicits[entry] < this.#options.solicitMax) {
      this.#ask(entry, nowMs)
    } else {
      cache.free(entry)
      this.#sender.stats.expired++
    }
  }

  /** Asks for an INCOMPLETE entry's address, or a PROBE entry's station. */
  #ask(entry: number, nowMs: number): void {
    const cache = this.cache
    const words = cache.words
    const at = 4 * entry
    const w0 = words[at]
    const w1 = words[at + 1]
    const w2 = words[at + 2]
    const w3 = words[at + 3]
    const source = this.#own.sourceFor(w0, w1)
    let reason = OK
    if (source === NO_ADDRESS) {
      // A question that cannot be asked counts as one without an answer.
    } else if (cache.state[entry] === PROBE) {
      const { macHi, macLo } = cache
      reason = this.#sender.probe(source, macHi[entry], macLo[entry], w0, w1, w2, w3)
    } else {
      reason = this.#sender.solicit(source, w0, w1, w2, w3)
    }
    const sent = reason === OK
    if (sent) {
      cache.solicits[entry]++
      cache.askedMs[entry] = nowMs
    }
    cache.dueMs[entry] = nowMs + (sent ? this.#options.retransMs : RETRY_MS)
    this.#due(cache.dueMs[entry])
  }

  /** Returns whether the entry had another hardware address, or none. */
  #setMac(entry: number, hi: number, lo: number): boolean {
    const cache = this.cache
    const isNew = cache.state[entry] === INCOMPLETE
    if (!isNew && cache.macHi[entry] === hi && cache.macLo[entry] === lo) return false
    if (isNew) this.resolvedCount++
    else this.#sender.stats.moved++
    cache.macHi[entry] = hi
    cache.macLo[entry] = lo
    return true
  }

  #enter(entry: number, state: number, dueMs: number): void {
    const cache = this.cache
    cache.state[entry] = state
    cache.solicits[entry] = 0
    cache.dueMs[entry] = dueMs
    this.#due(dueMs)
  }

  #due(ms: number): void {
    if (ms < this.nextMs) this.nextMs = ms
  }
}
