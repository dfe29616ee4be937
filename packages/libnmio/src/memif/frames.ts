/**
 * Frames on either way through a memif device: those that were pushed, and where those that came
 * are put together.
 */
import { assert } from '../assert.ts'
import { BATCH_MAX } from '../device.ts'
import type { Region } from '../region.ts'

/** Frames on their way out; a power of two. */
export const TX_SLOTS = 1024
export const TX_MASK: number = TX_SLOTS - 1

/**
 * Pushed frames in order, a slot each. Cursors run on and wrap:
 * reclaimed <= done <= sent <= pushed <= reclaimed + TX_SLOTS.
 */
export class Outbox {
  readonly off: Int32Array = new Int32Array(TX_SLOTS)
  readonly len: Int32Array = new Int32Array(TX_SLOTS)
  /** Of a sent frame: the ring's index behind its last descriptor. */
  readonly end: Int32Array = new Int32Array(TX_SLOTS)
  /** The caller's again, as `reclaim` told it, … */
  reclaimed = 0
  /** … the caller's again, … */
  done = 0
  /** … in the ring, … */
  sent = 0
  /** … or not yet. */
  pushed = 0

  get space(): number {
    return TX_SLOTS - ((this.pushed - this.reclaimed) | 0)
  }

  push(off: number, len: number): void {
    assert(((this.pushed - this.reclaimed) | 0) < TX_SLOTS, 'the ring has space')
    const slot = this.pushed & TX_MASK
    this.off[slot] = off
    this.len[slot] = len
    this.pushed = (this.pushed + 1) | 0
  }

  /** Nobody will take what is under way; returns how many frames that are. */
  giveUp(): number {
    const count = (this.pushed - this.done) | 0
    this.sent = this.pushed
    this.done = this.pushed
    return count
  }

  /** As Device.reclaim, into `doneOff`. */
  reclaim(doneOff: Int32Array): number {
    let count = 0
    while (this.reclaimed !== this.done) {
      doneOff[count++] = this.off[this.reclaimed & TX_MASK]
      this.reclaimed = (this.reclaimed + 1) | 0
    }
    return count
  }
}

/**
 * Cells of our own, where frames are copied to before anyone looks at them: the peer can change
 * what lies in shared memory while it is parsed, and after it was checked.
 */
export class Inbox {
  readonly off: Int32Array = new Int32Array(BATCH_MAX)
  readonly len: Int32Array = new Int32Array(BATCH_MAX)
  /** Frames of the batch. */
  count = 0
  /** Frames that did not fit a cell, or are no frames. */
  dropped = 0
  readonly #region: Region
  readonly #lenMin: number
  readonly #lenMax: number
  /** Of the frame that is being put together; more than lenMax: too long. */
  #filled = 0

  constructor(region: Region, lenMin: number, lenMax: number) {
    this.#region = region
    this.#lenMin = lenMin
    this.#lenMax = lenMax
    const cell = cellBytes(lenMax)
    const base = region.reserve(BATCH_MAX * cell)
    for (let i = 0; i < BATCH_MAX; i++) this.off[i] = base + i * cell
  }

  /** Begins a batch. */
  clear(): void {
    this.count = 0
    this.dropped = 0
    this.#filled = 0
  }

  /** Copies a piece behind what is there of the frame; needs count < BATCH_MAX. */
  append(off: number, len: number): void {
    if (len <= this.#lenMax - this.#filled) {
      this.#region.copy(this.off[this.count] + this.#filled, off, len)
      this.#filled += len
    } else this.#filled = this.#lenMax + 1
  }

  /** The frame is complete. */
  end(): void {
    if (this.#filled >= this.#lenMin && this.#filled <= this.#lenMax) {
      this.len[this.count++] = this.#filled
    } else this.dropped++
    this.#filled = 0
  }
}

const cellBytes = (lenMax: number): number => Math.ceil(lenMax / 64) * 64

/** Bytes of its region that an Inbox reserves, alignment included. */
export const inboxBytes = (lenMax: number): number => BATCH_MAX * cellBytes(lenMax) + 64
