/**
 * Round-trip time and retransmission time-out (RFC 6298). One byte is timed at a time, never one
 * that was retransmitted (Karn). Times are int32 microseconds of the stack's clock.
 *
 * Deviation, as in Linux: the RTO may fall to 200 ms, where §2.4 asks for 1 s; delayed ACKs stay
 * below it (Linux: 40 ms, RFC 9293: 500 ms at most, sent by nobody for a whole response).
 */
import { FLAGS, RTO_US, RTT_AT_US, RTT_SEQ, RTT_TIMED, RTTVAR_US, SRTT_US } from './tcb.ts'

export const RTO_INITIAL_US = 1_000_000
/** After a retransmitted SYN the data phase begins with 3 s (RFC 6298 §5.7). */
export const RTO_AFTER_SYN_LOSS_US = 3_000_000
export const RTO_MIN_US = 200_000
export const RTO_MAX_US = 60_000_000
/** Clock granularity G: the timers tick in milliseconds. */
const GRANULARITY_US = 1000

/** Begins to time the byte before `endSeq`, unless another one is being timed. */
export function startRtt(tcb: Int32Array, c: number, endSeq: number, nowUs: number): void {
  if (tcb[c + FLAGS] & RTT_TIMED) return
  tcb[c + FLAGS] |= RTT_TIMED
  tcb[c + RTT_SEQ] = endSeq
  tcb[c + RTT_AT_US] = nowUs
}

/** A retransmission makes the running measurement ambiguous. */
export function cancelRtt(tcb: Int32Array, c: number): void {
  tcb[c + FLAGS] &= ~RTT_TIMED
}

/** `ack` arrived: takes a sample if it covers the timed byte. */
export function sampleRtt(tcb: Int32Array, c: number, ack: number, nowUs: number): void {
  if ((tcb[c + FLAGS] & RTT_TIMED) === 0 || ((ack - tcb[c + RTT_SEQ]) | 0) < 0) return
  tcb[c + FLAGS] &= ~RTT_TIMED
  updateRto(tcb, c, (nowUs - tcb[c + RTT_AT_US]) | 0)
}

/** RFC 6298 §2.2 and §2.3. */
export function updateRto(tcb: Int32Array, c: number, sampleUs: number): void {
  const r = sampleUs < 1 ? 1 : sampleUs > RTO_MAX_US ? RTO_MAX_US : sampleUs
  if (tcb[c + SRTT_US] === 0) {
    tcb[c + SRTT_US] = r
    tcb[c + RTTVAR_US] = r >> 1
  } else {
    const error = tcb[c + SRTT_US] - r
    tcb[c + RTTVAR_US] += ((error < 0 ? -error : error) - tcb[c + RTTVAR_US]) >> 2
    tcb[c + SRTT_US] -= error >> 3
  }
  resetRto(tcb, c)
}

/** The RTO without back-off: after a sample (RFC 6298 §5), and when a shut window opens. */
export function resetRto(tcb: Int32Array, c: number): void {
  if (tcb[c + SRTT_US] === 0) return
  const variance = tcb[c + RTTVAR_US] << 2
  const rto = tcb[c + SRTT_US] + (variance > GRANULARITY_US ? variance : GRANULARITY_US)
  tcb[c + RTO_US] = rto < RTO_MIN_US ? RTO_MIN_US : rto > RTO_MAX_US ? RTO_MAX_US : rto
}

/** RFC 6298 §5.5. */
export function backOffRto(tcb: Int32Array, c: number): void {
  const rto = tcb[c + RTO_US] * 2
  tcb[c + RTO_US] = rto > RTO_MAX_US ? RTO_MAX_US : rto
}
