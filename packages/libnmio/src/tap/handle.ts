/**
 * A TAP as plain data. The thread that opens it owns the descriptors and closes them; the thread
 * that moves packets gets a copy of the handle by message and only uses them. So a worker that dies
 * leaves nothing open, and closing has one place (design: the main thread keeps what FFI opened,
 * since nobody else would close it).
 */
import { EADDRINUSE, EBUSY, SysError } from '../sys/errno.ts'
import { check, libc, O_CLOEXEC } from '../sys/libc.ts'
import { wakeUp } from '../sys/waiter.ts'

/** Structured-cloneable; `closeTap` sets the descriptors of its copy to -1. */
export interface TapHandle {
  /** The queue: reads and writes are frames behind a virtio_net_hdr. Non-blocking. */
  fd: number
  /** An eventfd in the device's poll set: `wakeTap` ends a `wait`. */
  wakeFd: number
  /** Holds the name against other openers; vanishes with the process, however that ends. */
  lockFd: number
  readonly name: string
  /** The largest IP packet, bytes. */
  readonly mtu: number
  /** Hardware address of our end; the kernel's end has its own. */
  readonly mac: Uint8Array
  /** The interface was there before us and stays after us. */
  readonly persistent: boolean
  /** The kernel may hand over partial checksums and large segments, and takes them from us. */
  readonly offloads: boolean
}

const AF_UNIX = 1
const SOCK_DGRAM = 2

/**
 * Takes the name, or throws EBUSY. The lock is an abstract Unix socket (unix(7)): like interface
 * names it belongs to the network namespace, needs no file and no right, and dies with its process.
 * The kernel itself would let a second opener into a multi-queue TAP and give it half of the flows.
 */
export function lockName(name: string): number {
  const c = libc()
  const fd = check(c.socket(AF_UNIX, SOCK_DGRAM | O_CLOEXEC, 0), 'socket(AF_UNIX)')
  const path = new TextEncoder().encode(`sandstorm-tap/${name}`)
  const address = new Uint8Array(2 + 1 + path.length)
  address[0] = AF_UNIX
  address.set(path, 3)
  if (c.bind(fd, address, address.length) === 0) return fd
  const errno = c.errno()
  c.close(fd)
  if (errno === EADDRINUSE) throw busy(name)
  throw new SysError(`lock tap ${name}`, errno)
}

/** Somebody else has the interface. */
export function busy(name: string): SysError {
  const hint = 'another running program has it open; stop that program or choose another name'
  return new SysError(`tap ${name}`, EBUSY, hint)
}

/** Ends the device's present or next `wait`, from any thread. */
export const wakeTap = (handle: TapHandle): void => wakeUp(handle.wakeFd)

/**
 * Closes the descriptors; the interface goes with them unless it is persistent. To be called by the
 * opener, once no thread uses the device any more (a descriptor's number is soon somebody else's).
 */
export function closeTap(handle: TapHandle): void {
  for (const fd of [handle.fd, handle.wakeFd, handle.lockFd]) if (fd >= 0) libc().close(fd)
  handle.fd = handle.wakeFd = handle.lockFd = -1
}
