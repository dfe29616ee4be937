/**
 * Frames that wait for the kernel to take them by system call: each is a `struct mmsghdr`
 * (socket.h) with up to two pieces, header and payload, gathered from where they lie, and a
 * virtio_net_hdr in front. TAP writes one a call, AF_PACKET as many as there are (sendmmsg(2)).
 *
 * Slots wrap: [head, sent) are the kernel's and not yet reclaimed, [sent, tail) are queued. A frame
 * is the caller's again as soon as it is sent, since the kernel copies.
 */
import { assert } from './assert.ts'
import { OFFLOAD_NONE } from './device.ts'
import type { Region } from './region.ts'
import { boxed, libc } from './sys/libc.ts'
import { VNET_HDR_LEN, writeVnetHdr } from './vnet.ts'

/** Frames that are taken between two flushes; a power of two. */
export const TX_SLOTS = 256
export const TX_MASK: number = TX_SLOTS - 1

/** sys/uio.h: struct iovec { void *base; size_t len }; two to a slot. */
const IOVEC_LEN = 16
const PIECES_LEN = 2 * IOVEC_LEN
/**
 * sys/socket.h: struct mmsghdr { struct msghdr hdr; unsigned int len }, and two fields of the
 * first.
 */
const MMSGHDR_LEN = 64
const MSG_IOV = 16
const MSG_IOVLEN = 24
const MSG_LEN = 56

/** Bytes of its region that a SendQueue reserves, alignment included. */
export const SEND_QUEUE_BYTES: number = TX_SLOTS * (MMSGHDR_LEN + PIECES_LEN) + 64

export class SendQueue {
  head = 0
  sent = 0
  tail = 0
  /** Of each slot: where its mmsghdr and its pieces are, boxed. */
  readonly messageAddress: number[]
  readonly piecesAddress: number[]

  readonly #region: Region
  readonly #view: DataView
  readonly #base: number
  readonly #contentBase: number
  readonly #contentLen: number
  readonly #messages: number
  readonly #pieces: number
  readonly #frameOff: Int32Array = new Int32Array(TX_SLOTS)
  readonly #offloads: boolean

  /** `content` is where `gather` finds payload; `offloads`: checksums may be left to the kernel. */
  constructor(region: Region, content: Region, offloads: boolean) {
    const c = libc()
    this.#region = region
    this.#view = region.view
    this.#base = c.addressOf(region.bytes)
    this.#contentBase = c.addressOf(content.bytes)
    this.#contentLen = content.byteLength
    this.#offloads = offloads
    this.#messages = region.reserve(TX_SLOTS * MMSGHDR_LEN)
    this.#pieces = region.reserve(TX_SLOTS * PIECES_LEN)
    this.messageAddress = boxed(this.#base + this.#messages, MMSGHDR_LEN, TX_SLOTS)
    this.piecesAddress = boxed(this.#base + this.#pieces, PIECES_LEN, TX_SLOTS)
    region.bytes.fill(0, this.#messages, this.#messages + TX_SLOTS * MMSGHDR_LEN)
    for (let slot = 0; slot < TX_SLOTS; slot++) {
      const message = this.#messages + slot * MMSGHDR_LEN
      this.#setPointer(message + MSG_IOV, this.#base + this.#pieces + slot * PIECES_LEN)
    }
  }

  /** How many more frames fit. */
  get space(): number {
    return TX_SLOTS - ((this.tail - this.head) | 0)
  }

  get isEmpty(): boolean {
    return this.sent === this.tail
  }

  /** As Device.push. */
  push(off: number, len: number, request: number): void {
    this.#queue(off, len, len, request, 1)
  }

  /** As Device.gather. */
  gather(off: number, len: number, bodyOff: number, bodyLen: number, request: number): void {
    assert(bodyOff >= 0 && bodyOff + bodyLen <= this.#contentLen, 'the body is in the content')
    const body = this.#pieces + (this.tail & TX_MASK) * PIECES_LEN + IOVEC_LEN
    this.#setPiece(body, this.#contentBase + bodyOff, bodyLen)
    this.#queue(off, len, len + bodyLen, request, 2)
  }

  /** Pieces of the frame in a slot. */
  piecesOf(slot: number): number {
    return this.#view.getUint32(this.#messages + slot * MMSGHDR_LEN + MSG_IOVLEN, true)
  }

  /** What sendmmsg(2) says that it sent of the frame in a slot, virtio_net_hdr included. */
  sentLen(slot: number): number {
    return this.#view.getUint32(this.#messages + slot * MMSGHDR_LEN + MSG_LEN, true)
  }

  /** As Device.reclaim, into `doneOff`. */
  reclaim(doneOff: Int32Array): number {
    let count = 0
    while (this.head !== this.sent) {
      doneOff[count++] = this.#frameOff[this.head & TX_MASK]
      this.head = (this.head + 1) | 0
    }
    return count
  }

  #queue(off: number, len: number, frameLen: number, request: number, pieces: number): void {
    assert(((this.tail - this.head) | 0) < TX_SLOTS, 'the ring has space')
    const isInside = off >= VNET_HDR_LEN && off + len <= this.#region.byteLength
    assert(isInside, 'the frame is in the region')
    assert(request === OFFLOAD_NONE || this.#offloads, 'offloads were asked for at opening')
    const slot = this.tail & TX_MASK
    const at = off - VNET_HDR_LEN
    writeVnetHdr(this.#view, off, frameLen, request)
    this.#setPiece(this.#pieces + slot * PIECES_LEN, this.#base + at, VNET_HDR_LEN + len)
    this.#view.setUint32(this.#messages + slot * MMSGHDR_LEN + MSG_IOVLEN, pieces, true)
    this.#frameOff[slot] = off
    this.tail = (this.tail + 1) | 0
  }

  /** Lengths stay below 2^32. */
  #setPiece(at: number, address: number, len: number): void {
    this.#setPointer(at, address)
    this.#view.setUint32(at + 8, len, true)
  }

  /** Two halves instead of setBigUint64: no BigInt is made. */
  #setPointer(at: number, address: number): void {
    this.#view.setUint32(at, address, true)
    this.#view.setUint32(at + 4, address / 2 ** 32, true)
  }
}
