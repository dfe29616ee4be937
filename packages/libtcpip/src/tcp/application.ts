/**
 * What TCP asks of the application above it. The two share one thread and one pass: callbacks run
 * while a segment is processed, they only mark what they want (`commit`, `close`), and TCP sends
 * when they return (paper §2.1: all reads of the ACK and all writes of the answer in one pass).
 *
 * TCP has no send buffer. The application owns the bytes of its stream and frames any part of them
 * again, for as long as they are not acknowledged: its content is the retransmission queue.
 */
export interface Application {
  /** Largest payload per segment that suits the application's frames; at most `mss`. */
  segmentBytes(mss: number): number
  /** The handshake is complete. */
  onOpen(c: number): void
  /**
   * In-order bytes at `off` in the device's region, valid during the call. Returns how many were
   * taken; what is not taken is not acknowledged. Never more than the advertised window.
   */
  onData(c: number, off: number, len: number): number
  /** The peer will send nothing more. */
  onFin(c: number): void
  /** SND_UNA moved: bytes before it will never be asked for again. */
  onAcked(c: number): void
  /** The time-out set with `setAppTimer` is over. */
  onTimeout(c: number): void
  /**
   * The connection is gone; `c` means nothing after this call. `why`: one of ending.ts. Called once
   * per onOpen, and for a `connect` that came to nothing, without an onOpen before it.
   */
  onClosed(c: number, why: number): void
  /**
   * Pushes frames with stream bytes from `seq` on, whole segments only, at most `room` bytes and no
   * more than the ring takes; their headers come from `tcp.headers`. Returns the payload bytes in
   * them; 0 if no whole segment fits in `room`; BUSY if there is no frame to be had now. Needs
   * txSpace() > 0. TCP asks again for what is left.
   */
  transmit(c: number, seq: number, room: number): number
  /** Likewise, for exactly `len` bytes, whatever the segment boundaries (`len` ≤ MSS). */
  transmitExactly(c: number, seq: number, len: number): number
}

/**
 * Returned by `transmit` and `transmitExactly`: nothing was sent, ask again when frames are free.
 */
export const BUSY = -1
