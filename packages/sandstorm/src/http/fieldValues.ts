/**
 * Values of the fields that decide framing, persistence and routing: Content-Length
 * (RFC 9110 §8.6), Transfer-Encoding (RFC 9112 §6.1), Connection (RFC 9110 §7.6.1), Host
 * (RFC 9110 §7.2).
 *
 * A value is bytes[off, end) without the white space around it. Nothing is mended: what is not
 * exactly right is refused, since it decides where the next request begins.
 */
import {
  ascii,
  CLASS,
  COLON,
  COMMA,
  DIGIT_0,
  hexDigit,
  IP_LITERAL,
  isDigit,
  isWord,
  LEFT_BRACKET,
  PERCENT,
  REG_NAME,
  RIGHT_BRACKET,
  SP,
  TAB,
} from './chars.ts'

const CHUNKED = ascii('chunked')
const CLOSE = ascii('close')
const KEEP_ALIVE = ascii('keep-alive')

/** Any longer body is as good as this one: too large. */
const LENGTH_HUGE: number = 2 ** 30
const LENGTH_INVALID = -2
const PORT_MAX = 65535

/** transferCoding: chunked and nothing else. */
export const CODING_CHUNKED = 1
/** transferCoding: chunked over another coding, which we do not have. */
export const CODING_UNKNOWN = 2
const CODING_INVALID = 0

export const OPTION_CLOSE = 1
export const OPTION_KEEP_ALIVE = 2

/**
 * Digits only, or a list of equal numbers (RFC 9112 §6.3 rule 5), at most LENGTH_HUGE; negative if
 * invalid, as is a number that other readers cannot hold and might wrap.
 */
export function contentLength(bytes: Uint8Array, off: number, end: number): number {
  let first = LENGTH_INVALID
  for (let at = off; ; at++) {
    while (at < end && isSpace(bytes[at])) at++
    const digits = at
    let length = 0
    for (; at < end && isDigit(bytes[at]); at++) {
      length = length * 10 + bytes[at] - DIGIT_0
    }
    if (length > Number.MAX_SAFE_INTEGER) return LENGTH_INVALID
    length = Math.min(length, LENGTH_HUGE)
    if (at === digits || (first !== LENGTH_INVALID && length !== first)) return LENGTH_INVALID
    first = length
    while (at < end && isSpace(bytes[at])) at++
    if (at === end) return first
    if (bytes[at] !== COMMA) return LENGTH_INVALID
  }
}

/**
 * CODING_CHUNKED, CODING_UNKNOWN, or 0 if the last coding is not chunked (RFC 9112 §6.3 rule 4).
 */
export function transferCoding(bytes: Uint8Array, off: number, end: number): number {
  if (isWord(bytes, off, end, CHUNKED)) return CODING_CHUNKED
  const last = end - CHUNKED.length
  if (last <= off || !isWord(bytes, last, end, CHUNKED)) return CODING_INVALID
  return bytes[last - 1] === COMMA || isSpace(bytes[last - 1]) ? CODING_UNKNOWN : CODING_INVALID
}

/** The OPTION_ bits that a Connection value names. */
export function connectionOptions(bytes: Uint8Array, off: number, end: number): number {
  if (isWord(bytes, off, end, KEEP_ALIVE)) return OPTION_KEEP_ALIVE // as browsers send it
  let options = 0
  for (let at = off; at < end; at++) {
    while (at < end && (isSpace(bytes[at]) || bytes[at] === COMMA)) at++
    const word = at
    while (at < end && bytes[at] !== COMMA) at++
    let wordEnd = at
    while (wordEnd > word && isSpace(bytes[wordEnd - 1])) wordEnd--
    if (isWord(bytes, word, wordEnd, CLOSE)) options |= OPTION_CLOSE
    else if (isWord(bytes, word, wordEnd, KEEP_ALIVE)) options |= OPTION_KEEP_ALIVE
  }
  return options
}

/**
 * uri-host [ ":" port ] with a host that is not empty (RFC 9110 §4.2.1) and no user name (§4.2.4).
 * The text between the brackets of an IP literal is only checked for its characters.
 */
export function isAuthority(bytes: Uint8Array, off: number, end: number): boolean {
  const at = bytes[off] === LEFT_BRACKET ? ipLiteral(bytes, off, end) : regName(bytes, off, end)
  if (at <= off || at > end) return false
  return at === end || (bytes[at] === COLON && isPort(bytes, at + 1, end))
}

/** The offset behind "[…]", or -1. */
function ipLiteral(bytes: Uint8Array, off: number, end: number): number {
  let at = off + 1
  while (at < end && (CLASS[bytes[at]] & IP_LITERAL) !== 0) at++
  return at < end && bytes[at] === RIGHT_BRACKET && at - off > 2 ? at + 1 : -1
}

/** The offset behind a registered name or an IPv4 address, or -1. */
function regName(bytes: Uint8Array, off: number, end: number): number {
  let at = off
  for (; at < end; at++) {
    const c = bytes[at]
    if ((CLASS[c] & REG_NAME) !== 0) continue
    if (c !== PERCENT) break
    if (at + 2 >= end || hexDigit(bytes[at + 1]) < 0 || hexDigit(bytes[at + 2]) < 0) return -1
    at += 2
  }
  return at
}

/** A port may be empty (RFC 3986 §3.2.3). */
function isPort(bytes: Uint8Array, off: number, end: number): boolean {
  let port = 0
  for (let at = off; at < end; at++) {
    if (!isDigit(bytes[at])) return false
    port = port * 10 + bytes[at] - DIGIT_0
    if (port > PORT_MAX) return false
  }
  return true
}

const isSpace = (c: number): boolean => c === SP || c === TAB
