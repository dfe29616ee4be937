/** Sends back what a device receives, in frames of its own. */
import { type Device, FramePool, NO_FRAME, OFFLOAD_NONE } from '../src/index.ts'

export class Echo {
  readonly #device: Device
  readonly #frames: FramePool

  constructor(device: Device) {
    this.#device = device
    this.#frames = new FramePool(device.region, 512, Math.ceil(Math.log2(device.mtu + 256)))
  }

  /** One batch; returns how many frames came. What finds no frame or no space is dropped. */
  turn(): number {
    const device = this.#device
    const done = device.reclaim()
    for (let i = 0; i < done; i++) this.#frames.complete(device.doneOff[i])
    const count = device.rx()
    const { bytes } = device.region
    for (let i = 0; i < count; i++) {
      const frame = device.txSpace() > 0 ? this.#frames.alloc() : NO_FRAME
      if (frame === NO_FRAME) break
      const off = this.#frames.payloadOff(frame)
      bytes.copyWithin(off, device.rxOff[i], device.rxOff[i] + device.rxLen[i])
      device.push(off, device.rxLen[i], OFFLOAD_NONE)
      this.#frames.sent(frame)
    }
    device.flush()
    return count
  }
}
