/** What the two roles have in common: a device moves frames through either, and knows no rings. */
import type { Offer } from './port.ts'
import type { Violation } from './violation.ts'

export interface Side {
  /** Of a frame that is pushed: the first byte that it may have, and the one behind the last. */
  readonly frames: number
  readonly framesEnd: number

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
