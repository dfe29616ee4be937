/**
 * An open device as plain data. The thread that opens it owns its descriptors and closes them; the
 * thread that moves packets gets a copy of the handle by message and only uses them. So a worker
 * that dies leaves nothing open, and closing has one place (nobody else would close what was opened
 * through FFI).
 */
import { libc } from './sys/libc.ts'
import { wakeUp } from './sys/waiter.ts'

/** What handles of all kinds have; structured-cloneable. */
export interface OpenHandle {
  /** The interface, or what stands for it. */
  readonly name: string
  /** The largest IP packet, bytes. */
  readonly mtu: number
  /** Our hardware address. */
  readonly mac: Uint8Array
  /** An eventfd in the device's poll set: `wakeDevice` ends a `wait`. */
  wakeFd: number
  /** For `closeHandle`: all descriptors of the device, if this is its first queue. */
  owned: number[]
}

/** Ends the device's present or next `wait`, from any thread. */
export function wakeDevice(handle: OpenHandle): void {
  if (handle.wakeFd >= 0) wakeUp(handle.wakeFd)
}

/**
 * Closes the descriptors; what the kernel keeps for them (a TAP that is not persistent, a BPF link)
 * goes with them. To be called by the opener, once no thread uses the device any more: a
 * descriptor's number is soon somebody else's. Idempotent.
 */
export function closeHandle(handle: OpenHandle): void {
  for (const fd of handle.owned) libc().close(fd)
  handle.owned = []
  handle.wakeFd = -1
}

/** Closes all queues of a device. */
export function closeHandles(handles: readonly OpenHandle[]): void {
  for (const handle of handles) closeHandle(handle)
}

/**
 * Makes the handles of a device's queues with `open`, which hands over each descriptor as soon as
 * it has it (`own` returns it); closes them all if that fails. The first handle owns them all.
 */
export function opening<T extends OpenHandle>(
  open: (own: (fd: number) => number) => Omit<T, 'owned'>[],
): T[] {
  const owned: number[] = []
  const own = (fd: number): number => {
    owned.push(fd)
    return fd
  }
  try {
    return open(own).map((handle, i) => ({ ...handle, owned: i === 0 ? owned : [] })) as T[]
  } catch (error) {
    for (const fd of owned) libc().close(fd)
    throw error
  }
}
