/**
 * A port for tests that gathers, takes offload requests and can receive with flags, as a TAP does:
 * it joins the pieces in its own buffers, hands them to the port inside it, and remembers what it
 * was asked for.
 */
import {
  type Capabilities,
  type Device,
  FramePool,
  OFFLOAD_NONE,
  type Region,
} from '../src/index.ts'
import { DelegateDevice } from '../src/wrap/delegate.ts'

export class GatherPort extends DelegateDevice {
  override readonly caps: Capabilities = {
    txChecksum: true,
    gsoMaxBytes: 65535,
    gather: true,
    zeroCopy: false,
  }
  override readonly doneOff: Int32Array = new Int32Array(4096)
  readonly #content: Region
  readonly #frames: FramePool
  #done: number[] = []
  #closed = false
  /** The offload requests of all frames, in order. */
  readonly requests: number[] = []
  /** ORed into the flags of every received frame. */
  flags = 0

  constructor(inner: Device, content: Region) {
    super(inner)
    this.#content = content
    this.#frames = new FramePool(inner.region, 512)
  }

  override rx(): number {
    const count = this.#closed ? 0 : this.inner.rx()
    for (let i = 0; i < count; i++) this.rxFlags[i] |= this.flags
    return count
  }

  override txSpace(): number {
    return Math.min(this.inner.txSpace(), this.#frames.freeCount)
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
    const { bytes } = this.region
    const frame = this.#frames.alloc()
    const to = this.#frames.payloadOff(frame)
    bytes.copyWithin(to, off, off + len)
    bytes.set(this.#content.bytes.subarray(bodyOff, bodyOff + bodyLen), to + len)
    this.inner.push(to, len + bodyLen, OFFLOAD_NONE)
    this.#frames.sent(frame)
    this.requests.push(request)
    this.#done.push(off)
  }

  override reclaim(): number {
    const count = this.inner.reclaim()
    for (let i = 0; i < count; i++) this.#frames.complete(this.inner.doneOff[i])
    const done = this.#done
    this.doneOff.set(done)
    this.#done = []
    return done.length
  }

  override close(): void {
    this.#closed = true
    this.inner.close()
  }
}
