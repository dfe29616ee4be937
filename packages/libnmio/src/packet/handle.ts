/** An AF_PACKET socket of an interface as plain data (handle.ts). */
import type { OpenHandle } from '../handle.ts'
import type { PacketRing } from '../sys/packet.ts'

export interface PacketHandle extends OpenHandle {
  readonly kind: 'packet'
  readonly fd: number
  readonly ifindex: number
  readonly ring: PacketRing
  /**
   * One word, shared: which slot of the ring is next, for whoever takes over from a thread that
   * died.
   */
  readonly position: Int32Array
  /** Ours, with subnets; the kernel's too if `isShared`. */
  readonly addresses: readonly string[]
  readonly isShared: boolean
  /** The kernel completes checksums and cuts large segments of what we send. */
  readonly offloads: boolean
}
