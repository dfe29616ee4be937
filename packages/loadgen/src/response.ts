/**
 * Reads HTTP/1.1 responses as they come (RFC 9112), those of many connections: any piece of bytes
 * goes in, and nothing of it is kept but some numbers. What ends a body: its Content-Length, its
 * last chunk, or the connection's end. Of the head only what that needs is looked at, and its other
 * fields are skipped; this is a reader for a load generator, which does not defend anybody behind
 * it.
 *
 * Invariant: no byte of a body is taken for the head of the next answer, and nothing throws.
 * Reading allocates nothing.
 */
import { Bodies } from './bodies.ts'
import {
  advance,
  CHUNKED,
  CLOSE,
  CONNECTION,
  CONTENT_LENGTH,
  KEEP_ALIVE,
  NAME_START,
  NO_WORD,
  TOKEN_START,
  TRANSFER_ENCODING,
  wordOf,
} from './words.ts'

// A connection's int32s
const PHASE = 0
const MATCH = 1 // how far a word, or the status line, was seen
const STATUS = 2
const FLAGS = 3
const HEAD = 4 // bytes of the head
const STRIDE = 5
// Its doubles
const LENGTH_SEEN = 0 // the digits of Content-Length so far
const DECLARED = 1 // Content-Length
const WIDE_STRIDE = 2

// Phases
const STATUS_LINE = 0
const REASON = 1
const NAME = 2
const SKIP = 3
const LENGTH = 4
const TOKENS = 5
const HEAD_END = 6
const BODY = 7
const BAD = 8

// Flags
const KEEPS = 1 // the connection may carry another
const HAS_LENGTH = 2
const HAS_ENCODING = 4
const IS_CHUNKED = 8 // chunked is the last coding
const OF_CONNECTION = 16 // these tokens are a Connection field's
const AFTER_WORD = 32 // white space has come behind the token, or the number

/** Longer heads are no answers. */
export const HEAD_MAX = 65536
/** Content-Length stays below 2^53. */
const DIGITS_MAX = 15

const CR = 13
const LF = 10
const SPACE = 32
const TAB = 9
const COMMA = 44
const COLON = 58
const VERSION: Uint8Array = new TextEncoder().encode('HTTP/1.')
/** Places in `HTTP/1.1 200`. */
const MINOR = 7
const STATUS_AT = 9
const STATUS_END = 12

export class Responses {
  readonly #numbers: Int32Array
  readonly #wide: Float64Array
  readonly #bodies: Bodies

  /** Of so many connections, by their number. */
  constructor(count: number) {
    this.#numbers = new Int32Array(count * STRIDE)
    this.#wide = new Float64Array(count * WIDE_STRIDE)
    this.#bodies = new Bodies(count)
  }

  /** The next bytes of connection `i` begin a response. `isHashed`: `hash` will be asked for. */
  begin(i: number, isHashed: boolean): void {
    this.#numbers[i * STRIDE + HEAD] = 0
    this.#bodies.begin(i, isHashed)
    this.#beginHead(i)
  }

