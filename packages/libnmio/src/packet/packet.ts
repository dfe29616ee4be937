/**
 * The AF_PACKET device: what comes lies in a ring that the kernel fills and that is mapped over
 * pages of the region, so it is read where the kernel has put it; what goes is gathered by
 * sendmmsg(2), one system call a batch, each frame up to 64 KB behind a virtio_net_hdr, as on a
 * TAP.
 *
 * A frame that no slot can hold (the sender's TSO, on a veth) waits in the socket's queue and is
 * read into a cell of its own. A slot is ours while its status says so (packet_mmap.rst): the store
 * that gives it back is atomic, and what was read from it comes before.
 *
 * Invariants: as tap.ts. An interface that goes down loses frames, as a cable does that is pulled
 * out; one that is removed ends the device.
 */
import {
  BATCH_MAX,
  type Capabilities,
  type Device,
  type DeviceStats,
  ETHERNET_HEADER_LEN,
  newDeviceStats,
  RX_CSUM_GOOD,
  RX_CSUM_PARTIAL,
} from '../device.ts'
import type { Region } from '../region.ts'
import { SEND_QUEUE_BYTES, SendQueue, TX_MASK, TX_SLOTS } from '../sendQueue.ts'
import { EAGAIN, ENODEV, ENXIO, errnoName } from '../sys/errno.ts'
import { INTERFACE_DOWN, INTERFACE_GONE, interfaceMtu, interfaceState } from '../sys/interface.ts'
import { boxed, type Libc, libc, POLLERR, POLLIN, POLLOUT } from '../sys/libc.ts'
import { mapOver, pagesOf, reservePages, unmapOver } from '../sys/mapping.ts'
import * as packet from '../sys/packet.ts'
import { DOWN_LOOK_US, sooner, WAITER_BYTES, Waiter } from '../sys/waiter.ts'
import { VNET_HDR_LEN } from '../vnet.ts'
import type { PacketHandle } from './handle.ts'

/** As tap.ts: an IP packet's length is 16 bits, and so is what GSO may cut. */
const GSO_MAX_BYTES = 65535
/** A frame too long for its slot, with the header in front; so many in one batch. */
const LARGE_LEN = 65536 + 128
const LARGE_COUNT = 4
/** socket.h */
const MSG_DONTWAIT = 0x40

const ringBytes = ({ ring }: PacketHandle): number => pagesOf(ring.slotBytes * ring.slotCount)

/** Bytes of its region that a PacketDevice reserves; add what the frame pools take. */
export function packetRegionBytes(handle: PacketHandle): number {
  const page = libc().pageSize()
  return page + ringBytes(handle) + 64 + LARGE_COUNT * LARGE_LEN + SEND_QUEUE_BYTES + WAITER_BYTES
}

export class PacketDevice implements Device {
  readonly name: string
  readonly region: Region
  readonly mtu: number
  readonly mac: Uint8Array
  readonly caps: Capabilities
  readonly stats: DeviceStats = newDeviceStats()
  down = ''
  readonly rxOff: Int32Array = new Int32Array(BATCH_MAX)
  readonly rxLen: Int32Array = new Int32Array(BATCH_MAX)
  readonly rxFlags: Int32Array = new Int32Array(BATCH_MAX)
  readonly doneOff: Int32Array = new Int32Array(TX_SLOTS)

  readonly #handle: PacketHandle
  readonly #libc: Libc
  readonly #fd: number
  readonly #view: DataView
  readonly #words: Int32Array

  /** The ring, and of its slots: the first that is ours, and the first not yet looked at. */
  readonly #ring: number
  readonly #slotBytes: number
  readonly #slotMask: number
  #taken = 0
  #next = 0
  #hasLost = false
  /** The interface is down, or was when last looked at. */
  #isDown = false
  #isUnmapped = false
  readonly #position: Int32Array
  readonly #large: number
  readonly #largeAddress: number[]

  readonly #queue: SendQueue
  readonly #waiter: Waiter

