/**
 * What happens when a connection's time has come. Each has four deadlines, that of retransmission
 * (or persist, or keep-alive), of a delayed ACK, of the next burst (pacing.ts) and of the
 * application; the wheel holds the connection once, at the earliest of them or before
 * (timerWheel.ts), so being popped early is normal.
 */
import { abort } from '../abort.ts'
import { isPaceDue, schedulePace } from '../congestion/pacing.ts'
import { TIMED_OUT } from '../ending.ts'
import { repeatSynAck } from '../opening/listen.ts'
import { output } from '../output.ts'
import { settleTooBig } from '../path/pathMtu.ts'
import { onReorderTimer, onRto } from '../recovery/recovery.ts'
import { backOffRto } from '../recovery/rtt.ts'
import { onProbeTimer } from '../recovery/tlp.ts'
import { gt } from '../seq.ts'
import * as state from '../state.ts'
import {
  ACK_AT,
  ACK_DELAYED,
  APP_ARMED,
  APP_AT,
  ECN,
  FLAGS,
  KEPT_ALIVE,
  NEED_ACK,
  NO_CONN,
  PACED,
  PASSIVE,
  PERSIST,
  REORDER,
  RETRIES,
  RTO_US,
  RTX_ARMED,
  RTX_AT,
  STATE,
  SYN_RESENT,
  TLP,
} from '../tcb.ts'
import { type Tcp, TURNS } from '../tcp.ts'
import { onKeepAlive } from './keepAlive.ts'
import { onPersist } from './persist.ts'
import { startTimer } from './rtxTimer.ts'

/** How often a connection looks whether our own link is up again (Linux: the same). */
const LINK_PROBE_US = 500_000

/** Runs what is due at the stack's clock, until that has sent what a batch's timers may send. */
export function runTimers(tcp: Tcp): void {
  const { device, nowMs } = tcp
  const least = device.txSpace() - TURNS
  while (device.txSpace() > least) {
    const c = tcp.timers.pop(nowMs)
    if (c === NO_CONN) break
    if (onTimer(tcp, c)) reschedule(tcp, c)
  }
  tcp.timeWait.expire(nowMs)
}

/** Milliseconds until `runTimers` has something to do, -1 for never. */
export function idleMs(tcp: Tcp): number {
  const wheel = tcp.timers.idleMs(tcp.nowMs)
  const waiting = tcp.timeWait.idleMs(tcp.nowMs)
  if (wheel < 0 || waiting < 0) return wheel < 0 ? waiting : wheel
  return wheel < waiting ? wheel : waiting
}

/** Runs what is due on one connection; false if the connection is gone. */
function onTimer(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  if (tcb[c + FLAGS] & (RTX_ARMED | KEPT_ALIVE) && ((tcb[c + RTX_AT] - tcp.nowMs) | 0) <= 0) {
    const isArmed = (tcb[c + FLAGS] & RTX_ARMED) !== 0
    if (!(isArmed ? onRetransmission(tcp, c) : onKeepAlive(tcp, c))) return false
  }
  if (tcb[c + FLAGS] & ACK_DELAYED && ((tcb[c + ACK_AT] - tcp.nowMs) | 0) <= 0) {
    tcp.stats.delayedAcks++
    tcb[c + FLAGS] &= ~ACK_DELAYED
    tcp.addWork(c, NEED_ACK)
  }
  if (tcb[c + FLAGS] & PACED && isPaceDue(tcp, c)) {
    tcb[c + FLAGS] &= ~PACED
    output(tcp, c)
  }
  if (tcb[c + FLAGS] & APP_ARMED && ((tcb[c + APP_AT] - tcp.nowMs) | 0) <= 0) {
    return onAppTimer(tcp, c)
  }
  return true
}

function onRetransmission(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  if (tcb[c + STATE] < state.ESTABLISHED) return onSynTimer(tcp, c)
  if (settleTooBig(tcp, c)) return true
  const flags = tcb[c + FLAGS]
  if (flags & TLP) onProbeTimer(tcp, c)
  else if (flags & REORDER) onReorderTimer(tcp, c)
  else return onTimeout(tcp, c)
  return true
}

