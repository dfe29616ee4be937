/**
 * Two ports in one process, linked by a ring each way: the wire of tests, and the device of the
 * benchmarks, with nothing in it but the hand-over of descriptors. As on a netmap pipe or memif,
 * both ports share one region: a pushed frame is read by the peer where it lies.
 *
 * A descriptor goes round in five steps, a cursor each (see Lane). The invariant:
 * reclaimed <= released <= taken <= published <= pushed <= reclaimed + ring size.
 */
import { assert } from './assert.ts'
import {
  BATCH_MAX,
  type Capabilities,
  type Device,
  type DeviceStats,
  ETHERNET_HEADER_LEN,
  newDeviceStats,
  OFFLOAD_NONE,
  RX_CSUM_GOOD,
  VLAN_TAG_LEN,
} from './device.ts'
import type { Region } from './region.ts'

/** What a link in memory is made of. */
export interface MemoryLinkOptions {
  /** Both ports send from and receive in this region. */
  readonly region: Region
  /** The largest IP packet, bytes; default 1500. */
  readonly mtu?: number
  /** Frames in flight in each direction, a power of two; default 1024. */
  readonly ringSize?: number
  /**
   * The link vouches for checksums: nothing in it can harm a frame. Default: nobody has looked at
   * them.
   */
  readonly vouches?: boolean | undefined
  /** Frames in a batch at most; default BATCH_MAX. */
  readonly batchMax?: number | undefined
}

// int32 words of a descriptor in the ring
const OFF = 0
const LEN = 1
const STRIDE = 2

/**
 * Cursors are int32 that run on and wrap; only their differences count. They start just short of
 * the wrap, so that every run passes it and none meets it first after 2^31 frames.
 */
const CURSOR_START = 0x7fffffff - 100

const CAPABILITIES: Capabilities = {
  txChecksum: false,
  gsoMaxBytes: 0,
  gather: false,
  zeroCopy: true,
}

/** One direction: the ring and how far each side has come. */
class Lane {
  readonly ring: Int32Array
  readonly size: number
  /** Handed over by the sender's `push`, … */
  pushed: number = CURSOR_START
  /** … visible to the receiver since the sender's `flush`, … */
  published: number = CURSOR_START
  /** … in the receiver's hands since its `rx`, … */
  taken: number = CURSOR_START
  /** … given back by the receiver's next `rx`, … */
  released: number = CURSOR_START
  /** … and the sender's again, as `reclaim` told it. */
  reclaimed: number = CURSOR_START
  /** Both ends are there. */
  open = true

  constructor(size: number) {
    this.ring = new Int32Array(size * STRIDE)
    this.size = size
  }
}

/** One end of the link; `memoryLink` makes them. */
export class MemoryPort implements Device {
  readonly name: string
  readonly region: Region
  readonly mtu: number
  readonly mac: Uint8Array
  readonly caps: Capabilities = CAPABILITIES
  readonly stats: DeviceStats = newDeviceStats()
  readonly rxOff: Int32Array = new Int32Array(BATCH_MAX)
  readonly rxLen: Int32Array = new Int32Array(BATCH_MAX)
  /** The same for all frames, which carry full checksums. */
  readonly rxFlags: Int32Array = new Int32Array(BATCH_MAX)
  readonly doneOff: Int32Array
  readonly #out: Lane
  readonly #in: Lane
  readonly #mask: number
  readonly #lenMax: number
  readonly #batchMax: number
  #closed = false

