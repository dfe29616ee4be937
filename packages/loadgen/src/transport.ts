/**
 * What carries requests and answers: our own TCP (tcpTransport.ts), or anybody else's. Connections
 * are numbers from 0 on, each of which is used for one connection after the other; the request is
 * the same for all, and the transport knows it.
 *
 * Calls do what they say and return; what comes of them is told to the listener, between two calls
 * or in one, but never in `close` and `abort`.
 */
export interface Transport {
  /**
   * Begins to connect; false: that is impossible now (no port, no memory), and nothing will be
   * told.
   */
  open(i: number): boolean
  /** Sends the request on an open connection. */
  ask(i: number): void
  /** An orderly end: nothing is told of this connection any more, and `i` may be opened again. */
  close(i: number): void
  /** An end at once, with a reset; else as `close`. */
  abort(i: number): void
  /** How many connections may be ended now so that nothing is lost of what that sends. */
  readonly endRoom: number
}

export interface TransportListener {
  onOpen(i: number): void
  /** Bytes of an answer, valid during the call. */
  onData(i: number, bytes: Uint8Array, off: number, len: number): void
  /** The server will send nothing more; to be answered by `close` or `abort`. */
  onFin(i: number): void
  /** It is gone without an orderly end, or was refused; `i` may be opened again. */
  onLost(i: number, isTimeout: boolean): void
}
