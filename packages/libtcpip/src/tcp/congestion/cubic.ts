/**
 * CUBIC (RFC 9438): after a loss the window returns to where it was lost along a cubic curve,
 * steep, then flat around W_max, then steep again, by time and not by round trips; but never slower
 * than Reno would grow (§4.3). Slow start is hystart.ts's.
 *
 * Windows are bytes and times microseconds, int32 in the TCB; the curve is computed in doubles and
 * cut to bytes. Growth is by bytes acknowledged: a peer that divides its ACKs gains nothing.
 *
 * An epoch is a stage of congestion avoidance. Its time is counted ACK by ACK, so that what passes
 * while the application has nothing to send is left out (§4.2, §5.8).
 */
import { CC_WORDS, CWND, MSS, SRTT_US, SSTHRESH } from '../tcb.ts'
import { type CongestionControl, CWND_MAX, initialWindow, SSTHRESH_NONE } from './congestion.ts'
import { openSlowStart, slowStart } from './hystart.ts'

// Meaningful once SSTHRESH is set; in the initial slow start the words are hystart.ts's.
const W_EST = CC_WORDS // the window that Reno would have; 0: the next ACK begins an epoch
const EST_ACKED = CC_WORDS + 1 // bytes acknowledged since W_EST last grew
const CWND_PRIOR = CC_WORDS + 2 // cwnd before its last reduction, bytes × 4 | how W_max follows
const SINCE_K_US = CC_WORDS + 3 // t − K: negative below W_max, positive beyond
const COUNTED_AT = CC_WORDS + 4 // the clock up to which that time is counted

// How W_max follows: the two low bits of CWND_PRIOR.
const KIND_BITS = 2
const KIND_MASK = 3
const PLAIN = 0 // it is cwnd_prior
const CONVERGED = 1 // fast convergence (§4.7): less
const FLAT = 2 // no loss gave one: SSTHRESH, where congestion avoidance began (§4.8, §4.10)

const C = 0.4
/** β = 0.7 (§4.6), for whole numbers. */
const BETA_TENTHS = 7
/** α = 3 (1 − β) / (1 + β): with this growth a window cut to β is Reno's on average (§4.3). */
const ALPHA: number = 9 / 17
/** (1 + β) / 2 (§4.7). */
const CONVERGENCE: number = 17 / 20
/** Eighteen minutes beyond W_max the curve is above CWND_MAX for any MSS: time may stop there. */
const SINCE_K_MAX_US = 1 << 30

/** CUBIC with HyStart++ (RFC 9438, RFC 9406). */
export class Cubic implements CongestionControl {
  readonly name: string = 'cubic'

  onOpen(tcb: Int32Array, c: number, synLost: boolean): void {
    openSlowStart(tcb, c, synLost)
  }

  onAck(
    tcb: Int32Array,
    c: number,
    ackedBytes: number,
    flightBytes: number,
    rttUs: number,
    nowUs: number,
  ): void {
    const cwnd = tcb[c + CWND]
    const used = flightBytes * 2 >= cwnd && cwnd < CWND_MAX
    if (cwnd < tcb[c + SSTHRESH]) {
      if (used && slowStart(tcb, c, ackedBytes, rttUs)) setPrior(tcb, c, tcb[c + CWND], FLAT)
    } else if (used) {
      if (tcb[c + W_EST] === 0) beginEpoch(tcb, c, nowUs)
      avoidCongestion(tcb, c, ackedBytes < cwnd ? ackedBytes : cwnd, nowUs)
    } else {
      tcb[c + COUNTED_AT] = nowUs
    }
  }

  onLoss(tcb: Int32Array, c: number, flightBytes: number): void {
    const cwnd = tcb[c + CWND]
    // §4.7: a window lost below the last one means that others have come; leave them room.
    const shrinks = tcb[c + SSTHRESH] !== SSTHRESH_NONE && cwnd < maxWindow(tcb, c)
    setPrior(tcb, c, cwnd, shrinks ? CONVERGED : PLAIN)
    tcb[c + SSTHRESH] = reduced(tcb, c, flightBytes)
  }

  onRto(tcb: Int32Array, c: number, flightBytes: number, first: boolean): void {
    if (first) {
      setPrior(tcb, c, tcb[c + CWND], FLAT)
      tcb[c + SSTHRESH] = reduced(tcb, c, flightBytes)
    } else if (tcb[c + SSTHRESH] !== SSTHRESH_NONE) {
      tcb[c + W_EST] = 0 // what was climbed since the first is lost
    }
    tcb[c + CWND] = tcb[c + MSS]
  }

