/**
 * Loss recovery: what an acknowledgement, or none in time, means for what is in flight. Each ACK
 * goes through the same steps: the scoreboard is brought up to date (scoreboard.ts), losses are
 * detected (RACK, rack.ts; duplicate ACKs towards a peer without SACK), an episode of recovery
 * begins, ends or turns out to be none (undo.ts), and the congestion window follows (prr.ts while
 * losses are repaired, congestion control otherwise).
 *
 * A retransmission takes the bytes from the application's content again; no copy of them was kept.
 */
import { announceReduction, isEcho } from '../congestion/ecn.ts'
import { output } from '../output.ts'
import { noteAcked, suspectBlackHole } from '../path/segmentSize.ts'
import { ge, gt, max } from '../seq.ts'
import {
  CWND,
  FLAGS,
  FLIGHT,
  IN_CWR,
  IN_RECOVERY,
  IN_RTO,
  MSS,
  REDUCING,
  REORDER,
  RETRIES,
  RTO_US,
  SACK,
  SND_NXT,
  SND_UNA,
  SSTHRESH,
  TIMESTAMPS,
} from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import { armTimer, startTimer, stopTimer } from '../timers/rtxTimer.ts'
import {
  BITS,
  DUP_ACKS,
  END,
  FIRST,
  FRTO,
  IS_SACKED,
  LOST,
  NO_FLIGHT,
  NO_RECORD,
  PACED_AT,
  RECOVER,
  SACKED,
  SEQ,
} from './flight.ts'
import { flightSize, pipe } from './pipe.ts'
import { beginPrr, onPrrAck } from './prr.ts'
import { detectLosses, markLostOnRto, noteReordering, onDsack, onRecovered } from './rack.ts'
import { backOffRto, sampleRtt, sampleTimestamp } from './rtt.ts'
import { settleDuplicates, takeAcked, takeDuplicate, takeSacks } from './scoreboard.ts'
import { onTlpAck } from './tlp.ts'
import { canUndo, echoesOriginal, forbidUndo, noteDuplicate, saveForUndo, undo } from './undo.ts'

/** Duplicate ACKs that make a loss (RFC 5681 §3.2). */
const DUP_THRESH = 3
/**
 * Time-outs in a row after which a peer's SACKs are forgotten: its records are for those who
 * answer.
 */
const SILENT_TIMEOUTS = 4

/**
 * `tcp.segment` has an acceptable ACK. `isDuplicate`: it acknowledges nothing new, and is not there
 * for data or a window either (RFC 5681 §2).
 */
export function onAck(tcp: Tcp, c: number, isDuplicate: boolean): void {
  const tcb = tcp.tcb
  onTlpAck(tcp, c, isDuplicate)
  const f = tcb[c + FLIGHT]
  if (f === NO_FLIGHT) return
  const { flights } = tcp.flights
  const delivery = tcp.delivery
  delivery.begin(tcp, c, f, (tcp.segment.ack - tcb[c + SND_UNA]) | 0)
  updateScoreboard(tcp, c, f, isDuplicate)
  if (delivery.acked > 0) onProgress(tcp, c)
  if (flights[f + FRTO] > 0) stepFrto(flights, f, delivery.acked)
  if (delivery.duplicateBytes > 0) onDsack(tcp, c, f)

  const wasReducing = (tcb[c + FLAGS] & REDUCING) !== 0
  const isNewEcho = takeEcho(tcp, c, f)
  if (tcb[c + FLAGS] & (REDUCING | IN_RTO)) endRecovery(tcp, c, f)
  const lostBefore = flights[f + LOST]
  const waitUs = delivery.acked > 0 || delivery.bytes > 0 ? findLosses(tcp, c, f) : 0
  const isNewLoss = flights[f + LOST] > lostBefore
  if (isNewLoss && (tcb[c + FLAGS] & (IN_RECOVERY | IN_RTO)) === 0) beginRecovery(tcp, c, f)
  if (isNewEcho) onCongestionEcho(tcp, c, f)

  if (tcb[c + FLAGS] & REDUCING) paceRepair(tcp, c, f, isNewLoss)
  else if (delivery.acked > 0 && !wasReducing && !isNewEcho) growWindow(tcp, c, f)
  waitForNext(tcp, c, f, waitUs)
}

