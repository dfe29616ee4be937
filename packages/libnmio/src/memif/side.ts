/** What the two roles have in common: a device moves frames through either, and knows no rings. */
import type { Offer } from './port.ts'
import type { Violation } from './violation.ts'

export interface Side {
  /** Whether a frame lies where it can be sent from. */
  holds(off: number, len: number): boolean

  /** Begins with a peer; NONE, or why it cannot be. */
  start(offer: Offer): Violation
  /** Lets go of the peer. */
  stop(): void
  /** The peer's frames that wait. */
  hasFrames(): boolean
  /** Wants an interrupt for the next, or none. */
  wantInterrupt(wants: boolean): void
  /** Copies the next batch into the inbox. */
  receive(): Violation
  /** Puts what is pushed into the ring, as far as it takes any. */
  send(): Violation
  /** Notes which frames are ours again. */
  complete(): Violation
  /** Whoever gets our frames wants to be told. */
  peerWantsInterrupt(): boolean
  /** Gives the region its pages back. */
  close(): void
}
