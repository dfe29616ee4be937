/**
 * What a mount says of each answer, and what comes out at the other end. The mount hands over the
 * bytes of the request's head as they came; whoever formats the line (accessFormat.ts, on the main
 * thread) looks for the fields in them. So the packet thread copies some hundred bytes and parses
 * nothing.
 */

/** The client sent HEAD, or the answer has no content for another reason. */
export const HEAD_ONLY = 1
/** The connection closes behind the answer. */
export const CLOSES = 2
/** Set by the log: the head was longer than what is kept of one. */
export const HEAD_CUT = 4
/** A site's origin was to answer, and what is stored of it did … */
export const FROM_STORE = 8
/** … or it was asked. */
export const FROM_ORIGIN = 16

/** The status of what has none: the client left before there was an answer, as nginx has it. */
export const CLIENT_LEFT = 499

/** Where a mount's answers are noted. */
export interface AccessLog {
  /** Milliseconds since 1970, for the answers that follow; set once a batch. */
  timeMs: number
  /**
   * Notes an answer: to the client with these address words (IPv4: the first, as a TCB has them)
   * and port, for the head in bytes[start, end), which may be malformed, incomplete or empty.
   * `bodyBytes`: of content, without the answer's own head. Never waits, allocates nothing, throws
   * nothing.
   */
  request(
    version: 4 | 6,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    port: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    status: number,
    bodyBytes: number,
    flags: number,
  ): void
}

/** An answer that was noted. Whoever gets one may read it until the call returns, and no longer. */
export interface AccessRecord {
  readonly timeMs: number
  readonly version: number
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number
  readonly port: number
  readonly status: number
  readonly bodyBytes: number
  readonly flags: number
  /** The head is bytes[start, end), cut at HEAD_KEPT_BYTES (accessRing.ts). */
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}
