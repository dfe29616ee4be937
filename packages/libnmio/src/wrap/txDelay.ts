/**
 * The paper's transmit delay: "a little transmit delay is intentionally introduced so as to achieve
 * efficient batching" (§3.1; how long it was, it does not say). A frame waits until so much time
 * has passed since the first that waits was pushed, then all go out by one flush; at once, if more
 * would not fit into the ring.
 *
 * Frames wait here and not in the device, which in its `wait` sends what it has.
 */
import { assert } from '../assert.ts'
import type { Clock } from '../clock.ts'
import type { Device } from '../device.ts'
import { DelegateDevice } from './delegate.ts'

export interface TxDelayOptions {
  readonly delayUs: number
  readonly clock: Clock
}

// int32 words of a frame that waits: the arguments of gather
const OFF = 0
const LEN = 1
const BODY_OFF = 2
const BODY_LEN = 3
const REQUEST = 4
const STRIDE = 5

export class TxDelayDevice extends DelegateDevice {
  readonly #delayUs: number
  readonly #clock: Clock
  /** Frames that wait, in the order of push. */
  readonly #held: Int32Array
  #count = 0
  /** When they go out. */
  #dueUs = 0

  constructor(inner: Device, { delayUs, clock }: TxDelayOptions) {
    super(inner)
    this.#delayUs = delayUs
    this.#clock = clock
    // At most all that the device can have, and it can give all of that back at once.
    this.#held = new Int32Array(inner.doneOff.length * STRIDE)
  }

  override txSpace(): number {
    const space = this.inner.txSpace() - this.#count
    return space > 0 ? space : 0
  }

  override push(off: number, len: number, request: number): void {
    this.gather(off, len, 0, 0, request)
  }

  override gather(
    off: number,
    len: number,
    bodyOff: number,
    bodyLen: number,
    request: number,
  ): void {
    assert(this.txSpace() > 0, 'push needs txSpace() > 0')
    if (this.#count === 0) this.#dueUs = this.#clock() + this.#delayUs
    const held = this.#held
    const at = this.#count++ * STRIDE
    held[at + OFF] = off
    held[at + LEN] = len
    held[at + BODY_OFF] = bodyOff
    held[at + BODY_LEN] = bodyLen
    held[at + REQUEST] = request
  }

  /** Sends nothing before its time. */
  override flush(): void {
    if (this.#count > 0 && !this.#isDue()) return
    this.#pushHeld()
    this.inner.flush()
  }

  /** What a device that is gone would not take any more comes back behind what it had. */
  override reclaim(): number {
    let count = this.inner.reclaim()
    if (this.down === '') return count
    for (let i = 0; i < this.#count; i++) this.doneOff[count++] = this.#held[i * STRIDE + OFF]
    this.stats.txDropped += this.#count
    this.#count = 0
    return count
  }

  /** Also ends when frames are due; they are sent. */
  override wait(timeoutUs: number): void {
    const left = Math.max(0, Math.ceil(this.#dueUs - this.#clock()))
    const inTime = this.#count === 0 || (timeoutUs >= 0 && timeoutUs <= left)
    this.inner.wait(inTime ? timeoutUs : left)
    this.flush()
  }

  override close(): void {
    this.#pushHeld()
    this.inner.flush()
    this.inner.close()
  }

  #isDue(): boolean {
    return this.#clock() >= this.#dueUs || this.txSpace() === 0
  }

  /** As many as the device takes; the rest waits for the next flush. */
  #pushHeld(): void {
    let pushed = 0
    for (; pushed < this.#count && this.inner.txSpace() > 0; pushed++) {
      this.#pushInner(pushed * STRIDE)
    }
    this.#held.copyWithin(0, pushed * STRIDE, this.#count * STRIDE)
    this.#count -= pushed
  }

  #pushInner(at: number): void {
    const held = this.#held
    const off = held[at + OFF]
    const len = held[at + LEN]
    const bodyLen = held[at + BODY_LEN]
    const request = held[at + REQUEST]
    if (bodyLen === 0) this.inner.push(off, len, request)
    else this.inner.gather(off, len, held[at + BODY_OFF], bodyLen, request)
  }
}
