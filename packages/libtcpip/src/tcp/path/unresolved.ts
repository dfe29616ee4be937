/**
 * Connections whose first hop has no known hardware address yet. They are not on the work list: a
 * flood of SYNs from addresses that nobody has would make every batch look at all of them. The
 * newest are remembered here and looked at when an address becomes known, so that a client's first
 * SYN-ACK leaves as soon as ARP (or neighbour discovery) answers; the older ones are left to their
 * retransmission timers, as if the link had lost their frame (RFC 1122 §2.3.2.2 asks for the latest
 * packet only).
 *
 * An entry is a hint and owns nothing: the TCB may be free or have another owner by then, and what
 * is in it says whether anybody still waits.
 */
import { CLOSED } from '../state.ts'
import { FLAGS, NO_CONN, STATE, UNRESOLVED } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'

/** How many are remembered: what a poll looks at when an address becomes known, at most. */
export const UNRESOLVED_MAX = 1024

export class Unresolved {
  readonly conns: Int32Array = new Int32Array(UNRESOLVED_MAX).fill(NO_CONN)
  count = 0
  /** `resolvedCount` of ARP and of neighbour discovery when these were last looked at. */
  seenArp = 0
  seenNdp = 0
}

/** `c` has something to send and is not reachable; what, its NEED bits keep. */
export function waitForNeighbour(tcp: Tcp, c: number, need: number): void {
  const { tcb, unresolved } = tcp
  const waits = (tcb[c + FLAGS] & UNRESOLVED) !== 0
  tcb[c + FLAGS] |= UNRESOLVED | need
  if (waits) return
  const slot = unresolved.count++ % UNRESOLVED_MAX
  const oldest = unresolved.conns[slot]
  if (oldest !== NO_CONN && oldest !== c) tcb[oldest + FLAGS] &= ~UNRESOLVED
  unresolved.conns[slot] = c
}

/** Puts those who wait on the work list, if an address has become known since the last call. */
export function wakeResolved(tcp: Tcp): void {
  const { tcb, unresolved, arp, ndp } = tcp
  const isArpSeen = arp.resolvedCount === unresolved.seenArp
  if (isArpSeen && ndp.resolvedCount === unresolved.seenNdp) return
  unresolved.seenArp = arp.resolvedCount
  unresolved.seenNdp = ndp.resolvedCount
  for (let slot = 0; slot < UNRESOLVED_MAX && slot < unresolved.count; slot++) {
    const c = unresolved.conns[slot]
    unresolved.conns[slot] = NO_CONN
    if (tcb[c + STATE] === CLOSED || (tcb[c + FLAGS] & UNRESOLVED) === 0) continue
    tcb[c + FLAGS] &= ~UNRESOLVED
    tcp.addWork(c, 0)
  }
  unresolved.count = 0
}
