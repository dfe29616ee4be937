/**
 * Chunked bodies (RFC 9112 §7.1), to find where they end: a file wants none. Strict, since a lenient
 * reader and its neighbour come to disagree about where the next request begins (§11.2): sizes are
 * hexadecimal digits, lines end in CR LF, extensions and trailers hold no control bytes.
 *
 * Returns as requestLine.ts says: the offset behind the body, INCOMPLETE, or a negated status.
 */
import {
  BACKSLASH,
  CLASS,
  COLON,
  CR,
  DELETE,
  EQUALS,
  hexDigit,
  LF,
  QUOTE,
  SEMICOLON,
  SP,
  TAB,
  TOKEN,
} from './chars.ts'
import { INCOMPLETE } from './requestLine.ts'

const BAD = -400
/** More is no size of a body that we read. */
const CHUNK_MAX_BYTES = 2 ** 24

/** The end of the chunked body that begins at `off`. */
export function chunkedEnd(bytes: Uint8Array, off: number, end: number): number {
  let at = off
  for (;;) {
    let size = 0
    const digits = at
    for (; at < end && hexDigit(bytes[at]) >= 0; at++) {
      size = size * 16 + hexDigit(bytes[at])
      // Other readers might wrap it.
      if (size > Number.MAX_SAFE_INTEGER) return BAD
    }
    if (at === end) return INCOMPLETE
    if (size > CHUNK_MAX_BYTES) return -413
    if (at === digits) return BAD
    at = endOfExtensions(bytes, at, end)
    if (at <= 0) return at
    if (size === 0) return trailersEnd(bytes, at, end)
    at += size
    if (at >= end) return INCOMPLETE
    at = endOfLine(bytes, at, end)
    if (at <= 0) return at
  }
}

/**
 * `;name`, `;name=token`, `;name="text"`, any number of them, up to and with the end of the line
 * (§7.1.1): without the white space that nobody should send, and without escapes.
 */
function endOfExtensions(bytes: Uint8Array, off: number, end: number): number {
  let at = off
  while (at < end && bytes[at] === SEMICOLON) {
    const nameEnd = endOfToken(bytes, at + 1, end)
    if (nameEnd === at + 1) return nameEnd === end ? INCOMPLETE : BAD
    at = nameEnd
    if (at === end || bytes[at] !== EQUALS) continue
    const valueEnd = endOfExtensionValue(bytes, at + 1, end)
    if (valueEnd <= 0) return valueEnd
    at = valueEnd
  }
  return endOfLine(bytes, at, end)
}

function endOfExtensionValue(bytes: Uint8Array, off: number, end: number): number {
  if (off === end) return INCOMPLETE
  if (bytes[off] !== QUOTE) {
    const tokenEnd = endOfToken(bytes, off, end)
    return tokenEnd === off ? BAD : tokenEnd
  }
  let at = off + 1
  while (at < end && isText(bytes[at]) && bytes[at] !== QUOTE && bytes[at] !== BACKSLASH) at++
  if (at === end) return INCOMPLETE
  return bytes[at] === QUOTE ? at + 1 : BAD
}

/** Trailers are read over (§7.1.2): field lines up to and with an empty line. */
function trailersEnd(bytes: Uint8Array, off: number, end: number): number {
  for (let at = off; ; ) {
    if (at === end) return INCOMPLETE
    if (bytes[at] === CR) return endOfLine(bytes, at, end)
    const nameEnd = endOfToken(bytes, at, end)
    if (nameEnd === end) return INCOMPLETE
    if (nameEnd === at || bytes[nameEnd] !== COLON) return BAD
    at = endOfText(bytes, nameEnd, end)
    if (at <= 0) return at
  }
}

/** The end of a line without control bytes. */
function endOfText(bytes: Uint8Array, off: number, end: number): number {
  let at = off
  while (at < end && isText(bytes[at])) at++
  return endOfLine(bytes, at, end)
}

function endOfLine(bytes: Uint8Array, off: number, end: number): number {
  if (off === end) return INCOMPLETE
  if (bytes[off] !== CR) return BAD
  if (off + 1 === end) return INCOMPLETE
  return bytes[off + 1] === LF ? off + 2 : BAD
}

function endOfToken(bytes: Uint8Array, off: number, end: number): number {
  let at = off
  while (at < end && (CLASS[bytes[at]] & TOKEN) !== 0) at++
  return at
}

const isText = (c: number): boolean => (c >= SP && c !== DELETE) || c === TAB
