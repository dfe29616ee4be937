/** What a link is made for, and what it needs of either side's handshake. */
import type { Arrival } from './channel.ts'
import type { MemifHandle, MemifRole } from './handle.ts'
import type { Offer } from './port.ts'

export interface LinkSetup {
  readonly role: MemifRole
  /** Path, or '@' and an abstract name. */
  readonly socket: string
  /** Client and server have to name the same. */
  readonly id: number
  readonly secret: string
  /** What we are called, for the peer. */
  readonly name: string
  /** The longest frame, bytes. */
  readonly frameMax: number
  /** All queues. */
  readonly handles: readonly MemifHandle[]
}

export interface Handshake {
  /**
   * Answers a message; what each queue's device needs to know, once that is complete. Throws
   * Refusal.
   */
  step(arrival: Arrival): readonly Offer[] | undefined
  /** The devices have begun with the peer. Throws Refusal. */
  confirm(): void
}
