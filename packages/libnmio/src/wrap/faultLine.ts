/**
 * One direction of the fault wrapper: a bad network in a bounded number of frames. A frame is
 * copied on entry, meets its fate, and waits in a queue ordered by due time; one held back for
 * reordering waits beside the queue until later frames have passed it. Every frame of the pool is
 * free, held back, queued, or with whoever took it off the queue.
 *
 * Every frame draws the same number of random numbers, so what befalls the n-th frame depends on
 * the seed and n alone, not on the other direction or on the faults of earlier frames.
 */
import { assert } from '../assert.ts'
import { completeChecksum } from '../checksum.ts'
import { ETHERNET_HEADER_LEN } from '../device.ts'
import { FramePool, NO_FRAME, PAYLOAD_OFF } from '../frames.ts'
import type { Region } from '../region.ts'
import type { FaultOptions } from './faultOptions.ts'
import { Prng } from './prng.ts'

/** What became of the frames of one direction. A frame can be counted under several faults. */
export interface FaultStats {
  /** Frames that entered, spared ones not counted. */
  entered: number
  dropped: number
  duplicated: number
  reordered: number
  corrupted: number
  /** Lost because all buffers were full, or because the frame is larger than a buffer. */
  overflowed: number
  /** ARP and neighbour discovery, passed on as they were. */
  spared: number
}

/** How many frames are held back at a time; while that many are, the next one passes. */
const HELD_MAX = 8
/** The most later frames that pass a held one. */
const PASSED_MAX = 3
/** A held frame that nothing passes goes on after this time. */
const HELD_MAX_US = 3000

/** log2 of the frame size that holds `frameBytes` of frame. */
function frameShift(frameBytes: number): number {
  return Math.ceil(Math.log2(PAYLOAD_OFF + frameBytes))
}

/**
 * Bytes of region that a line of `count` frames of up to `frameBytes` reserves, alignment included.
 */
export function lineRegionBytes(count: number, frameBytes: number): number {
  return (count << frameShift(frameBytes)) + 4096
}

export class FaultLine {
  readonly stats: FaultStats = {
    entered: 0,
    dropped: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    overflowed: 0,
    spared: 0,
  }
  readonly frames: FramePool
  readonly #options: FaultOptions
  readonly #frameBytes: number
  readonly #content: Region | undefined
  readonly #prng: Prng
  // the queue: a ring with room for every frame of the pool
  readonly #queueFrame: Int32Array
  readonly #queueLen: Int32Array
  readonly #queueDueUs: Float64Array
  #head = 0
  #count = 0
  // frames held back, oldest first
  readonly #heldFrame: Int32Array = new Int32Array(HELD_MAX)
  readonly #heldLen: Int32Array = new Int32Array(HELD_MAX)
  readonly #heldPassed: Int32Array = new Int32Array(HELD_MAX)
  readonly #heldUntilUs: Float64Array = new Float64Array(HELD_MAX)
  #heldCount = 0

  /** Reserves its frames in `region`; `stream` tells the two directions of a device apart. */
  constructor(
    region: Region,
    count: number,
    frameBytes: number,
    options: FaultOptions,
    stream: number,
    content: Region | undefined,
  ) {
    this.frames = new FramePool(region, count, frameShift(frameBytes))
    this.#options = options
    this.#frameBytes = frameBytes
    this.#content = content
    this.#prng = new Prng(options.seed, stream)
    this.#queueFrame = new Int32Array(count)
    this.#queueLen = new Int32Array(count)
    this.#queueDueUs = new Float64Array(count)
  }

