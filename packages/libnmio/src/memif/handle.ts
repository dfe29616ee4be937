/** A memif queue as plain data (handle.ts). */
import type { OpenHandle } from '../handle.ts'

/** Who brings the memory, and connects; and who listens. */
export type MemifRole = 'client' | 'server'

export interface MemifHandle extends OpenHandle {
  readonly kind: 'memif'
  readonly role: MemifRole
  /** Which of the device's queues: a client's memory is the region of this number. */
  readonly queue: number
  /** Shared with the link (port.ts). */
  readonly port: Int32Array
  /** A client's memory file, which its device gives a size; a server's: -1. */
  readonly memoryFd: number
  /** Descriptors of a ring; a server's client says that. */
  readonly ringSizeLog2: number
  /** What a server keeps free in its region for its client's memory. */
  readonly peerBytes: number
}
