/**
 * Tail loss probe (RFC 8985 §7): when the end of a flight is not acknowledged in about two round
 * trips, one segment more makes the peer say what it has, so that a lost tail is repaired by fast
 * recovery instead of a time-out.
 */
import { ACK, FIN } from '../../wire/tcp.ts'
import { BUSY } from '../application.ts'
import { announceReduction } from '../congestion/ecn.ts'
import { sendControl } from '../control.ts'
import { advance } from '../output.ts'
import { isReachable } from '../path/neighbour.ts'
import { ge, gt, max, min } from '../seq.ts'
import {
  CWND,
  FLAGS,
  FLIGHT,
  IN_RTO,
  MSS,
  REDUCING,
  RTO_US,
  SND_END,
  SND_NXT,
  SND_UNA,
  SND_WND,
  SSTHRESH,
  TLP_END,
  TLP_PROBED,
  TLP_RESENT,
} from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import { startTimer } from '../timers/rtxTimer.ts'
import { AT, BITS, END, IS_RESENT, LAST, SENT_LAST, SEQ } from './flight.ts'
import { flightSize } from './pipe.ts'
import { hasDsack } from './scoreboard.ts'

/** The probe is due: a new segment if there is one, else the last once more (RFC 8985 §7.3). */
export function onProbeTimer(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  startTimer(tcp, c, 0, tcb[c + RTO_US])
  if (tcp.device.txSpace() === 0 || !isReachable(tcp, c)) return
  const next = tcb[c + SND_NXT]
  if (!sendNew(tcp, c, next) && !sendLast(tcp, c)) return
  tcp.stats.lossProbes++
  tcb[c + TLP_END] = tcb[c + SND_NXT]
  tcb[c + FLAGS] |= TLP_PROBED | (next === tcb[c + SND_NXT] ? TLP_RESENT : 0)
}

/** One segment beyond the congestion window, never beyond the peer's. */
function sendNew(tcp: Tcp, c: number, seq: number): boolean {
  const tcb = tcp.tcb
  const left = (tcb[c + SND_END] - seq) | 0
  const open = (tcb[c + SND_UNA] + tcb[c + SND_WND] - seq) | 0
  const len = left < tcb[c + MSS] ? left : tcb[c + MSS]
  if (len <= 0 || open < len || !tcp.flights.canAppend(tcb[c + FLIGHT])) return false
  const sent = tcp.app.transmit(c, seq, len)
  if (sent <= 0) return false
  advance(tcp, c, seq, sent)
  return true
}

function sendLast(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  const { flights, records } = tcp.flights
  const f = tcb[c + FLIGHT]
  const r = flights[f + LAST]
  const end = min(records[r + END], tcb[c + SND_END])
  const start = max(records[r + SEQ], (end - tcb[c + MSS]) | 0)
  let sent = BUSY
  if (ge(start, end)) sent = sendControl(tcp, c, end, ACK | FIN) ? 1 : BUSY
  else sent = tcp.app.transmitExactly(c, start, (end - start) | 0)
  if (sent <= 0) return false
  tcp.stats.retransSegs++
  const isWhole = start === records[r + SEQ] || !tcp.flights.split(f, r, start)
  const probed = isWhole ? r : flights[f + LAST]
  records[probed + AT] = tcp.flights.stamp(f, tcp.nowUs)
  records[probed + BITS] |= IS_RESENT
  flights[f + SENT_LAST] = probed
  return true
}

/** RFC 8985 §7.4: what the ACK being processed says about a probe under way. */
export function onTlpAck(tcp: Tcp, c: number, isDuplicate: boolean): void {
  const tcb = tcp.tcb
  if ((tcb[c + FLAGS] & TLP_PROBED) === 0) return
  const ack = tcp.segment.ack
  if (!ge(ack, tcb[c + TLP_END])) return
  const isRepaired = (tcb[c + FLAGS] & TLP_RESENT) !== 0 && !hasDsack(tcp)
  if (isRepaired && !gt(ack, tcb[c + TLP_END])) {
    // It may be the answer to the original; a duplicate ACK without a report then ends the doubt.
    if (isDuplicate && tcp.options.sackCount === 0) tcb[c + FLAGS] &= ~(TLP_PROBED | TLP_RESENT)
    return
  }
  tcb[c + FLAGS] &= ~(TLP_PROBED | TLP_RESENT)
  if (!isRepaired || tcb[c + FLAGS] & (REDUCING | IN_RTO)) return
  // The probe was the repair of a loss, which has its price.
  tcp.stats.lossProbeRecoveries++
  announceReduction(tcb, c)
  tcp.cc.onLoss(tcb, c, flightSize(tcb, c), tcp.nowUs)
  if (tcb[c + CWND] > tcb[c + SSTHRESH]) tcb[c + CWND] = tcb[c + SSTHRESH]
}
