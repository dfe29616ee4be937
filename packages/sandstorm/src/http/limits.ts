/**
 * What a client may make the HTTP machine look at: every queue and loop has a stated maximum. The
 * defaults are those that today's servers use; RFC 9112 §3 asks for at least 8000 octets of request
 * line, which only matters to who has longer names than a static site.
 */
import { assert } from '@sandstorm/libnmio'

export interface HttpLimits {
  /** Bytes of a request target; longer: 414. */
  readonly targetBytes: number
  /** Bytes of a whole request head; longer: 431. Nobody buffers more than this per connection. */
  readonly headBytes: number
  /** Field lines of a head; more: 431. */
  readonly fields: number
  /** Bytes of a request body, for an origin or to be dropped; more: 413, closed. */
  readonly bodyBytes: number
}

export const DEFAULT_LIMITS: HttpLimits = {
  targetBytes: 4096,
  headBytes: 8192,
  fields: 100,
  bodyBytes: 65536,
}

/** The longest method that is read to its end; longer: 501 (RFC 9112 §3). */
export const METHOD_MAX_BYTES = 32
/** Empty lines that are skipped in front of a request line (RFC 9112 §2.2: at least one). */
export const EMPTY_LINES_MAX = 4
/** Lines of one field that are looked at; a further one is left out. */
export const KEPT_LINES_MAX = 4
/** A larger chunk is none of a body that is read over; more: 413. */
export const CHUNK_MAX_BYTES: number = 2 ** 24
/** Ranges of one request; with more the whole is sent. */
export const RANGES_MAX = 32
/** Of these, how many may overlap another. */
export const OVERLAPS_MAX = 2

/** The limits of a server, with defaults; throws if they contradict each other. */
export function checkLimits(limits: Partial<HttpLimits>): HttpLimits {
  const all = { ...DEFAULT_LIMITS, ...limits }
  assert(all.targetBytes >= 1 && all.fields >= 1, 'a request needs a target and a field')
  assert(all.headBytes >= all.targetBytes + 128, 'a head has room for its target')
  assert(all.bodyBytes >= 0 && all.bodyBytes < 2 ** 30, 'a skipped body is counted in an int32')
  return all
}
