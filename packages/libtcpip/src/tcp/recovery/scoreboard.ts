/**
 * The scoreboard (RFC 6675 §3, §4): what an ACK says was delivered, cumulatively, selectively
 * (RFC 2018) or, to a peer without SACK, by being a duplicate (RFC 5681 §3.2). The records of the
 * flight are brought up to date; the sum of it is a `Delivery`.
 */
import { ge, gt, le, lt } from '../seq.ts'
import { FLAGS, IN_RECOVERY, MSS, SND_NXT, SND_UNA } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import {
  AT,
  BITS,
  DUP_ACKS,
  END,
  FIRST,
  IS_LOST,
  IS_RESENT,
  IS_SACKED,
  IS_TIMED,
  LOST,
  NEXT,
  NO_RECORD,
  RECOVER,
  SACKED,
  SEQ,
} from './flight.ts'
import { flightSize } from './pipe.ts'
import { noteDelivered } from './rack.ts'

/** What one ACK delivered, and what was in flight before it; filled anew for each. */
export class Delivery {
  /** Bytes that it acknowledges cumulatively. */
  acked = 0
  /** FlightSize before it (RFC 5681 §3.2). */
  flightSize = 0
  /** Bytes outstanding before it that were not SACKed, and of those what was not lost. */
  unsackedBytes = 0
  flightBytes = 0
  /** Bytes that were not known to be delivered before. */
  bytes = 0
  /** Of those, some had been sent only once, and before the episode of recovery. */
  hasOriginal = false
  /** Of those that the ACK covers cumulatively, some had been sent again. */
  hasResent = false
  /**
   * Round trip of the oldest and of the latest burst that gave a sample, microseconds; -1: none.
   */
  rttUs = -1
  latestRttUs = -1
  /** Bytes that the peer reports to have received twice (RFC 2883). */
  duplicateBytes = 0

  /** Before anything of the ACK has changed the connection `c` and its flight `f`. */
  begin(tcp: Tcp, c: number, f: number, acked: number): void {
    const tcb = tcp.tcb
    const { flights } = tcp.flights
    this.acked = acked
    this.flightSize = flightSize(tcb, c)
    this.unsackedBytes = ((tcb[c + SND_NXT] - tcb[c + SND_UNA]) | 0) - flights[f + SACKED]
    this.flightBytes = this.unsackedBytes - flights[f + LOST]
    this.bytes = 0
    this.hasOriginal = false
    this.hasResent = false
    this.rttUs = -1
    this.latestRttUs = -1
    this.duplicateBytes = 0
  }
}

/** Everything before `ack` has arrived; SND_UNA moves there. */
export function takeAcked(tcp: Tcp, c: number, f: number, ack: number): void {
  const { flights, records } = tcp.flights
  tcp.tcb[c + SND_UNA] = ack
  let r = flights[f + FIRST]
  while (r !== NO_RECORD && le(records[r + END], ack)) {
    takeRecord(tcp, c, f, r, records[r + END])
    tcp.flights.shift(f)
    r = flights[f + FIRST]
  }
  if (r === NO_RECORD || !lt(records[r + SEQ], ack)) return
  takeRecord(tcp, c, f, r, ack)
  records[r + SEQ] = ack
  records[r + BITS] |= IS_TIMED
}

/** The bytes of `r` before `end` are acknowledged. */
function takeRecord(tcp: Tcp, c: number, f: number, r: number, end: number): void {
  const { flights, records } = tcp.flights
  const bits = records[r + BITS]
  const bytes = (end - records[r + SEQ]) | 0
  if (bits & IS_LOST) flights[f + LOST] -= bytes
  if (bits & IS_RESENT) tcp.delivery.hasResent = true
  if (bits & IS_SACKED) flights[f + SACKED] -= bytes
  else deliver(tcp, c, f, r, end, bytes)
}

function deliver(tcp: Tcp, c: number, f: number, r: number, end: number, bytes: number): void {
  const delivery = tcp.delivery
  const { records } = tcp.flights
  delivery.bytes += bytes
  if ((records[r + BITS] & IS_RESENT) === 0) {
    if (le(end, tcp.flights.flights[f + RECOVER])) delivery.hasOriginal = true
    // Karn: only what was sent once tells a round trip, and of a burst only its first ACK.
    if ((records[r + BITS] & IS_TIMED) === 0) {
      delivery.latestRttUs = (tcp.nowUs - records[r + AT]) | 0
      if (delivery.rttUs < 0) delivery.rttUs = delivery.latestRttUs
    }
  }
  noteDelivered(tcp, c, f, r, end)
}

