/**
 * The request line (RFC 9112 §3): method, target and version, separated by exactly one space.
 *
 * A parser here returns the offset behind what it took, INCOMPLETE if the bytes end before it does,
 * or the negated status of the answer. Errors are found in order of position, so however a head is
 * split into segments, the same bytes get the same answer. `view` shows the same bytes as `bytes`:
 * what nearly every client sends is told by words of four.
 */
import { ascii, CLASS, DIGIT, DIGIT_0, SP, TARGET, TOKEN } from './chars.ts'
import { METHOD_MAX_BYTES } from './limits.ts'

/** The bytes end before the head does. */
export const INCOMPLETE = 0

/** Methods by what we do with them. */
const METHOD_NONE = 0
export const METHOD_GET = 1
export const METHOD_HEAD = 2
export const METHOD_OPTIONS = 3
/** Known, and not for files. */
export const METHOD_OTHER = 4
/** Not even for an origin: CONNECT, TRACE. */
export const METHOD_OF_PROXY = 5
export const METHOD_UNKNOWN = 6

const GET = ascii('GET')
const GET_SP = 0x47455420
const HEAD = ascii('HEAD')
const OPTIONS = ascii('OPTIONS')
const OTHERS = ['POST', 'PUT', 'DELETE', 'PATCH'].map(ascii)
const OF_PROXY = ['TRACE', 'CONNECT'].map(ascii)
const HTTP = 0x48545450
const SLASH_1_1 = 0x2f312e31
const CR_LF = 0x0d0a
/** A zero stands for any digit. */
const VERSION = ascii('HTTP/0.0\r\n')
const MAJOR = 5
const MINOR = 7

export class RequestLine {
  method: number = METHOD_NONE
  targetOff = 0
  targetEnd = 0
  /** 0 for HTTP/1.0; any other 1.x is read as 1.1 (RFC 9110 §2.5). */
  minor = 1

  reset(): void {
    this.method = METHOD_NONE
    this.minor = 1
  }

  parse(bytes: Uint8Array, view: DataView, off: number, end: number, targetMax: number): number {
    const classes = CLASS // copied for the loop, as in fields.ts
    const target = TARGET
    let at = this.#readMethod(bytes, view, off, end)
    if (at <= 0) return at
    this.targetOff = at
    for (; at < end && (classes[bytes[at]] & target) !== 0; at++) {
      if (at - this.targetOff === targetMax) return -414
    }
    if (at === end) return INCOMPLETE
    if (at === this.targetOff || bytes[at] !== SP) return -400
    this.targetEnd = at
    return this.#readVersion(bytes, view, at + 1, end)
  }

  /** With the space behind it. */
  #readMethod(bytes: Uint8Array, view: DataView, off: number, end: number): number {
    if (end - off >= 4 && view.getInt32(off) === GET_SP) {
      this.method = METHOD_GET
      return off + 4
    }
    let at = off
    for (; at < end && (CLASS[bytes[at]] & TOKEN) !== 0; at++) {
      if (at - off === METHOD_MAX_BYTES) return -501
    }
    if (at === end) return INCOMPLETE
    if (at === off || bytes[at] !== SP) return -400
    this.method = methodOf(bytes, off, at)
    return at + 1
  }

  #readVersion(bytes: Uint8Array, view: DataView, off: number, end: number): number {
    if (end - off >= VERSION.length && isHttp11(view, off)) return off + VERSION.length
    for (let i = 0; i < VERSION.length; i++) {
      if (off + i === end) return INCOMPLETE
      const c = bytes[off + i]
      if (VERSION[i] === DIGIT_0 ? (CLASS[c] & DIGIT) === 0 : c !== VERSION[i]) return -400
    }
    if (bytes[off + MAJOR] !== DIGIT_0 + 1) return -505
    this.minor = bytes[off + MINOR] === DIGIT_0 ? 0 : 1
    return off + VERSION.length
  }
}

const isHttp11 = (view: DataView, off: number): boolean =>
  view.getInt32(off) === HTTP &&
  view.getInt32(off + 4) === SLASH_1_1 &&
  view.getUint16(off + 8) === CR_LF

/** Methods are case-sensitive (RFC 9110 §9.1). */
function methodOf(bytes: Uint8Array, off: number, end: number): number {
  if (equals(bytes, off, end, GET)) return METHOD_GET
  if (equals(bytes, off, end, HEAD)) return METHOD_HEAD
  if (equals(bytes, off, end, OPTIONS)) return METHOD_OPTIONS
  for (let i = 0; i < OTHERS.length; i++) {
    if (equals(bytes, off, end, OTHERS[i])) return METHOD_OTHER
  }
  for (let i = 0; i < OF_PROXY.length; i++) {
    if (equals(bytes, off, end, OF_PROXY[i])) return METHOD_OF_PROXY
  }
  return METHOD_UNKNOWN
}

function equals(bytes: Uint8Array, off: number, end: number, word: Uint8Array): boolean {
  if (end - off !== word.length) return false
  for (let i = 0; i < word.length; i++) if (bytes[off + i] !== word[i]) return false
  return true
}
