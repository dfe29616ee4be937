/**
 * Eventfds that a peer has, too: it may have cleared their O_NONBLOCK, which belongs to the file,
 * filled the counter or emptied it, and our thread would sleep for good. So we look before we
 * write, and read with RWF_NOWAIT (Linux 5.8; where it is refused there is an interrupt too many,
 * and no harm).
 *
 * All that the calls need lies in the region, so that they make no garbage.
 */
import type { DeviceStats } from '../device.ts'
import type { Region } from '../region.ts'
import { boxed, type Libc, libc, POLLOUT } from './libc.ts'

/** linux/fs.h. */
const RWF_NOWAIT = 8

/**
 * struct pollfd; a timespec of zero; the iovecs of the one that is written, and of what is read.
 */
const TIMESPEC = 8
const ONE_IOVEC = 24
const COUNT_IOVEC = 40
const ONE = 56
const COUNT = 64
const LEN = 72
/** poll.h: fields of struct pollfd. */
const EVENTS = 4
const REVENTS = 6
/** Bytes of its region that a Bell reserves, alignment included. */
export const BELL_BYTES: number = LEN + 64

export class Bell {
  readonly #libc: Libc
  readonly #view: DataView
  readonly #at: number
  readonly #stats: DeviceStats
  /** Addresses of all that, boxed. */
  readonly #address: number[]

  constructor(region: Region, stats: DeviceStats) {
    const c = libc()
    this.#libc = c
    this.#stats = stats
    this.#view = region.view
    this.#at = region.reserve(LEN)
    const address = c.addressOf(region.bytes) + this.#at
    this.#address = boxed(address, 8, LEN / 8)
    region.bytes.fill(0, this.#at, this.#at + LEN)
    this.#view.setUint32(this.#at + EVENTS, POLLOUT, true)
    this.#view.setUint32(this.#at + ONE, 1, true)
    for (const [iovec, to] of [
      [ONE_IOVEC, ONE],
      [COUNT_IOVEC, COUNT],
    ]) {
      this.#view.setBigUint64(this.#at + iovec, BigInt(address + to), true)
      this.#view.setUint32(this.#at + iovec + 8, 8, true)
    }
  }

  /** Wakes whoever waits at this eventfd; if its counter is full, he is awake. */
  ring(fd: number): void {
    const at = this.#at
    this.#view.setInt32(at, fd, true)
    this.#view.setUint16(at + REVENTS, 0, true)
    this.#stats.syscalls += 2
    this.#libc.ppoll(this.#address[0], 1, this.#address[TIMESPEC / 8], 0)
    if ((this.#view.getUint16(at + REVENTS, true) & POLLOUT) === 0) return
    this.#libc.writev(fd, this.#address[ONE_IOVEC / 8], 1)
  }

  /** Takes what has been rung. */
  hush(fd: number): void {
    this.#stats.syscalls++
    this.#libc.readv(fd, this.#address[COUNT_IOVEC / 8], 1, -1, RWF_NOWAIT)
  }
}
