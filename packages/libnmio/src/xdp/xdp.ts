/**
 * The AF_XDP device: frames are sent from where they lie and received where the driver puts them
 * (paper §2: zero-copy for all data), a descriptor each; on drivers that cannot, the kernel makes
 * one copy. Packet memory (UMEM) is all of the region from the receive chunks on: what is reserved
 * in it after the device, frame pools above all, can be sent.
 *
 *   fill: chunks for frames to come →  rx: frames that came
 *   tx: frames to send              →  completion: frames that were sent
 *
 * A frame longer than a chunk has several descriptors: it is cut where chunks end, and put together
 * in a cell of ours when it comes (layout.ts, joiner.ts).
 *
 * Invariants: as tap.ts. A chunk is in one ring, or in the batch, or its owner's. Frames are
 * reported sent in the order of push, whatever the driver's.
 */
import { assert } from '../assert.ts'
import { isChecksumPartial } from '../checksum.ts'
import {
  BATCH_MAX,
  type Capabilities,
  type Device,
  type DeviceStats,
  newDeviceStats,
  OFFLOAD_NONE,
  RX_CSUM_PARTIAL,
} from '../device.ts'
import type { Region } from '../region.ts'
import { updateMap } from '../sys/bpf.ts'
import { ENODEV, ENXIO, errnoName } from '../sys/errno.ts'
import { INTERFACE_DOWN, INTERFACE_GONE, interfaceMtu, interfaceState } from '../sys/interface.ts'
import { type Libc, libc, POLLERR, POLLIN } from '../sys/libc.ts'
import { pagesOf, reservePages } from '../sys/mapping.ts'
import { setBuffers, takeSocketError } from '../sys/packet.ts'
import { DOWN_LOOK_US, sooner, WAITER_BYTES, Waiter } from '../sys/waiter.ts'
import * as xsk from '../sys/xsk.ts'
import type { XdpHandle } from './handle.ts'
import { Joiner, joinerBytes, piecesAt } from './joiner.ts'
import {
  ADDRESS_LEN,
  chunkBytes,
  DESC_LEN,
  isMultiBuffer,
  layoutBytes,
  piecesOf,
  RX_CHUNKS,
  ringsFor,
} from './layout.ts'
import { Ring } from './ring.ts'
import { Underway } from './underway.ts'

/** What a copying kernel may have of ours under way, with frames in one piece. */
const SEND_BUFFER_BYTES = 8 << 20
/**
 * With frames that the kernel does not take (the interface is down, its queue full) we ask again
 * after this.
 */
const RETRY_US = 1000
/** A frame that has not left by then went down with its interface. */
const TAKE_OVER_MS = 100
/** socket.h */
const MSG_DONTWAIT = 0x40

/** Bytes of its region that an XdpDevice reserves; add what the frame pools take. */
export const xdpRegionBytes = ({ mtu }: XdpHandle): number =>
  layoutBytes(mtu) + WAITER_BYTES + joinerBytes(mtu)

const CAPABILITIES: Capabilities = {
  txChecksum: false,
  gsoMaxBytes: 0,
  gather: false,
  zeroCopy: true,
}

export class XdpDevice implements Device {
  readonly name: string
  readonly region: Region
  readonly mtu: number
  readonly mac: Uint8Array
  readonly caps: Capabilities = CAPABILITIES
  /** The driver reads and writes packet memory itself; else the kernel copies once. */
  readonly isZeroCopy: boolean
  readonly stats: DeviceStats = newDeviceStats()
  down = ''
  readonly rxOff: Int32Array = new Int32Array(BATCH_MAX)
  readonly rxLen: Int32Array = new Int32Array(BATCH_MAX)
  readonly rxFlags: Int32Array = new Int32Array(BATCH_MAX)
  readonly doneOff: Int32Array

  readonly #libc: Libc
  readonly #fd: number
  readonly #watchFd: number
  readonly #ifindex: number
  readonly #fill: Ring
  readonly #rx: Ring
  readonly #tx: Ring
  readonly #completion: Ring
  readonly #waiter: Waiter
  readonly #words: Int32Array
  /** Byte offset of UMEM in the region, and its end. */
  readonly #umem: number
  readonly #umemEnd: number
  readonly #chunk: number
  readonly #joiner: Joiner
  /** Frames of the last batch, whose chunks go back with the next, … */
  #batch = 0
  /** … and the fill ring up to where the kernel has seen it. */
  #offered = 0
  /** The interface is down, or was when last looked at. */
  #isDown = false

  readonly #underway: Underway
  readonly #isVirtual: boolean
  readonly #isBusyPolled: boolean
  #isClosed = false

