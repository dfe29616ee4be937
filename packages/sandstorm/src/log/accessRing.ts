/**
 * The access log's way from a packet thread to the main thread: records of various lengths in
 * shared memory. One writes, one reads, and the writer never waits: what finds no room is dropped
 * and counted.
 *
 *   0 produced: bytes written, in all   64 consumed: bytes read, in all   128 records dropped   192 … records
 *   a record: its size (32), status (32), time (64), content bytes (64), address (4 × 32), version and
 *   port (2 × 16), length of the head (32), flags (32), 0 (32), the head; a multiple of 8 bytes, in one piece
 *
 * Indices run on and wrap. What is left at the end, too short for a record, is skipped: a size of
 * SKIP says so. Indices outlive a thread that dies: a half-written record was never produced.
 */
import { assert } from '@sandstorm/libnmio'
import { type AccessLog, type AccessRecord, HEAD_CUT } from './accessLog.ts'

/** Of a longer head no more is kept. */
export const HEAD_KEPT_BYTES = 4096
/** 0.1 s (accessPoller.ts) of 160,000 answers a second to a browser's heads. */
const ACCESS_RING_BYTES: number = 8 << 20

// Words of the ring, each in a cache line of its own
const PRODUCED = 0
const CONSUMED = 16
const DROPPED = 32
const RECORDS = 192 // bytes

// Words of a record
const SIZE = 0
const STATUS = 1
const TIME = 2 // a float64
const BODY = 4 // a float64
const ADDRESS = 6
const VERSION_PORT = 10
const HEAD_LEN = 11
const FLAGS = 12
const FIXED_LEN = 56 // bytes
const SKIP = -1

/** Of which the longest record takes a quarter. */
const CAPACITY_MIN = 16384
const CAPACITY_MAX = 1 << 29

/** The reader's record: the same object for each, over the ring's memory. */
class Taken implements AccessRecord {
  timeMs = 0
  version = 4
  w0 = 0
  w1 = 0
  w2 = 0
  w3 = 0
  port = 0
  status = 0
  bodyBytes = 0
  flags = 0
  start = 0
  end = 0
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

export class AccessRing implements AccessLog {
  timeMs: number = Date.now()
  readonly #words: Int32Array
  readonly #doubles: Float64Array
  readonly #bytes: Uint8Array
  readonly #capacity: number
  readonly #taken: Taken
  /** Over the bytes that heads come from, which are always the same on a packet thread. */
  #source: Uint8Array
  #view: DataView

  /** Memory for a ring with room for so many bytes of records, at least. */
  static allocate(bytes: number = ACCESS_RING_BYTES): SharedArrayBuffer {
    assert(bytes <= CAPACITY_MAX, 'an access ring has 512 MiB at most')
    let capacity = CAPACITY_MIN
    while (capacity < bytes) capacity *= 2
    return new SharedArrayBuffer(RECORDS + capacity)
  }

  /** One end of the ring in this memory, as it was left: the writer's or the reader's. */
  constructor(memory: SharedArrayBuffer) {
    this.#capacity = memory.byteLength - RECORDS
    const isPower = (this.#capacity & (this.#capacity - 1)) === 0
    assert(isPower && this.#capacity >= CAPACITY_MIN, 'the memory is from AccessRing.allocate')
    this.#words = new Int32Array(memory)
    this.#doubles = new Float64Array(memory)
    this.#bytes = new Uint8Array(memory)
    this.#taken = new Taken(this.#bytes)
    this.#source = this.#bytes
    this.#view = new DataView(memory)
  }

  /** For the writer. */
  request(
    version: 4 | 6,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    port: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    status: number,
    bodyBytes: number,
    flags: number,
  ): void {
    const isCut = end - start > HEAD_KEPT_BYTES
    const headLen = isCut ? HEAD_KEPT_BYTES : end - start
    const size = (FIXED_LEN + headLen + 7) & ~7
    const words = this.#words
    let at = Atomics.load(words, PRODUCED)
    const left = this.#capacity - (at & (this.#capacity - 1))
    const gap = left < size ? left : 0
    const used = (at - Atomics.load(words, CONSUMED)) | 0
    if (used + gap + size > this.#capacity) {
      Atomics.add(words, DROPPED, 1)
      return
    }
    if (gap > 0) {
      words[this.#wordAt(at)] = SKIP
      at = (at + gap) | 0
    }
    const r = this.#wordAt(at)
    words[r + SIZE] = size
    words[r + STATUS] = status
    this.#doubles[(r + TIME) >> 1] = this.timeMs
    this.#doubles[(r + BODY) >> 1] = bodyBytes
    words[r + ADDRESS] = w0
    words[r + ADDRESS + 1] = w1
    words[r + ADDRESS + 2] = w2
    words[r + ADDRESS + 3] = w3
    words[r + VERSION_PORT] = (version << 16) | port
    words[r + HEAD_LEN] = headLen
    words[r + FLAGS] = isCut ? flags | HEAD_CUT : flags
    this.#copyHead(r + (FIXED_LEN >> 2), bytes, start, headLen)
    Atomics.store(words, PRODUCED, (at + size) | 0)
  }

  /**
   * For the reader: hands over all records that are there now, in order, and gives back their room.
   * `consume` must not throw. Returns how many there were.
   */
  drain(consume: (record: AccessRecord) => void): number {
    const words = this.#words
    const end = Atomics.load(words, PRODUCED)
    let at = Atomics.load(words, CONSUMED)
    let count = 0
    while (at !== end) {
      const r = this.#wordAt(at)
      if (words[r + SIZE] === SKIP) {
        at = (at + this.#capacity - (at & (this.#capacity - 1))) | 0
        continue
      }
      this.#take(r)
      consume(this.#taken)
      count++
      at = (at + words[r + SIZE]) | 0
      Atomics.store(words, CONSUMED, at)
    }
    return count
  }

  /** Records that found no room since the ring was made, modulo 2^32. */
  get dropped(): number {
    return Atomics.load(this.#words, DROPPED) >>> 0
  }

  #take(r: number): void {
    const words = this.#words
    const taken = this.#taken
    taken.timeMs = this.#doubles[(r + TIME) >> 1]
    taken.bodyBytes = this.#doubles[(r + BODY) >> 1]
    taken.status = words[r + STATUS]
    taken.w0 = words[r + ADDRESS]
    taken.w1 = words[r + ADDRESS + 1]
    taken.w2 = words[r + ADDRESS + 2]
    taken.w3 = words[r + ADDRESS + 3]
    taken.version = words[r + VERSION_PORT] >>> 16
    taken.port = words[r + VERSION_PORT] & 0xffff
    taken.flags = words[r + FLAGS]
    taken.start = (r << 2) + FIXED_LEN
    taken.end = taken.start + words[r + HEAD_LEN]
  }

  /**
   * Copies a head by words, from any offset. `set` would need a view of it, which is garbage per
   * request, and bytes one by one take three times as long: 103, 438 and 613 ns for 300 bytes of
   * shared memory (2 virtual cores of a busy machine, Node 20.20, 2026-11-28).
   */
  #copyHead(word: number, bytes: Uint8Array, start: number, len: number): void {
    if (bytes !== this.#source) {
      this.#source = bytes
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    const words = this.#words
    const view = this.#view
    const whole = len >> 2
    for (let i = 0; i < whole; i++) words[word + i] = view.getInt32(start + (i << 2), true)
    const ring = this.#bytes
    for (let i = whole << 2; i < len; i++) ring[(word << 2) + i] = bytes[start + i]
  }

  #wordAt(at: number): number {
    return (RECORDS + (at & (this.#capacity - 1))) >> 2
  }
}
