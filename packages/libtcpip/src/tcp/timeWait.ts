/**
 * TIME-WAIT (RFC 9293 §3.3.2, §3.6): what is left of a connection that we closed first, in 32 bytes
 * instead of a whole TCB. All entries wait equally long (2 MSL), so they lie in a ring in the order
 * of their end; a hash chain runs through them. When the ring is full the oldest gives way, counted:
 * a burst of short connections costs bounded memory (and never a refused client).
 */
import { assert } from '@sandstorm/libnmio'

const REMOTE_ADDR = 0
const LOCAL_ADDR = 1
const PORTS = 2
export const TW_SND_NXT = 3
export const TW_RCV_NXT = 4
const EXPIRES_AT = 5
const CHAIN = 6 // next entry of the same bucket + 1; 0 ends it
const HASH = 7
const STRIDE = 8
/** PORTS of an entry that is out of its chain; no connection has port 0. */
const DEAD = 0

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

  /** Finds the entry of a connection; `hash` is the connection table's. */
  find(hash: number, remoteAddr: number, localAddr: number, ports: number): number {
    const entries = this.entries
    let e = this.#buckets[hash & (this.#capacity - 1)] - 1
    while (e >= 0) {
      if (
        entries[e + PORTS] === ports &&
        entries[e + REMOTE_ADDR] === remoteAddr &&
        entries[e + LOCAL_ADDR] === localAddr
      ) {
        return e
      }
      e = entries[e + CHAIN] - 1
    }
    return NOT_WAITING
  }

  add(
    hash: number,
    remoteAddr: number,
    localAddr: number,
    ports: number,
    sndNxt: number,
    rcvNxt: number,
    nowMs: number,
  ): void {
    if (this.#used === this.#capacity) {
      if (this.entries[this.#head * STRIDE + PORTS] !== DEAD) this.overflows++
      this.#dropOldest()
    }
    const entries = this.entries
    const e = ((this.#head + this.#used) & (this.#capacity - 1)) * STRIDE
    this.#used++
    this.#count++
    entries[e + REMOTE_ADDR] = remoteAddr
    entries[e + LOCAL_ADDR] = localAddr
    entries[e + PORTS] = ports
    entries[e + TW_SND_NXT] = sndNxt
    entries[e + TW_RCV_NXT] = rcvNxt
    entries[e + EXPIRES_AT] = (nowMs + this.#durationMs) | 0
    entries[e + HASH] = hash
    const bucket = hash & (this.#capacity - 1)
    entries[e + CHAIN] = this.#buckets[bucket]
    this.#buckets[bucket] = e + 1
  }

  /** The connection was reopened, or its wait begins anew (then `add` follows). */
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