  /**
   * The device of an open socket, on the thread that will use it. Takes xdpRegionBytes(handle)
   * bytes of `region` and makes packet memory of all that is left behind them; the region must not
   * go before `close`.
   */
  constructor(handle: XdpHandle, region: Region) {
    const { fd } = handle
    this.name = `xdp:${handle.name}`
    this.region = region
    this.mtu = handle.mtu
    this.mac = handle.mac
    this.#libc = libc()
    this.#fd = fd
    this.#watchFd = handle.watchFd
    this.#ifindex = handle.ifindex
    const rings = ringsFor(this.mtu)
    const isNew = Atomics.load(handle.isBound, 0) === 0
    if (isNew) {
      xsk.createRings(fd, rings)
      const bytes = SEND_BUFFER_BYTES * piecesOf(this.mtu)
      setBuffers(fd, bytes, bytes)
    }
    const places = xsk.ringPlaces(fd)
    this.#fill = new Ring(region, fd, places.fill, rings.fill, ADDRESS_LEN)
    this.#rx = new Ring(region, fd, places.rx, rings.rx, DESC_LEN)
    this.#tx = new Ring(region, fd, places.tx, rings.tx, DESC_LEN)
    this.#completion = new Ring(region, fd, places.completion, rings.completion, ADDRESS_LEN)
    this.#words = this.#rx.words
    this.#waiter = new Waiter(region, fd, handle.wakeFd, this.stats, handle.watchFd)
    this.#joiner = new Joiner(region, this.mtu)
    const chunk = chunkBytes(this.mtu)
    this.#chunk = chunk
    this.#umem = reservePages(region, RX_CHUNKS * chunk)
    const page = pagesOf(1)
    const umemLen = Math.floor((region.end - this.#umem) / page) * page
    this.#umemEnd = this.#umem + umemLen
    this.#underway = new Underway(umemLen, this.mtu)
    this.doneOff = this.#underway.doneOff
    this.#isVirtual = handle.isVirtual
    this.#isBusyPolled = handle.isBusyPolled
    if (isNew) {
      for (let i = 0; i < RX_CHUNKS; i++) this.#offerChunk(i * chunk)
      this.#publishOffers()
      xsk.registerUmem(fd, this.#libc.addressOf(region.bytes) + this.#umem, umemLen, chunk)
      xsk.bindXsk(fd, handle.ifindex, handle.queue, isMultiBuffer(this.mtu))
      Atomics.store(handle.isBound, 0, 1)
    } else this.#takeOver(handle.isBound)
    this.isZeroCopy = xsk.isZeroCopy(fd)
    updateMap(handle.xskMap, handle.queue, fd)
  }

  /**
   * Another thread had the socket, and died: its rings are where it left them. The chunks of its
   * last batch are lost. What it sent must be out before its frames are ours.
   */
  #takeOver(isBound: Int32Array): void {
    this.#rx.at = this.#rx.consumed
    this.#fill.at = this.#fill.produced
    this.#offered = this.#fill.at
    this.#tx.at = this.#tx.produced
    for (let ms = 0; ms < TAKE_OVER_MS && this.#completion.produced !== this.#tx.at; ms++) {
      this.#libc.sendto(this.#fd, 0, 0, MSG_DONTWAIT, 0, 0)
      Atomics.wait(isBound, 0, 1, 1)
    }
    this.#completion.at = this.#completion.produced
    this.#completion.publishConsumed()
  }

  /** The chunk that holds an address. */
  #offerChunk(address: number): void {
    const fill = this.#fill
    this.#words[fill.entry(fill.at)] = address & -this.#chunk // the upper half is always 0
    fill.at = (fill.at + 1) | 0
  }

  #publishOffers(): void {
    this.#fill.publishProduced()
    this.#offered = this.#fill.at
  }

  /**
   * No system call, but for drivers that want to be told of new chunks, and to run one that is busy
   * polled.
   */
  rx(): number {
    this.#giveBack()
    if (this.down !== '') return 0
    const rx = this.#rx
    const { stats } = this
    const words = this.#words
    let ready = (rx.produced - rx.at) | 0
    if (ready === 0 && this.#isBusyPolled) {
      this.#callReceive()
      ready = (rx.produced - rx.at) | 0
    }
    let count = 0
    let taken = 0
    while (taken < ready && count < BATCH_MAX) {
      const entry = rx.entry(rx.at + taken)
      let off = this.#umem + words[entry]
      let len = words[entry + 2]
      if ((words[entry + 3] & xsk.XDP_PKT_CONTD) === 0) taken++
      else {
        const pieces = piecesAt(rx, rx.at + taken, ready - taken)
        if (pieces === 0) break
        off = this.#joiner.off(count)
        len = this.#join(count, rx.at + taken, pieces)
        taken += pieces
        if (len === 0) continue
      }
      this.rxOff[count] = off
      this.rxLen[count] = len
      const isPartial = this.#isVirtual && isChecksumPartial(this.region.view, off, len)
      this.rxFlags[count++] = isPartial ? RX_CSUM_PARTIAL : 0
      stats.rxBytes += len
    }
    rx.at = (rx.at + taken) | 0
    if (taken > 0) rx.publishConsumed()
    stats.rxFrames += count
    this.#batch = count
    return count
  }

