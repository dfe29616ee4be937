/**
 * The client's side of the rings: all memory is ours, the server sees it. Rings, buffers and
 * whatever is reserved for frames are pages of a memory file, mapped over the region: so a frame is
 * sent from where it lies, by descriptors. For what comes the server has buffers of ours, whose
 * places we know and need not read.
 *
 * The file is as long as the region goes on, that offsets are the same in both, but of the other
 * pages we do not see the file, nor the server our memory. The file stays when servers come and go
 * (frames are in it), so one that is gone but still has it mapped can spoil what the next one gets.
 */
import { assert } from '../assert.ts'
import { BATCH_MAX, type DeviceStats } from '../device.ts'
import type { Region } from '../region.ts'
import { libc } from '../sys/libc.ts'
import { mapOver, pagesOf, reservePages, unmapOver } from '../sys/mapping.ts'
import { sealMemory, sizeOf } from '../sys/memfd.ts'
import { type Inbox, type Outbox, TX_MASK } from './frames.ts'
import type { MemifHandle } from './handle.ts'
import * as layout from './layout.ts'
import type { Offer } from './port.ts'
import { distance, Ring } from './ring.ts'
import type { Side } from './side.ts'
import { ENDLESS, NONE, OUTSIDE, RING_OVERRUN, type Violation } from './violation.ts'

/** Whole pages of its region that a client takes in front of the frames. */
export const clientBytes = ({ ringSizeLog2 }: MemifHandle): number =>
  pagesOf(layout.headBytes(ringSizeLog2)) + 2 * libc().pageSize()

export class ClientSide implements Side {
  /** Bytes of the memory file. */
  readonly memoryBytes: number
  readonly #region: Region
  readonly #outbox: Outbox
  readonly #inbox: Inbox
  readonly #stats: DeviceStats
  readonly #words: Int32Array
  readonly #fd: number
  /** Where shared memory begins in the region, and its number for the peer. */
  readonly #memory: number
  readonly #number: number
  readonly #log2: number
  readonly #pageBytes: number
  /** Of each page of the file: we have it mapped. */
  readonly #isShown: Uint8Array

