/**
 * A region: one piece of packet memory, seen through one DataView and one Uint8Array (paper §2.1:
 * packet buffers go from the NIC to the application and back without a copy). A packet is the pair
 * (view, off); nobody makes a view of their own per packet.
 *
 * Threads share the memory by message (sharedMemory.ts), and libc reaches it by address. What a
 * kernel or a peer shares with us (rings, their buffers) is mapped over pages of it
 * (sys/mapping.ts), so that one view sees it all. Offsets are kept below 2^31 so that V8 holds them
 * as small integers and never boxes one.
 */
import { assert } from './assert.ts'
import { type Copy, copyOf, newSharedMemory, type SharedMemory } from './sharedMemory.ts'

/** The largest region: beyond it an offset would no longer be a small integer. */
export const REGION_MAX_BYTES: number = 2 ** 31 - 65536

/** How a device lets its peer see frames where they lie, in whole pages. */
export interface Sharing {
  readonly pageBytes: number
  /** The peer sees what lies here from now on; what was there is gone. */
  show(off: number, len: number): void
}

/** One piece of packet memory, of which devices, pools and rings take their parts. */
export class Region {
  /** What other threads make a region of their own from. */
  readonly memory: SharedMemory
  /** Header fields: big-endian by default, throws outside the region. */
  readonly view: DataView
  /** Bulk bytes: set, fill and byte scans. */
  readonly bytes: Uint8Array
  /** `copy(to, from, len)`, as memmove(3): within the region; throws outside it. */
  readonly copy: Copy
  readonly byteLength: number
  /** What `reserve` hands out ends here; byteLength, or the end of a `part`. */
  readonly end: number
  #reserved = 0
  #sharing: Sharing | undefined

  /**
   * Makes a region of `size` bytes or a little more, or sees memory that is there (another
   * thread's) as one. `from` and `end`: what `reserve` hands out.
   */
  constructor(size: number | SharedMemory, from = 0, end?: number) {
    assert(
      typeof size !== 'number' || (size >= 0 && size < 2 ** 31),
      'a region has 0 bytes to 2 GiB',
    )
    this.memory = typeof size === 'number' ? newSharedMemory(size) : size
    this.byteLength = this.buffer.byteLength
    assert(this.byteLength <= REGION_MAX_BYTES, 'a region stays below 2 GiB')
    this.view = new DataView(this.buffer)
    this.bytes = new Uint8Array(this.buffer)
    this.copy = copyOf(this.memory)
    this.end = end ?? this.byteLength
    this.#reserved = from
    assert(from <= this.end && this.end <= this.byteLength, 'a part lies inside its region')
  }

  get buffer(): SharedArrayBuffer {
    return this.memory.buffer
  }

  /** The same memory, of which only [from, end) is handed out: one worker's part. */
  part(from: number, end: number): Region {
    return new Region(this.memory, from, end)
  }

  /**
   * Set-up only: hands out the next `size` bytes, aligned to `align` (a power of two, a page of the
   * system's at most, where the region begins), and returns their offset. Devices and pools carve
   * their parts this way; nothing is ever given back.
   */
  reserve(size: number, align = 64): number {
    const off = Math.ceil(this.#reserved / align) * align
    const isEnough = off + size <= this.end
    assert(isEnough, `the region has ${this.end} bytes, and ${off + size} are reserved in it`)
    this.#reserved = off + size
    return off
  }

  /** From now on `reserveFrames` hands out what a device's peer sees. */
  share(sharing: Sharing): void {
    this.#sharing = sharing
  }

  /**
   * As `reserve`, for frames that are sent. A peer of the device's may see them, and write to them
   * at any moment: nothing that is parsed, or believed, may lie there.
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