/** The SACK blocks of `tcp.options`, after `takeAcked`. */
export function takeSacks(tcp: Tcp, c: number, f: number): void {
  const { sackCount, sackStart, sackEnd } = tcp.options
  const tcb = tcp.tcb
  const isDuplicate = hasDsack(tcp)
  if (isDuplicate) tcp.delivery.duplicateBytes = (sackEnd[0] - sackStart[0]) | 0
  for (let i = isDuplicate ? 1 : 0; i < sackCount; i++) {
    const start = sackStart[i]
    const end = sackEnd[i]
    // A block of what was never sent, or is long acknowledged, is forged or old (RFC 2018 §5).
    if (!lt(start, end) || lt(start, tcb[c + SND_UNA]) || gt(end, tcb[c + SND_NXT])) continue
    takeBlock(tcp, c, f, start, end)
  }
}

function takeBlock(tcp: Tcp, c: number, f: number, start: number, end: number): void {
  const { flights, records } = tcp.flights
  tcp.flights.carve(f, start, end)
  let before = NO_RECORD
  for (let r = flights[f + FIRST]; r !== NO_RECORD; r = records[r + NEXT]) {
    if (ge(records[r + SEQ], end)) break
    if (ge(records[r + SEQ], start) && le(records[r + END], end)) markSacked(tcp, c, f, r)
    if (before !== NO_RECORD && records[before + BITS] & records[r + BITS] & IS_SACKED) {
      tcp.flights.joinNext(f, before)
      r = before
    }
    before = r
  }
}

function markSacked(tcp: Tcp, c: number, f: number, r: number): void {
  const { flights, records } = tcp.flights
  if (records[r + BITS] & IS_SACKED) return
  const bytes = (records[r + END] - records[r + SEQ]) | 0
  if (records[r + BITS] & IS_LOST) flights[f + LOST] -= bytes
  flights[f + SACKED] += bytes
  deliver(tcp, c, f, r, records[r + END], bytes)
  records[r + BITS] = (records[r + BITS] & ~IS_LOST) | IS_SACKED
}

/** Is the first block a duplicate report: below the ACK, or inside the second (RFC 2883 §4)? */
export function hasDsack(tcp: Tcp): boolean {
  const { sackCount, sackStart, sackEnd } = tcp.options
  if (sackCount === 0 || !lt(sackStart[0], sackEnd[0])) return false
  if (le(sackEnd[0], tcp.segment.ack)) return true
  return sackCount > 1 && ge(sackStart[0], sackStart[1]) && le(sackEnd[0], sackEnd[1])
}

/** Without SACK: a duplicate ACK says that some segment has arrived, never that all have. */
export function takeDuplicate(tcp: Tcp, c: number, f: number): void {
  const { flights } = tcp.flights
  const tcb = tcp.tcb
  const mss = tcb[c + MSS]
  flights[f + DUP_ACKS]++
  // Forged duplicates must not count for more than could have arrived: in recovery, for what was
  // outstanding when it began (RFC 5681 §3.2).
  const end = tcb[c + FLAGS] & IN_RECOVERY ? flights[f + RECOVER] : tcb[c + SND_NXT]
  const reach = (end - tcb[c + SND_UNA]) | 0
  if (flights[f + SACKED] + flights[f + LOST] + 2 * mss > reach) return
  flights[f + SACKED] += mss
  tcp.delivery.bytes += mss
}

/**
 * Without SACK: of `acked` bytes all but the segment that was missing were counted as duplicates.
 */
export function settleDuplicates(tcp: Tcp, c: number, f: number, acked: number): void {
  const { flights } = tcp.flights
  const others = acked - tcp.tcb[c + MSS]
  const counted = others < flights[f + SACKED] ? others : flights[f + SACKED]
  if (counted <= 0) return
  flights[f + SACKED] -= counted
  tcp.delivery.bytes -= counted
}
