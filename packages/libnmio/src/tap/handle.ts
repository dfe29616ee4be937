/** A TAP as plain data (handle.ts), and who may have it. */
import type { OpenHandle } from '../handle.ts'
import { EBUSY, SysError } from '../sys/errno.ts'
import { takeLock } from '../sys/lock.ts'

export interface TapHandle extends OpenHandle {
  readonly kind: 'tap'
  /** The queue: reads and writes are frames behind a virtio_net_hdr. Non-blocking. */
  readonly fd: number
  /** The interface was there before us and stays after us. */
  readonly persistent: boolean
  /** The kernel may hand over partial checksums and large segments, and takes them from us. */
  readonly offloads: boolean
}

/**
 * Holds the name against other openers, or throws EBUSY. The kernel itself would let a second
 * opener into a multi-queue TAP and give it half of the flows.
 */
export function lockName(name: string): number {
  const fd = takeLock(`tap/${name}`)
  if (fd < 0) throw busy(name)
  return fd
}

/** Somebody else has the interface. */
export function busy(name: string): SysError {
  const hint = 'another running program has it open; stop that program or choose another name'
  return new SysError(`tap ${name}`, EBUSY, hint)
}
