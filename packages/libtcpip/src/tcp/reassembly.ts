/**
 * Segments that arrived before their predecessors (RFC 9293 §3.10.7.4, SHLD-31): their bytes are
 * copied into frames of the stack's pool and wait there, per connection, in the order of sequence
 * numbers. Read RFC 9293 §3.4 for the numbers, and CVE-2018-5390 for why everything here is
 * bounded: pieces per connection, pieces in all, steps per segment, and frames, of which some
 * always remain for sending.
 *
 * Invariants: a connection's pieces are disjoint and lie beyond RCV.NXT, inside the advertised
 * window; a byte that is queued is never replaced by another copy of it.
 */
import { assert, type FramePool, NO_FRAME, PAYLOAD_OFF } from '@sandstorm/libnmio'
import { le, lt, min } from './seq.ts'
import { OUT_OF_ORDER } from './tcb.ts'

/** No piece: the end of a list. */
export const NO_PIECE = -1
/** Of one connection: a window of 65535 bytes in segments of 1460 is 45. */
export const PIECES_PER_CONNECTION = 48
/** Frames that are left to what is sent, unless a quarter of the pool is fewer. */
const RESERVED_FRAMES = 128

// Fields of a piece
export const NEXT = 0
export const SEQ = 1
export const END = 2 // behind the last byte, and behind the FIN if there is one
const FRAME = 3 // NO_FRAME if a FIN is all there is
const FIN = 4 // 1: its last sequence number is the FIN's
export const STAMP = 5 // when a segment last touched it, in `insert`s
const STRIDE = 6

export class Reassembly {
  readonly capacity: number
  /** The pieces' fields, by handle. */
  readonly pieces: Int32Array
  /** What the last `insert` had queued already: its first run, empty if both are the same. */
  dupStart = 0
  dupEnd = 0
  readonly #frames: FramePool
  readonly #frameBytes: number
  readonly #reserve: number
  #free = 0
  #usedCount = 0
  #stamp = 0

  /** At most `capacity` pieces in all, each of them a frame of `frames`. */
  constructor(frames: FramePool, capacity: number) {
    assert(capacity > 0 && capacity <= frames.capacity, 'a piece is a frame of the pool')
    this.capacity = capacity
    this.#frames = frames
    this.#frameBytes = frames.frameSize - PAYLOAD_OFF
    this.#reserve = Math.min(RESERVED_FRAMES, frames.capacity >> 2)
    this.pieces = new Int32Array(capacity * STRIDE)
    for (let i = 0; i < capacity; i++) {
      this.pieces[i * STRIDE + NEXT] = i + 1 < capacity ? (i + 1) * STRIDE : NO_PIECE
    }
  }

  get usedCount(): number {
    return this.#usedCount
  }

