/**
 * Output (RFC 9293 §3.8.6.2, RFC 5681): sends everything that the congestion window and the peer's
 * window allow, in the same pass in which the ACK that allowed it is processed (paper §2.1). There
 * is no send queue: the application frames the bytes, and a full ring only puts the connection on
 * the work list until there is space again.
 *
 * Lost bytes, [RTX_NXT, RTX_END), go first; what counts as in flight (the pipe) leaves them out.
 */
import { ACK, FIN } from '../wire/tcp.ts'
import { BUSY } from './application.ts'
import { cancelRtt, startRtt } from './rtt.ts'
import { dataFlags, isReachable, sendControl } from './segment.ts'
import { gt, min } from './seq.ts'
import * as state from './state.ts'
import {
  CWND,
  DUP_ACKS,
  FIN_QUEUED,
  FLAGS,
  IN_RECOVERY,
  MAX_WND,
  MSS,
  NEED_OUTPUT,
  PERSIST,
  RTO_US,
  RTX_ARMED,
  RTX_AT,
  RTX_END,
  RTX_NXT,
  SENT_AT,
  SND_END,
  SND_NXT,
  SND_UNA,
  SND_WND,
  STATE,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Sends what may be sent now, and sees to it that a timer runs while something is outstanding. */
export function output(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  if (!state.isSynchronized(tcb[c + STATE])) return
  if (!hasUnsent(tcb, c)) return
  if (!isReachable(tcp, c)) {
    tcp.addWork(c, NEED_OUTPUT)
  } else {
    restartAfterIdle(tcp, c)
    // Once anything is out, it is not the peer's window that is waited for.
    while (sendNext(tcp, c)) if (tcb[c + FLAGS] & PERSIST) stopTimer(tcp, c)
  }
  armRetransmission(tcp, c)
}

/** Is there anything that has not been sent, or must be sent again? */
function hasUnsent(tcb: Int32Array, c: number): boolean {
  if (tcb[c + RTX_NXT] !== tcb[c + RTX_END]) return true
  const left = (tcb[c + SND_END] - tcb[c + SND_NXT]) | 0
  return left > 0 || (left === 0 && (tcb[c + FLAGS] & FIN_QUEUED) !== 0)
}

/** RFC 5681 §4.1: after an idle RTO the ACK clock is gone, and so is the large window. */
function restartAfterIdle(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  if (tcb[c + SND_NXT] !== tcb[c + SND_UNA]) return
  if (((tcp.nowMs - tcb[c + SENT_AT]) | 0) * 1000 > tcb[c + RTO_US])
    tcp.cc.onIdle(tcb, c, tcp.nowUs)
}

/** Sends what the application frames in one go, if there is room for any; false when it is time to stop. */
function sendNext(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  if (!hasUnsent(tcb, c)) return false
  if (tcp.device.txSpace() === 0) {
    tcp.addWork(c, NEED_OUTPUT)
    return false
  }
  const lost = (tcb[c + RTX_END] - tcb[c + RTX_NXT]) | 0
  const seq = lost > 0 ? tcb[c + RTX_NXT] : tcb[c + SND_NXT]
  const room = roomFor(tcb, c, seq, lost)
  const left = (tcb[c + SND_END] - seq) | 0
  const sent = left > 0 ? sendData(tcp, c, seq, room < left ? room : left) : sendFin(tcp, c, room)
  if (sent === BUSY) {
    tcp.addWork(c, NEED_OUTPUT)
    return false
  }
  if (sent === 0) return false
  advance(tcp, c, seq, sent)
  return true
}

/** Bytes that may be sent from `seq` on: the congestion window's room and the peer's. */
function roomFor(tcb: Int32Array, c: number, seq: number, lost: number): number {
  const flags = tcb[c + FLAGS]
  const pipe = ((tcb[c + SND_NXT] - tcb[c + SND_UNA]) | 0) - lost
  let cwnd = tcb[c + CWND]
  // Limited transmit (RFC 3042): each of the first two duplicate ACKs lets one new segment out.
  if (tcb[c + DUP_ACKS] > 0 && tcb[c + DUP_ACKS] < 3 && (flags & IN_RECOVERY) === 0) {
    cwnd += tcb[c + DUP_ACKS] * tcb[c + MSS]
  }
  const byCwnd = cwnd - pipe
  const byWindow = (tcb[c + SND_UNA] + tcb[c + SND_WND] - seq) | 0
  const room = byCwnd < byWindow ? byCwnd : byWindow
  return lost > 0 ? roomForLost(tcb, c, room, lost, pipe) : room
}

/** Of `room`, what lost bytes need to go out in whole segments; new data is not repeated with them. */
function roomForLost(tcb: Int32Array, c: number, room: number, lost: number, pipe: number): number {
  const mss = tcb[c + MSS]
  const most = lost + mss - 1
  // A fast retransmit, or all there is, goes out against the windows: what was sent once may be
  // sent again (MUST-34). A probe of a shut window does not, or each ACK of one would send the next.
  const owed = pipe === 0 || (tcb[c + FLAGS] & IN_RECOVERY) !== 0
  if (owed && (tcb[c + FLAGS] & PERSIST) === 0 && room < mss) return mss
  return room < most ? room : most
}

/** Frames of data. Silly windows wait, unless half of the largest window is open (SHLD-30). */
function sendData(tcp: Tcp, c: number, seq: number, room: number): number {
  if (room <= 0) return 0
  const sent = tcp.app.transmit(c, seq, room)
  if (sent !== 0) return sent
  const tcb = tcp.tcb
  const idle = tcb[c + SND_NXT] === tcb[c + SND_UNA] || tcb[c + RTX_NXT] === tcb[c + SND_UNA]
  if (!idle || room < tcb[c + MAX_WND] >> 1) return 0
  return tcp.app.transmitExactly(c, seq, room < tcb[c + MSS] ? room : tcb[c + MSS])
}

/** A FIN of its own, when no data is left for it to ride on. */
function sendFin(tcp: Tcp, c: number, room: number): number {
  if (room <= 0) return 0
  return sendControl(tcp, c, tcp.tcb[c + SND_END], ACK | FIN) ? 1 : BUSY
}

/** `sent` payload bytes (or the FIN alone) left from `seq` on. */
export function advance(tcp: Tcp, c: number, seq: number, sent: number): void {
  const tcb = tcp.tcb
  let end = (seq + sent) | 0
  if (end === tcb[c + SND_END] && dataFlags(tcp, c, end) & FIN) end = (end + 1) | 0
  tcb[c + SENT_AT] = tcp.nowMs
  if (tcb[c + RTX_NXT] !== tcb[c + RTX_END]) {
    tcp.stats.retransSegs += Math.ceil(sent / tcb[c + MSS])
    cancelRtt(tcb, c)
    tcb[c + RTX_NXT] = gt(end, tcb[c + RTX_END]) ? tcb[c + RTX_END] : end
  } else {
    // The first segment is timed: the last of a long run waits for the ones before it.
    startRtt(tcb, c, min(end, (seq + tcb[c + MSS]) | 0), tcp.nowUs)
  }
  if (gt(end, tcb[c + SND_NXT])) tcb[c + SND_NXT] = end
}

/**
 * RFC 6298 §5.1: the retransmission timer runs while anything is outstanding. If nothing is, yet
 * there is something to send, the peer's window is shut and the persist timer runs (RFC 9293
 * §3.8.6.1).
 */
export function armRetransmission(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  if (tcb[c + FLAGS] & RTX_ARMED) return
  const outstanding = tcb[c + SND_NXT] !== tcb[c + SND_UNA]
  if (!outstanding && !hasUnsent(tcb, c)) return
  startTimer(tcp, c, outstanding ? 0 : PERSIST)
}

/** (Re)starts the retransmission timer with the current RTO. */
export function startTimer(tcp: Tcp, c: number, persist: number): void {
  const tcb = tcp.tcb
  tcb[c + FLAGS] = (tcb[c + FLAGS] & ~PERSIST) | RTX_ARMED | persist
  tcb[c + RTX_AT] = (tcp.nowMs + (tcb[c + RTO_US] + 999) / 1000) | 0
  tcp.timers.schedule(c, tcb[c + RTX_AT])
}

export function stopTimer(tcp: Tcp, c: number): void {
  tcp.tcb[c + FLAGS] &= ~(RTX_ARMED | PERSIST)
}
