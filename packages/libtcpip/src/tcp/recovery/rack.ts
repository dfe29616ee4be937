/**
 * RACK (RFC 8985 §6): a segment is lost when one that was sent later has been delivered, and as
 * much time has passed as reordering may cost. The clock decides, not a count of duplicates, so
 * that lost retransmissions and lost tails are found as well.
 */
import { ge, gt } from '../seq.ts'
import {
  FLAGS,
  IN_RECOVERY,
  IN_RTO,
  MIN_RTT_US,
  MSS,
  REORDERING,
  SND_NXT,
  SND_UNA,
  SRTT_US,
  TIMESTAMPS,
  TS_OFFSET,
} from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import {
  AT,
  BITS,
  DSACK_ROUND,
  END,
  FIRST,
  IS_LOST,
  IS_RESENT,
  IS_SACKED,
  NEXT,
  NO_RECORD,
  RACK_AT,
  RACK_END,
  RACK_FACK,
  RACK_RTT,
  SACKED,
} from './flight.ts'

// The word REORDERING: whether any was seen, by how much the window is widened, and for how long
const SEEN = 1
const WIDENED = 1 << 8 // one unit of the field at bits 8 … 15
const WIDENED_MAX = 60
const REO_WND_PERSIST = 1 << 16 // one unit of the field at bits 16 … 23
const FIELD = 0xff
/** Recoveries for which a widened window stays (RFC 8985 §6.2 step 4). */
const PERSIST_RECOVERIES = 16

/** Was (at1, end1) sent after (at2, end2)? */
const isSentAfter = (at1: number, end1: number, at2: number, end2: number): boolean => {
  const later = (at1 - at2) | 0
  return later > 0 || (later === 0 && gt(end1, end2))
}

/** Steps 1 to 3: the bytes of record `r` up to `end` were delivered. */
export function noteDelivered(tcp: Tcp, c: number, f: number, r: number, end: number): void {
  const { flights, records } = tcp.flights
  const tcb = tcp.tcb
  const at = records[r + AT]
  const rttUs = (tcp.nowUs - at) | 0
  const isResent = (records[r + BITS] & IS_RESENT) !== 0
  if (isResent && isOfOriginal(tcp, c, rttUs)) return
  const rackRtt = flights[f + RACK_RTT]
  if (rackRtt < 0 || isSentAfter(at, end, flights[f + RACK_AT], flights[f + RACK_END])) {
    flights[f + RACK_RTT] = rttUs
    flights[f + RACK_AT] = at
    flights[f + RACK_END] = end
  }
  if (gt(end, flights[f + RACK_FACK])) flights[f + RACK_FACK] = end
  else if (!isResent) noteReordering(tcb, c)
}

/**
 * Segments of this connection overtake each other: three that came early are no proof of a loss.
 */
export function noteReordering(tcb: Int32Array, c: number): void {
  tcb[c + REORDERING] |= SEEN
}

/** A retransmission that seems to be answered too soon: it is the original that is. */
function isOfOriginal(tcp: Tcp, c: number, rttUs: number): boolean {
  const tcb = tcp.tcb
  if (rttUs < tcb[c + MIN_RTT_US]) return true
  if ((tcb[c + FLAGS] & TIMESTAMPS) === 0 || !tcp.options.timestamps) return false
  const echoedMs = (tcp.nowMs + tcb[c + TS_OFFSET] - tcp.options.tsEcr) | 0
  return echoedMs > rttUs / 1000 + 1
}

/** Step 4: a duplicate was reported, so the window was too narrow; once a round trip. */
export function onDsack(tcp: Tcp, c: number, f: number): void {
  const { flights } = tcp.flights
  const tcb = tcp.tcb
  if (!ge(tcb[c + SND_UNA], flights[f + DSACK_ROUND])) return
  flights[f + DSACK_ROUND] = tcb[c + SND_NXT]
  const word = tcb[c + REORDERING]
  const widened = (word >> 8) & FIELD
  const next = widened < WIDENED_MAX ? widened + 1 : widened
  tcb[c + REORDERING] = (word & SEEN) | (next * WIDENED) | (PERSIST_RECOVERIES * REO_WND_PERSIST)
}

/** Step 4: a recovery is over; after enough of them the window is narrow again. */
export function onRecovered(tcb: Int32Array, c: number): void {
  const word = tcb[c + REORDERING]
  if (word <= SEEN) return
  tcb[c + REORDERING] = word >> 16 > 1 ? word - REO_WND_PERSIST : word & SEEN
}

/** Step 4: how long a segment may be overtaken, microseconds. */
function reorderingWindowUs(tcp: Tcp, c: number, f: number): number {
  const tcb = tcp.tcb
  const word = tcb[c + REORDERING]
  if ((word & SEEN) === 0) {
    // More than two segments' worth of SACKs: what three duplicate ACKs were (RFC 6675 §4).
    const isClear = tcp.flights.flights[f + SACKED] > 2 * tcb[c + MSS]
    if (isClear || tcb[c + FLAGS] & (IN_RECOVERY | IN_RTO)) return 0
  }
  const window = (((word >> 8) & FIELD) + 1) * (tcb[c + MIN_RTT_US] >> 2)
  return window < tcb[c + SRTT_US] ? window : tcb[c + SRTT_US]
}

/** Step 5: marks what is lost; returns the microseconds after which to look again, 0 for never. */
export function detectLosses(tcp: Tcp, c: number, f: number): number {
  const { flights, records } = tcp.flights
  if (flights[f + RACK_RTT] < 0) return 0
  const patience = flights[f + RACK_RTT] + reorderingWindowUs(tcp, c, f)
  const rackAt = flights[f + RACK_AT]
  const rackEnd = flights[f + RACK_END]
  let waitUs = 0
  for (let r = flights[f + FIRST]; r !== NO_RECORD; r = records[r + NEXT]) {
    if (records[r + BITS] & (IS_SACKED | IS_LOST)) continue
    if (!isSentAfter(rackAt, rackEnd, records[r + AT], records[r + END])) continue
    const leftUs = patience - ((tcp.nowUs - records[r + AT]) | 0)
    if (leftUs > 0) {
      if (leftUs > waitUs) waitUs = leftUs
      continue
    }
    if (records[r + BITS] & IS_RESENT) tcp.stats.lostRetransmits++
    tcp.flights.markLost(f, r)
  }
  return waitUs
}

/** RFC 8985 §6.3: after a time-out the first segment is lost, and what was sent long enough ago. */
export function markLostOnRto(tcp: Tcp, c: number, f: number): void {
  const { flights, records } = tcp.flights
  const first = flights[f + FIRST]
  const rtt = flights[f + RACK_RTT] < 0 ? 0 : flights[f + RACK_RTT]
  const patience = rtt + reorderingWindowUs(tcp, c, f)
  for (let r = first; r !== NO_RECORD; r = records[r + NEXT]) {
    const age = (tcp.nowUs - records[r + AT]) | 0
    if (r === first || age >= patience) tcp.flights.markLost(f, r)
  }
}