  /**
   * A frame comes in: `len` bytes of the region and `bodyLen` of the content region behind them.
   */
  enter(
    off: number,
    len: number,
    bodyOff: number,
    bodyLen: number,
    partialChecksum: boolean,
    nowUs: number,
  ): void {
    const options = this.#options
    const prng = this.#prng
    this.stats.entered++
    const drop = prng.chance(options.drop)
    const dup = prng.chance(options.dup)
    const reorder = prng.chance(options.reorder)
    const corrupt = prng.chance(options.corrupt)
    const bit = prng.bits() >>> 0
    const passed = 1 + prng.below(PASSED_MAX)
    if (drop) {
      this.stats.dropped++
      return
    }
    const frame = this.copy(off, len, bodyOff, bodyLen, partialChecksum)
    if (frame === NO_FRAME) return
    if (corrupt) this.#flipBit(frame, len + bodyLen, bit)
    if (reorder && this.#heldCount < HELD_MAX) this.#hold(frame, len + bodyLen, passed, nowUs)
    else this.#pass(frame, len + bodyLen, nowUs)
    if (!dup) return
    const twin = this.copy(off, len, bodyOff, bodyLen, partialChecksum)
    if (twin === NO_FRAME) return
    this.stats.duplicated++
    this.#pass(twin, len + bodyLen, nowUs)
  }

  /** A frame of the pool with these bytes, or NO_FRAME, counted. */
  copy(off: number, len: number, bodyOff: number, bodyLen: number, partial: boolean): number {
    const frame = len + bodyLen <= this.#frameBytes ? this.frames.alloc() : NO_FRAME
    if (frame === NO_FRAME) {
      this.stats.overflowed++
      return NO_FRAME
    }
    const { region } = this.frames
    const { view } = region
    const to = this.frames.payloadOff(frame)
    region.copy(to, off, len)
    if (bodyLen > 0) {
      assert(this.#content !== undefined, 'gather needs the content region')
      region.bytes.set(this.#content.bytes.subarray(bodyOff, bodyOff + bodyLen), to + len)
    }
    if (partial) completeChecksum(view, to, len + bodyLen)
    return frame
  }

  /** Appends to the queue. */
  enqueue(frame: number, len: number, dueUs: number): void {
    const at = (this.#head + this.#count) % this.#queueFrame.length
    this.#queueFrame[at] = frame
    this.#queueLen[at] = len
    this.#queueDueUs[at] = dueUs
    this.#count++
  }

  /** Queues the held frames that enough others have passed, or that waited long enough. */
  tick(nowUs: number): void {
    let kept = 0
    for (let i = 0; i < this.#heldCount; i++) {
      if (this.#heldPassed[i] <= 0 || this.#heldUntilUs[i] <= nowUs) {
        this.enqueue(this.#heldFrame[i], this.#heldLen[i], nowUs + this.#options.delayUs)
        continue
      }
      this.#heldFrame[kept] = this.#heldFrame[i]
      this.#heldLen[kept] = this.#heldLen[i]
      this.#heldPassed[kept] = this.#heldPassed[i]
      this.#heldUntilUs[kept] = this.#heldUntilUs[i]
      kept++
    }
    this.#heldCount = kept
  }

  /** The queue's first frame is due. */
  isDue(nowUs: number): boolean {
    return this.#count > 0 && this.#queueDueUs[this.#head] <= nowUs
  }

  /** Length of the queue's first frame. */
  get firstLen(): number {
    return this.#queueLen[this.#head]
  }

  /** Takes the first frame off the queue. */
  shift(): number {
    const frame = this.#queueFrame[this.#head]
    this.#head = (this.#head + 1) % this.#queueFrame.length
    this.#count--
    return frame
  }

  /** When something here is due next, in µs; Infinity if nothing waits. */
  get nextUs(): number {
    let next = this.#count > 0 ? this.#queueDueUs[this.#head] : Number.POSITIVE_INFINITY
    for (let i = 0; i < this.#heldCount; i++) next = Math.min(next, this.#heldUntilUs[i])
    return next
  }

  #pass(frame: number, len: number, nowUs: number): void {
    this.enqueue(frame, len, nowUs + this.#options.delayUs)
    for (let i = 0; i < this.#heldCount; i++) this.#heldPassed[i]--
    this.tick(nowUs)
  }

  #hold(frame: number, len: number, passed: number, nowUs: number): void {
    const i = this.#heldCount++
    this.#heldFrame[i] = frame
    this.#heldLen[i] = len
    this.#heldPassed[i] = passed
    this.#heldUntilUs[i] = nowUs + HELD_MAX_US
    this.stats.reordered++
  }

  #flipBit(frame: number, len: number, random: number): void {
    const bits = (len - ETHERNET_HEADER_LEN) * 8
    if (bits <= 0) return
    const bit = random % bits
    const at = this.frames.payloadOff(frame) + ETHERNET_HEADER_LEN + (bit >> 3)
    this.frames.region.bytes[at] ^= 1 << (bit & 7)
    this.stats.corrupted++
  }
}
