/**
 * A region: one piece of packet memory, seen through one DataView and one Uint8Array (paper §2.1:
 * packet buffers go from the NIC to the application and back without a copy). A packet is the pair
 * (view, off); nobody makes a view of their own per packet.
 *
 * The memory is a SharedArrayBuffer: threads share it by message, and libc reaches it by address.
 * What a kernel or a peer shares with us (rings, their buffers) is mapped over pages of it
 * (sys/mapping.ts), so that one view sees it all. Offsets are kept below 2^31 so that V8 holds them
 * as small integers and never boxes one.
 */
import { assert } from './assert.ts'

/** The largest region: beyond it an offset would no longer be a small integer. */
export const REGION_MAX_BYTES: number = 2 ** 31 - 65536

/** How a device lets its peer see frames where they lie, in whole pages. */
export interface Sharing {
  readonly pageBytes: number
  /** The peer sees what lies here from now on; what was there is gone. */
  show(off: number, len: number): void
}

export class Region {
  readonly buffer: SharedArrayBuffer
  /** Header fields: big-endian by default, throws outside the region. */
  readonly view: DataView
  /** Bulk bytes: set, copyWithin, fill and byte scans. */
  readonly bytes: Uint8Array
  readonly byteLength: number
  /** What `reserve` hands out ends here; byteLength, or the end of a `part`. */
  readonly end: number
  #reserved = 0
  /** The first byte's address, as far as alignment goes. */
  #skew = 0
  #sharing: Sharing | undefined

  /**
   * Makes a region of `size` bytes, or sees an existing buffer (another thread's) as one. `from` and
   * `end`: what `reserve` hands out.
   */
  constructor(size: number | SharedArrayBuffer, from = 0, end?: number) {
    this.buffer = typeof size === 'number' ? new SharedArrayBuffer(size) : size
    assert(this.buffer.byteLength <= REGION_MAX_BYTES, 'a region stays below 2 GiB')
    this.view = new DataView(this.buffer)
    this.bytes = new Uint8Array(this.buffer)
    this.byteLength = this.buffer.byteLength
    this.end = end ?? this.byteLength
    this.#reserved = from
    assert(from <= this.end && this.end <= this.byteLength, 'a part lies inside its region')
  }

  /** The same memory, of which only [from, end) is handed out: one worker's part. */
  part(from: number, end: number): Region {
    return new Region(this.buffer, from, end)
  }

  /** Tells where the region begins in memory: from now on `reserve` aligns addresses, not offsets. */
  locate(address: number): void {
    this.#skew = address % 65536
  }

  /**
   * Set-up only: hands out the next `size` bytes, aligned to `align` (a power of two, 64 KiB at
   * most), and returns their offset. Devices and pools carve their parts this way; nothing is ever
   * given back.
   */
  reserve(size: number, align = 64): number {
    const off = Math.ceil((this.#reserved + this.#skew) / align) * align - this.#skew
    assert(off + size <= this.end, 'the region is too small for what is reserved in it')
    this.#reserved = off + size
    return off
  }

  /** From now on `reserveFrames` hands out what a device's peer sees. */
  share(sharing: Sharing): void {
    this.#sharing = sharing
  }

  /**
   * As `reserve`, for frames that are sent. A peer of the device's may see them, and write to them at
   * any moment: nothing that is parsed, or believed, may lie there.
   */
  reserveFrames(size: number, align = 64): number {
    const sharing = this.#sharing
    if (sharing === undefined) return this.reserve(size, align)
    const { pageBytes } = sharing
    const len = Math.ceil(size / pageBytes) * pageBytes
    const off = this.reserve(len, Math.max(align, pageBytes))
    sharing.show(off, len)
    return off
  }

  /** Bytes that `reserve` can still hand out. */
  get unreservedBytes(): number {
    return this.end - this.#reserved
  }
}
