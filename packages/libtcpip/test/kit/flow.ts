/**
 * A connection as congestion control sees it, without a network: a TCB whose window is always full,
 * and a peer that acknowledges every second segment.
 */
import { type CongestionControl, tcb as fields } from '../../src/index.ts'

const { CWND, MSS, SND_NXT, SND_UNA, SRTT_US, SSTHRESH, TCB_STRIDE } = fields

export class Flow {
  readonly cc: CongestionControl
  readonly tcb: Int32Array = new Int32Array(TCB_STRIDE)
  readonly mss: number
  /** The clock as the stack gives it: wrap it when it is passed on. */
  nowUs: number

  constructor(cc: CongestionControl, mss = 1000, nowUs = 0) {
    this.cc = cc
    this.mss = mss
    this.nowUs = nowUs
    this.tcb[MSS] = mss
    cc.onOpen(this.tcb, 0, false)
  }

  get cwnd(): number {
    return this.tcb[CWND]
  }

  get ssthresh(): number {
    return this.tcb[SSTHRESH]
  }

  /** The window in segments. */
  get segments(): number {
    return this.cwnd / this.mss
  }

  /** Puts the flow into congestion avoidance with a window that was never lost. */
  startAt(segments: number): this {
    this.tcb[CWND] = segments * this.mss
    return this
  }

  /** The window is full, and `bytes` of it are acknowledged. */
  ack(bytes: number, rttUs = -1): void {
    const { tcb } = this
    const flight = Math.max(this.cwnd, bytes)
    tcb[SND_NXT] = (tcb[SND_UNA] + flight) | 0
    tcb[SND_UNA] = (tcb[SND_UNA] + bytes) | 0
    this.cc.onAck(tcb, 0, bytes, flight, rttUs, this.nowUs | 0)
  }

  /** A window of data is acknowledged, evenly over a round trip; `each` hears of every ACK. */
  round(rttMs: number, each: (bytes: number) => void = () => {}): void {
    this.tcb[SRTT_US] = rttMs * 1000
    const step = 2 * this.mss
    const count = Math.max(1, Math.floor(this.cwnd / step))
    const stepUs = Math.floor((rttMs * 1000) / count)
    const last = rttMs * 1000 - stepUs * (count - 1)
    for (let i = 0; i < count; i++) {
      this.nowUs += i === count - 1 ? last : stepUs
      const bytes = Math.min(step, this.cwnd)
      this.ack(bytes, rttMs * 1000)
      each(bytes)
    }
  }

  /** A loss, and its recovery done. */
  lose(): void {
    this.cc.onLoss(this.tcb, 0, this.cwnd, this.nowUs | 0)
    this.tcb[CWND] = this.ssthresh
  }

  timeOut(): void {
    this.cc.onRto(this.tcb, 0, this.cwnd, true, this.nowUs | 0)
  }
}
