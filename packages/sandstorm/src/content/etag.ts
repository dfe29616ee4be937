/**
 * Entity tags in an If-None-Match value (RFC 9110 §8.8.3, §13.1.2):
 * `"*"`, or a list of `[W/]"opaque"`. Weak comparison: the W/ does not count.
 *
 * A value that does not parse names nothing, and the client gets the whole answer: always right.
 */
const TAB = 9
const SPACE = 32
const QUOTE = 34
const STAR = 42
const COMMA = 44
const SLASH = 47
const UPPER_W = 87

/** Does the list bytes[start, end) name the tag whose `len` characters lie at etags[etagOff]? */
export function listNamesEtag(
  bytes: Uint8Array,
  start: number,
  end: number,
  etags: Uint8Array,
  etagOff: number,
  len: number,
): boolean {
  if (end - start === 1 && bytes[start] === STAR) return true
  let off = start
  for (;;) {
    while (off < end && isSeparator(bytes[off])) off++
    if (off + 1 < end && bytes[off] === UPPER_W && bytes[off + 1] === SLASH) off += 2
    if (off >= end || bytes[off] !== QUOTE) return false
    const opaque = off + 1
    let close = opaque
    while (close < end && bytes[close] !== QUOTE) close++
    if (close === end) return false
    if (close - opaque === len && sameBytes(bytes, opaque, etags, etagOff, len)) return true
    off = close + 1
    if (off < end && !isSeparator(bytes[off])) return false
  }
}

const isSeparator = (c: number): boolean => c === COMMA || c === SPACE || c === TAB

function sameBytes(a: Uint8Array, aOff: number, b: Uint8Array, bOff: number, len: number): boolean {
  for (let i = 0; i < len; i++) if (a[aOff + i] !== b[bOff + i]) return false
  return true
}
