/**
 * A bad network around a good device: frames are lost, doubled, swapped, damaged and delayed in
 * both directions, the same for the same seed and clock. ARP and IPv6 neighbour discovery pass
 * unharmed, so that a test exercises TCP and not the luck of an address resolution.
 *
 * Checksum and GSO offload are masked, and received partial checksums are completed: a kernel
 * believes a frame marked NEEDS_CSUM whatever its checksum, so damage would go unnoticed. What a
 * sender on this machine left to its hardware to cut (TSO, on a veth) is cut: segments get lost one
 * by one.
 *
 * Frames are copied both ways. A pushed frame is the caller's again at the next `reclaim`.
 */
import { assert } from '../assert.ts'
import { cutSuperFrame } from '../checksum.ts'
import type { Clock } from '../clock.ts'
import {
  BATCH_MAX,
  type Capabilities,
  type Device,
  ETHERNET_HEADER_LEN,
  OFFLOAD_NONE,
  RX_CSUM_PARTIAL,
} from '../device.ts'
import { NO_FRAME } from '../frames.ts'
import type { Region } from '../region.ts'
import { DelegateDevice } from './delegate.ts'
import { FaultLine, type FaultStats, lineRegionBytes } from './faultLine.ts'
import type { FaultOptions } from './faultOptions.ts'

export interface FaultSetup {
  readonly clock: Clock
  /** Where `gather` finds payload; needed only if it is called. */
  readonly content?: Region
  /** Buffers for each direction; default 1024. What does not fit is lost, and counted. */
  readonly frames?: number
  /** The largest frame that is received, bytes; default mtu + 14. Longer ones of TCP are cut. */
  readonly rxFrameBytes?: number
}

const FRAMES_DEFAULT = 1024

/** Bytes of the device's region that a FaultDevice reserves. */
export function faultRegionBytes(mtu: number, setup: Omit<FaultSetup, 'clock'> = {}): number {
  const frames = setup.frames ?? FRAMES_DEFAULT
  const tx = mtu + ETHERNET_HEADER_LEN
  return lineRegionBytes(frames, tx) + lineRegionBytes(frames, setup.rxFrameBytes ?? tx)
}

/** ARP (RFC 826), or ICMPv6 types 133 to 137 (RFC 4861 §4). */
export function isSpared(view: DataView, off: number, len: number): boolean {
  if (len < 14) return false
  const type = view.getUint16(off + 12)
  if (type === 0x0806) return true
  if (type !== 0x86dd || len < 55 || view.getUint8(off + 20) !== 58) return false
  const icmpType = view.getUint8(off + 54)
  return icmpType >= 133 && icmpType <= 137
}

/** A bad network around a device, the same at each run with the same seed. */
export class FaultDevice extends DelegateDevice {
  override readonly caps: Capabilities
  override readonly rxOff: Int32Array = new Int32Array(BATCH_MAX)
  override readonly rxLen: Int32Array = new Int32Array(BATCH_MAX)
  /** Always 0: no checksum is vouched for. */
  override readonly rxFlags: Int32Array = new Int32Array(BATCH_MAX)
  override readonly doneOff: Int32Array
  readonly #clock: Clock
  readonly #tx: FaultLine
  readonly #rx: FaultLine
  readonly #rxBytes: number
  /** Frames of #rx that the caller holds until the next rx(). */
  readonly #lent: Int32Array = new Int32Array(BATCH_MAX)
  #lentCount = 0
  /** Offsets that the caller gets back at the next reclaim(). */
  readonly #done: Int32Array
  #doneCount = 0
  /** Buffers that one push can take. */
  readonly #perPush: number
  #closed = false

  constructor(inner: Device, options: FaultOptions, setup: FaultSetup) {
    super(inner)
    const frames = setup.frames ?? FRAMES_DEFAULT
    const txBytes = inner.mtu + ETHERNET_HEADER_LEN
    const rxBytes = setup.rxFrameBytes ?? txBytes
    this.caps = { ...inner.caps, txChecksum: false, gsoMaxBytes: 0 }
    this.doneOff = new Int32Array(frames)
    this.#done = new Int32Array(frames)
    this.#clock = setup.clock
    this.#tx = new FaultLine(inner.region, frames, txBytes, options, 0, setup.content)
    this.#rx = new FaultLine(inner.region, frames, rxBytes, options, 1, inner.region)
    this.#rxBytes = rxBytes
    this.#perPush = options.dup > 0 ? 2 : 1
  }

  get txFaults(): FaultStats {
    return this.#tx.stats
  }
  get rxFaults(): FaultStats {
    return this.#rx.stats
  }

