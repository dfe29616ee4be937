/**
 * Range (RFC 9110 §14.1.2, §14.2): which bytes of a representation a client asks for.
 *
 * A value that is not exactly a list of byte ranges is ignored, as the RFC wants it, and so is one
 * with more than RANGES_MAX. One with many ranges over the same bytes is an attack (§17.15): the
 * answer would be larger than the whole, and is refused like one that cannot be satisfied.
 */
import { ascii, COMMA, DIGIT_0, EQUALS, isDigit, isWord, MINUS, SP, TAB } from './chars.ts'
import { OVERLAPS_MAX, RANGES_MAX } from './limits.ts'

// What `parse` says
/** Send the whole. */
export const RANGE_NONE = 0
/** `count` ranges. */
export const RANGE_PART = 1
/** 416. */
export const RANGE_UNSATISFIABLE = 2

const UNIT = ascii('bytes')
/** Of a number; longer ones saturate. */
const HUGE = 2 ** 40
const NONE = -1

export class Ranges {
  count = 0
  /** Half-open: bytes [from[i], end[i]) of the body, inside it. */
  readonly from: Float64Array = new Float64Array(RANGES_MAX)
  readonly end: Float64Array = new Float64Array(RANGES_MAX)
  #at = 0

  /** Reads the value bytes[off, end) for a body of `len` bytes. */
  parse(bytes: Uint8Array, off: number, end: number, len: number): number {
    this.count = 0
    const unitEnd = off + UNIT.length
    if (unitEnd >= end || !isWord(bytes, off, unitEnd, UNIT)) return RANGE_NONE
    if (bytes[unitEnd] !== EQUALS) return RANGE_NONE
    let specs = 0
    for (this.#at = unitEnd + 1; ; this.#at++) {
      this.#skipSpace(bytes, end)
      // An empty element of a list counts for nothing (§5.6.1.2).
      if (this.#at < end && bytes[this.#at] !== COMMA) {
        if (++specs > RANGES_MAX || !this.#spec(bytes, end, len)) return RANGE_NONE
        this.#skipSpace(bytes, end)
      }
      if (this.#at >= end) break
      if (bytes[this.#at] !== COMMA) return RANGE_NONE
    }
    if (specs === 0) return RANGE_NONE
    return this.count === 0 || this.#isFlood() ? RANGE_UNSATISFIABLE : RANGE_PART
  }

  /**
   * One `first-last`, `first-` or `-suffix`; false if it is none. What is not there is left out.
   */
  #spec(bytes: Uint8Array, end: number, len: number): boolean {
    const first = this.#number(bytes, end)
    if (this.#at >= end || bytes[this.#at] !== MINUS) return false
    this.#at++
    const last = this.#number(bytes, end)
    if (first === NONE) {
      if (last === NONE) return false
      if (last > 0 && len > 0) this.#add(last < len ? len - last : 0, len)
      return true
    }
    if (last !== NONE && last < first) return false
    if (first < len) this.#add(first, last === NONE || last >= len ? len : last + 1)
    return true
  }

  #add(from: number, end: number): void {
    this.from[this.count] = from
    this.end[this.count++] = end
  }

  #number(bytes: Uint8Array, end: number): number {
    let value = NONE
    for (; this.#at < end && isDigit(bytes[this.#at]); this.#at++) {
      value = Math.min((value === NONE ? 0 : value) * 10 + bytes[this.#at] - DIGIT_0, HUGE)
    }
    return value
  }

  #skipSpace(bytes: Uint8Array, end: number): void {
    while (this.#at < end && (bytes[this.#at] === SP || bytes[this.#at] === TAB)) this.#at++
  }

  /** More than a few of them overlap another. */
  #isFlood(): boolean {
    let overlaps = 0
    for (let i = 1; i < this.count; i++) {
      for (let j = 0; j < i; j++) {
        if (this.from[i] >= this.end[j] || this.from[j] >= this.end[i]) continue
        if (++overlaps > OVERLAPS_MAX) return true
        break
      }
    }
    return false
  }
}