/** Nothing came back for an RTO, or for a persist interval. */
function onTimeout(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  if (isGivenUp(tcp, c)) {
    tcp.stats.abortsOnTimeout++
    abort(tcp, c, TIMED_OUT)
    return false
  }
  if (isMute(tcp, c)) startTimer(tcp, c, tcb[c + FLAGS] & PERSIST, LINK_PROBE_US)
  else if (tcb[c + FLAGS] & PERSIST) onPersist(tcp, c)
  else onRto(tcp, c)
  keepUserTimeout(tcp, c)
  return true
}

/**
 * The second time-out in a row asks: if it is our own link that is down, the peer is not silent,
 * and the path not crowded. Nothing is counted, nothing backs off, and the connection goes on soon
 * after the link (as Linux does where its interface refuses a retransmission).
 */
const isMute = (tcp: Tcp, c: number): boolean =>
  tcp.tcb[c + RETRIES] > 0 && tcp.device.linkMtu() === 0

/**
 * Has the peer been silent for the connection's user time-out, or else for R2 (RFC 9293 §3.8.3)?
 */
function isGivenUp(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  if (!tcp.userTimeouts.isSet(c)) return tcb[c + RETRIES] >= tcp.config.maxRetries
  if (tcb[c + RETRIES] === 0) {
    // The first probe of a shut window has not been without an answer yet; data has, for an RTO.
    const waitedMs = tcb[c + FLAGS] & PERSIST ? 0 : Math.ceil(tcb[c + RTO_US] / 1000)
    tcp.userTimeouts.begin(c, (tcp.nowMs - waitedMs) | 0)
  }
  return tcp.userTimeouts.leftMs(c, tcp.nowMs) <= 0
}

/** The next time-out comes no later than the end of the user's patience. */
function keepUserTimeout(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  if (!tcp.userTimeouts.isSet(c) || (tcb[c + FLAGS] & RTX_ARMED) === 0) return
  const end = (tcp.nowMs + tcp.userTimeouts.leftMs(c, tcp.nowMs)) | 0
  if (gt(tcb[c + RTX_AT], end)) tcb[c + RTX_AT] = end
}

/** RFC 6298 §5.5: SYN or SYN-ACK after 1, 3, 7, 15, 31 s; in the end it is given up. */
function onSynTimer(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  const { maxSynRetries, maxSynAckRetries } = tcp.config
  if (tcb[c + RETRIES] >= (tcb[c + FLAGS] & PASSIVE ? maxSynAckRetries : maxSynRetries)) {
    tcp.stats.attemptFails++
    tcp.setState(c, state.ABORT)
    tcp.release(c, TIMED_OUT)
    return false
  }
  tcb[c + RETRIES]++
  tcb[c + FLAGS] |= SYN_RESENT
  // Packets that offer ECN may not pass (RFC 3168 §6.1.1.1).
  if (tcb[c + STATE] === state.SYN_SENT) tcb[c + FLAGS] &= ~ECN
  backOffRto(tcb, c)
  startTimer(tcp, c, 0, tcb[c + RTO_US])
  repeatSynAck(tcp, c)
  return true
}

/** The application's own time-out, or the end of FIN-WAIT-2. */
function onAppTimer(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  tcb[c + FLAGS] &= ~APP_ARMED
  if (tcb[c + STATE] === state.FIN_WAIT_2) {
    tcp.setState(c, state.ABORT)
    tcp.release(c, TIMED_OUT)
    return false
  }
  tcp.app.onTimeout(c)
  if (tcb[c + STATE] === state.CLOSED) return false
  output(tcp, c)
  return true
}

function reschedule(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const flags = tcb[c + FLAGS]
  if (flags & (RTX_ARMED | KEPT_ALIVE)) tcp.timers.schedule(c, tcb[c + RTX_AT])
  if (flags & APP_ARMED) tcp.timers.schedule(c, tcb[c + APP_AT])
  if (flags & ACK_DELAYED) tcp.timers.schedule(c, tcb[c + ACK_AT])
  if (flags & PACED) schedulePace(tcp, c)
}
