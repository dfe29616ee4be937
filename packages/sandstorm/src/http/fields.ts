/**
 * The header section of a request (RFC 9112 §5): strict lines, and of the fields only those that
 * decide framing, persistence, routing and conditions. Results are fields of one reused object.
 *
 * Strict means: a name is a token directly followed by its colon, no line folding, CR and LF only
 * as a pair, no control bytes. What a lenient reader would mend is where two readers of one
 * connection come to disagree about where a request ends (RFC 9112 §11.2).
 */
import { ascii, CLASS, COLON, CR, DELETE, isWord, LF, SP, TAB, TOKEN } from './chars.ts'
import {
  connectionOptions,
  contentLength,
  isAuthority,
  OPTION_CLOSE,
  OPTION_KEEP_ALIVE,
  transferCoding,
} from './fieldValues.ts'
import { KEPT_LINES_MAX } from './limits.ts'
import { INCOMPLETE } from './requestLine.ts'
import { hasControls } from './words.ts'

/**
 * The fields that matter have names of different lengths, so most are told apart by length alone.
 */
const HOST = ascii('host')
const EXPECT = ascii('expect')
const CONNECTION = ascii('connection')
const PRAGMA = ascii('pragma')
const CACHE_CONTROL = ascii('cache-control')
const AUTHORIZATION = ascii('authorization')
const CONTENT_LENGTH = ascii('content-length')
const TRANSFER_ENCODING = ascii('transfer-encoding')
const MAX_FORWARDS = ascii('max-forwards')
const CONTINUE = ascii('100-continue')
const ZERO = ascii('0')

// Fields whose lines are kept as they are, for whoever needs them: index into `lines`
export const IF_MATCH = 0
export const IF_NONE_MATCH = 1
export const IF_MODIFIED_SINCE = 2
export const IF_UNMODIFIED_SINCE = 3
export const IF_RANGE = 4
export const RANGE = 5
export const ACCEPT_ENCODING = 6
const KEPT: readonly Uint8Array[] = [
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'range',
  'accept-encoding',
].map(ascii)

const KEPT_COUNT = 7

/** Content-Length was not sent. */
export const NO_LENGTH = -1
/** Transfer-Encoding was not sent. */
export const NO_CODING = 0

export class Fields {
  hasHost = false
  /** The Host value. */
  hostOff = 0
  hostEnd = 0
  /** Connection: close, and keep-alive. */
  wantsClose = false
  wantsKeepAlive = false
  expectsContinue = false
  /** Max-Forwards: 0, which an OPTIONS may have: nobody else is to be asked (RFC 9110 §7.6.2). */
  isLastHop = false
  /** Content-Length, or NO_LENGTH. */
  length: number = NO_LENGTH
  /** NO_CODING, or what fieldValues.transferCoding says. */
  coding: number = NO_CODING
  /** Is there anything about which version, or which part of it, the client wants? */
  isConditional = false
  /** Is there anything that a cache has to think about: Cache-Control, Pragma, Authorization? */
  concernsCaches = false
  /** By kept field: how many lines it has … */
  readonly lines: Int32Array = new Int32Array(KEPT.length)
  /** … and where their values begin and end. */
  readonly #spans: Int32Array = new Int32Array(2 * KEPT_LINES_MAX * KEPT.length)

  reset(): void {
    this.hasHost = false
    this.wantsClose = false
    this.wantsKeepAlive = false
    this.expectsContinue = false
    this.isLastHop = false
    this.length = NO_LENGTH
    this.coding = NO_CODING
    this.isConditional = false
    this.concernsCaches = false
    // A loop over seven words: `fill` is a call of its own.
    for (let i = 0; i < KEPT_COUNT; i++) this.lines[i] = 0
  }

  /** Where the value of line `n` of a kept field begins, and ends. */
  startOf(field: number, n: number): number {
    return this.#spans[2 * (field * KEPT_LINES_MAX + n)]
  }
  endOf(field: number, n: number): number {
    return this.#spans[2 * (field * KEPT_LINES_MAX + n) + 1]
  }
  /** Is there exactly one line of it? Of two that should be one neither can be trusted. */
  isOnce(field: number): boolean {
    return this.lines[field] === 1
  }

  /** Reads field lines up to and with the empty line; takes and returns as requestLine.ts says. */
  parse(bytes: Uint8Array, view: DataView, off: number, end: number, fieldsMax: number): number {
    let at = off
    for (let count = 0; ; count++) {
      if (at === end) return INCOMPLETE
      if (bytes[at] === CR) return endOfLine(bytes, at, end)
      if (count === fieldsMax) return -431
      at = this.#line(bytes, view, at, end)
      if (at <= 0) return at
    }
  }

