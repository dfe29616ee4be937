/**
 * Explicit congestion notification (RFC 3168 §6.1): routers mark packets instead of dropping them.
 * A mark that arrives is echoed (ECE) until the peer says that it has reacted (CWR); an echo that
 * arrives reduces the window as a loss would (recovery.ts), and the next new data says so. One
 * scheme of today, RFC 3168's: an offer of accurate ECN (RFC 9768) is answered with it.
 *
 * Invariant: only new data is sent as ECN-capable (ECT(0); ECT(1) is for other senders, RFC 9331),
 * never a SYN, an empty segment, a retransmission or a window probe.
 */
import * as ipv4 from '../../wire/ipv4.ts'
import { ACK, CWR, ECE } from '../../wire/tcp.ts'
import { lt } from '../seq.ts'
import { ECN, FLAGS, NEED_ACK, PERSIST, SEND_CWR, SEND_ECE, SND_NXT } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'

/** A SYN with both flags offers ECN (RFC 3168 §6.1.1). */
const SETUP: number = ECE | CWR

/** `tcp.segment` is a SYN: agrees to ECN if it offers that and the configuration allows it. */
export function agreeOnEcn(tcp: Tcp, c: number): void {
  if (tcp.config.ecn && (tcp.segment.flags & SETUP) === SETUP) tcp.tcb[c + FLAGS] |= ECN
}

/**
 * The SYN came again: without the offer it is taken back, for its packets may not pass
 * (RFC 3168 §6.1.1.1).
 */
export function confirmEcn(tcp: Tcp, c: number): void {
  if ((tcp.segment.flags & SETUP) !== SETUP) tcp.tcb[c + FLAGS] &= ~ECN
}

/**
 * `tcp.segment` is the SYN or SYN-ACK that meets our SYN: what we have offered, the ECN flag until
 * now, is agreed on if it says so.
 */
export function settleEcn(tcp: Tcp, c: number): void {
  const yes = tcp.segment.flags & ACK ? ECE : SETUP
  if ((tcp.segment.flags & SETUP) !== yes) tcp.tcb[c + FLAGS] &= ~ECN
}

/** The flags that a SYN adds, with our offer or without. */
export const synFlags = (tcb: Int32Array, c: number): number => (tcb[c + FLAGS] & ECN ? SETUP : 0)

/** The flag that a SYN-ACK adds: ECE alone says yes. */
export const synAckFlag = (tcb: Int32Array, c: number): number => (tcb[c + FLAGS] & ECN ? ECE : 0)

/**
 * `tcp.segment` is acceptable: what its IP header and its flags say about congestion towards us.
 */
export function noteEcn(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const { ecn, flags, payloadLen } = tcp.segment
  if (payloadLen === 0) return
  // The peer's window may be small now: it should not wait for an ACK.
  if (flags & CWR) {
    tcb[c + FLAGS] &= ~SEND_ECE
    tcp.addWork(c, NEED_ACK)
  }
  if (ecn === ipv4.CE) {
    tcp.stats.ceSegs++
    tcb[c + FLAGS] |= SEND_ECE
    tcp.addWork(c, NEED_ACK)
  }
}

/** Does `tcp.segment` say that the network has marked what we sent? */
export const isEcho = (tcp: Tcp, c: number): boolean =>
  (tcp.segment.flags & ECE) !== 0 && (tcp.tcb[c + FLAGS] & ECN) !== 0

/** The window was reduced, whatever for: the next new data says so (RFC 3168 §6.1.2). */
export function announceReduction(tcb: Int32Array, c: number): void {
  if (tcb[c + FLAGS] & ECN) tcb[c + FLAGS] |= SEND_CWR
}

/** The flag that every segment adds until the peer has reacted. */
export const echoFlag = (tcb: Int32Array, c: number): number =>
  tcb[c + FLAGS] & SEND_ECE ? ECE : 0

/**
 * What data segments that leave now, from `seq` on, say on a connection with ECN: TCP flags in the
 * low byte, the IP header's codepoint in the one above. CWR is for the first of them, and said
 * once.
 */
export function ecnMarks(tcb: Int32Array, c: number, seq: number): number {
  const flags = tcb[c + FLAGS]
  const echo = echoFlag(tcb, c)
  if (flags & PERSIST || lt(seq, tcb[c + SND_NXT])) return echo
  return echo | (flags & SEND_CWR ? CWR : 0) | (ipv4.ECT_0 << 8)
}

/** CWR is on its way. */
export function noteReductionSent(tcb: Int32Array, c: number): void {
  tcb[c + FLAGS] &= ~SEND_CWR
}
