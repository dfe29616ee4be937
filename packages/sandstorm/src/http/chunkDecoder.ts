/**
 * Bodies in chunks (RFC 9112 §7.1), read as they come: what of the bytes is data, and where the
 * body ends. Strict, since a lenient reader and its neighbour come to disagree about where the next
 * request begins (§11.2): sizes are hexadecimal digits, lines end in CR LF, extensions and trailers
 * hold no control bytes. What need not be there (extensions, trailers, leading zeros) is read over,
 * and bounded.
 *
 * Invariant: the same bytes give the same data, end and verdict, however they are cut into calls.
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

// What the next byte belongs to
const SIZE_BEGIN = 0
const SIZE = 1
const SIZE_LF = 2
const DATA = 3
const DATA_CR = 4
const DATA_LF = 5
const LAST_LF = 6
const OVER = 7
const BAD = 8
// … and where it need not be there
const NAME_BEGIN = 9 // of an extension
const NAME = 10
const VALUE_BEGIN = 11
const VALUE = 12
const QUOTED = 13
const QUOTED_END = 14
const TRAILER_BEGIN = 15
const TRAILER_NAME = 16
const TRAILER_VALUE = 17
const TRAILER_LF = 18

export class ChunkDecoder {
  /** Of the bytes that the last call took, [dataOff, dataEnd) are data. */
  dataOff = 0
  dataEnd = 0
  /** 400, or 413: too large. Then nothing more is taken; 0: well-formed so far. */
  refused = 0
  readonly #bodyBytes: number
  readonly #extraBytes: number
  #state = SIZE_BEGIN
  /** Of the chunk, still to come. */
  #size = 0
  /** Data that the chunks to come may hold. */
  #left: number
  /** Bytes that need not have been there, less those of data that came behind them. */
  #extras = 0

  /**
   * `bodyBytes`: of data in all; `extraBytes`: of extensions, trailers and leading zeros, beyond
   * one for each byte of data behind them.
   */
  constructor(bodyBytes: number, extraBytes: number) {
    this.#bodyBytes = bodyBytes
    this.#extraBytes = extraBytes
    this.#left = bodyBytes
  }

  /** Another body begins. */
  reset(): void {
    this.refused = 0
    this.#state = SIZE_BEGIN
    this.#size = 0
    this.#left = this.#bodyBytes
    this.#extras = 0
  }

  /** All of the body has been read, trailers included. */
  get isOver(): boolean {
    return this.#state === OVER
  }

  /**
   * Reads bytes[off, end) up to the end of the next run of data; returns the offset behind what it
   * took. That is `end` unless data, the body or its good form ends before.
   */
  next(bytes: Uint8Array, off: number, end: number): number {
    let at = off
    while (at < end && this.#state !== DATA && !this.#isDone) this.#read(bytes[at++])
    this.dataOff = at
    if (this.#state === DATA) {
      const count = Math.min(this.#size, end - at)
      at += count
      this.#size -= count
      if (this.#size === 0) this.#state = DATA_CR
    }
    this.dataEnd = at
    return at
  }

  /** Reads all that bytes[off, end) have of the body; returns the offset behind it. */
  skip(bytes: Uint8Array, off: number, end: number): number {
    let at = off
    while (at < end && !this.#isDone) at = this.next(bytes, at, end)
    return at
  }

  /**
   * Likewise, and moves the data together, to `off`; `dataOff` and `dataEnd` say where they then
   * are.
   */
  gather(bytes: Uint8Array, off: number, end: number): number {
    let at = off
    let to = off
    while (at < end && !this.#isDone) {
      at = this.next(bytes, at, end)
      if (to !== this.dataOff) bytes.copyWithin(to, this.dataOff, this.dataEnd)
      to += this.dataEnd - this.dataOff
    }
    this.dataOff = off
    this.dataEnd = to
    return at
  }

  get #isDone(): boolean {
    return this.#state === OVER || this.#state === BAD
  }

  #read(c: number): void {
    const digit = this.#state <= SIZE ? hexDigit(c) : -1
    if (digit >= 0) {
      this.#takeDigit(digit)
      return
    }
    if (this.#state === SIZE && this.#size > this.#left) {
      this.#refuse(413)
      return
    }
    if (this.#state >= NAME_BEGIN) this.#countExtra()
    if (this.#state === BAD) return
    const mayBeData = this.#state === SIZE_LF && this.#size > 0
    this.#state = stateAfter(this.#state, c)
    if (this.#state === BAD) this.#refuse(400)
    else if (mayBeData) this.#beginData()
  }

  #beginData(): void {
    this.#state = DATA
    this.#left -= this.#size
    this.#extras = Math.max(0, this.#extras - this.#size)
  }

  #takeDigit(digit: number): void {
    if (this.#size === 0 && digit === 0) this.#countExtra()
    if (this.#state === BAD) return
    this.#state = SIZE
    this.#size = this.#size * 16 + digit
    // Other readers might wrap it.
    if (this.#size > Number.MAX_SAFE_INTEGER) this.#refuse(400)
  }

  #countExtra(): void {
    if (++this.#extras > this.#extraBytes) this.#refuse(413)
  }

  #refuse(status: number): void {
    this.#state = BAD
    this.refused = status
  }
}

/**
 * The end of the whole body that begins at `off`: as requestLine.ts says, INCOMPLETE, or a negated
 * status.
 */
export function chunkedEnd(
  chunks: ChunkDecoder,
  bytes: Uint8Array,
  off: number,
  end: number,
): number {
  chunks.reset()
  const at = chunks.skip(bytes, off, end)
  if (chunks.refused > 0) return -chunks.refused
  return chunks.isOver ? at : INCOMPLETE
}

/**
 * The state behind `c`, which is neither data nor a digit of a size; TRAILER_BEGIN behind a size's
 * line.
 */
function stateAfter(state: number, c: number): number {
  switch (state) {
    case SIZE:
    case QUOTED_END:
      return afterPart(c)
    case SIZE_LF:
    case TRAILER_LF:
      return c === LF ? TRAILER_BEGIN : BAD
    case DATA_CR:
      return c === CR ? DATA_LF : BAD
    case DATA_LF:
      return c === LF ? SIZE_BEGIN : BAD
    case LAST_LF:
      return c === LF ? OVER : BAD
    case TRAILER_BEGIN:
      return c === CR ? LAST_LF : isToken(c) ? TRAILER_NAME : BAD
    case TRAILER_NAME:
      return c === COLON ? TRAILER_VALUE : isToken(c) ? TRAILER_NAME : BAD
    case TRAILER_VALUE:
      return c === CR ? TRAILER_LF : isText(c) ? TRAILER_VALUE : BAD
    default:
      return afterExtension(state, c)
  }
}

/**
 * Extensions are `;name`, `;name=token`, `;name="text"`, any number of them (§7.1.1): without the
 * white space that nobody should send, and without escapes.
 */
function afterExtension(state: number, c: number): number {
  switch (state) {
    case NAME_BEGIN:
      return isToken(c) ? NAME : BAD
    case NAME:
      return c === EQUALS ? VALUE_BEGIN : isToken(c) ? NAME : afterPart(c)
    case VALUE_BEGIN:
      return c === QUOTE ? QUOTED : isToken(c) ? VALUE : BAD
    case VALUE:
      return isToken(c) ? VALUE : afterPart(c)
    case QUOTED:
      return c === QUOTE ? QUOTED_END : isText(c) && c !== BACKSLASH ? QUOTED : BAD
    default:
      return BAD
  }
}

/** Behind a size or an extension there is one more, or the end of the line. */
const afterPart = (c: number): number => (c === SEMICOLON ? NAME_BEGIN : c === CR ? SIZE_LF : BAD)

const isToken = (c: number): boolean => (CLASS[c] & TOKEN) !== 0
const isText = (c: number): boolean => (c >= SP && c !== DELETE) || c === TAB
