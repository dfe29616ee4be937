/**
 * Loss recovery: what an acknowledgement, a duplicate one, or none in time says about what is in
 * flight (RFC 5681 §3.2, NewReno RFC 6582, RFC 6298 §5). A retransmission takes the bytes from the
 * application's content again; no copy of them was kept.
 */

import { ACK, FIN } from '../wire/tcp.ts'
import { BUSY } from './application.ts'
import { advance, output, startTimer, stopTimer } from './output.ts'
import { backOffRto, cancelRtt, sampleRtt } from './rtt.ts'
import { isReachable, sendControl } from './segment.ts'
import { ge, gt, max } from './seq.ts'
import {
  CWND,
  DUP_ACKS,
  FIN_QUEUED,
  FLAGS,
  IN_RECOVERY,
  MSS,
  NEED_OUTPUT,
  PERSIST,
  RECOVER,
  RETRIES,
  RTX_END,
  RTX_NXT,
  SND_END,
  SND_NXT,
  SND_UNA,
  SND_WND,
  SSTHRESH,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Duplicate ACKs that make a loss (RFC 5681 §3.2). */
const DUP_THRESH = 3

/** `ack` acknowledges new bytes. */
export function onNewAck(tcp: Tcp, c: number, ack: number): void {
  const tcb = tcp.tcb
  const acked = (ack - tcb[c + SND_UNA]) | 0
  const flight = (tcb[c + SND_NXT] - tcb[c + SND_UNA]) | 0
  sampleRtt(tcb, c, ack, tcp.nowUs)
  tcb[c + SND_UNA] = ack
  tcb[c + RETRIES] = 0
  tcb[c + RTX_NXT] = max(tcb[c + RTX_NXT], ack)
  tcb[c + RTX_END] = max(tcb[c + RTX_END], ack)
  if (tcb[c + FLAGS] & IN_RECOVERY) {
    if (ge(ack, tcb[c + RECOVER])) leaveRecovery(tcb, c)
    else onPartialAck(tcp, c, acked)
  } else {
    tcb[c + DUP_ACKS] = 0
    // A recovery point left behind would lie in the future after 2^31 bytes.
    tcb[c + RECOVER] = max(tcb[c + RECOVER], (ack - 1) | 0)
    tcp.cc.onAck(tcb, c, acked, flight, -1, tcp.nowUs)
  }
  if (ack === tcb[c + SND_NXT]) stopTimer(tcp, c)
  else startTimer(tcp, c, 0)
}

/** RFC 6582 §3.2 step 3: everything of the lost window is there. */
function leaveRecovery(tcb: Int32Array, c: number): void {
  const flight = (tcb[c + SND_NXT] - tcb[c + SND_UNA]) | 0
  const careful = (flight > tcb[c + MSS] ? flight : tcb[c + MSS]) + tcb[c + MSS]
  tcb[c + CWND] = careful < tcb[c + SSTHRESH] ? careful : tcb[c + SSTHRESH]
  tcb[c + FLAGS] &= ~IN_RECOVERY
  tcb[c + DUP_ACKS] = 0
}

/** RFC 6582 §3.2 step 4: the next hole; the window deflates by what was acknowledged. */
function onPartialAck(tcp: Tcp, c: number, acked: number): void {
  const tcb = tcp.tcb
  const mss = tcb[c + MSS]
  const deflated = tcb[c + CWND] - acked + (acked >= mss ? mss : 0)
  tcb[c + CWND] = deflated > mss ? deflated : mss
  retransmitFirst(tcp, c)
}

/** An ACK that acknowledges nothing new, with data outstanding: a segment has left the network. */
export function onDupAck(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  tcb[c + DUP_ACKS]++
  if (tcb[c + FLAGS] & IN_RECOVERY) {
    // Forged duplicates must not inflate it beyond what could have left the network (RFC 5681 §3.2).
    if (tcb[c + CWND] <= ((tcb[c + SND_NXT] - tcb[c + SND_UNA]) | 0)) tcb[c + CWND] += tcb[c + MSS]
    return
  }
  // RFC 6582 §3.2 step 1: not again for a loss that was already acted on.
  if (tcb[c + DUP_ACKS] !== DUP_THRESH || !gt(tcb[c + SND_UNA], tcb[c + RECOVER])) return
  tcp.cc.onLoss(tcb, c, (tcb[c + SND_NXT] - tcb[c + SND_UNA]) | 0, tcp.nowUs)
  tcb[c + RECOVER] = tcb[c + SND_NXT]
  tcb[c + FLAGS] |= IN_RECOVERY
  tcb[c + CWND] = tcb[c + SSTHRESH] + DUP_THRESH * tcb[c + MSS]
  tcp.stats.fastRetransmits++
  retransmitFirst(tcp, c)
}

/** Sends the first unacknowledged segment again, whatever the windows say. */
function retransmitFirst(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const una = tcb[c + SND_UNA]
  const left = (tcb[c + SND_END] - una) | 0
  let sent = BUSY
  if (left <= 0) sent = sendControl(tcp, c, una, ACK | FIN) ? 1 : BUSY
  else if (tcp.device.txSpace() > 0 && isReachable(tcp, c)) {
    sent = tcp.app.transmit(c, una, left < tcb[c + MSS] ? left : tcb[c + MSS])
  }
  // It is what is lost now: `advance` counts it as retransmitted, a full ring leaves it to output.
  tcb[c + RTX_NXT] = una
  tcb[c + RTX_END] = (una + 1) | 0
  if (sent > 0) advance(tcp, c, una, sent)
  else tcp.addWork(c, NEED_OUTPUT)
}

/** Nothing was acknowledged for an RTO: all that is outstanding is taken for lost (RFC 6298 §5). */
export function onRto(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  tcp.stats.timeouts++
  tcb[c + RETRIES]++
  const flight = (tcb[c + SND_NXT] - tcb[c + SND_UNA]) | 0
  tcp.cc.onRto(tcb, c, flight, tcb[c + RETRIES] === 1, tcp.nowUs)
  tcb[c + FLAGS] &= ~IN_RECOVERY
  tcb[c + DUP_ACKS] = 0
  tcb[c + RECOVER] = tcb[c + SND_NXT]
  tcb[c + RTX_NXT] = tcb[c + SND_UNA]
  tcb[c + RTX_END] = tcb[c + SND_NXT]
  cancelRtt(tcb, c)
  backOffRto(tcb, c)
  startTimer(tcp, c, 0)
  output(tcp, c)
}

/**
 * The peer's window is shut: one byte of new data makes it say whether it still is (RFC 9293
 * §3.8.6.1), at growing intervals, for as long as it answers (its silence is counted as with any
 * retransmission). The byte is at once counted as lost, so that it goes out again with its segment
 * when the window opens.
 */
export function onPersist(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const una = tcb[c + SND_UNA]
  const left = (tcb[c + SND_END] - una) | 0
  const fin = left === 0 && (tcb[c + FLAGS] & FIN_QUEUED) !== 0
  tcp.stats.zeroWindowProbes++
  tcb[c + RETRIES]++
  backOffRto(tcb, c)
  startTimer(tcp, c, PERSIST)
  if (left <= 0 && !fin) return
  if (tcp.device.txSpace() === 0 || !isReachable(tcp, c)) return
  const open = tcb[c + SND_WND] < tcb[c + MSS] ? tcb[c + SND_WND] : tcb[c + MSS]
  const len = open < 1 ? 1 : open < left ? open : left
  const sent = fin
    ? sendControl(tcp, c, una, ACK | FIN)
      ? 1
      : BUSY
    : tcp.app.transmitExactly(c, una, len)
  if (sent <= 0) return
  advance(tcp, c, una, sent)
  tcb[c + RTX_NXT] = una
  tcb[c + RTX_END] = tcb[c + SND_NXT]
  cancelRtt(tcb, c)
}
