/**
 * Stored answers of origins that are fresh and need no decision, as one reader sees them: a request
 * that names one by site, host and target, and asks for nothing special, is answered with its image
 * as if it were a file's. All else is the main thread's to decide (cache/cache.ts).
 *
 * Each reader has a table of its own, which only messages between two batches change (`put`,
 * `drop`), so nothing is shared but a byte for each hit that says it was used.
 *
 * Invariant: `find` allocates nothing. Open addressing, at least half of the slots empty.
 */
import type { HitRecord } from './hits.ts'

/** Hits at once. */
export const HITS_MAX = 65536
const SLOTS = 2 * HITS_MAX
/** There is none. */
export const NO_HIT = -1

const DEFAULT_PORT: Uint8Array = Uint8Array.from(Buffer.from(':80'))
const UPPER_A = 65
const UPPER_Z = 90

export class HitTable {
  /** By hit, for the main thread to see and clear. */
  readonly #used: Uint8Array
  /** By id. */
  readonly #records: (HitRecord | undefined)[] = []
  readonly #hashes: Int32Array = new Int32Array(HITS_MAX)
  /** One more than an id; 0: empty. */
  readonly #slots: Int32Array = new Int32Array(SLOTS)

  constructor(used: SharedArrayBuffer, records: readonly HitRecord[]) {
    this.#used = new Uint8Array(used)
    for (const record of records) this.put(record)
  }

  /**
   * The image that answers for the Host value bytes[hostOff, valueEnd), in any case, with its
   * default port or without, and the target bytes[off, end) at this second; or NO_HIT.
   */
  find(
    site: number,
    bytes: Uint8Array,
    hostOff: number,
    valueEnd: number,
    off: number,
    end: number,
    epochSec: number,
  ): number {
    const hostEnd = withoutPort(bytes, hostOff, valueEnd)
    const hash = hashOf(site, bytes, hostOff, hostEnd, off, end)
    for (let slot = hash & (SLOTS - 1); ; slot = (slot + 1) & (SLOTS - 1)) {
      const id = this.#slots[slot] - 1
      if (id < 0) return NO_HIT
      if (this.#hashes[id] !== hash) continue
      const record = this.#records[id]!
      if (record.site !== site || !isSameHost(record.host, bytes, hostOff, hostEnd)) continue
      if (!isSame(record.target, bytes, off, end)) continue
      if (epochSec >= record.expiresSec) return NO_HIT
      this.#used[id] = 1
      return record.image
    }
  }

  put(record: HitRecord): void {
    const { id, site, host, target } = record
    const bytes = new Uint8Array(host.length + target.length)
    bytes.set(host)
    bytes.set(target, host.length)
    const hash = hashOf(site, bytes, 0, host.length, host.length, bytes.length)
    this.#records[id] = record
    this.#hashes[id] = hash
    let slot = hash & (SLOTS - 1)
    while (this.#slots[slot] !== 0) slot = (slot + 1) & (SLOTS - 1)
    this.#slots[slot] = id + 1
  }

  drop(id: number): void {
    let slot = this.#hashes[id] & (SLOTS - 1)
    while (this.#slots[slot] !== id + 1) slot = (slot + 1) & (SLOTS - 1)
    this.#records[id] = undefined
    this.#slots[slot] = 0
    // What follows without a gap may have been pushed behind this one: puts it back where it is
    // found.
    for (let at = (slot + 1) & (SLOTS - 1); this.#slots[at] !== 0; at = (at + 1) & (SLOTS - 1)) {
      const moved = this.#slots[at]
      this.#slots[at] = 0
      let to = this.#hashes[moved - 1] & (SLOTS - 1)
      while (this.#slots[to] !== 0) to = (to + 1) & (SLOTS - 1)
      this.#slots[to] = moved
    }
  }
}

function isSame(known: Uint8Array, bytes: Uint8Array, off: number, end: number): boolean {
  if (known.length !== end - off) return false
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[off + i]) return false
  return true
}

/** `known` is in lower case. */
function isSameHost(known: Uint8Array, bytes: Uint8Array, off: number, end: number): boolean {
  if (known.length !== end - off) return false
  for (let i = 0; i < known.length; i++) if (known[i] !== lower(bytes[off + i])) return false
  return true
}

const lower = (c: number): number => (c >= UPPER_A && c <= UPPER_Z ? c + 32 : c)

/** FNV-1a, mixed, since the table uses the low bits; the host in lower case. */
function hashOf(
  site: number,
  bytes: Uint8Array,
  hostOff: number,
  hostEnd: number,
  off: number,
  end: number,
): number {
  let hash = 0x811c9dc5 ^ Math.imul(site, 0x9e3779b1)
  for (let i = hostOff; i < hostEnd; i++) {
    hash = Math.imul(hash ^ lower(bytes[i]), 0x01000193)
  }
  for (let i = off; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return hash ^ (hash >>> 13)
}

/** The end of a Host value, its default port left out (RFC 9110 §4.2.3). */
function withoutPort(bytes: Uint8Array, off: number, end: number): number {
  const at = end - DEFAULT_PORT.length
  if (at <= off) return end
  for (let i = 0; i < DEFAULT_PORT.length; i++) if (bytes[at + i] !== DEFAULT_PORT[i]) return end
  return at
}
