/** What a client may make a mount wait for, and keep; the interface is of the one on our TCP. */
import type { HttpLimits } from '../http/limits.ts'

/** On both mounts: so much of a request's body has to come in the time of a head, 64 KiB. */
export const BODY_STEP_SHIFT = 16
export const BODY_STEP_BYTES: number = 1 << BODY_STEP_SHIFT

/** On the kernel's TCP, where a connection is a descriptor and some objects; at the same time. */
export const KERNEL_CONNECTIONS = 10_000

export interface MountLimits {
  /**
   * A request head must be complete this long after its first byte, or after the connection opened;
   * a body that is dropped, this long after its answer.
   */
  headTimeoutMs: number
  /** A connection without a request is closed. */
  idleTimeoutMs: number
  /** An answer of which the client acknowledges nothing for this long is given up. */
  stallTimeoutMs: number
  /** Answers under way per connection; further requests wait in its buffer. */
  answersPerConnection: number
  /** Bytes that are still taken, and dropped, of a client after its last answer. */
  lingerBytes: number
  /** Requests of a connection, the last of which closes it; 0: as many as there are. */
  requestsPerConnection: number
  http: Partial<HttpLimits>
}

export const MOUNT_LIMITS: MountLimits = {
  headTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  stallTimeoutMs: 120_000,
  answersPerConnection: 8,
  lingerBytes: 1 << 20,
  requestsPerConnection: 0,
  http: {},
}
