/**
 * Undo: a loss that was none (reordering, a delay beyond the RTO) must not cost the congestion
 * window. That it was none is told by an ACK that echoes a timestamp from before the first
 * retransmission (Eifel, RFC 3522), or by duplicate reports for everything that was retransmitted
 * (RFC 3708). The answer is RFC 4015's: back to what was, and nothing is taken for lost.
 */
import { lt } from '../seq.ts'
import {
  CC_WORD_COUNT,
  CC_WORDS,
  CWND,
  FLAGS,
  FLIGHT,
  IN_RECOVERY,
  IN_RTO,
  RETRIES,
  SEND_CWR,
  SSTHRESH,
  TIMESTAMPS,
  TS_OFFSET,
} from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import { NO_UNDO, RACK_RTT, UNDO_BYTES, UNDO_TS, UNDO_WORDS } from './flight.ts'

/** Notes the window before it is reduced. */
export function saveForUndo(tcp: Tcp, c: number): void {
  const { flights } = tcp.flights
  const { tcb } = tcp
  const f = tcb[c + FLIGHT]
  flights[f + UNDO_BYTES] = 0
  flights[f + UNDO_TS] = (tcp.nowMs + tcb[c + TS_OFFSET]) | 0
  flights[f + UNDO_WORDS] = tcb[c + CWND]
  flights[f + UNDO_WORDS + 1] = tcb[c + SSTHRESH]
  for (let i = 0; i < CC_WORD_COUNT; i++) flights[f + UNDO_WORDS + 2 + i] = tcb[c + CC_WORDS + i]
}

/** The congestion is real: no way back. */
export function forbidUndo(flights: Int32Array, f: number): void {
  flights[f + UNDO_BYTES] = NO_UNDO
}

/** Was anything saved, and sent again since? */
export const canUndo = (flights: Int32Array, f: number): boolean => flights[f + UNDO_BYTES] > 0

/** `bytes` were retransmitted. */
export function noteResent(flights: Int32Array, f: number, bytes: number): void {
  if (flights[f + UNDO_BYTES] !== NO_UNDO) flights[f + UNDO_BYTES] += bytes
}

/** The peer reports a duplicate of `bytes`; true if now every retransmission was one. */
export function noteDuplicate(flights: Int32Array, f: number, bytes: number): boolean {
  const left = flights[f + UNDO_BYTES]
  if (left <= 0) return false
  flights[f + UNDO_BYTES] = left > bytes ? left - bytes : 0
  return left <= bytes
}

/** Does the ACK being processed answer a segment from before the first retransmission? */
export function echoesOriginal(tcp: Tcp, c: number): boolean {
  const { flights } = tcp.flights
  const f = tcp.tcb[c + FLIGHT]
  if (!canUndo(flights, f) || (tcp.tcb[c + FLAGS] & TIMESTAMPS) === 0) return false
  return tcp.options.timestamps && lt(tcp.options.tsEcr, flights[f + UNDO_TS])
}

/** Back to what was before the episode; it never makes the window smaller. */
export function undo(tcp: Tcp, c: number): void {
  const { flights } = tcp.flights
  const { tcb } = tcp
  const f = tcb[c + FLIGHT]
  if (flights[f + UNDO_WORDS] > tcb[c + CWND]) tcb[c + CWND] = flights[f + UNDO_WORDS]
  tcb[c + SSTHRESH] = flights[f + UNDO_WORDS + 1]
  for (let i = 0; i < CC_WORD_COUNT; i++) tcb[c + CC_WORDS + i] = flights[f + UNDO_WORDS + 2 + i]
  forbidUndo(flights, f)
  // What was taken for the delivery of a retransmission was that of the original (RFC 8985 §6.2).
  flights[f + RACK_RTT] = -1
  tcp.flights.clearLost(f)
  if (tcb[c + FLAGS] & IN_RTO) tcp.stats.spuriousRtos++
  tcp.stats.undos++
  tcb[c + FLAGS] &= ~(IN_RECOVERY | IN_RTO | SEND_CWR)
  tcb[c + RETRIES] = 0
}
