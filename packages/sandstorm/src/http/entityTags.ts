/**
 * Entity tags in If-Match, If-None-Match and If-Range (RFC 9110 §8.8.3, §13.1): `*`, or a list of
 * `[W/]"opaque"`. Ours are strong, so a weak one of the client's equals it under weak comparison
 * alone.
 *
 * A value that does not parse names nothing from there on.
 */
import { COMMA, QUOTE, SLASH, SP, STAR, TAB } from './chars.ts'

const UPPER_W = 87

/** Weak comparison (If-None-Match), or strong (If-Match, If-Range). */
export const WEAK = true
export const STRONG = false

/** Does the list bytes[start, end) name the tag whose `len` characters lie at etags[etagOff]? */
export function namesEtag(
  bytes: Uint8Array,
  start: number,
  end: number,
  isWeak: boolean,
  etags: Uint8Array,
  etagOff: number,
  len: number,
): boolean {
  if (end - start === 1 && bytes[start] === STAR) return true
  let off = start
  for (;;) {
    while (off < end && isSeparator(bytes[off])) off++
    const hasPrefix = off + 1 < end && bytes[off] === UPPER_W && bytes[off + 1] === SLASH
    if (hasPrefix) off += 2
    if (off >= end || bytes[off] !== QUOTE) return false
    const opaque = off + 1
    let close = opaque
    while (close < end && bytes[close] !== QUOTE) close++
    if (close === end) return false
    const counts = isWeak || !hasPrefix
    if (counts && close - opaque === len && sameBytes(bytes, opaque, etags, etagOff, len)) {
      return true
    }
    off = close + 1
    if (off < end && !isSeparator(bytes[off])) return false
  }
}

const isSeparator = (c: number): boolean => c === COMMA || c === SP || c === TAB

function sameBytes(a: Uint8Array, aOff: number, b: Uint8Array, bOff: number, len: number): boolean {
  for (let i = 0; i < len; i++) if (a[aOff + i] !== b[bOff + i]) return false
  return true
}
