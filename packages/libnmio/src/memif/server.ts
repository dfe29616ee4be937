/**
 * The server's side of the rings: all memory is the client's, and is mapped over pages of our
 * region that are kept for it. What is sent is copied into buffers that the client gives.
 *
 * Every byte there may be a lie, and change while we look: descriptors are read once, into locals,
 * and lead nowhere but into the memory that they are of.
 */
import { BATCH_MAX, type DeviceStats } from '../device.ts'
import type { Region } from '../region.ts'
import { SysError } from '../sys/errno.ts'
import { libc } from '../sys/libc.ts'
import { mapOver, pagesOf, reservePages, unmapOver } from '../sys/mapping.ts'
import { type Inbox, type Outbox, TX_MASK } from './frames.ts'
import type { MemifHandle } from './handle.ts'
import * as layout from './layout.ts'
import { type Offer, type PeerRegion, REGION_MAX, type RingPlace } from './port.ts'
import { distance, Ring } from './ring.ts'
import type { Side } from './side.ts'
import {
  ENDLESS,
  NO_MEMORY,
  NO_RING,
  NONE,
  OUTSIDE,
  RING_OVERRUN,
  type Violation,
} from './violation.ts'

/** Whole pages of its region that a server keeps for its client's memory. */
export const serverBytes = ({ peerBytes }: MemifHandle): number =>
  pagesOf(peerBytes) + libc().pageSize()

/** Bytes of a server's region that these regions of its client's take. */
export const windowBytes = (regions: readonly PeerRegion[]): number =>
  regions.reduce((sum, { bytes }) => sum + pagesOf(bytes), 0)

/** What comes of filling buffers. */
const FILLED = 0
const TOO_FEW = 1
const FAULT = 2

export class ServerSide implements Side {
  readonly #region: Region
  readonly #outbox: Outbox
  readonly #inbox: Inbox
  readonly #stats: DeviceStats
  readonly #words: Int32Array
  /** Pages for the client's memory. */
  readonly #window: number
  readonly #windowBytes: number

  /** The client's regions: where they begin in ours, and their bytes. */
  #regionCount = 0
  readonly #regionOff: Int32Array = new Int32Array(REGION_MAX)
  readonly #regionBytes: Int32Array = new Int32Array(REGION_MAX)

  readonly #s2m: Ring
  /** Descriptors of the client's that we have taken. */
  #taken = 0
  readonly #m2s: Ring
  /** Buffers of the client's that we have filled. */
  #filled = 0

  constructor(
    handle: MemifHandle,
    region: Region,
    outbox: Outbox,
    inbox: Inbox,
    stats: DeviceStats,
  ) {
    this.#region = region
    this.#outbox = outbox
    this.#inbox = inbox
    this.#stats = stats
    this.#windowBytes = pagesOf(handle.peerBytes)
    this.#window = reservePages(region, this.#windowBytes)
    this.#s2m = new Ring(region)
    this.#m2s = new Ring(region)
    this.#words = this.#s2m.words
  }