  onIdle(tcb: Int32Array, c: number, nowUs: number): void {
    const restart = initialWindow(tcb[c + MSS])
    const shrinks = tcb[c + CWND] > restart
    if (shrinks) tcb[c + CWND] = restart
    if (tcb[c + SSTHRESH] === SSTHRESH_NONE) return
    // A smaller window climbs along a curve of its own; any other goes on where it was.
    if (shrinks) tcb[c + W_EST] = 0
    tcb[c + COUNTED_AT] = nowUs
  }
}

/** §4.6; the flight, not cwnd, for a window that was not used says nothing. */
function reduced(tcb: Int32Array, c: number, flightBytes: number): number {
  const flight = flightBytes < CWND_MAX ? flightBytes : CWND_MAX
  const ssthresh = ((flight * BETA_TENTHS) / 10) | 0
  return ssthresh > 2 * tcb[c + MSS] ? ssthresh : 2 * tcb[c + MSS]
}

/** Keeps cwnd_prior; congestion avoidance begins a new epoch. */
function setPrior(tcb: Int32Array, c: number, cwnd: number, kind: number): void {
  tcb[c + CWND_PRIOR] = (cwnd << KIND_BITS) | kind
  tcb[c + W_EST] = 0
}

const priorWindow = (tcb: Int32Array, c: number): number => tcb[c + CWND_PRIOR] >> KIND_BITS

/** W_max. */
function maxWindow(tcb: Int32Array, c: number): number {
  const kind = tcb[c + CWND_PRIOR] & KIND_MASK
  if (kind === FLAT) return tcb[c + SSTHRESH]
  const prior = priorWindow(tcb, c)
  return kind === CONVERGED ? (prior * CONVERGENCE) | 0 : prior
}

/** t = 0, and K is how long the curve takes from here to W_max (§4.2). */
function beginEpoch(tcb: Int32Array, c: number, nowUs: number): void {
  const below = (maxWindow(tcb, c) - tcb[c + CWND]) / tcb[c + MSS]
  tcb[c + SINCE_K_US] = below > 0 ? -Math.cbrt(below / C) * 1e6 : 0
  tcb[c + COUNTED_AT] = nowUs
  tcb[c + W_EST] = tcb[c + CWND]
  tcb[c + EST_ACKED] = 0
}

/**
 * §4.2 to §4.5: towards the curve's window of a round trip from now, or Reno's if that is larger.
 */
function avoidCongestion(tcb: Int32Array, c: number, ackedBytes: number, nowUs: number): void {
  const cwnd = tcb[c + CWND]
  const sinceK = countTime(tcb, c, nowUs)
  const est = growEstimate(tcb, c, ackedBytes)
  let next = cwnd
  if (curve(tcb, c, sinceK) < est) {
    if (est > cwnd) next = est
  } else {
    const ahead = curve(tcb, c, sinceK + tcb[c + SRTT_US]) - cwnd
    const most = cwnd >> 1
    if (ahead > 0) next += (((ahead < most ? ahead : most) * ackedBytes) / cwnd) | 0
  }
  tcb[c + CWND] = next < CWND_MAX ? next : CWND_MAX
}

/**
 * Adds the time since the last ACK. Of a longer silence than two round trips (the ACK clock and a
 * delayed ACK) the application is the cause: it does not count.
 */
function countTime(tcb: Int32Array, c: number, nowUs: number): number {
  const passed = (nowUs - tcb[c + COUNTED_AT]) >>> 0
  const most = 2 * tcb[c + SRTT_US]
  const sinceK = tcb[c + SINCE_K_US] + (passed < most ? passed : most)
  tcb[c + COUNTED_AT] = nowUs
  tcb[c + SINCE_K_US] = sinceK < SINCE_K_MAX_US ? sinceK : SINCE_K_MAX_US
  return tcb[c + SINCE_K_US]
}

/** W_cubic, whole bytes: a double returned might be a heap object. */
function curve(tcb: Int32Array, c: number, sinceKUs: number): number {
  const seconds = sinceKUs / 1e6
  const bytes = C * seconds * seconds * seconds * tcb[c + MSS] + maxWindow(tcb, c)
  return bytes < CWND_MAX ? bytes | 0 : CWND_MAX
}

/**
 * §4.3: W_est grows by α segments per window acknowledged, by one once it is cwnd_prior again. Kept
 * in whole segments; returned with the part of the next that is acknowledged already.
 */
function growEstimate(tcb: Int32Array, c: number, ackedBytes: number): number {
  const mss = tcb[c + MSS]
  const cwnd = tcb[c + CWND]
  const window = tcb[c + W_EST] < priorWindow(tcb, c) ? (cwnd / ALPHA) | 0 : cwnd
  let acked = tcb[c + EST_ACKED] + ackedBytes
  if (acked >= window) {
    acked -= window
    tcb[c + W_EST] += mss
  }
  tcb[c + EST_ACKED] = acked
  return tcb[c + W_EST] + (((mss * acked) / window) | 0)
}