  #line(bytes: Uint8Array, view: DataView, off: number, end: number): number {
    let at = endOfToken(bytes, off, end)
    if (at === end) return INCOMPLETE
    if (at === off || bytes[at] !== COLON) return -400
    const nameEnd = at++
    while (at < end && (bytes[at] === SP || bytes[at] === TAB)) at++
    const valueOff = at
    at = endOfValue(bytes, view, at, end)
    const next = endOfLine(bytes, at, end)
    if (next <= 0) return next
    while (at > valueOff && (bytes[at - 1] === SP || bytes[at - 1] === TAB)) at--
    return this.#field(bytes, off, nameEnd, valueOff, at) ? next : -400
  }

  /** Takes one field; false if its value makes the whole request invalid. */
  #field(bytes: Uint8Array, name: number, nameEnd: number, off: number, end: number): boolean {
    switch (nameEnd - name) {
      case 4:
        return !isWord(bytes, name, nameEnd, HOST) || this.#host(bytes, off, end)
      case 6:
        if (isWord(bytes, name, nameEnd, EXPECT) && isWord(bytes, off, end, CONTINUE)) {
          this.expectsContinue = true
        }
        if (isWord(bytes, name, nameEnd, PRAGMA)) this.concernsCaches = true
        return true
      case 12:
        if (isWord(bytes, name, nameEnd, MAX_FORWARDS) && isWord(bytes, off, end, ZERO)) {
          this.isLastHop = true
        }
        return true
      case 10:
        if (isWord(bytes, name, nameEnd, CONNECTION)) this.#connection(bytes, off, end)
        return true
      case 5:
        return this.#keep(RANGE, bytes, name, nameEnd, off, end)
      case 8:
        this.#keep(IF_RANGE, bytes, name, nameEnd, off, end)
        return this.#keep(IF_MATCH, bytes, name, nameEnd, off, end)
      case 13:
        if (isWord(bytes, name, nameEnd, CACHE_CONTROL)) this.concernsCaches = true
        if (isWord(bytes, name, nameEnd, AUTHORIZATION)) this.concernsCaches = true
        return this.#keep(IF_NONE_MATCH, bytes, name, nameEnd, off, end)
      case 15:
        return this.#keep(ACCEPT_ENCODING, bytes, name, nameEnd, off, end)
      case 19:
        return this.#keep(IF_UNMODIFIED_SINCE, bytes, name, nameEnd, off, end)
      case 14:
        return !isWord(bytes, name, nameEnd, CONTENT_LENGTH) || this.#length(bytes, off, end)
      case 17:
        this.#keep(IF_MODIFIED_SINCE, bytes, name, nameEnd, off, end)
        return !isWord(bytes, name, nameEnd, TRANSFER_ENCODING) || this.#coding(bytes, off, end)
      default:
        return true
    }
  }

  /** Once, and a valid authority (RFC 9112 §3.2). */
  #host(bytes: Uint8Array, off: number, end: number): boolean {
    if (this.hasHost) return false
    this.hasHost = true
    this.hostOff = off
    this.hostEnd = end
    return isAuthority(bytes, off, end)
  }

  #connection(bytes: Uint8Array, off: number, end: number): void {
    const options = connectionOptions(bytes, off, end)
    if ((options & OPTION_CLOSE) !== 0) this.wantsClose = true
    if ((options & OPTION_KEEP_ALIVE) !== 0) this.wantsKeepAlive = true
  }

  /** Keeps the line if it is one of `field`; true: whatever it holds, the request is valid. */
  #keep(
    field: number,
    bytes: Uint8Array,
    name: number,
    nameEnd: number,
    off: number,
    end: number,
  ): true {
    if (!isWord(bytes, name, nameEnd, KEPT[field])) return true
    if (field !== ACCEPT_ENCODING) this.isConditional = true
    const n = this.lines[field]++
    if (n < KEPT_LINES_MAX) {
      this.#spans[2 * (field * KEPT_LINES_MAX + n)] = off
      this.#spans[2 * (field * KEPT_LINES_MAX + n) + 1] = end
    } else {
      this.lines[field] = KEPT_LINES_MAX
    }
    return true
  }

  /** Said again, it must be the same (RFC 9112 §6.3, rule 5). */
  #length(bytes: Uint8Array, off: number, end: number): boolean {
    const length = contentLength(bytes, off, end)
    const isSame = this.length === NO_LENGTH || this.length === length
    this.length = length
    return length >= 0 && isSame
  }

  /** Once: with two, the coding that ends the body is anybody's guess. */
  #coding(bytes: Uint8Array, off: number, end: number): boolean {
    if (this.coding !== NO_CODING) return false
    this.coding = transferCoding(bytes, off, end)
    return this.coding !== NO_CODING
  }
}

/**
 * The offset of the first byte that is no tchar (RFC 9110 §5.6.2). Here and below the constants are
 * copied before the loop: Node 20 loads an imported constant anew at each use, and most bytes of a
 * head pass through such a loop (1.2 instead of 2.2 ns a byte; Node 24 makes no difference).
 */
function endOfToken(bytes: Uint8Array, off: number, end: number): number {
  const classes = CLASS
  const token = TOKEN
  let at = off
  while (at < end && (classes[bytes[at]] & token) !== 0) at++
  return at
}

/**
 * The offset of the first byte that no value holds (RFC 9110 §5.5). Four at a time, up to the four
 * that have it or a TAB.
 */
function endOfValue(bytes: Uint8Array, view: DataView, off: number, end: number): number {
  const sp = SP
  const tab = TAB
  const del = DELETE
  let at = off
  while (at + 4 <= end && !hasControls(view.getInt32(at))) at += 4
  for (; at < end; at++) {
    const c = bytes[at]
    if ((c < sp && c !== tab) || c === del) break
  }
  return at
}

/** The offset behind the CR LF at `off`. */
function endOfLine(bytes: Uint8Array, off: number, end: number): number {
  if (off === end) return INCOMPLETE
  if (bytes[off] !== CR) return -400
  if (off + 1 === end) return INCOMPLETE
  return bytes[off + 1] === LF ? off + 2 : -400
}
