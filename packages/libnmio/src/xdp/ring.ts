/**
 * One of AF_XDP's four rings: entries, and two indices that run on and wrap, one written by each
 * side (af_xdp.rst). The store that publishes an index is atomic, and so is the load that reads the
 * other side's: what was written to entries comes before, what is read from them after.
 */
import { assert } from '../assert.ts'
import type { Region } from '../region.ts'
import { mapOver, pagesOf, reservePages, unmapOver } from '../sys/mapping.ts'
import type { RingPlace } from '../sys/xsk.ts'

/** Indices and flags, a cache line each, lie in front of the entries. */
const HEAD_LEN_MAX = 1024

export class Ring {
  /** Words of the region: the ring's, and everything else's. */
  readonly words: Int32Array
  readonly size: number
  /** Our index: of the next entry that we shall produce, or consume. */
  at = 0
  readonly #region: Region
  readonly #base: number
  readonly #len: number
  readonly #producer: number
  readonly #consumer: number
  readonly #flags: number
  readonly #entries: number
  readonly #entryWords: number

  /** Maps a ring of `size` entries of `entryBytes` over pages that it reserves in the region. */
  constructor(region: Region, fd: number, place: RingPlace, size: number, entryBytes: number) {
    assert(place.entries <= HEAD_LEN_MAX, "a ring's head is what it was")
    this.#region = region
    this.#len = place.entries + size * entryBytes
    this.#base = reservePages(region, this.#len)
    mapOver(region, this.#base, this.#len, fd, place.mapOff)
    this.words = new Int32Array(region.buffer, 0, region.byteLength >> 2)
    this.size = size
    this.#producer = (this.#base + place.producer) >> 2
    this.#consumer = (this.#base + place.consumer) >> 2
    this.#flags = (this.#base + place.flags) >> 2
    this.#entries = (this.#base + place.entries) >> 2
    this.#entryWords = entryBytes >> 2
  }

  /** Word of the entry with index `i`. */
  entry(i: number): number {
    return this.#entries + (i & (this.size - 1)) * this.#entryWords
  }

  /** What either side has written. */
  get produced(): number {
    return Atomics.load(this.words, this.#producer)
  }
  get consumed(): number {
    return Atomics.load(this.words, this.#consumer)
  }

  /** Shows the kernel what we have produced, or consumed, up to `at`. */
  publishProduced(): void {
    Atomics.store(this.words, this.#producer, this.at)
  }
  publishConsumed(): void {
    Atomics.store(this.words, this.#consumer, this.at)
  }

  get flags(): number {
    return Atomics.load(this.words, this.#flags)
  }

  /** Gives the region its pages back. */
  unmap(): void {
    unmapOver(this.#region, this.#base, this.#len)
  }
}

/** Whole pages of its region that a ring takes. */
export const ringBytes = (size: number, entryBytes: number): number =>
  pagesOf(HEAD_LEN_MAX + size * entryBytes)
