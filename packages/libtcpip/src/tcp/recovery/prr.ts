/**
 * Proportional rate reduction (RFC 9937 §6): how much is sent per ACK while losses are repaired, so
 * that the flight ends at SSTHRESH, without a pause and without a burst. CWND is the outcome, set
 * on every ACK: what is in flight and what may follow.
 */
import { CWND, MSS, SSTHRESH } from '../tcb.ts'
import { PRR_DELIVERED, PRR_OUT, RECOVER_FS } from './flight.ts'

/** Recovery begins. `flightBytes`: outstanding before this ACK, less what was SACKed earlier. */
export function beginPrr(flights: Int32Array, f: number, flightBytes: number): void {
  flights[f + PRR_DELIVERED] = 0
  flights[f + PRR_OUT] = 0
  flights[f + RECOVER_FS] = flightBytes > 0 ? flightBytes : 1
}

/**
 * An ACK delivered `deliveredBytes`; `pipe` is in flight now. `isSafe`: it acknowledges something
 * cumulatively and shows no further loss.
 */
export function onPrrAck(
  tcb: Int32Array,
  c: number,
  flights: Int32Array,
  f: number,
  deliveredBytes: number,
  pipe: number,
  isSafe: boolean,
): void {
  const ssthresh = tcb[c + SSTHRESH]
  const mss = tcb[c + MSS]
  flights[f + PRR_DELIVERED] += deliveredBytes
  const delivered = flights[f + PRR_DELIVERED]
  const out = flights[f + PRR_OUT]
  let send = 0
  if (pipe > ssthresh) {
    send = Math.ceil((delivered / flights[f + RECOVER_FS]) * ssthresh) - out
  } else {
    send = delivered - out > deliveredBytes ? delivered - out : deliveredBytes
    if (isSafe) send += mss
    if (send > ssthresh - pipe) send = ssthresh - pipe
  }
  // The fast retransmit itself does not wait.
  if (out === 0 && send < mss) send = mss
  tcb[c + CWND] = pipe + (send > 0 ? send : 0)
}
