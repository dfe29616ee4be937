/**
 * From the raw path of a request to a resource. A path without "%" or bytes beyond ASCII, which is
 * nearly every one, is looked up where it lies; others are decoded, once, into a scratch buffer
 * (RFC 3986 §2.4, §7.3).
 *
 * Strict rather than helpful: "." and ".." segments (clients resolve them before they ask), encoded
 * slashes, backslashes, NUL and malformed UTF-8 are refused with 400, since no honest client sends
 * them and any two programs that mend them differ. Slashes are not merged: "//" finds nothing.
 *
 * Invariant: only a canonical path is ever looked up, and the table holds canonical paths alone, so
 * nothing outside the folder can be named.
 */
import { type Content, NO_RESOURCE } from '../content/content.ts'
import {
  ascii,
  BACKSLASH,
  CLASS,
  DOT,
  hexDigit,
  PERCENT,
  QUESTION,
  SLASH,
  SPECIAL_IN_PATH,
} from './chars.ts'
import { isUtf8 } from './utf8.ts'

/** `find`: nothing has that name. */
const NOT_FOUND: number = NO_RESOURCE
/** `find`: answer 400. */
export const BAD_PATH = -2
/** `find`: answer 404, whatever there is. */
export const HIDDEN = -3

/** The one hidden folder that clients may see (RFC 8615). */
const WELL_KNOWN = ascii('/.well-known')
/** checkDots: nothing against it. */
const VISIBLE = 0

export class PathFinder {
  /** The path that was looked up last, decoded: bytes[off, end), until the next call. */
  bytes: Uint8Array
  off = 0
  end = 0
  readonly #content: Content
  readonly #decoded: Uint8Array

  /** `pathBytes`: the longest raw path there can be. */
  constructor(content: Content, pathBytes: number) {
    this.#content = content
    this.#decoded = new Uint8Array(pathBytes)
    this.bytes = this.#decoded
  }

  /**
   * The resource of a site that the path bytes[off, end) names, or NOT_FOUND, BAD_PATH or HIDDEN.
   * The first byte is a slash; a query may follow the path and is ignored.
   */
  find(site: number, bytes: Uint8Array, off: number, end: number): number {
    const classes = CLASS // copied for the loop, as in fields.ts
    const special = SPECIAL_IN_PATH
    let hasDots = false
    let at = off
    for (; at < end; at++) {
      const c = bytes[at]
      if ((classes[c] & special) === 0) continue
      if (c === QUESTION) break
      if (c === BACKSLASH) return BAD_PATH
      if (c !== DOT) return this.#findDecoded(site, bytes, off, end)
      if (bytes[at - 1] === SLASH) hasDots = true
    }
    return this.#lookUp(site, bytes, off, at, hasDots)
  }

  #findDecoded(site: number, bytes: Uint8Array, off: number, end: number): number {
    const decoded = this.#decoded
    let hasDots = false
    let len = 0
    for (let at = off; at < end && bytes[at] !== QUESTION; at++) {
      let c = bytes[at]
      if (c === PERCENT) {
        if (at + 2 >= end) return BAD_PATH
        const high = hexDigit(bytes[at + 1])
        const low = hexDigit(bytes[at + 2])
        if (high < 0 || low < 0) return BAD_PATH
        c = (high << 4) | low
        at += 2
        if (c === SLASH || c === 0) return BAD_PATH
      }
      if (c === BACKSLASH) return BAD_PATH
      if (c === DOT && decoded[len - 1] === SLASH) hasDots = true
      decoded[len++] = c
    }
    if (!isUtf8(decoded, 0, len)) return BAD_PATH
    return this.#lookUp(site, decoded, 0, len, hasDots)
  }

  #lookUp(site: number, path: Uint8Array, off: number, end: number, hasDots: boolean): number {
    this.bytes = path
    this.off = off
    this.end = end
    const verdict = hasDots ? checkDots(path, off, end) : VISIBLE
    if (verdict !== VISIBLE) return verdict
    const resource = this.#content.find(site, path, off, end)
    return resource === NOT_FOUND ? this.#fallback(site, path, off, end) : resource
  }

  /** A single-page application's page; a name with a dot is a file's, and missing. */
  #fallback(site: number, path: Uint8Array, off: number, end: number): number {
    const resource = this.#content.fallbackOf(site)
    if (resource === NOT_FOUND) return NOT_FOUND
    for (let at = end - 1; at >= off && path[at] !== SLASH; at--) {
      if (path[at] === DOT) return NOT_FOUND
    }
    return resource
  }
}

/** Judges segments that begin with a dot: "." and ".." are BAD_PATH, hidden names HIDDEN. */
function checkDots(path: Uint8Array, off: number, end: number): number {
  let verdict = VISIBLE
  for (let at = off + 1; at < end; at++) {
    if (path[at] !== DOT || path[at - 1] !== SLASH) continue
    if (isSegmentEnd(path, at + 1, end)) return BAD_PATH
    if (path[at + 1] === DOT && isSegmentEnd(path, at + 2, end)) return BAD_PATH
    if (at !== off + 1 || !isWellKnown(path, off, end)) verdict = HIDDEN
  }
  return verdict
}

const isSegmentEnd = (path: Uint8Array, at: number, end: number): boolean =>
  at >= end || path[at] === SLASH

function isWellKnown(path: Uint8Array, off: number, end: number): boolean {
  for (let i = 0; i < WELL_KNOWN.length; i++) {
    if (off + i >= end || path[off + i] !== WELL_KNOWN[i]) return false
  }
  return isSegmentEnd(path, off + WELL_KNOWN.length, end)
}
