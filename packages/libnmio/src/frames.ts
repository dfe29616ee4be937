/**
 * Frame pool: equal-sized frames in a device's region. A frame is free, held by whoever allocated
 * it, or in flight (in the device's ring). Held frames are either transient, and free again when
 * the device is done with them, or retained: finished packets that are sent again and again
 * (paper §2.1).
 *
 * Inside a frame the payload always begins at PAYLOAD_OFF and headers are right-aligned before it,
 * so one payload serves every header size (IPv4 and IPv6, with and without TCP options).
 */
import { assert } from './assert.ts'
import { DEVICE_HEADROOM } from './device.ts'
import type { Region } from './region.ts'

/**
 * Byte offset of the payload in a frame: Ethernet 14 + IPv6 40 + TCP 60 fit, and the device's
 * headroom.
 */
export const PAYLOAD_OFF = 144
/** No frame: what `alloc` returns when the pool is dry. */
export const NO_FRAME = -1

const FREE = 0
const TRANSIENT = 1
const RETAINED = 2
const IN_FLIGHT = 4

assert(PAYLOAD_OFF >= 14 + 40 + 60 + DEVICE_HEADROOM, 'all headers fit in front of the payload')

/** Equal frames in a region, with who owns each. */
export class FramePool {
  readonly region: Region
  readonly frameSize: number
  readonly capacity: number
  readonly #base: number
  readonly #shift: number
  readonly #state: Uint8Array
  readonly #free: Int32Array
  #freeCount: number
  #inFlight = 0

  /**
   * Takes `count` frames of 2^shift bytes, which start at a page, from what is left of the region; of
   * each, PAYLOAD_OFF bytes are for headers.
   */
  constructor(region: Region, count: number, shift = 11) {
    assert(count > 0 && Number.isInteger(count), 'a pool has one frame or more')
    assert(shift >= 8 && shift < 31 && Number.isInteger(shift), 'a frame has 2^8 bytes or more')
    this.region = region
    this.frameSize = 1 << shift
    this.capacity = count
    this.#shift = shift
    this.#base = region.reserveFrames(count * this.frameSize, 4096)
    this.#state = new Uint8Array(count)
    this.#free = new Int32Array(count)
    this.#freeCount = count
    for (let i = 0; i < count; i++) this.#free[i] = count - 1 - i
  }

  get freeCount(): number {
    return this.#freeCount
  }
  get inFlightCount(): number {
    return this.#inFlight
  }

  /** Byte offset of the frame's payload in the region. */
  payloadOff(frame: number): number {
    return this.#base + (frame << this.#shift) + PAYLOAD_OFF
  }

  /** A transient frame, or NO_FRAME. */
  alloc(): number {
    if (this.#freeCount === 0) return NO_FRAME
    const frame = this.#free[--this.#freeCount]
    this.#state[frame] = TRANSIENT
    return frame
  }

  /** Keeps a frame: from now on the device's completion makes it idle, not free. */
  retain(frame: number): void {
    assert(this.#state[frame] === TRANSIENT, 'only a held frame can be retained')
    this.#state[frame] = RETAINED
  }

  /** Gives a held frame back; it must not be in flight. */
  free(frame: number): void {
    const state = this.#state[frame]
    assert(state === TRANSIENT || state === RETAINED, 'only an idle frame can be freed')
    this.#state[frame] = FREE
    this.#free[this.#freeCount++] = frame
  }

  isInFlight(frame: number): boolean {
    return (this.#state[frame] & IN_FLIGHT) !== 0
  }

  /** Call when the frame is pushed: the device owns it until `complete`. */
  sent(frame: number): void {
    this.#state[frame] |= IN_FLIGHT
    this.#inFlight++
  }

  /** The device is done with the frame that holds byte `off` (from `device.doneOff`). */
  complete(off: number): void {
    const frame = (off - this.#base) >> this.#shift
    const state = this.#state[frame]
    assert((state & IN_FLIGHT) !== 0, 'only a frame in flight can complete')
    this.#inFlight--
    this.#state[frame] = state & ~IN_FLIGHT
    if (state === (TRANSIENT | IN_FLIGHT)) {
      this.#state[frame] = FREE
      this.#free[this.#freeCount++] = frame
    }
  }
}