  /**
   * The device of an open socket, on the thread that will use it. `gather` sends from `content`.
   * Takes packetRegionBytes(handle) bytes of `region`, which must not go before `close`.
   */
  constructor(handle: PacketHandle, region: Region, content: Region) {
    const c = libc()
    this.name = `packet:${handle.name}`
    this.region = region
    this.mtu = handle.mtu
    this.mac = handle.mac
    this.caps = {
      txChecksum: handle.offloads,
      gsoMaxBytes: handle.offloads ? GSO_MAX_BYTES : 0,
      gather: true,
      zeroCopy: false,
    }
    this.#handle = handle
    this.#libc = c
    this.#fd = handle.fd
    this.#view = region.view
    this.#words = new Int32Array(region.buffer, 0, region.byteLength >> 2)
    this.#slotBytes = handle.ring.slotBytes
    this.#slotMask = handle.ring.slotCount - 1
    this.#ring = reservePages(region, ringBytes(handle))
    mapOver(region, this.#ring, ringBytes(handle), handle.fd, 0)
    this.#large = region.reserve(LARGE_COUNT * LARGE_LEN)
    const base = c.addressOf(region.bytes)
    this.#largeAddress = boxed(base + this.#large, LARGE_LEN, LARGE_COUNT)
    this.#queue = new SendQueue(region, content, handle.offloads)
    this.#waiter = new Waiter(region, handle.fd, handle.wakeFd, this.stats)
    this.#position = handle.position
    this.#taken = Atomics.load(handle.position, 0)
    this.#next = this.#taken
  }

  /** No system call: the ring shows what is there. */
  rx(): number {
    this.#giveBack()
    if (this.down !== '') return 0
    const { stats } = this
    let count = 0
    let large = 0
    // Slots of frames that are dropped count too, so that a flood of such cannot keep us.
    for (let slots = 0; slots < BATCH_MAX && large < LARGE_COUNT; slots++) {
      const slot = this.#ring + (this.#next & this.#slotMask) * this.#slotBytes
      const status = Atomics.load(this.#words, (slot + packet.TP_STATUS) >> 2)
      if ((status & packet.TP_STATUS_USER) === 0) break
      this.#next = (this.#next + 1) | 0
      if (status & packet.TP_STATUS_LOSING) this.#hasLost = true
      let off = slot + this.#view.getUint16(slot + packet.TP_MAC, true)
      let len = this.#view.getUint32(slot + packet.TP_SNAPLEN, true)
      if (status & packet.TP_STATUS_COPY) {
        off = this.#large + large * LARGE_LEN + VNET_HDR_LEN
        len = this.#readLarge(large++)
      } else if (len < this.#view.getUint32(slot + packet.TP_LEN, true)) len = 0
      if (len < ETHERNET_HEADER_LEN) {
        stats.rxDropped++
        continue
      }
      this.rxOff[count] = off
      this.rxLen[count] = len
      this.rxFlags[count] = flagsOf(status)
      stats.rxBytes += len
      count++
    }
    stats.rxFrames += count
    return count
  }

  /** Frames too long for their slots wait in the socket's queue, in the order of the slots. */
  #readLarge(cell: number): number {
    this.stats.syscalls++
    const address = this.#largeAddress[cell]
    const len = this.#libc.recvfrom(this.#fd, address, LARGE_LEN, MSG_DONTWAIT, 0, 0)
    return len > VNET_HDR_LEN && len < LARGE_LEN ? len - VNET_HDR_LEN : 0
  }

  /** The frames of the last batch are the kernel's again. */
  #giveBack(): void {
    if (this.#taken === this.#next) return
    while (this.#taken !== this.#next) {
      const slot = this.#ring + (this.#taken & this.#slotMask) * this.#slotBytes
      Atomics.store(this.#words, (slot + packet.TP_STATUS) >> 2, packet.TP_STATUS_KERNEL)
      this.#taken = (this.#taken + 1) | 0
    }
    Atomics.store(this.#position, 0, this.#taken)
  }

  /**
   * 0 once the device is down; what is pushed all the same is dropped by the flush, and counted.
   */
  txSpace(): number {
    return this.down === '' ? this.#queue.space : 0
  }

  push(off: number, len: number, request: number): void {
    this.#queue.push(off, len, request)
  }

  gather(off: number, len: number, bodyOff: number, bodyLen: number, request: number): void {
    this.#queue.gather(off, len, bodyOff, bodyLen, request)
  }

  /**
   * Where the kernel takes no more for now (its send buffer is full), the rest waits for the next
   * flush.
   */
  flush(): void {
    const queue = this.#queue
    const { stats } = this
    while (!queue.isEmpty) {
      const slot = queue.sent & TX_MASK
      const queued = (queue.tail - queue.sent) | 0
      const run = queued < TX_SLOTS - slot ? queued : TX_SLOTS - slot
      if (this.down !== '') {
        stats.txDropped += queued
        queue.sent = queue.tail
        return
      }
      stats.syscalls++
      const address = queue.messageAddress[slot]
      const sent = this.#libc.sendmmsg(this.#fd, address, run, MSG_DONTWAIT)
      if (sent > 0) this.#noteSent(slot, sent)
      else if (!this.#txFailed(this.#libc.errno())) return
      queue.sent = (queue.sent + (sent > 0 ? sent : 1)) | 0
    }
  }

  #noteSent(slot: number, count: number): void {
    this.stats.txFrames += count
    for (let i = 0; i < count; i++) {
      this.stats.txBytes += this.#queue.sentLen(slot + i) - VNET_HDR_LEN
    }
  }

  /** Counts a frame that could not be sent (no room, no cable); false: it can be later. */
  #txFailed(errno: number): boolean {
    if (errno === EAGAIN) return false
    if (errno === ENXIO || errno === ENODEV) this.#gone(errno)
    this.stats.txDropped++
    return true
  }

  reclaim(): number {
    return this.#queue.reclaim(this.doneOff)
  }

  wait(timeoutUs: number): void {
    if (this.#hasLost) this.#countLost()
    const queued = !this.#queue.isEmpty
    const mostUs = this.#isDown ? sooner(timeoutUs, DOWN_LOOK_US) : timeoutUs
    const events = this.#waiter.wait(queued ? POLLIN | POLLOUT : POLLIN, mostUs)
    if ((events & POLLERR) !== 0 || this.#isDown) this.#onError()
    if (queued && (events & POLLOUT) !== 0) this.flush()
  }

  linkMtu(): number {
    return interfaceMtu(this.#handle.ifindex, this.mtu)
  }

  #countLost(): void {
    this.#hasLost = false
    this.stats.syscalls++
    this.stats.rxDropped += packet.readPacketDrops(this.#fd)
  }

  /** The interface went down, and will come up again, or is no more. */
  #onError(): void {
    const errno = packet.takeSocketError(this.#fd)
    const state = interfaceState(this.#handle.ifindex)
    this.#isDown = state === INTERFACE_DOWN
    if (state === INTERFACE_GONE) this.#gone(errno || ENODEV)
  }

  #gone(errno: number): void {
    this.down = `${this.name} was removed (${errnoName(errno)})`
    this.#waiter.forget()
  }

  /**
   * Stops using the descriptors, and gives the region its pages back. `closeHandle` is the
   * opener's.
   */
  close(): void {
    if (this.down === '') this.down = `${this.name} is closed`
    this.flush()
    if (this.#isUnmapped) return
    this.#isUnmapped = true
    this.#taken = this.#next
    unmapOver(this.region, this.#ring, ringBytes(this.#handle))
  }
}

function flagsOf(status: number): number {
  if (status & packet.TP_STATUS_CSUMNOTREADY) return RX_CSUM_PARTIAL
  return status & packet.TP_STATUS_CSUM_VALID ? RX_CSUM_GOOD : 0
}
