/**
 * What the cache asks of an origin: one request, one answer whose body comes as it arrives. The
 * real one is upstream.ts; tests give the cache others.
 */
import type { CacheRequest, ResponseHead } from './message.ts'

export interface OriginAnswer extends ResponseHead {
  /**
   * Read once. It throws an OriginError if it ends too early; leaving it (return) ends the fetch.
   */
  readonly body: AsyncIterable<Uint8Array>
  /** Ends the fetch although the body has not been read. */
  cancel(): void
}

export interface Origin {
  /** Sends a request on and resolves with the final head; rejects with an OriginError. */
  fetch(request: CacheRequest): Promise<OriginAnswer>
}

export type OriginFailure =
  | 'down' // not reached
  | 'closed' // reached, and gone before it said a byte
  | 'timeout' // it took too long
  | 'bad' // it sent no HTTP, or not all that it had promised
  | 'busy' // too many of our requests are waiting for it
  | 'invalid' // the request cannot be sent, or its body broke off
  | 'aborted' // the client left

export class OriginError extends Error {
  readonly failure: OriginFailure
  constructor(failure: OriginFailure, message: string, cause?: unknown) {
    super(message, { cause })
    this.failure = failure
  }
}

/** The status of the answer in place of one that failed (RFC 9110 §15.6). */
export function statusOfFailure(failure: OriginFailure): number {
  if (failure === 'invalid') return 400
  if (failure === 'timeout') return 504
  return failure === 'busy' ? 503 : 502
}
