/**
 * CUBIC as RFC 9438 writes it, in doubles: windows in segments, times in seconds. The twin of
 * cubic.ts, which keeps whole bytes and microseconds. Slow start is the plain one, without a limit.
 */
const C = 0.4
const BETA = 0.7
const ALPHA = (3 * (1 - BETA)) / (1 + BETA)

export class CubicReference {
  cwnd: number
  ssthresh: number = Number.POSITIVE_INFINITY
  /** Seconds into the current stage of congestion avoidance; NaN before it begins. */
  t: number = Number.NaN
  k = 0
  wMax = 0
  wEst = 0
  cwndPrior = 0
  afterTimeout = false
  #at = 0

  constructor(cwnd: number) {
    this.cwnd = cwnd
  }

  /** Equation 1. */
  wCubic(t: number): number {
    return C * (t - this.k) ** 3 + this.wMax
  }

  onAck(segmentsAcked: number, now: number, rtt: number): void {
    if (this.cwnd < this.ssthresh) {
      this.cwnd = Math.min(this.cwnd + segmentsAcked, this.ssthresh)
      return
    }
    if (Number.isNaN(this.t)) this.#begin(now)
    this.t += now - this.#at
    this.#at = now
    const alpha = this.wEst >= this.cwndPrior ? 1 : ALPHA
    this.wEst += alpha * (segmentsAcked / this.cwnd)
    if (this.wCubic(this.t) < this.wEst) {
      this.cwnd = Math.max(this.cwnd, this.wEst)
      return
    }
    const ahead = this.wCubic(this.t + rtt)
    const target = Math.min(Math.max(ahead, this.cwnd), 1.5 * this.cwnd)
    this.cwnd += ((target - this.cwnd) / this.cwnd) * segmentsAcked
  }

  /** Sections 4.6 and 4.7; after it, recovery is over and cwnd is ssthresh. */
  onLoss(flight: number): void {
    this.wMax = this.cwnd < this.wMax ? (this.cwnd * (1 + BETA)) / 2 : this.cwnd
    this.afterTimeout = false
    this.#reduce(flight)
    this.cwnd = this.ssthresh
  }

  /** Section 4.8. */
  onTimeout(flight: number): void {
    this.afterTimeout = true
    this.#reduce(flight)
    this.cwnd = 1
  }

  #reduce(flight: number): void {
    this.cwndPrior = this.cwnd
    this.ssthresh = Math.max(flight * BETA, 2)
    this.t = Number.NaN
  }

  #begin(now: number): void {
    this.t = 0
    this.#at = now
    this.wEst = this.cwnd
    if (this.afterTimeout) this.wMax = this.cwnd
    this.k = this.cwnd < this.wMax ? Math.cbrt((this.wMax - this.cwnd) / C) : 0
  }
}
