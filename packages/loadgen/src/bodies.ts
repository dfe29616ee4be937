/**
 * Reads the bodies of HTTP/1.1 responses as they come, those of many connections: what frames one
 * is its length, chunks, or the connection's end (RFC 9112 §6, §7.1). Of the bytes nothing is kept
 * but their number and, where asked for, a hash. Nothing throws, and reading allocates nothing.
 */

// A connection's int32s
const PHASE = 0
const COUNT = 1 // digits of the size of a chunk, then CRs behind it
const HASH = 2
const IS_HASHED = 3
const STRIDE = 4
// Its doubles
const LEFT = 0 // bytes of the body, or of the chunk, that are still to come
const BYTES = 1 // bytes of the body that have come
const WIDE_STRIDE = 2

// Phases
const DONE = 0
const BAD = 1
const FIXED = 2
const TO_CLOSE = 3
const CHUNK_SIZE = 4
const CHUNK_EXTENSION = 5
const CHUNK_DATA = 6
const CHUNK_END = 7
const TRAILER = 8
const TRAILER_LINE = 9

/** Chunk sizes stay below 2^53. */
const DIGITS_MAX = 13
const CR = 13
const LF = 10
const SPACE = 32
const TAB = 9
const SEMICOLON = 59
/** FNV-1a, 32 bits (draft-eastlake-fnv): order matters, and it is one multiplication a byte. */
const FNV_START: number = 0x811c9dc5 | 0
const FNV_PRIME = 0x01000193

export class Bodies {
  readonly #numbers: Int32Array
  readonly #wide: Float64Array

  /** Of so many connections, by their number. */
  constructor(count: number) {
    this.#numbers = new Int32Array(count * STRIDE)
    this.#wide = new Float64Array(count * WIDE_STRIDE)
  }

  /** A response begins on connection `i`; until its head says otherwise it has no body. */
  begin(i: number, isHashed: boolean): void {
    const r = i * STRIDE
    this.#numbers[r + PHASE] = DONE
    this.#numbers[r + HASH] = FNV_START
    this.#numbers[r + IS_HASHED] = isHashed ? 1 : 0
    this.#wide[i * WIDE_STRIDE + BYTES] = 0
  }

  /** So many bytes follow. */
  expect(i: number, bytes: number): void {
    this.#wide[i * WIDE_STRIDE + LEFT] = bytes
    this.#numbers[i * STRIDE + PHASE] = bytes > 0 ? FIXED : DONE
  }

  /** Chunks follow. */
  expectChunks(i: number): void {
    this.#wide[i * WIDE_STRIDE + LEFT] = 0
    this.#numbers[i * STRIDE + PHASE] = CHUNK_SIZE
    this.#numbers[i * STRIDE + COUNT] = 0
  }

  /** All that follows is the body. */
  expectToClose(i: number): void {
    this.#numbers[i * STRIDE + PHASE] = TO_CLOSE
  }

  /** Takes what belongs to the body of bytes[at, end); returns where that ends. */
  read(i: number, bytes: Uint8Array, at: number, end: number): number {
    let p = at
    while (p < end && this.#numbers[i * STRIDE + PHASE] > BAD) p = this.#step(i, bytes, p, end)
    return p
  }

  /** The connection's bytes are over: the end of some bodies, and of others too soon. */
  end(i: number): void {
    if (this.#numbers[i * STRIDE + PHASE] === TO_CLOSE) this.#numbers[i * STRIDE + PHASE] = DONE
  }

  isDone(i: number): boolean {
    return this.#numbers[i * STRIDE + PHASE] === DONE
  }

  /** Its framing is wrong. */
  isBad(i: number): boolean {
    return this.#numbers[i * STRIDE + PHASE] === BAD
  }

  /** Bytes that have come, without the framing of chunks. */
  bytes(i: number): number {
    return this.#wide[i * WIDE_STRIDE + BYTES]
  }

  isHashed(i: number): boolean {
    return this.#numbers[i * STRIDE + IS_HASHED] === 1
  }

  hash(i: number): number {
    return this.#numbers[i * STRIDE + HASH]
  }

  #step(i: number, bytes: Uint8Array, at: number, end: number): number {
    switch (this.#numbers[i * STRIDE + PHASE]) {
      case FIXED:
        return this.#data(i, bytes, at, end, DONE)
      case CHUNK_DATA:
        return this.#data(i, bytes, at, end, CHUNK_END)
      case TO_CLOSE:
        this.#take(i, bytes, at, end)
        return end
      case CHUNK_SIZE:
        return this.#chunkSize(i, bytes, at)
      case CHUNK_EXTENSION:
        return this.#chunkExtension(i, bytes, at, end)
      case CHUNK_END:
        return this.#chunkEnd(i, bytes, at)
      case TRAILER:
        return this.#trailer(i, bytes, at)
      default: // TRAILER_LINE
        return this.#skipLine(i, bytes, at, end, TRAILER)
    }
  }

  #skipLine(i: number, bytes: Uint8Array, at: number, end: number, next: number): number {
    let p = at
    while (p < end && bytes[p] !== LF) p++
    if (p === end) return end
    this.#numbers[i * STRIDE + PHASE] = next
    return p + 1
  }

