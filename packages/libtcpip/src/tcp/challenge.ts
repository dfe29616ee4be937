/**
 * Challenge ACKs (RFC 5961 §3, §4, §5): whoever sends a segment that could have been forged is told
 * where the connection is; only the true peer can make use of that.
 */
import { NEED_ACK } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Drops the segment for `reason` and answers with an ACK, at most one a batch. */
export function challenge(tcp: Tcp, c: number, reason: number): number {
  tcp.stats.challengeAcks++
  tcp.addWork(c, NEED_ACK)
  return tcp.drop(reason)
}
