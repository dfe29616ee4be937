/**
 * The TAP device: one read or write a frame, since a TAP has no call for many at once. What makes
 * it fast is that a frame may be a 64 KB segment (virtio_net_hdr), gathered from a header in the
 * region and payload in the content region (writev).
 *
 * Invariants: a packet costs no garbage (constant addresses, iovecs written in place); the kernel
 * is never given an address outside the regions; a device that is gone throws nothing and says so
 * in `down`. The device uses the descriptors of its handle and never closes them: whoever called
 * `openTap` calls `closeHandle`.
 */
import {
  BATCH_MAX,
  type Capabilities,
  type Device,
  type DeviceStats,
  ETHERNET_HEADER_LEN,
  newDeviceStats,
  VLAN_TAG_LEN,
} from '../device.ts'
import type { Region } from '../region.ts'
import { SEND_QUEUE_BYTES, SendQueue, TX_MASK, TX_SLOTS } from '../sendQueue.ts'
import { EAGAIN, EBADFD, ENODEV, errnoName } from '../sys/errno.ts'
import { interfaceMtu } from '../sys/interface.ts'
import { boxed, type Libc, libc, POLLERR, POLLIN, POLLOUT } from '../sys/libc.ts'
import { WAITER_BYTES, Waiter } from '../sys/waiter.ts'
import { rxFlags, VNET_HDR_LEN } from '../vnet.ts'
import type { TapHandle } from './handle.ts'

/** An IP packet's length is 16 bits (RFC 791 §3.1): this frame's packet keeps 14 bytes below it. */
const GSO_MAX_BYTES = 65535

/**
 * Received frames lie in cells, one behind the other; a large one runs over the cells that follow.
 * So 64 small frames touch few cache lines and pages, and room for a large one exists only once.
 * 33 lines and not 32, that the heads of frames do not all fall into the same cache sets.
 */
const CELL_LEN = 33 * 64

/** The largest read that a frame can fill; one byte more tells a frame that was cut off. */
function readLen(handle: TapHandle): number {
  const frame = ETHERNET_HEADER_LEN + VLAN_TAG_LEN + (handle.offloads ? 65535 : handle.mtu)
  return VNET_HDR_LEN + frame + 1
}

const cellsPerFrame = (handle: TapHandle): number => Math.ceil(readLen(handle) / CELL_LEN)

/** Bytes of its region that a TapDevice reserves; add what the frame pools take. */
export function tapRegionBytes(handle: TapHandle): number {
  const rx = (BATCH_MAX - 1 + cellsPerFrame(handle)) * CELL_LEN
  return rx + 64 + SEND_QUEUE_BYTES + WAITER_BYTES
}

export class TapDevice implements Device {
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

  readonly #libc: Libc
  readonly #fd: number
  readonly #view: DataView
  readonly #interfaceName: string

  readonly #rxBase: number
  readonly #readLen: number
  /** Cells in which a frame may begin and still find room for the largest. */
  readonly #cells: number
  readonly #cellAddress: number[]
  #rxLimit = 1
  #rxSinceWait = 0

  readonly #queue: SendQueue
  readonly #waiter: Waiter

  /**
   * The device of an open TAP, on the thread that will use it. `gather` sends from `content`. Takes
   * tapRegionBytes(handle) bytes of `region`.
   */
  constructor(handle: TapHandle, region: Region, content: Region) {
    const c = libc()
    this.name = `tap:${handle.name}`
    this.region = region
    this.mtu = handle.mtu
    this.mac = handle.mac
    this.caps = {
      txChecksum: handle.offloads,
      gsoMaxBytes: handle.offloads ? GSO_MAX_BYTES : 0,
      gather: true,
      zeroCopy: false,
    }
    this.#libc = c
    this.#fd = handle.fd
    this.#view = region.view
    this.#interfaceName = handle.name

    this.#readLen = readLen(handle)
    this.#cells = BATCH_MAX
    this.#rxBase = region.reserve((BATCH_MAX - 1 + cellsPerFrame(handle)) * CELL_LEN)
    this.#cellAddress = boxed(c.addressOf(region.bytes) + this.#rxBase, CELL_LEN, this.#cells)
    this.#queue = new SendQueue(region, content, handle.offloads)
    this.#waiter = new Waiter(region, handle.fd, handle.wakeFd, this.stats)
  }