/** What the ACK says has arrived; SND_UNA moves. */
function updateScoreboard(tcp: Tcp, c: number, f: number, isDuplicate: boolean): void {
  const { acked } = tcp.delivery
  if (acked > 0) takeAcked(tcp, c, f, tcp.segment.ack)
  if (tcp.tcb[c + FLAGS] & SACK) takeSacks(tcp, c, f)
  else if (acked > 0) settleDuplicates(tcp, c, f, acked)
  else if (isDuplicate) takeDuplicate(tcp, c, f)
}

/**
 * Does the peer echo congestion that it met after the last reduction? Echoes of what was sent
 * before do not count, to the last of them.
 */
function takeEcho(tcp: Tcp, c: number, f: number): boolean {
  if (tcp.delivery.acked === 0 || !isEcho(tcp, c)) return false
  const { flights } = tcp.flights
  // What is proven congestion is never undone (RFC 4015 §3.2).
  forbidUndo(flights, f)
  return gt(tcp.segment.ack, flights[f + RECOVER])
}

/** While losses are repaired, PRR says how much goes out. */
function paceRepair(tcp: Tcp, c: number, f: number, isNewLoss: boolean): void {
  const tcb = tcp.tcb
  const { acked, bytes } = tcp.delivery
  const inFlight = pipe(tcp, c)
  onPrrAck(tcb, c, tcp.flights.flights, f, bytes, inFlight, acked > 0 && !isNewLoss)
  // Without SACK a partial ACK names the next hole, which is repaired at once (RFC 6582 §3.2).
  const repair = inFlight + tcb[c + MSS]
  const isPartial = acked > 0 && isNewLoss && (tcb[c + FLAGS] & SACK) === 0
  if (isPartial && tcb[c + CWND] < repair) tcb[c + CWND] = repair
}

/** Something was acknowledged, and nothing is wrong: the window is congestion control's. */
function growWindow(tcp: Tcp, c: number, f: number): void {
  const tcb = tcp.tcb
  const { flights } = tcp.flights
  const { acked, flightBytes, latestRttUs } = tcp.delivery
  // A recovery point left behind would lie in the future after 2^31 bytes.
  flights[f + RECOVER] = max(flights[f + RECOVER], (tcp.segment.ack - 1) | 0)
  // After a time-out the window is used by definition, however little of it is in flight.
  const used = tcb[c + FLAGS] & IN_RTO ? tcb[c + CWND] : flightBytes
  tcp.cc.onAck(tcb, c, acked, used, latestRttUs, tcp.nowUs)
}

/** The next ACK is due in an RTO, or RACK looks again before that, in `waitUs` (0: it need not). */
function waitForNext(tcp: Tcp, c: number, f: number, waitUs: number): void {
  const tcb = tcp.tcb
  if (tcp.segment.ack === tcb[c + SND_NXT]) {
    tcp.flights.close(f)
    tcb[c + FLIGHT] = NO_FLIGHT
    stopTimer(tcp, c)
  } else if (waitUs > 0) {
    startTimer(tcp, c, REORDER, waitUs)
  } else if (tcp.delivery.acked > 0 || tcb[c + FLAGS] & REORDER) {
    armTimer(tcp, c)
  }
}

/** SND_UNA moved: the peer is alive, and maybe we know the round trip. */
function onProgress(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const delivery = tcp.delivery
  tcb[c + RETRIES] = 0
  noteAcked(tcb, c, delivery.acked)
  if (delivery.rttUs >= 0 && (!delivery.hasResent || tcb[c + FLAGS] & SACK)) {
    sampleRtt(tcb, c, delivery.rttUs, delivery.latestRttUs)
  } else if (tcb[c + FLAGS] & TIMESTAMPS && tcp.options.timestamps) {
    sampleTimestamp(tcp, c)
  }
}

