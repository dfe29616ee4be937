/**
 * Congestion control: the policy that loss recovery (recovery.ts) asks how much may be in flight.
 * One file per algorithm, chosen by argument. Its state is CWND, SSTHRESH and the words CC_WORDS …
 * of the TCB, which recovery saves and restores as they are when a loss turns out to be none.
 */
export interface CongestionControl {
  readonly name: string
  /** A connection is established: sets CWND and SSTHRESH. `synLost`: its SYN was retransmitted. */
  onOpen(tcb: Int32Array, c: number, synLost: boolean): void
  /**
   * `ackedBytes` new bytes were acknowledged outside of recovery; SND_UNA has moved. `flightBytes`
   * were in flight before (a window that was not used is no reason to grow it). `rttUs`: the round
   * trip that this ACK shows, -1 if none. `nowUs`: the stack's clock, int32 and wrapping.
   */
  onAck(
    tcb: Int32Array,
    c: number,
    ackedBytes: number,
    flightBytes: number,
    rttUs: number,
    nowUs: number,
  ): void
  /**
   * Congestion, once a round trip at most: sets SSTHRESH; CWND is recovery's business until it
   * ends.
   */
  onLoss(tcb: Int32Array, c: number, flightBytes: number, nowUs: number): void
  /** Retransmission time-out; `first`: not a back-off of the same loss. Sets both. */
  onRto(tcb: Int32Array, c: number, flightBytes: number, first: boolean, nowUs: number): void
  /** Nothing was sent for an RTO: back to the restart window (RFC 5681 §4.1). */
  onIdle(tcb: Int32Array, c: number, nowUs: number): void
}

/** Keeps sums of windows far from the int32 limit. */
export const CWND_MAX: number = 1 << 28
/** SSTHRESH before anything has set one: the initial slow start, which no window ends. */
export const SSTHRESH_NONE: number = 1 << 30

/** RFC 6928: ten segments, or fewer if segments are large. */
export function initialWindow(mss: number): number {
  const most = 2 * mss > 14600 ? 2 * mss : 14600
  return 10 * mss < most ? 10 * mss : most
}
