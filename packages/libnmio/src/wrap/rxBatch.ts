/**
 * Smaller batches than the device's: `rx` gives at most so many frames. What they cause is sent
 * before the next are looked at, so with one frame at a time nothing is shared between frames any
 * more: the paper's "extensive batching" (§1) taken away, to see what it is worth.
 *
 * The device inside is asked only when its batch has been handed out, so a frame stays as it is at
 * least until the next `rx`.
 */
import { assert } from '../assert.ts'
import { BATCH_MAX, type Device } from '../device.ts'
import { DelegateDevice } from './delegate.ts'

export class RxBatchDevice extends DelegateDevice {
  override readonly rxOff: Int32Array = new Int32Array(BATCH_MAX)
  override readonly rxLen: Int32Array = new Int32Array(BATCH_MAX)
  override readonly rxFlags: Int32Array = new Int32Array(BATCH_MAX)
  readonly #batchMax: number
  /** Frames of the inner device's batch, and which of them comes next. */
  #count = 0
  #next = 0

  /** `batchMax`: 1 to BATCH_MAX. */
  constructor(inner: Device, batchMax: number) {
    super(inner)
    assert(batchMax >= 1 && batchMax <= BATCH_MAX, 'a batch has 1 to BATCH_MAX frames')
    this.#batchMax = batchMax
  }

  override rx(): number {
    const { inner } = this
    if (this.#next === this.#count) {
      this.#next = 0
      this.#count = inner.rx()
    }
    const left = this.#count - this.#next
    const count = left < this.#batchMax ? left : this.#batchMax
    for (let i = 0; i < count; i++, this.#next++) {
      this.rxOff[i] = inner.rxOff[this.#next]
      this.rxLen[i] = inner.rxLen[this.#next]
      this.rxFlags[i] = inner.rxFlags[this.#next]
    }
    return count
  }

  /** Returns at once while there are frames of a batch to hand out. */
  override wait(timeoutUs: number): void {
    if (this.#next === this.#count) this.inner.wait(timeoutUs)
  }

  override close(): void {
    this.#next = this.#count
    this.inner.close()
  }
}