  start({ regions, s2m, m2s }: Offer): Violation {
    if (!this.#map(regions)) return NO_MEMORY
    if (!this.#placeRing(this.#s2m, s2m) || !this.#placeRing(this.#m2s, m2s)) return NO_RING
    this.#taken = 0
    this.#filled = 0
    this.#s2m.tail = 0
    this.#m2s.tail = 0
    this.#s2m.wantsInterrupt = false
    return NONE
  }

  #map(regions: readonly PeerRegion[]): boolean {
    if (windowBytes(regions) > this.#windowBytes) return false
    let off = this.#window
    try {
      for (const [i, { fd, bytes }] of regions.entries()) {
        mapOver(this.#region, off, bytes, fd, 0)
        this.#regionOff[i] = off
        this.#regionBytes[i] = bytes
        off += pagesOf(bytes)
      }
    } catch (error) {
      if (error instanceof SysError) return false
      throw error
    }
    this.#regionCount = regions.length
    return true
  }

  #placeRing(ring: Ring, { region, offset, log2 }: RingPlace): boolean {
    const off = this.#locate(region, offset, layout.ringBytes(log2))
    if (off < 0 || off % 4 !== 0) return false
    ring.place(off, log2)
    return this.#region.view.getUint32(off + layout.RING_COOKIE, true) === layout.COOKIE
  }

  /**
   * Byte of our region where `len` bytes of a region of the client's begin; -1: they are not in it.
   */
  #locate(region: number, off: number, len: number): number {
    if (region >= this.#regionCount || len <= 0) return -1
    if (off < 0 || off > this.#regionBytes[region] - len) return -1
    return this.#regionOff[region] + off
  }

  /** All of the region: it is copied from. */
  holds(off: number, len: number): boolean {
    return off >= 0 && off + len <= this.#region.byteLength
  }

  stop(): void {
    this.#regionCount = 0
    unmapOver(this.#region, this.#window, this.#windowBytes)
  }

  hasFrames(): boolean {
    return this.#s2m.head !== (this.#taken & 0xffff)
  }

  wantInterrupt(wants: boolean): void {
    this.#s2m.wantsInterrupt = wants
  }

  receive(): Violation {
    const inbox = this.#inbox
    const words = this.#words
    const ring = this.#s2m
    inbox.clear()
    let left = distance(ring.head, this.#taken)
    if (left > ring.size) return RING_OVERRUN
    if (left === 0) return NONE
    for (let frames = 0; left > 0 && frames < BATCH_MAX; frames++) {
      let flags = layout.DESC_NEXT
      while ((flags & layout.DESC_NEXT) !== 0) {
        if (left === 0) return ENDLESS
        const desc = ring.desc(this.#taken)
        flags = words[desc]
        const len = words[desc + layout.DESC_LENGTH]
        const off = this.#locate(flags >>> 16, words[desc + layout.DESC_OFFSET], len)
        if (off < 0) return OUTSIDE
        inbox.append(off, len)
        this.#taken = (this.#taken + 1) | 0
        left--
      }
      inbox.end()
    }
    ring.tail = this.#taken
    return NONE
  }

  send(): Violation {
    const outbox = this.#outbox
    const ring = this.#m2s
    const buffers = distance(ring.head, this.#filled)
    if (buffers > ring.size) return RING_OVERRUN
    const end = (this.#filled + buffers) | 0
    while (outbox.sent !== outbox.pushed) {
      const slot = outbox.sent & TX_MASK
      const len = outbox.len[slot]
      const result = this.#fill(outbox.off[slot], len, end)
      if (result === FAULT) return OUTSIDE
      if (result === FILLED) {
        this.#stats.txFrames++
        this.#stats.txBytes += len
      } else if (((end - this.#filled) | 0) < ring.size) break
      // What all buffers together do not hold never goes.
      else this.#stats.txDropped++
      outbox.sent = (outbox.sent + 1) | 0
    }
    ring.tail = this.#filled
    outbox.done = outbox.sent
    return NONE
  }

  /** Copies a frame into as many buffers as it takes, if there are so many before index `end`. */
  #fill(off: number, len: number, end: number): number {
    const words = this.#words
    let from = off
    let left = len
    let index = this.#filled
    while (left > 0) {
      if (index === end) return TOO_FEW
      const desc = this.#m2s.desc(index)
      const region = words[desc] >>> 16
      const size = words[desc + layout.DESC_LENGTH]
      const to = this.#locate(region, words[desc + layout.DESC_OFFSET], size)
      if (to < 0) return FAULT
      const count = left < size ? left : size
      this.#region.copy(to, from, count)
      from += count
      left -= count
      words[desc] = (region << 16) | (left > 0 ? layout.DESC_NEXT : 0)
      words[desc + layout.DESC_LENGTH] = count
      index = (index + 1) | 0
    }
    this.#filled = index
    return FILLED
  }

  /** A frame is ours again as soon as it is copied. */
  complete(): Violation {
    return NONE
  }

  peerWantsInterrupt(): boolean {
    return this.#m2s.wantsInterrupt
  }

  close(): void {
    this.stop()
  }
}