  /** When a held or delayed frame is due next, in µs of the clock; Infinity if there is none. */
  get nextUs(): number {
    return Math.min(this.#tx.nextUs, this.#rx.nextUs)
  }

  override rx(): number {
    const now = this.#clock()
    const line = this.#rx
    for (let i = 0; i < this.#lentCount; i++) line.frames.free(this.#lent[i])
    this.#lentCount = 0
    if (this.#closed) return 0
    this.#sendDue(now)
    let out = this.#receive(now)
    line.tick(now)
    for (; out < BATCH_MAX && line.isDue(now); out++) {
      this.rxLen[out] = line.firstLen
      const frame = line.shift()
      this.rxOff[out] = line.frames.payloadOff(frame)
      this.#lent[this.#lentCount++] = frame
    }
    return out
  }

  /** What the buffers surely hold: nothing that is pushed is lost for want of one. */
  override txSpace(): number {
    if (this.#closed) return 0
    const room = Math.floor(this.#tx.frames.freeCount / this.#perPush)
    return Math.min(room, this.#done.length - this.#doneCount)
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
    assert(request === OFFLOAD_NONE, 'the fault wrapper masks offloads (caps)')
    const now = this.#clock()
    if (isSpared(this.region.view, off, len)) this.#spare(off, len, bodyOff, bodyLen, now)
    else this.#tx.enter(off, len, bodyOff, bodyLen, false, now)
    this.#done[this.#doneCount++] = off
    this.#pump(now)
  }

  override flush(): void {
    this.#pump(this.#clock())
    this.inner.flush()
  }

  override reclaim(): number {
    const count = this.#doneCount
    for (let i = 0; i < count; i++) this.doneOff[i] = this.#done[i]
    this.#doneCount = 0
    this.#reclaimInner()
    return count
  }

  /** Also ends when a held or delayed frame is due. */
  override wait(timeoutUs: number): void {
    const now = this.#clock()
    this.#rx.tick(now)
    this.#sendDue(now)
    if (this.#rx.isDue(now)) return
    // What is still due to be sent waits for ring space, and the inner device wakes us for that.
    const txNext = this.#tx.isDue(now) ? Number.POSITIVE_INFINITY : this.#tx.nextUs
    const left = Math.ceil(Math.min(txNext, this.#rx.nextUs) - now)
    const inTime = timeoutUs >= 0 && timeoutUs <= left
    this.inner.wait(inTime || left === Number.POSITIVE_INFINITY ? timeoutUs : left)
  }

  /** Frames held back or delayed are lost. */
  override close(): void {
    this.#closed = true
    this.inner.close()
  }

  /** Takes a batch from the inner device; spared frames go to the caller where they lie. */
  #receive(nowUs: number): number {
    const inner = this.inner
    const count = inner.rx()
    let out = 0
    for (let i = 0; i < count; i++) {
      const off = inner.rxOff[i]
      const len = inner.rxLen[i]
      if (isSpared(this.region.view, off, len)) {
        this.rxOff[out] = off
        this.rxLen[out++] = len
        this.#rx.stats.spared++
      } else if (len <= this.#rxBytes || !this.#enterCut(off, len, nowUs)) {
        this.#rx.enter(off, len, 0, 0, (inner.rxFlags[i] & RX_CSUM_PARTIAL) !== 0, nowUs)
      }
    }
    return out
  }

  /** Each segment of a super-frame on its own; false: it is none. */
  #enterCut(off: number, len: number, nowUs: number): boolean {
    const { view } = this.region
    return cutSuperFrame(view, off, len, this.#rxBytes, (headLen, bodyOff, bodyLen) =>
      this.#rx.enter(off, headLen, bodyOff, bodyLen, true, nowUs),
    )
  }

  /** Sends a spared frame past all that wait, unless the inner ring is full. */
  #spare(off: number, len: number, bodyOff: number, bodyLen: number, nowUs: number): void {
    const line = this.#tx
    const frame = line.copy(off, len, bodyOff, bodyLen, false)
    if (frame === NO_FRAME) return
    line.stats.spared++
    if (this.inner.txSpace() > 0) this.#pushInner(frame, len + bodyLen)
    else line.enqueue(frame, len + bodyLen, nowUs)
  }

  /** Sends what has come due since the last batch, without waiting for the caller's flush. */
  #sendDue(nowUs: number): void {
    if (this.#closed) return
    this.#reclaimInner()
    this.#tx.tick(nowUs)
    if (this.#pump(nowUs) > 0) this.inner.flush()
  }

  /** Pushes what is due, as far as the inner device takes it; returns how many frames. */
  #pump(nowUs: number): number {
    const line = this.#tx
    let count = 0
    for (; line.isDue(nowUs) && this.inner.txSpace() > 0; count++) {
      const len = line.firstLen
      this.#pushInner(line.shift(), len)
    }
    return count
  }

  #pushInner(frame: number, len: number): void {
    this.inner.push(this.#tx.frames.payloadOff(frame), len, OFFLOAD_NONE)
    this.#tx.frames.sent(frame)
  }

  #reclaimInner(): void {
    const count = this.inner.reclaim()
    for (let i = 0; i < count; i++) this.#tx.frames.complete(this.inner.doneOff[i])
  }
}
