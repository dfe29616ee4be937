/**
 * Round-trip time and retransmission time-out (RFC 6298). A burst is timed by the first ACK that
 * covers some of it, unless it was sent again (Karn); timestamps (RFC 7323 §4) help where nothing
 * else is left. Times are int32 microseconds of the stack's clock.
 *
 * Deviation, as in Linux: the RTO is at least 200 ms above SRTT, where §2.4 asks for 1 s in all.
 * Delayed ACKs stay below that (Linux: 40 ms, RFC 9293: 500 ms at most, sent by nobody for a whole
 * response). Since every burst is timed, RTTVAR may shrink to nothing within a round trip; hence
 * the floor is on the variance, not on the sum.
 */
import { MIN_RTT_US, RTO_US, RTTVAR_US, SRTT_US, TS_OFFSET } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'

export const RTO_INITIAL_US = 1_000_000
/** After a retransmitted SYN the data phase begins with 3 s (RFC 6298 §5.7). */
export const RTO_AFTER_SYN_LOSS_US = 3_000_000
export const RTO_MIN_US = 200_000
export const RTO_MAX_US = 60_000_000
/** Clock granularity G: the timers tick in milliseconds. */
const GRANULARITY_US = 1000

/** A round trip was measured; `latestUs`: that of the latest burst the ACK covers. */
export function sampleRtt(tcb: Int32Array, c: number, rttUs: number, latestUs: number): void {
  const latest = latestUs < 1 ? 1 : latestUs
  const least = tcb[c + MIN_RTT_US]
  if (least === 0 || latest < least) tcb[c + MIN_RTT_US] = latest
  updateRto(tcb, c, rttUs)
}

/**
 * Everything that was acknowledged had been sent again; the timestamp still tells (RFC 7323 §4).
 */
export function sampleTimestamp(tcp: Tcp, c: number): void {
  const elapsedMs = (tcp.nowMs + tcp.tcb[c + TS_OFFSET] - tcp.options.tsEcr) | 0
  if (elapsedMs >= 0 && elapsedMs <= RTO_MAX_US / 1000) {
    updateRto(tcp.tcb, c, elapsedMs * 1000 + GRANULARITY_US / 2)
  }
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
  const rto = tcb[c + SRTT_US] + (variance > RTO_MIN_US ? variance : RTO_MIN_US)
  tcb[c + RTO_US] = rto > RTO_MAX_US ? RTO_MAX_US : rto
}

/** RFC 6298 §5.5. */
export function backOffRto(tcb: Int32Array, c: number): void {
  const rto = tcb[c + RTO_US] * 2
  tcb[c + RTO_US] = rto > RTO_MAX_US ? RTO_MAX_US : rto
}