  /**
   * Reads until the kernel has no more, the batch is full, or as many frames came as between the
   * last two waits. The last saves the read that only says EAGAIN (270 ns against 530 for a small
   * frame) in a steady rhythm of request and answer. It cannot stall: the caller comes back for
   * more until rx() returns 0, and a limit that was reached is doubled.
   */
  rx(): number {
    if (this.down !== '') return 0
    const { stats } = this
    let count = 0
    let cell = 0
    for (let reads = 0; reads < this.#rxLimit && cell < this.#cells; reads++) {
      stats.syscalls++
      const len = this.#libc.read(this.#fd, this.#cellAddress[cell], this.#readLen)
      if (len < 0) {
        this.#rxFailed(this.#libc.errno())
        break
      }
      if (len < VNET_HDR_LEN + ETHERNET_HEADER_LEN || len === this.#readLen) {
        stats.rxDropped++
        continue
      }
      const at = this.#rxBase + cell * CELL_LEN
      this.rxOff[count] = at + VNET_HDR_LEN
      this.rxLen[count] = len - VNET_HDR_LEN
      this.rxFlags[count] = rxFlags(this.#view, at)
      stats.rxBytes += len - VNET_HDR_LEN
      count++
      cell += Math.ceil(len / CELL_LEN)
    }
    stats.rxFrames += count
    this.#rxSinceWait += count
    if (count === this.#rxLimit) this.#rxLimit = Math.min(2 * count, BATCH_MAX)
    return count
  }

  #rxFailed(errno: number): void {
    if (errno === EAGAIN) return
    if (errno === EBADFD || errno === ENODEV) this.#gone(errno)
    else this.stats.rxDropped++
  }

  /** The interface was removed: nothing will be received or sent on this descriptor again. */
  #gone(errno: number): void {
    this.down = `${this.name} was removed (${errnoName(errno)})`
    this.#waiter.forget()
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
   * Writes what is queued. Where the kernel takes no more for now, the rest waits for the next
   * flush. A frame of one piece goes by writev too: it costs 37 ns more than write(2) (700), and
   * spares the garbage of a computed address.
   */
  flush(): void {
    const queue = this.#queue
    const { stats } = this
    while (queue.sent !== queue.tail) {
      if (this.down === '') {
        const slot = queue.sent & TX_MASK
        stats.syscalls++
        const pieces = queue.piecesAddress[slot]
        const len = this.#libc.writev(this.#fd, pieces, queue.piecesOf(slot))
        if (len >= 0) {
          stats.txFrames++
          stats.txBytes += len - VNET_HDR_LEN
        } else if (!this.#txFailed(this.#libc.errno())) return
      } else stats.txDropped++
      queue.sent = (queue.sent + 1) | 0
    }
  }

  /** Counts a frame that could not be sent; false: it can be later. */
  #txFailed(errno: number): boolean {
    if (errno === EAGAIN) return false
    if (errno === EBADFD || errno === ENODEV) this.#gone(errno)
    this.stats.txDropped++
    return true
  }

  reclaim(): number {
    return this.#queue.reclaim(this.doneOff)
  }

  wait(timeoutUs: number): void {
    const queued = !this.#queue.isEmpty
    this.#rxLimit = Math.min(Math.max(this.#rxSinceWait, 1), BATCH_MAX)
    this.#rxSinceWait = 0
    const events = this.#waiter.wait(queued ? POLLIN | POLLOUT : POLLIN, timeoutUs)
    if ((events & POLLERR) !== 0) this.#gone(ENODEV)
    else if (queued && (events & POLLOUT) !== 0) this.flush()
  }

  linkMtu(): number {
    return interfaceMtu(this.#interfaceName, this.mtu)
  }

  /**
   * Stops using the descriptors; frames still queued are dropped. `closeHandle` is the opener's.
   */
  close(): void {
    if (this.down === '') this.down = `${this.name} is closed`
    this.flush()
  }
}
