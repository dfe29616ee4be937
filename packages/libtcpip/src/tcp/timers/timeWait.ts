/**
 * TIME-WAIT (RFC 9293 §3.3.2, §3.6): what is left of a connection that we closed first, in 52 bytes
 * instead of a whole TCB. All entries wait equally long (2 MSL), so they lie in a ring in the order
 * of their end; a hash chain runs through them. When the ring is full the oldest gives way,
 * counted: a burst of short connections costs bounded memory (and never a refused client).
 */
import { assert } from '@sandstorm/libnmio'
import type { Segment } from '../segmentVariables.ts'
import * as tcb from '../tcb.ts'

// What an entry has of its connection; the same fields of tcb.ts
const REMOTE = 0 // … 3
const PORTS = 4
export const TW_FRAME_KEY = 5
export const TW_SND_NXT = 6
export const TW_RCV_NXT = 7
export const TW_TS_RECENT = 8 // as old as the entry: far less than the 24 days it would be good for
export const TW_TS_OFFSET = 9
// How it waits
const EXPIRES_AT = 10
const CHAIN = 11 // next entry of the same bucket + 1; 0 ends it
const HASH = 12
const STRIDE = 13
/** Of TW_FRAME_KEY, a bit that no frame key has: a SYN was refused for this connection's sake. */
export const TW_REFUSED: number = 1 << 20
/** PORTS of an entry that is out of its chain; no connection has port 0. */
const DEAD = 0

/** An entry is young for this part of its wait, a 64th: of a minute, a second. */
const YOUNG_SHIFT = 6

/** No such connection in TIME-WAIT. */
export const NOT_WAITING = -1

export class TimeWait {
  /** Entry fields: `entries[e + TW_RCV_NXT]`. */
  readonly entries: Int32Array
  /** Entries that gave way before their time because the ring was full. */
  overflows = 0
  readonly #capacity: number
  readonly #buckets: Int32Array
  readonly #durationMs: number
  #head = 0 // ring position of the oldest
  #used = 0 // ring positions in use, live or dead
  #count = 0

  /** `capacity`: a power of two. `durationMs`: 2 MSL. */
  constructor(capacity: number, durationMs: number) {
    assert((capacity & (capacity - 1)) === 0, 'the TIME-WAIT ring is a power of two')
    this.#capacity = capacity
    this.#durationMs = durationMs
    this.entries = new Int32Array(capacity * STRIDE)
    this.#buckets = new Int32Array(capacity)
  }

  get count(): number {
    return this.#count
  }

  /** Finds the entry of a segment's connection; `hash` is the connection table's. */
  find(hash: number, seg: Segment): number {
    const entries = this.entries
    let e = this.#buckets[hash & (this.#capacity - 1)] - 1
    while (e >= 0) {
      if (
        entries[e + PORTS] === seg.ports &&
        entries[e + REMOTE] === seg.remote0 &&
        entries[e + REMOTE + 1] === seg.remote1 &&
        entries[e + REMOTE + 2] === seg.remote2 &&
        entries[e + REMOTE + 3] === seg.remote3 &&
        tcb.localOf(entries[e + TW_FRAME_KEY]) === seg.local
      ) {
        return e
      }
      e = entries[e + CHAIN] - 1
    }
    return NOT_WAITING
  }

  /** Notes connection `c`, whose TCB ends; `hash` is the connection table's. */
  add(hash: number, fields: Int32Array, c: number, nowMs: number): void {
    const e = this.#append(hash, nowMs)
    const entries = this.entries
    for (let i = 0; i < 4; i++) entries[e + REMOTE + i] = fields[c + tcb.REMOTE + i]
    entries[e + PORTS] = fields[c + tcb.PORTS]
    entries[e + TW_FRAME_KEY] = fields[c + tcb.FRAME_KEY]
    entries[e + TW_SND_NXT] = fields[c + tcb.SND_NXT]
    entries[e + TW_RCV_NXT] = fields[c + tcb.RCV_NXT]
    entries[e + TW_TS_RECENT] = fields[c + tcb.TS_RECENT]
    entries[e + TW_TS_OFFSET] = fields[c + tcb.TS_OFFSET]
  }

  /**
   * The wait of an entry begins anew; from now on it is the one that is returned. The old place
   * comes free only in its turn, so one that is young stays where it is: else a peer that repeats
   * its FIN for ever would fill the ring by itself.
   */
  renew(e: number, nowMs: number): number {
    const entries = this.entries
    const left = (entries[e + EXPIRES_AT] - nowMs) | 0
    if (left > this.#durationMs - (this.#durationMs >> YOUNG_SHIFT)) return e
    const ports = entries[e + PORTS]
    this.remove(e)
    // In a full ring the place that comes free may be its own: nothing but the wait is written yet.
    const next = this.#append(entries[e + HASH], nowMs)
    entries.copyWithin(next, e, e + EXPIRES_AT)
    entries[next + PORTS] = ports
    return next
  }

  /** The next place of the ring, chained and with its time; the caller says of what connection. */
  #append(hash: number, nowMs: number): number {
    if (this.#used === this.#capacity) {
      if (this.entries[this.#head * STRIDE + PORTS] !== DEAD) this.overflows++
      this.#dropOldest()
    }
    const entries = this.entries
    const e = ((this.#head + this.#used) & (this.#capacity - 1)) * STRIDE
    this.#used++
    this.#count++
    entries[e + EXPIRES_AT] = (nowMs + this.#durationMs) | 0
    entries[e + HASH] = hash
    const bucket = hash & (this.#capacity - 1)
    entries[e + CHAIN] = this.#buckets[bucket]
    this.#buckets[bucket] = e + 1
    return e
  }

  /** Takes an entry out of its chain; its place in the ring comes free in its turn. */
  remove(e: number): void {
    const entries = this.entries
    const bucket = entries[e + HASH] & (this.#capacity - 1)
    let link = this.#buckets[bucket] - 1
    if (link === e) {
      this.#buckets[bucket] = entries[e + CHAIN]
    } else {
      while (entries[link + CHAIN] - 1 !== e) link = entries[link + CHAIN] - 1
      entries[link + CHAIN] = entries[e + CHAIN]
    }
    entries[e + PORTS] = DEAD
    this.#count--
  }

  /** Forgets everything whose 2 MSL are over. */
  expire(nowMs: number): void {
    const entries = this.entries
    while (this.#used > 0) {
      const e = this.#head * STRIDE
      if (entries[e + PORTS] !== DEAD && ((entries[e + EXPIRES_AT] - nowMs) | 0) > 0) return
      this.#dropOldest()
    }
  }

  /** Milliseconds until `expire` has something to do, -1 if nothing waits. */
  idleMs(nowMs: number): number {
    if (this.#used === 0) return -1
    const delta = (this.entries[this.#head * STRIDE + EXPIRES_AT] - nowMs) | 0
    return delta > 0 ? delta : 0
  }

  #dropOldest(): void {
    const e = this.#head * STRIDE
    if (this.entries[e + PORTS] !== DEAD) this.remove(e)
    this.#head = (this.#head + 1) & (this.#capacity - 1)
    this.#used--
  }
}