  #data(i: number, bytes: Uint8Array, at: number, end: number, next: number): number {
    const w = i * WIDE_STRIDE
    const left = this.#wide[w + LEFT]
    // `| 0`: an int32 is a small integer, a double would be allocated.
    const until = end - at < left ? end : at + (left | 0)
    this.#take(i, bytes, at, until)
    this.#wide[w + LEFT] = left - (until - at)
    if (until - at === left) {
      this.#numbers[i * STRIDE + PHASE] = next
      this.#numbers[i * STRIDE + COUNT] = 0
    }
    return until
  }

  #take(i: number, bytes: Uint8Array, at: number, end: number): void {
    const r = i * STRIDE
    this.#wide[i * WIDE_STRIDE + BYTES] += end - at
    if (this.#numbers[r + IS_HASHED] === 0) return
    let hash = this.#numbers[r + HASH]
    for (let p = at; p < end; p++) hash = Math.imul(hash ^ bytes[p], FNV_PRIME)
    this.#numbers[r + HASH] = hash
  }

  /** A byte of a chunk's size (RFC 9112 §7.1). */
  #chunkSize(i: number, bytes: Uint8Array, at: number): number {
    const numbers = this.#numbers
    const r = i * STRIDE
    const byte = bytes[at]
    const digit = hexDigit(byte)
    if (digit >= 0 && numbers[r + COUNT] < DIGITS_MAX) {
      numbers[r + COUNT]++
      this.#wide[i * WIDE_STRIDE + LEFT] = this.#wide[i * WIDE_STRIDE + LEFT] * 16 + digit
      return at + 1
    }
    const isEnd = byte === CR || byte === LF || byte === SEMICOLON || byte === SPACE || byte === TAB
    this.#numbers[i * STRIDE + PHASE] = isEnd && numbers[r + COUNT] > 0 ? CHUNK_EXTENSION : BAD
    return at
  }

  #chunkExtension(i: number, bytes: Uint8Array, at: number, end: number): number {
    const isLast = this.#wide[i * WIDE_STRIDE + LEFT] === 0
    return this.#skipLine(i, bytes, at, end, isLast ? TRAILER : CHUNK_DATA)
  }

  #chunkEnd(i: number, bytes: Uint8Array, at: number): number {
    const byte = bytes[at]
    if (byte === LF) this.expectChunks(i)
    else if (byte !== CR || this.#numbers[i * STRIDE + COUNT]++ > 0)
      this.#numbers[i * STRIDE + PHASE] = BAD
    return at + 1
  }

  /** The first bytes of a trailer's line: an empty one is the end. */
  #trailer(i: number, bytes: Uint8Array, at: number): number {
    const byte = bytes[at]
    if (byte === LF) this.#numbers[i * STRIDE + PHASE] = DONE
    else if (byte !== CR) this.#numbers[i * STRIDE + PHASE] = TRAILER_LINE
    return at + 1
  }
}

/** -1: it is none. */
function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const letter = (byte | 0x20) - 97
  return letter >= 0 && letter < 6 ? letter + 10 : -1
}