  /** Use `memoryLink`. */
  constructor(name: string, macTail: number, options: MemoryLinkOptions, out: Lane, into: Lane) {
    this.name = name
    this.region = options.region
    this.mtu = options.mtu ?? 1500
    this.mac = Uint8Array.of(0x02, 0, 0, 0, 0, macTail)
    this.doneOff = new Int32Array(out.size)
    if (options.vouches === true) this.rxFlags.fill(RX_CSUM_GOOD)
    this.#out = out
    this.#in = into
    this.#mask = out.size - 1
    this.#lenMax = ETHERNET_HEADER_LEN + VLAN_TAG_LEN + this.mtu
    this.#batchMax = options.batchMax ?? BATCH_MAX
    assert(this.#batchMax >= 1 && this.#batchMax <= BATCH_MAX, 'a batch has 1 to BATCH_MAX frames')
  }

  get down(): string {
    if (this.#closed) return `${this.name} is closed`
    return this.#in.open ? '' : `the peer of ${this.name} is closed`
  }

  rx(): number {
    const lane = this.#in
    const { ring, taken } = lane
    const mask = this.#mask
    lane.released = taken
    const ready = (lane.published - taken) | 0
    const count = ready < this.#batchMax ? ready : this.#batchMax
    let bytes = 0
    for (let i = 0; i < count; i++) {
      const at = ((taken + i) & mask) * STRIDE
      const len = ring[at + LEN]
      this.rxOff[i] = ring[at + OFF]
      this.rxLen[i] = len
      bytes += len
    }
    lane.taken = (taken + count) | 0
    this.stats.rxFrames += count
    this.stats.rxBytes += bytes
    return count
  }

  /**
   * Slots whose frames `reclaim` has reported, or that were never used; 0 when an end is closed.
   */
  txSpace(): number {
    const lane = this.#out
    return lane.open ? lane.size - ((lane.pushed - lane.reclaimed) | 0) : 0
  }

  push(off: number, len: number, request: number): void {
    const lane = this.#out
    assert(this.txSpace() > 0, 'push needs txSpace() > 0')
    assert(request === OFFLOAD_NONE, 'a memory port completes no checksum and cuts no segments')
    assert(len >= ETHERNET_HEADER_LEN && len <= this.#lenMax, 'a frame fits header, tag and mtu')
    assert(off >= 0 && off + len <= this.region.byteLength, 'a frame lies in the region')
    const at = (lane.pushed & this.#mask) * STRIDE
    lane.ring[at + OFF] = off
    lane.ring[at + LEN] = len
    lane.pushed = (lane.pushed + 1) | 0
    this.stats.txBytes += len
  }

  gather(): void {
    assert(false, 'a memory port does not gather (caps.gather)')
  }

  flush(): void {
    const lane = this.#out
    const count = (lane.pushed - lane.published) | 0
    lane.published = lane.pushed
    if (lane.open) this.stats.txFrames += count
    else this.#discard(lane, count)
  }

  reclaim(): number {
    const lane = this.#out
    const { ring, reclaimed, released } = lane
    const mask = this.#mask
    const count = (released - reclaimed) | 0
    for (let i = 0; i < count; i++) {
      this.doneOff[i] = ring[((reclaimed + i) & mask) * STRIDE + OFF]
    }
    lane.reclaimed = released
    return count
  }

  /** Returns at once: whoever owns the virtual clock decides what happens next. */
  wait(_timeoutUs: number): void {
    this.stats.waits++
  }

  linkMtu(): number {
    return this.mtu
  }

  /**
   * What was pushed still arrives; what was sent to us goes back to the peer unread. `reclaim` goes
   * on reporting our frames as the peer lets go of them.
   */
  close(): void {
    if (this.#closed) return
    this.flush()
    this.#closed = true
    this.#out.open = false
    this.#in.open = false
    this.#in.taken = this.#in.published
    this.#in.released = this.#in.published
  }

  /** Pushed before the peer closed, flushed after: nobody will take it, so it is ours again. */
  #discard(lane: Lane, count: number): void {
    if (this.#closed) return
    lane.taken = lane.published
    lane.released = lane.published
    this.stats.txDropped += count
  }
}

/** Makes two linked ports, `memory:a` and `memory:b`, that share `options.region`. */
export function memoryLink(options: MemoryLinkOptions): [MemoryPort, MemoryPort] {
  const size = options.ringSize ?? 1024
  assert(size >= 1 && (size & (size - 1)) === 0, 'ringSize is a power of two')
  const ab = new Lane(size)
  const ba = new Lane(size)
  return [
    new MemoryPort('memory:a', 0x0a, options, ab, ba),
    new MemoryPort('memory:b', 0x0b, options, ba, ab),
  ]
}
