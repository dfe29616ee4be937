/**
 * Protection against wrapped sequence numbers (RFC 7323 §5): on a connection with timestamps an old
 * duplicate shows by its TSval, even if its sequence number is in the window again. R1 to R5 are
 * the steps of §5.3; which timestamp is echoed says §4.3.
 *
 * The caller has parsed `tcp.options`. Neither function is for an RST: its timestamp proves nothing
 * and must change nothing (§5.2).
 */
import { OK } from '@sandstorm/libeth'
import { TCP_NO_TIMESTAMP, TCP_PAWS } from '../drops.ts'
import { seq } from '../wire/tcp.ts'
import { le, lt } from './seq.ts'
import { answerUnacceptable } from './stray/challenge.ts'
import { ACK_SENT, FLAGS, HEARD_AT, TIMESTAMPS, TS_RECENT } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/**
 * After such a silence TS.Recent may have been passed by the peer's clock: it tells nothing (§5.5).
 */
const TS_RECENT_LIFE_MS = 24 * 86_400_000

/** R1: may the segment come from this time? OK, or why it was dropped. */
export function checkTimestamp(tcp: Tcp, c: number): number {
  if ((tcp.tcb[c + FLAGS] & TIMESTAMPS) === 0) return OK
  if (!tcp.options.timestamps) return tcp.drop(TCP_NO_TIMESTAMP)
  if (!isOld(tcp, c)) return OK
  return answerUnacceptable(tcp, c, TCP_PAWS)
}

/**
 * R3: the timestamp to echo is that of the segment which the next ACK will answer, so one that
 * arrived before its predecessor is not echoed. To be called for acceptable segments only; notes
 * that the peer was heard.
 */
export function noteTimestamp(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  // SEG.SEQ as it was sent: `tcp.segment` may have been trimmed to the window.
  const sent = seq(tcp.frames.region.view, tcp.segment.headerOff)
  const isNext = le(sent, tcb[c + ACK_SENT])
  if (tcp.options.timestamps && isNext && !isOld(tcp, c)) tcb[c + TS_RECENT] = tcp.options.tsVal
  tcb[c + HEARD_AT] = tcp.nowMs
}

/** SEG.TSval < TS.Recent, and TS.Recent is valid. */
function isOld(tcp: Tcp, c: number): boolean {
  const silence = (tcp.nowMs - tcp.tcb[c + HEARD_AT]) >>> 0
  return lt(tcp.options.tsVal, tcp.tcb[c + TS_RECENT]) && silence < TS_RECENT_LIFE_MS
}