/** Is the episode over, or was it none? */
function endRecovery(tcp: Tcp, c: number, f: number): void {
  const { flights } = tcp.flights
  const tcb = tcp.tcb
  const delivery = tcp.delivery
  const isSpurious =
    (delivery.acked > 0 && echoesOriginal(tcp, c) && isNothingRepaired(tcp, c, f)) ||
    (delivery.duplicateBytes > 0 && noteDuplicate(flights, f, delivery.duplicateBytes)) ||
    isSpuriousRto(tcp, c, f)
  if (isSpurious) {
    if (tcb[c + FLAGS] & IN_RECOVERY) noteReordering(tcb, c)
    undo(tcp, c)
    return
  }
  if (!ge(tcb[c + SND_UNA], flights[f + RECOVER])) return
  if (tcb[c + FLAGS] & REDUCING) tcb[c + CWND] = tcb[c + SSTHRESH]
  if (tcb[c + FLAGS] & IN_CWR) {
    tcb[c + FLAGS] &= ~IN_CWR
    // Nothing was lost, so duplicate ACKs of the very next byte mean what they say.
    flights[f + RECOVER] = (flights[f + RECOVER] - 1) | 0
    return
  }
  tcb[c + FLAGS] &= ~(IN_RECOVERY | IN_RTO)
  flights[f + DUP_ACKS] = 0
  if ((tcb[c + FLAGS] & SACK) === 0) flights[f + SACKED] = 0
  onRecovered(tcb, c)
}

/**
 * The original filled the hole. That makes a time-out spurious; of several holes in fast recovery
 * others may be real: then all that was sent again must be acknowledged, and nothing be lost.
 */
function isNothingRepaired(tcp: Tcp, c: number, f: number): boolean {
  return (tcp.tcb[c + FLAGS] & IN_RTO) !== 0 || !tcp.flights.hasRepairs(f)
}

/**
 * F-RTO with SACK (RFC 5682 §3, step 3b): after a time-out, something arrives that was sent once,
 * and before it: not everything was lost. Without SACK a cumulative ACK tells that only if nothing
 * that it covers was sent again.
 */
function isSpuriousRto(tcp: Tcp, c: number, f: number): boolean {
  const flags = tcp.tcb[c + FLAGS]
  if ((flags & IN_RTO) === 0 || !tcp.delivery.hasOriginal || !canUndo(tcp.flights.flights, f)) {
    return false
  }
  return (flags & SACK) !== 0 || !tcp.delivery.hasResent
}

/**
 * RFC 5682 §2.1: after a time-out the first ACK lets two new segments out instead of more that may
 * not be lost at all (output.ts); the second shows which it was.
 */
function stepFrto(flights: Int32Array, f: number, acked: number): void {
  flights[f + FRTO] = acked > 0 && flights[f + FRTO] === 1 ? 2 : 0
}

/**
 * Looks for losses after something was delivered; microseconds until it should look again, or 0.
 */
function findLosses(tcp: Tcp, c: number, f: number): number {
  if (tcp.tcb[c + FLAGS] & SACK) {
    forgetReneged(tcp, f)
    return detectLosses(tcp, c, f)
  }
  findLossByDuplicates(tcp, c, f)
  return 0
}

/** The peer does not acknowledge what it had SACKed: it has thrown that away (RFC 2018 §8). */
function forgetReneged(tcp: Tcp, f: number): void {
  const { flights, records } = tcp.flights
  const first = flights[f + FIRST]
  if (first === NO_RECORD || (records[first + BITS] & IS_SACKED) === 0) return
  tcp.stats.sackReneging++
  tcp.flights.clearSacked(f)
}

/** RFC 6582 §3.2: the third duplicate ACK, or a partial ACK: the first segment is lost. */
function findLossByDuplicates(tcp: Tcp, c: number, f: number): void {
  const { flights, records } = tcp.flights
  const { acked } = tcp.delivery
  const tcb = tcp.tcb
  const first = flights[f + FIRST]
  if (first === NO_RECORD || tcb[c + FLAGS] & IN_RTO) return
  if (tcb[c + FLAGS] & IN_RECOVERY) {
    if (acked === 0) return
  } else {
    if (acked > 0) {
      flights[f + DUP_ACKS] = 0
      flights[f + SACKED] = 0
      return
    }
    if (flights[f + DUP_ACKS] < DUP_THRESH) return
    // Step 1: not for duplicates of what an earlier episode sent again.
    const isSentAgain = (tcb[c + FLAGS] & IN_CWR) === 0
    if (isSentAgain && !gt(tcb[c + SND_UNA], flights[f + RECOVER])) return
  }
  const end = (records[first + SEQ] + tcb[c + MSS]) | 0
  if (gt(records[first + END], end)) tcp.flights.split(f, first, end)
  tcp.flights.markLost(f, first)
}

