/**
 * NewReno (RFC 5681, 6582): slow start with HyStart++ (hystart.ts), congestion avoidance by one
 * segment per window of acknowledged bytes (RFC 3465), half the flight on loss. Counting bytes, not
 * ACKs, makes a peer that divides its ACKs gain nothing.
 */
import { CC_WORDS, CWND, MSS, SSTHRESH } from '../tcb.ts'
import { type CongestionControl, CWND_MAX, initialWindow } from './congestion.ts'
import { openSlowStart, slowStart } from './hystart.ts'

// Meaningful once SSTHRESH is set; in the initial slow start the words are hystart.ts's.
const BYTES_ACKED = CC_WORDS // acknowledged since cwnd last grew

/** NewReno's congestion window (RFC 5681). */
export class NewReno implements CongestionControl {
  readonly name: string = 'newreno'

  onOpen(tcb: Int32Array, c: number, synLost: boolean): void {
    openSlowStart(tcb, c, synLost)
  }

  onAck(tcb: Int32Array, c: number, ackedBytes: number, flightBytes: number, rttUs: number): void {
    const cwnd = tcb[c + CWND]
    if (flightBytes * 2 < cwnd || cwnd >= CWND_MAX) return
    if (cwnd < tcb[c + SSTHRESH]) {
      if (slowStart(tcb, c, ackedBytes, rttUs)) tcb[c + BYTES_ACKED] = 0
      return
    }
    const acked = tcb[c + BYTES_ACKED] + ackedBytes
    if (acked >= cwnd) {
      tcb[c + BYTES_ACKED] = acked - cwnd
      tcb[c + CWND] = cwnd + tcb[c + MSS]
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
