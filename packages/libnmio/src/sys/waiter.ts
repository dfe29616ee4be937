/**
 * ppoll(2) over a device's descriptor, the eventfd by which others call for its thread, and where
 * the device's own does not tell when its interface goes, one that does. The pollfds, timespec and
 * counter lie in the region, so that a wait makes no garbage.
 */
import type { DeviceStats } from '../device.ts'
import type { Region } from '../region.ts'
import { boxed, check, type Libc, libc, O_CLOEXEC, O_NONBLOCK, POLLIN } from './libc.ts'

/**
 * poll.h: struct pollfd { int fd; short events; short revents }; ours are [device, eventfd, watch].
 */
const POLLFD_LEN = 8
const EVENTS = 4
const REVENTS = 6
const WATCH = 2 * POLLFD_LEN
/** Behind the pollfds a timespec { s64 s; s64 ns }, and an eventfd's u64. */
const TIMESPEC = 3 * POLLFD_LEN
const COUNT = TIMESPEC + 16
/** Bytes of its region that a Waiter reserves, alignment included. */
export const WAITER_BYTES: number = COUNT + 8 + 64

/** sys/eventfd.h: the flags of open(2) by other names. */
const EFD_FLAGS = O_NONBLOCK | O_CLOEXEC

/** An eventfd for a device's poll set; the opener of the device closes it. */
export const openWakeFd = (): number => check(libc().eventfd(0, EFD_FLAGS), 'eventfd')

const ONE = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)

/** Ends the present or next `wait` on this eventfd, from any thread. */
export function wakeUp(wakeFd: number): void {
  // Fails only when the count is full, and then the device is awake anyhow.
  libc().write(wakeFd, ONE, ONE.length)
}

/**
 * An interface that is removed goes down first, and only that is told: of one that is down its user
 * looks this often whether it is still there.
 */
export const DOWN_LOOK_US = 200_000

/** The shorter of two waits, of which the first may be -1: no limit. */
export const sooner = (timeoutUs: number, mostUs: number): number =>
  timeoutUs < 0 || timeoutUs > mostUs ? mostUs : timeoutUs

export class Waiter {
  readonly #libc: Libc
  readonly #wakeFd: number
  readonly #view: DataView
  readonly #at: number
  readonly #stats: DeviceStats
  /** Addresses of the pollfds, the timespec and the counter, boxed. */
  readonly #address: number[]

  /** `watchFd`: -1: none. */
  constructor(region: Region, fd: number, wakeFd: number, stats: DeviceStats, watchFd = -1) {
    const c = libc()
    this.#libc = c
    this.#wakeFd = wakeFd
    this.#view = region.view
    this.#stats = stats
    this.#at = region.reserve(COUNT + 8)
    this.#address = boxed(c.addressOf(region.bytes) + this.#at, 8, (COUNT + 8) / 8)
    this.#view.setInt32(this.#at, fd, true)
    this.#view.setInt32(this.#at + POLLFD_LEN, wakeFd, true)
    this.#view.setInt16(this.#at + POLLFD_LEN + EVENTS, POLLIN, true)
    this.#view.setInt32(this.#at + WATCH, watchFd, true) // for POLLERR, which nobody needs to ask for
  }

  /** From now on the device's descriptor is `fd`; -1: it has none. */
  follow(fd: number): void {
    this.#view.setInt32(this.#at, fd, true)
  }

  /** poll(2) leaves out negative descriptors; a dead one would report its error without end. */
  forget(): void {
    this.#view.setInt32(this.#at, -1, true)
    this.#view.setInt32(this.#at + WATCH, -1, true)
  }

  /**
   * Sleeps until the device has one of `events` (poll.h), somebody calls, or `timeoutUs` is over
   * (-1: no limit). Returns what the device has, with POLLERR if its watch has.
   */
  wait(events: number, timeoutUs: number): number {
    const view = this.#view
    const at = this.#at
    view.setUint32(at + EVENTS, events, true) // and no revents
    view.setUint16(at + POLLFD_LEN + REVENTS, 0, true)
    const seconds = Math.floor(timeoutUs / 1e6)
    view.setUint32(at + TIMESPEC, seconds, true)
    view.setUint32(at + TIMESPEC + 8, (timeoutUs - seconds * 1e6) * 1000, true)
    this.#stats.waits++
    this.#stats.syscalls++
    const timeout = timeoutUs < 0 ? 0 : this.#address[TIMESPEC / 8]
    if (this.#libc.ppoll(this.#address[0], 3, timeout, 0) <= 0) return 0
    if (view.getUint16(at + POLLFD_LEN + REVENTS, true) !== 0) {
      this.#stats.syscalls++
      this.#libc.read(this.#wakeFd, this.#address[COUNT / 8], 8)
    }
    return view.getUint16(at + REVENTS, true) | view.getUint16(at + WATCH + REVENTS, true)
  }
}