  /**
   * Queues for connection `c` the `len` bytes at `off` in the region, whose first is number `seq`,
   * beyond RCV.NXT, and if `fin` is 1 the FIN behind them. What is queued already stays as it is.
   * False if there was no room for all.
   */
  insert(tcb: Int32Array, c: number, seq: number, off: number, len: number, fin: number): boolean {
    const { pieces } = this
    const end = (seq + len + fin) | 0
    this.#stamp = (this.#stamp + 1) | 0
    this.dupStart = seq
    this.dupEnd = seq
    let at = seq
    let before = NO_PIECE
    let piece = tcb[c + OUT_OF_ORDER]
    while (lt(at, end)) {
      if (piece !== NO_PIECE && le(pieces[piece + END], at)) {
        before = piece
        piece = pieces[piece + NEXT]
        continue
      }
      // The gap in front of `piece` is filled, then what `piece` has is left out.
      const gapEnd = piece === NO_PIECE ? end : min(end, pieces[piece + SEQ])
      if (lt(at, gapEnd)) {
        before = this.#fill(
          tcb,
          c,
          before,
          at,
          gapEnd,
          off + ((at - seq) | 0),
          gapEnd === end ? fin : 0,
        )
        if (before === NO_PIECE) return false
        at = gapEnd
      } else {
        const dupEnd = min(end, pieces[piece + END])
        this.#meet(piece, at, dupEnd)
        at = dupEnd
      }
    }
    return true
  }

  /**
   * Takes the first piece off the list if it begins at `rcvNxt`; NO_PIECE if it does not. It is the
   * caller's until `free`.
   */
  take(tcb: Int32Array, c: number, rcvNxt: number): number {
    const piece = tcb[c + OUT_OF_ORDER]
    if (piece === NO_PIECE || this.pieces[piece + SEQ] !== rcvNxt) return NO_PIECE
    tcb[c + OUT_OF_ORDER] = this.pieces[piece + NEXT]
    return piece
  }

  /** Byte offset in the region of what a piece holds; of no meaning if `bytes` is 0. */
  off(piece: number): number {
    return this.#frames.payloadOff(this.pieces[piece + FRAME])
  }

  bytes(piece: number): number {
    return (this.pieces[piece + END] - this.pieces[piece + SEQ] - this.pieces[piece + FIN]) | 0
  }

  /** 1 if a FIN follows the piece's bytes. */
  fin(piece: number): number {
    return this.pieces[piece + FIN]
  }

  /** Gives a piece back, and its frame. */
  free(piece: number): void {
    const frame = this.pieces[piece + FRAME]
    if (frame !== NO_FRAME) this.#frames.free(frame)
    this.pieces[piece + NEXT] = this.#free
    this.#free = piece
    this.#usedCount--
  }

  /** Gives back all that waits for connection `c`. */
  release(tcb: Int32Array, c: number): void {
    let piece = tcb[c + OUT_OF_ORDER]
    tcb[c + OUT_OF_ORDER] = NO_PIECE
    while (piece !== NO_PIECE) {
      const next = this.pieces[piece + NEXT]
      this.free(piece)
      piece = next
    }
  }

  /** The segment brings [start, end) again, which `piece` has. */
  #meet(piece: number, start: number, end: number): void {
    this.pieces[piece + STAMP] = this.#stamp
    if (this.dupStart === this.dupEnd) this.dupStart = start
    else if (this.dupEnd !== start) return
    this.dupEnd = end
  }

  /**
   * Queues [at, end) behind piece `before`: in its frame if there is room, else in new ones.
   * Returns the last piece that it went to, NO_PIECE if a bound was hit.
   */
  #fill(
    tcb: Int32Array,
    c: number,
    before: number,
    at: number,
    end: number,
    off: number,
    fin: number,
  ): number {
    const len = ((end - at) | 0) - fin
    if (before !== NO_PIECE && this.#append(before, at, off, len, fin)) return before
    let done = 0
    let last = before
    do {
      const count = Math.min(len - done, this.#frameBytes)
      const isLast = done + count === len
      last = this.#add(tcb, c, last, at + done, off + done, count, isLast ? fin : 0)
      done += count
    } while (last !== NO_PIECE && done < len)
    return last
  }

  #append(piece: number, at: number, off: number, len: number, fin: number): boolean {
    const { pieces } = this
    const used = this.bytes(piece)
    const isNext = pieces[piece + END] === at && pieces[piece + FIN] === 0
    if (!isNext || used + len > this.#frameBytes) return false
    if (len > 0) this.#copy(this.off(piece) + used, off, len)
    pieces[piece + END] = (at + len + fin) | 0
    pieces[piece + FIN] = fin
    pieces[piece + STAMP] = this.#stamp
    return true
  }

  /** A new piece behind `before`, or in front of all. */
  #add(
    tcb: Int32Array,
    c: number,
    before: number,
    at: number,
    off: number,
    len: number,
    fin: number,
  ): number {
    const { pieces } = this
    const piece = this.#alloc(tcb[c + OUT_OF_ORDER], len > 0)
    if (piece === NO_PIECE) return NO_PIECE
    if (len > 0) this.#copy(this.off(piece), off, len)
    pieces[piece + SEQ] = at | 0
    pieces[piece + END] = (at + len + fin) | 0
    pieces[piece + FIN] = fin
    pieces[piece + STAMP] = this.#stamp
    if (before === NO_PIECE) {
      pieces[piece + NEXT] = tcb[c + OUT_OF_ORDER]
      tcb[c + OUT_OF_ORDER] = piece
    } else {
      pieces[piece + NEXT] = pieces[before + NEXT]
      pieces[before + NEXT] = piece
    }
    return piece
  }

  /** A piece for the list that begins with `head`, if every bound allows one more. */
  #alloc(head: number, needsFrame: boolean): number {
    const { pieces } = this
    let count = 0
    for (let p = head; p !== NO_PIECE; p = pieces[p + NEXT]) count++
    const piece = this.#free
    if (piece === NO_PIECE || count >= PIECES_PER_CONNECTION) return NO_PIECE
    if (needsFrame && this.#frames.freeCount <= this.#reserve) return NO_PIECE
    this.#free = pieces[piece + NEXT]
    this.#usedCount++
    pieces[piece + FRAME] = needsFrame ? this.#frames.alloc() : NO_FRAME
    return piece
  }

  #copy(to: number, from: number, len: number): void {
    this.#frames.region.copy(to, from, len)
  }
}