  readonly #s2m: Ring
  /** Descriptors filled, and those that the server has taken, as far as we have looked. */
  #sent = 0
  #taken = 0
  readonly #m2s: Ring
  /** Buffers given, and those that we have had back. */
  #given = 0
  #seen = 0

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
    this.#number = handle.queue
    this.#log2 = handle.ringSizeLog2
    this.#fd = handle.memoryFd
    const head = layout.headBytes(handle.ringSizeLog2)
    this.#memory = reservePages(region, head)
    const pageBytes = pagesOf(1)
    this.#pageBytes = pageBytes
    const left = Math.floor((region.end - this.#memory) / pageBytes) * pageBytes
    // A thread that died has sized it before, and left it mapped.
    const size = sizeOf(handle.memoryFd)
    if (size === 0) sealMemory(handle.memoryFd, left)
    this.memoryBytes = size === 0 ? left : Math.min(size, left)
    this.#isShown = new Uint8Array(this.memoryBytes / pageBytes)
    unmapOver(region, this.#memory, this.memoryBytes)
    this.#show(this.#memory, pagesOf(head))
    region.share({ pageBytes, show: (off, len) => this.#show(off, len) })
    this.#s2m = new Ring(region)
    this.#m2s = new Ring(region)
    this.#words = this.#s2m.words
    this.#clear()
  }

  /** Maps pages of the file where they belong. */
  #show(off: number, len: number): void {
    const at = off - this.#memory
    assert(at + len <= this.memoryBytes, 'frames lie in packet memory')
    mapOver(this.#region, off, len, this.#fd, at)
    this.#isShown.fill(1, at / this.#pageBytes, (at + len) / this.#pageBytes)
  }

  holds(off: number, len: number): boolean {
    const first = Math.floor((off - this.#memory) / this.#pageBytes)
    const last = Math.floor((off + len - 1 - this.#memory) / this.#pageBytes)
    return this.#isShown[first] === 1 && this.#isShown[last] === 1
  }

  /** Rings as a server wants to find them. */
  #clear(): void {
    const { view } = this.#region
    const head = layout.headBytes(this.#log2)
    this.#region.bytes.fill(0, this.#memory, this.#memory + layout.buffersOff(this.#log2))
    for (const off of [layout.S2M_OFF, layout.m2sOff(this.#log2)]) {
      view.setUint32(this.#memory + off + layout.RING_COOKIE, layout.COOKIE, true)
    }
    this.#region.bytes.fill(0, this.#memory + layout.buffersOff(this.#log2), this.#memory + head)
  }

  start({ s2m, m2s }: Offer): Violation {
    this.#s2m.place(this.#memory + s2m.offset, s2m.log2)
    this.#m2s.place(this.#memory + m2s.offset, m2s.log2)
    this.#sent = 0
    this.#taken = 0
    this.#seen = 0
    this.#given = 0
    this.#m2s.wantsInterrupt = false
    this.#giveBuffers()
    return NONE
  }

  stop(): void {
    this.#clear()
  }

  hasFrames(): boolean {
    return this.#m2s.tail !== (this.#seen & 0xffff)
  }

  wantInterrupt(wants: boolean): void {
    this.#m2s.wantsInterrupt = wants
  }

  receive(): Violation {
    const inbox = this.#inbox
    const words = this.#words
    const ring = this.#m2s
    inbox.clear()
    let left = distance(ring.tail, this.#seen)
    if (left > ((this.#given - this.#seen) | 0)) return RING_OVERRUN
    if (left === 0) return NONE
    for (let frames = 0; left > 0 && frames < BATCH_MAX; frames++) {
      let flags = layout.DESC_NEXT
      while ((flags & layout.DESC_NEXT) !== 0) {
        if (left === 0) return ENDLESS
        const desc = ring.desc(this.#seen)
        flags = words[desc]
        const len = words[desc + layout.DESC_LENGTH]
        if (len <= 0 || len > layout.BUFFER_LEN) return OUTSIDE
        inbox.append(this.#bufferOf(this.#seen), len)
        this.#seen = (this.#seen + 1) | 0
        left--
      }
      inbox.end()
    }
    this.#giveBuffers()
    return NONE
  }

  /** Byte of the region where the buffer of a descriptor begins. */
  #bufferOf(index: number): number {
    const buffers = this.#memory + layout.buffersOff(this.#log2)
    return buffers + (index & (this.#m2s.size - 1)) * layout.BUFFER_LEN
  }

  /** All buffers that are ours go to the server (again). */
  #giveBuffers(): void {
    const ring = this.#m2s
    const words = this.#words
    const end = (this.#seen + ring.size) | 0
    for (; this.#given !== end; this.#given = (this.#given + 1) | 0) {
      const desc = ring.desc(this.#given)
      words[desc] = this.#number << 16
      words[desc + layout.DESC_LENGTH] = layout.BUFFER_LEN
      words[desc + layout.DESC_OFFSET] = this.#bufferOf(this.#given) - this.#memory
    }
    ring.head = this.#given
  }

  send(): Violation {
    const outbox = this.#outbox
    const ring = this.#s2m
    let room = ring.size - ((this.#sent - this.#taken) | 0)
    while (outbox.sent !== outbox.pushed) {
      const slot = outbox.sent & TX_MASK
      const pieces = layout.piecesOf(outbox.len[slot])
      if (pieces > room) break
      room -= pieces
      this.#describe(outbox.off[slot], outbox.len[slot])
      outbox.end[slot] = this.#sent
      outbox.sent = (outbox.sent + 1) | 0
    }
    ring.head = this.#sent
    return NONE
  }

  /** A frame where it lies, in pieces that a receiver with buffers of BUFFER_LEN can take. */
  #describe(off: number, len: number): void {
    const words = this.#words
    for (let left = len; left > 0; left -= layout.BUFFER_LEN) {
      const desc = this.#s2m.desc(this.#sent)
      const isLast = left <= layout.BUFFER_LEN
      words[desc] = (this.#number << 16) | (isLast ? 0 : layout.DESC_NEXT)
      words[desc + layout.DESC_LENGTH] = isLast ? left : layout.BUFFER_LEN
      words[desc + layout.DESC_OFFSET] = off - this.#memory + len - left
      this.#sent = (this.#sent + 1) | 0
    }
  }

  complete(): Violation {
    const outbox = this.#outbox
    const taken = distance(this.#s2m.tail, this.#taken)
    if (taken > ((this.#sent - this.#taken) | 0)) return RING_OVERRUN
    this.#taken = (this.#taken + taken) | 0
    while (outbox.done !== outbox.sent) {
      const slot = outbox.done & TX_MASK
      if (((this.#taken - outbox.end[slot]) | 0) < 0) break
      this.#stats.txFrames++
      this.#stats.txBytes += outbox.len[slot]
      outbox.done = (outbox.done + 1) | 0
    }
    return NONE
  }

  peerWantsInterrupt(): boolean {
    return this.#s2m.wantsInterrupt
  }

  close(): void {
    const isShown = this.#isShown
    for (let from = isShown.indexOf(1); from >= 0; from = isShown.indexOf(1, from)) {
      const to = isShown.indexOf(0, from)
      const end = to < 0 ? isShown.length : to
      const len = (end - from) * this.#pageBytes
      unmapOver(this.#region, this.#memory + from * this.#pageBytes, len)
      isShown.fill(0, from, end)
    }
  }
}