  #beginHead(i: number): void {
    this.#numbers[i * STRIDE + STATUS] = 0
    this.#numbers[i * STRIDE + FLAGS] = 0
    this.#go(i, STATUS_LINE)
  }

  /**
   * Takes what belongs to the response of bytes[off, off + len) and returns how much that is. Less
   * than `len`: it is done, or bad, and the rest is not its own.
   */
  read(i: number, bytes: Uint8Array, off: number, len: number): number {
    const numbers = this.#numbers
    const r = i * STRIDE
    const end = off + len
    let at = off
    while (at < end && numbers[r + PHASE] < BODY) at = this.#head(i, bytes, at, end)
    if (numbers[r + PHASE] === BODY && at < end) {
      const bodyEnd = this.#bodies.read(i, bytes, at, end)
      numbers[r + HEAD] += at - off
      return bodyEnd - off
    }
    numbers[r + HEAD] += at - off
    if (numbers[r + HEAD] > HEAD_MAX) this.#go(i, BAD)
    return at - off
  }

  /** The connection's bytes are over: the end of some bodies, and of others too soon. */
  end(i: number): void {
    if (this.#numbers[i * STRIDE + PHASE] === BODY) this.#bodies.end(i)
  }

  isDone(i: number): boolean {
    return this.#numbers[i * STRIDE + PHASE] === BODY && this.#bodies.isDone(i)
  }

  /** It is no HTTP. */
  isBad(i: number): boolean {
    return this.#numbers[i * STRIDE + PHASE] === BAD || this.#bodies.isBad(i)
  }

  /** 100 to 999; 0: not known yet. */
  status(i: number): number {
    return this.#numbers[i * STRIDE + STATUS]
  }

  /** May the connection carry another request? */
  keeps(i: number): boolean {
    return (this.#numbers[i * STRIDE + FLAGS] & KEEPS) !== 0
  }

  /** Bytes of the body that have come, without the framing of chunks. */
  bodyBytes(i: number): number {
    return this.#bodies.bytes(i)
  }

  isHashed(i: number): boolean {
    return this.#bodies.isHashed(i)
  }

  /** The body's hash, if that was asked for. */
  hash(i: number): number {
    return this.#bodies.hash(i)
  }

  #head(i: number, bytes: Uint8Array, at: number, end: number): number {
    switch (this.#numbers[i * STRIDE + PHASE]) {
      case STATUS_LINE:
        return this.#statusLine(i, bytes, at)
      case NAME:
        return this.#name(i, bytes, at, end)
      case LENGTH:
        return this.#length(i, bytes, at)
      case TOKENS:
        return this.#tokens(i, bytes, at)
      case HEAD_END:
        return this.#headEnd(i, bytes, at)
      default: // REASON, SKIP
        return this.#skipLine(i, bytes, at, end, NAME)
    }
  }

  #go(i: number, phase: number, match = 0): void {
    this.#numbers[i * STRIDE + PHASE] = phase
    this.#numbers[i * STRIDE + MATCH] = match
  }

  /** RFC 9112 §4: the version, a space, three digits; then a reason, or none. */
  #statusLine(i: number, bytes: Uint8Array, at: number): number {
    const numbers = this.#numbers
    const r = i * STRIDE
    const pos = numbers[r + MATCH]++
    const byte = bytes[at]
    const digit = byte - 48
    let isRight = true
    if (pos < MINOR) isRight = byte === VERSION[pos]
    else if (pos === MINOR) {
      isRight = digit === 0 || digit === 1
      if (digit === 1) numbers[r + FLAGS] |= KEEPS
    } else if (pos < STATUS_AT) isRight = byte === SPACE
    else if (pos < STATUS_END) {
      isRight = digit >= 0 && digit <= 9 && (pos > STATUS_AT || digit > 0)
      numbers[r + STATUS] = numbers[r + STATUS] * 10 + digit
    } else {
      isRight = byte === SPACE || byte === CR || byte === LF
      this.#go(i, REASON)
      if (isRight) return at // the reason's line end may be this
    }
    if (!isRight) this.#go(i, BAD)
    return at + 1
  }

  /** To the end of a line; then to `next`. A lone LF ends one as well (RFC 9112 §2.2). */
  #skipLine(i: number, bytes: Uint8Array, at: number, end: number, next: number): number {
    let p = at
    while (p < end && bytes[p] !== LF) p++
    if (p === end) return end
    this.#go(i, next, NAME_START)
    return p + 1
  }

  #name(i: number, bytes: Uint8Array, at: number, end: number): number {
    const r = i * STRIDE
    let match = this.#numbers[r + MATCH]
    let p = at
    for (; p < end; p++) {
      const byte = bytes[p]
      if (byte === COLON) {
        this.#field(i, wordOf(match))
        return p + 1
      }
      if (byte <= SPACE || byte >= 127) {
        // An empty line; or a name that is none, such as a folded line (RFC 9112 §5.2).
        const isEmpty = match === NAME_START && (byte === CR || byte === LF)
        this.#go(i, isEmpty ? HEAD_END : BAD)
        return byte === CR ? p + 1 : p
      }
      match = advance(match, byte)
    }
    this.#numbers[r + MATCH] = match
    return end
  }

  /** The value of a field comes next. */
  #field(i: number, word: number): void {
    const r = i * STRIDE
    this.#numbers[r + FLAGS] &= ~(OF_CONNECTION | AFTER_WORD)
    if (word === CONTENT_LENGTH) {
      this.#wide[i * WIDE_STRIDE + LENGTH_SEEN] = 0
      this.#go(i, LENGTH)
    } else if (word === CONNECTION || word === TRANSFER_ENCODING) {
      this.#numbers[r + FLAGS] |= word === CONNECTION ? OF_CONNECTION : HAS_ENCODING
      this.#go(i, TOKENS, TOKEN_START)
    } else this.#go(i, SKIP)
  }

  /** A byte of Content-Length (RFC 9110 §8.6); MATCH counts digits. */
  #length(i: number, bytes: Uint8Array, at: number): number {
    const numbers = this.#numbers
    const r = i * STRIDE
    const byte = bytes[at]
    const digit = byte - 48
    const isInNumber = (numbers[r + FLAGS] & AFTER_WORD) === 0
    if (byte === LF) this.#endLength(i)
    else if (byte === SPACE || byte === TAB || byte === CR) {
      if (numbers[r + MATCH] > 0) numbers[r + FLAGS] |= AFTER_WORD
    } else if (digit >= 0 && digit <= 9 && isInNumber && numbers[r + MATCH] < DIGITS_MAX) {
      numbers[r + MATCH]++
      this.#wide[i * WIDE_STRIDE + LENGTH_SEEN] =
        this.#wide[i * WIDE_STRIDE + LENGTH_SEEN] * 10 + digit
    } else this.#go(i, BAD)
    return at + 1
  }

  /** Two that agree are one. */
  #endLength(i: number): void {
    const r = i * STRIDE
    const w = i * WIDE_STRIDE
    const isSecond = (this.#numbers[r + FLAGS] & HAS_LENGTH) !== 0
    const isWrong = isSecond && this.#wide[w + DECLARED] !== this.#wide[w + LENGTH_SEEN]
    this.#wide[w + DECLARED] = this.#wide[w + LENGTH_SEEN]
    this.#numbers[r + FLAGS] |= HAS_LENGTH
    if (isWrong || this.#numbers[r + MATCH] === 0) this.#go(i, BAD)
    else this.#go(i, NAME, NAME_START)
  }

  /** A byte of Connection, or of Transfer-Encoding: tokens with commas between them. */
  #tokens(i: number, bytes: Uint8Array, at: number): number {
    const numbers = this.#numbers
    const r = i * STRIDE
    const byte = bytes[at]
    if (byte === COMMA || byte === LF) {
      if (numbers[r + MATCH] !== TOKEN_START) this.#token(r, wordOf(numbers[r + MATCH]))
      numbers[r + FLAGS] &= ~AFTER_WORD
      if (byte === LF) this.#go(i, NAME, NAME_START)
      else numbers[r + MATCH] = TOKEN_START
    } else if (byte === SPACE || byte === TAB || byte === CR) {
      if (numbers[r + MATCH] !== TOKEN_START) numbers[r + FLAGS] |= AFTER_WORD
    } else {
      const isMore = (numbers[r + FLAGS] & AFTER_WORD) === 0
      numbers[r + MATCH] = isMore ? advance(numbers[r + MATCH], byte) : NO_WORD
    }
    return at + 1
  }

  #token(r: number, word: number): void {
    const numbers = this.#numbers
    if (numbers[r + FLAGS] & OF_CONNECTION) {
      if (word === CLOSE) numbers[r + FLAGS] &= ~KEEPS
      if (word === KEEP_ALIVE) numbers[r + FLAGS] |= KEEPS
    } else if (word === CHUNKED) numbers[r + FLAGS] |= IS_CHUNKED
    else numbers[r + FLAGS] &= ~IS_CHUNKED
  }

  /** The LF of the empty line: what follows is RFC 9112 §6.3's list. */
  #headEnd(i: number, bytes: Uint8Array, at: number): number {
    const numbers = this.#numbers
    const r = i * STRIDE
    const status = numbers[r + STATUS]
    const flags = numbers[r + FLAGS]
    const hasBoth = (flags & (HAS_ENCODING | HAS_LENGTH)) === (HAS_ENCODING | HAS_LENGTH)
    if (bytes[at] !== LF || status === 101 || hasBoth) this.#go(i, BAD)
    else if (status < 200)
      this.#beginHead(i) // that was an interim one (RFC 9110 §15.2)
    else {
      this.#go(i, BODY)
      if (status !== 204 && status !== 304) this.#beginBody(i, flags)
    }
    return at + 1
  }

  #beginBody(i: number, flags: number): void {
    if (flags & IS_CHUNKED) this.#bodies.expectChunks(i)
    else if (flags & HAS_LENGTH) this.#bodies.expect(i, this.#wide[i * WIDE_STRIDE + DECLARED])
    else {
      this.#numbers[i * STRIDE + FLAGS] &= ~KEEPS
      this.#bodies.expectToClose(i)
    }
  }
}
