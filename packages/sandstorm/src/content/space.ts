/**
 * The part of the region where images lie: places are handed out and taken back while a server
 * runs. First fit over the holes in order of their offsets; neighbours are joined, so a hole never
 * touches another. Of two readings of one folder most is the same, so there are few holes.
 *
 * Invariant: every place begins at an even offset (checksums), and no two overlap.
 */
import { assert } from '@sandstorm/libnmio'

/** There is no hole that is large enough. */
export const NO_SPACE = -1

interface Hole {
  off: number
  len: number
}

export class Space {
  /** In order of offsets. */
  readonly #holes: Hole[]
  #end: number
  #freeBytes: number

  /** Bytes [from, end) of a region; both even. */
  constructor(from: number, end: number) {
    assert(from % 2 === 0 && end % 2 === 0 && from <= end, 'a space has even ends')
    this.#holes = end > from ? [{ off: from, len: end - from }] : []
    this.#end = end
    this.#freeBytes = end - from
  }

  get freeBytes(): number {
    return this.#freeBytes
  }

  /** Behind its last byte. */
  get end(): number {
    return this.#end
  }

  /** The offset of `len` bytes, or NO_SPACE; give back as many. */
  alloc(len: number): number {
    const need = even(len)
    const i = this.#holes.findIndex(hole => hole.len >= need)
    if (i < 0) return NO_SPACE
    const hole = this.#holes[i]
    const { off } = hole
    hole.off += need
    hole.len -= need
    if (hole.len === 0) this.#holes.splice(i, 1)
    this.#freeBytes -= need
    return off
  }

  /** Takes back what `alloc(len)` gave at `off`. */
  free(off: number, len: number): void {
    const size = even(len)
    if (size === 0) return
    this.#freeBytes += size
    const i = this.#firstBehind(off)
    const [before, behind] = [this.#holes[i - 1], this.#holes[i]]
    const touchesBefore = before !== undefined && before.off + before.len === off
    const touchesBehind = behind !== undefined && off + size === behind.off
    if (touchesBefore) {
      before.len += size
      if (!touchesBehind) return
      before.len += behind.len
      this.#holes.splice(i, 1)
    } else if (touchesBehind) {
      behind.off = off
      behind.len += size
    } else {
      this.#holes.splice(i, 0, { off, len: size })
    }
  }

  /** Gives up all that is free at its end, but for `spareBytes`; returns where it ends now. */
  cut(spareBytes: number): number {
    const last = this.#holes.at(-1)
    if (last === undefined || last.off + last.len !== this.#end) return this.#end
    const kept = Math.min(last.len, even(spareBytes))
    this.#freeBytes -= last.len - kept
    last.len = kept
    this.#end = last.off + kept
    if (kept === 0) this.#holes.pop()
    return this.#end
  }

  /** Index of the first hole behind `off`. */
  #firstBehind(off: number): number {
    let low = 0
    for (let high = this.#holes.length; low < high; ) {
      const middle = (low + high) >> 1
      if (this.#holes[middle].off < off) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** What a place of `len` bytes takes. */
export const even = (len: number): number => len + (len & 1)
