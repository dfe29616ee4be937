/**
 * NewReno (RFC 5681, 6582): slow start by the bytes acknowledged, congestion avoidance by one
 * segment per window of acknowledged bytes (RFC 3465), half the flight on loss. Counting bytes, not
 * ACKs, makes a peer that divides its ACKs gain nothing.
 */
import { type CongestionControl, initialWindow } from './congestion.ts'
import { BYTES_ACKED, CWND, MSS, SSTHRESH } from './tcb.ts'

/** Keeps sums of windows far from the int32 limit. */
const CWND_MAX = 1 << 28

export class NewReno implements CongestionControl {
  readonly name: string = 'newreno'

  onOpen(tcb: Int32Array, c: number, synLost: boolean): void {
    // RFC 5681 §3.1: after a lost SYN the initial window is one segment.
    tcb[c + CWND] = synLost ? tcb[c + MSS] : initialWindow(tcb[c + MSS])
    tcb[c + SSTHRESH] = CWND_MAX
    tcb[c + BYTES_ACKED] = 0
  }

  onAck(tcb: Int32Array, c: number, ackedBytes: number, flightBytes: number): void {
    const cwnd = tcb[c + CWND]
    if (flightBytes * 2 < cwnd || cwnd >= CWND_MAX) return
    const mss = tcb[c + MSS]
    const ssthresh = tcb[c + SSTHRESH]
    if (cwnd < ssthresh) {
      // RFC 3465 with L = 2 would add at most 2 MSS an ACK; stretch ACKs of GRO receivers cover
      // dozens of segments, so, like Linux, every byte counts, up to ssthresh.
      tcb[c + CWND] = ackedBytes < ssthresh - cwnd ? cwnd + ackedBytes : ssthresh
      return
    }
    const acked = tcb[c + BYTES_ACKED] + ackedBytes
    if (acked >= cwnd) {
      tcb[c + BYTES_ACKED] = acked - cwnd
      tcb[c + CWND] = cwnd + mss
    } else {
      tcb[c + BYTES_ACKED] = acked
    }
  }

  onLoss(tcb: Int32Array, c: number, flightBytes: number): void {
    tcb[c + SSTHRESH] = this.#half(tcb, c, flightBytes)
    tcb[c + BYTES_ACKED] = 0
  }

  onRto(tcb: Int32Array, c: number, flightBytes: number, first: boolean): void {
    if (first) tcb[c + SSTHRESH] = this.#half(tcb, c, flightBytes)
    tcb[c + CWND] = tcb[c + MSS]
    tcb[c + BYTES_ACKED] = 0
  }

  onIdle(tcb: Int32Array, c: number): void {
    const restart = initialWindow(tcb[c + MSS])
    if (tcb[c + CWND] > restart) tcb[c + CWND] = restart
  }

  /** RFC 5681 equation 4. */
  #half(tcb: Int32Array, c: number, flightBytes: number): number {
    const half = flightBytes >> 1
    return half > 2 * tcb[c + MSS] ? half : 2 * tcb[c + MSS]
  }
}