/** Losses were found: the window is reduced, once for all of them and for echoes of congestion. */
function beginRecovery(tcp: Tcp, c: number, f: number): void {
  const tcb = tcp.tcb
  if (tcb[c + FLAGS] & SACK) tcp.stats.sackRecoveries++
  else tcp.stats.renoRecoveries++
  if ((tcb[c + FLAGS] & IN_CWR) === 0) {
    saveForUndo(tcp, c)
    reduce(tcp, c, f)
  }
  const { flights } = tcp.flights
  flights[f + RECOVER] = tcb[c + SND_NXT]
  flights[f + PACED_AT] = tcp.nowUs
  tcb[c + FLAGS] = (tcb[c + FLAGS] & ~IN_CWR) | IN_RECOVERY
}

/**
 * The peer echoes a mark on what was sent since the last reduction (RFC 3168 §6.1.2): the window is
 * reduced as for a loss, but nothing is sent again.
 */
function onCongestionEcho(tcp: Tcp, c: number, f: number): void {
  const tcb = tcp.tcb
  if (tcb[c + FLAGS] & (REDUCING | IN_RTO)) return
  tcp.stats.ecnReductions++
  reduce(tcp, c, f)
  if (tcp.segment.ack === tcb[c + SND_NXT]) {
    // The flight ends with this ACK: there is nothing in it to slow down.
    if (tcb[c + CWND] > tcb[c + SSTHRESH]) tcb[c + CWND] = tcb[c + SSTHRESH]
    return
  }
  tcp.flights.flights[f + RECOVER] = tcb[c + SND_NXT]
  tcb[c + FLAGS] |= IN_CWR
}

function reduce(tcp: Tcp, c: number, f: number): void {
  const { flightSize, unsackedBytes } = tcp.delivery
  announceReduction(tcp.tcb, c)
  tcp.cc.onLoss(tcp.tcb, c, flightSize, tcp.nowUs)
  beginPrr(tcp.flights.flights, f, unsackedBytes)
}

/** RACK's reordering timer (RFC 8985 §6.2): what was overtaken has had its time. */
export function onReorderTimer(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const f = tcb[c + FLIGHT]
  const { flights } = tcp.flights
  tcp.delivery.begin(tcp, c, f, 0)
  const lostBefore = flights[f + LOST]
  detectLosses(tcp, c, f)
  startTimer(tcp, c, 0, tcb[c + RTO_US])
  if (flights[f + LOST] === lostBefore) return
  if ((tcb[c + FLAGS] & (IN_RECOVERY | IN_RTO)) === 0) beginRecovery(tcp, c, f)
  if (tcb[c + FLAGS] & IN_RECOVERY) onPrrAck(tcb, c, flights, f, 0, pipe(tcp, c), false)
  output(tcp, c)
}

/** Nothing was acknowledged for an RTO (RFC 6298 §5): what was sent so long ago is lost. */
export function onRto(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const f = tcb[c + FLIGHT]
  const { flights } = tcp.flights
  tcp.stats.timeouts++
  tcb[c + RETRIES]++
  suspectBlackHole(tcp, c)
  const flags = tcb[c + FLAGS]
  const isFirst = tcb[c + RETRIES] === 1 && (flags & REDUCING) === 0
  // A timestamp tells at the first ACK what F-RTO finds out at the second.
  flights[f + FRTO] = isFirst && (flags & (IN_RTO | TIMESTAMPS)) === 0 ? 1 : 0
  if (flags & REDUCING) forbidUndo(flights, f)
  else if ((flags & IN_RTO) === 0) saveForUndo(tcp, c)
  tcp.cc.onRto(tcb, c, flightSize(tcb, c), isFirst, tcp.nowUs)
  tcb[c + FLAGS] = (flags & ~REDUCING) | IN_RTO
  announceReduction(tcb, c)
  flights[f + DUP_ACKS] = 0
  flights[f + RECOVER] = tcb[c + SND_NXT]
  if (flags & SACK) forgetReneged(tcp, f)
  else flights[f + SACKED] = 0
  markLostOnRto(tcp, c, f)
  if (tcb[c + RETRIES] >= SILENT_TIMEOUTS) tcp.flights.loseAll(f)
  backOffRto(tcb, c)
  startTimer(tcp, c, 0, tcb[c + RTO_US])
  output(tcp, c)
}
