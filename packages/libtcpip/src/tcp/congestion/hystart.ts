/**
 * Slow start with HyStart++ (RFC 9406): a round trip that grows says that a queue is filling. Then
 * the window grows at a quarter of the pace, in conservative slow start (CSS, §4.2): if the round
 * trip shrinks again, the alarm was false; if it does not for five rounds, congestion avoidance
 * begins, without the losses of a window twice too large. A round is as long as it takes to
 * acknowledge what was sent when it began.
 *
 * Every acknowledged byte counts, however many one ACK covers (decisions.md); §4.3 asks for eight
 * segments at most of a sender that does not pace. Only the initial slow start runs it; a later one
 * ends at the SSTHRESH that was found. So its five words are the ones in which the algorithm in
 * charge keeps its own state afterwards.
 */
import { gt } from '../seq.ts'
import { CC_WORDS, CWND, MSS, SND_NXT, SND_UNA, SSTHRESH } from '../tcb.ts'
import { CWND_MAX, initialWindow, SSTHRESH_NONE } from './congestion.ts'

const COUNTS = CC_WORDS // RTT samples of this round | rounds of CSS << CSS_SHIFT
const ROUND_END = CC_WORDS + 1 // SND_NXT when the round began
const LAST_MIN_US = CC_WORDS + 2 // lastRoundMinRTT
const ROUND_MIN_US = CC_WORDS + 3 // currentRoundMinRTT
const BASELINE_US = CC_WORDS + 4 // cssBaselineMinRtt; INFINITE outside of CSS

const INFINITE = 0x7fffffff
const CSS_SHIFT = 8
const SAMPLES_MASK = 0xff
// RFC 9406 §4.3
const MIN_RTT_THRESH_US = 4000
const MAX_RTT_THRESH_US = 16_000
const MIN_RTT_DIVISOR = 8
const N_RTT_SAMPLE = 8
const CSS_GROWTH_SHIFT = 2 // CSS_GROWTH_DIVISOR = 4
const CSS_ROUNDS = 5

/** Begins the initial slow start; MSS and SND_NXT are set. `synLost`: the SYN was retransmitted. */
export function openSlowStart(tcb: Int32Array, c: number, synLost: boolean): void {
  // RFC 5681 §3.1: after a lost SYN the initial window is one segment.
  tcb[c + CWND] = synLost ? tcb[c + MSS] : initialWindow(tcb[c + MSS])
  tcb[c + SSTHRESH] = SSTHRESH_NONE
  tcb[c + COUNTS] = 0
  tcb[c + ROUND_END] = tcb[c + SND_NXT]
  tcb[c + LAST_MIN_US] = INFINITE
  tcb[c + ROUND_MIN_US] = INFINITE
  tcb[c + BASELINE_US] = INFINITE
}

/**
 * An ACK of a used window in slow start: CWND grows, at most to SSTHRESH. `rttUs`: its round trip,
 * or -1. True if the round trips have ended the initial slow start: SSTHRESH is CWND now, and the
 * five words are the caller's to set.
 */
export function slowStart(tcb: Int32Array, c: number, ackedBytes: number, rttUs: number): boolean {
  const cwnd = tcb[c + CWND]
  const ssthresh = tcb[c + SSTHRESH]
  if (ssthresh !== SSTHRESH_NONE) {
    tcb[c + CWND] = ackedBytes < ssthresh - cwnd ? cwnd + ackedBytes : ssthresh
    return false
  }
  if (gt(tcb[c + SND_UNA], tcb[c + ROUND_END]) && nextRound(tcb, c)) {
    tcb[c + SSTHRESH] = cwnd
    return true
  }
  if (rttUs >= 0) onSample(tcb, c, rttUs)
  const growth = tcb[c + BASELINE_US] === INFINITE ? ackedBytes : ackedBytes >> CSS_GROWTH_SHIFT
  tcb[c + CWND] = growth < CWND_MAX - cwnd ? cwnd + growth : CWND_MAX
  return false
}

/** True if it was the last round of CSS; the part of a round in which CSS began counts as one. */
function nextRound(tcb: Int32Array, c: number): boolean {
  tcb[c + ROUND_END] = tcb[c + SND_NXT]
  tcb[c + LAST_MIN_US] = tcb[c + ROUND_MIN_US]
  tcb[c + ROUND_MIN_US] = INFINITE
  if (tcb[c + BASELINE_US] === INFINITE) {
    tcb[c + COUNTS] = 0
    return false
  }
  const rounds = (tcb[c + COUNTS] >> CSS_SHIFT) + 1
  tcb[c + COUNTS] = rounds << CSS_SHIFT
  return rounds >= CSS_ROUNDS
}

/**
 * §4.2: into CSS when the round's least RTT is clearly above the last round's, out of it when
 * below.
 */
function onSample(tcb: Int32Array, c: number, rttUs: number): void {
  if (rttUs < tcb[c + ROUND_MIN_US]) tcb[c + ROUND_MIN_US] = rttUs
  if ((tcb[c + COUNTS] & SAMPLES_MASK) < N_RTT_SAMPLE) tcb[c + COUNTS]++
  if ((tcb[c + COUNTS] & SAMPLES_MASK) < N_RTT_SAMPLE) return
  const min = tcb[c + ROUND_MIN_US]
  const last = tcb[c + LAST_MIN_US]
  if (tcb[c + BASELINE_US] !== INFINITE) {
    if (min < tcb[c + BASELINE_US]) tcb[c + BASELINE_US] = INFINITE
  } else if (min - last >= threshold(last)) {
    tcb[c + BASELINE_US] = min
  }
}

/** RttThresh. */
function threshold(lastMinUs: number): number {
  const eighth = (lastMinUs / MIN_RTT_DIVISOR) | 0
  if (eighth < MIN_RTT_THRESH_US) return MIN_RTT_THRESH_US
  return eighth < MAX_RTT_THRESH_US ? eighth : MAX_RTT_THRESH_US
}