  /**
   * Puts frame `i` of the batch together; its length, or 0: it is dropped. The chunks are free
   * again.
   */
  #join(i: number, at: number, pieces: number): number {
    const len = this.#joiner.join(i, this.#rx, at, pieces, this.#umem)
    if (len === 0) this.stats.rxDropped++
    for (let k = 0; k < pieces; k++) this.#offerChunk(this.#words[this.#rx.entry(at + k)])
    return len
  }

  /**
   * The chunks of the last batch can be filled again; frames that were put together have theirs
   * back.
   */
  #giveBack(): void {
    for (let i = 0; i < this.#batch; i++) {
      const off = this.rxOff[i]
      if (off >= this.#umem) this.#offerChunk(off - this.#umem)
    }
    this.#batch = 0
    if (this.#fill.at === this.#offered || this.#isClosed) return
    this.#publishOffers()
    if ((this.#fill.flags & xsk.XDP_RING_NEED_WAKEUP) !== 0) this.#callReceive()
  }

  /** Wakes the driver, or runs it here and now (af_xdp.rst). */
  #callReceive(): void {
    this.stats.syscalls++
    this.#libc.recvfrom(this.#fd, 0, 0, MSG_DONTWAIT, 0, 0)
  }

  /** 0 once the device is down. */
  txSpace(): number {
    return this.down === '' ? this.#underway.space : 0
  }

  push(off: number, len: number, request: number): void {
    assert(request === OFFLOAD_NONE, 'the NIC is sent finished frames')
    assert(off >= this.#umem && off + len <= this.#umemEnd, 'the frame is in packet memory')
    this.#underway.begin(off)
    let address = off - this.#umem
    let left = len
    // A descriptor ends with its chunk at the latest.
    let room = this.#chunk - (address & (this.#chunk - 1))
    for (; left > room; room = this.#chunk) {
      this.#pushPiece(address, room, xsk.XDP_PKT_CONTD)
      address += room
      left -= room
    }
    this.#pushPiece(address, left, 0)
    if (this.down === '') this.stats.txBytes += len
  }

  #pushPiece(address: number, len: number, options: number): void {
    this.#underway.addPiece(address)
    if (this.down !== '') return
    const tx = this.#tx
    const entry = tx.entry(tx.at)
    this.#words[entry] = address
    this.#words[entry + 2] = len
    this.#words[entry + 3] = options
    tx.at = (tx.at + 1) | 0
  }

  gather(): void {
    assert(false, 'a frame is sent from where it lies, in one piece')
  }

  /** Shows the kernel what was pushed, and calls it as long as it takes any. */
  flush(): void {
    if (this.down !== '') return
    const tx = this.#tx
    tx.publishProduced()
    let left = (tx.at - tx.consumed) | 0
    while (left > 0 && (this.#isBusyPolled || (tx.flags & xsk.XDP_RING_NEED_WAKEUP) !== 0)) {
      this.stats.syscalls++
      const result = this.#libc.sendto(this.#fd, 0, 0, MSG_DONTWAIT, 0, 0)
      if (result < 0 && this.#libc.errno() === ENXIO) this.#onError()
      const now = (tx.at - tx.consumed) | 0
      if (now === left) return
      left = now
    }
  }

  reclaim(): number {
    if (this.down === '') this.#takeCompletions()
    else this.stats.txDropped += this.#underway.giveUp()
    return this.#underway.reclaim()
  }

  #takeCompletions(): void {
    const completion = this.#completion
    const count = (completion.produced - completion.at) | 0
    if (count === 0) return
    for (let i = 0; i < count; i++) {
      const address = this.#words[completion.entry(completion.at + i)]
      if (this.#underway.complete(address)) this.stats.txFrames++
    }
    completion.at = (completion.at + count) | 0
    completion.publishConsumed()
  }

  wait(timeoutUs: number): void {
    const isStuck = this.down === '' && this.#tx.consumed !== this.#tx.at
    let mostUs = timeoutUs
    if (isStuck) mostUs = sooner(timeoutUs, RETRY_US)
    else if (this.#isDown) mostUs = sooner(timeoutUs, DOWN_LOOK_US)
    const events = this.#waiter.wait(POLLIN, mostUs)
    if ((events & POLLERR) !== 0 || this.#isDown) this.#onError()
    if (isStuck) this.flush()
  }

  linkMtu(): number {
    return interfaceMtu(this.#ifindex, this.mtu)
  }

  /** The interface went down, and will come up again, or is no more. */
  #onError(): void {
    const errno = takeSocketError(this.#watchFd)
    const state = interfaceState(this.#ifindex)
    this.#isDown = state === INTERFACE_DOWN
    if (state !== INTERFACE_GONE) return
    this.down = `${this.name} was removed (${errnoName(errno || ENODEV)})`
    this.#waiter.forget()
  }

  /** Stops using the socket, and gives the region its pages back. `closeHandle` is the opener's. */
  close(): void {
    if (this.down === '') this.down = `${this.name} is closed`
    if (this.#isClosed) return
    this.#isClosed = true
    this.stats.rxDropped += xsk.readXskDrops(this.#fd)
    for (const ring of [this.#fill, this.#rx, this.#tx, this.#completion]) ring.unmap()
  }
}
