/**
 * What a client may make the server do, as it is configured: time-outs of connections, their
 * number, sizes of requests. The defaults are those of who enforces them (mount/, http/).
 */
import { parseDuration } from '../cli/duration.ts'
import { parseSize } from '../cli/size.ts'
import { DEFAULT_LIMITS as HTTP_LIMITS } from '../http/limits.ts'
import { MOUNT_LIMITS } from '../mount/limits.ts'
import { REQUEST_BUFFER_BYTES } from '../mount/requestBuffers.ts'

export interface Limits {
  /**
   * A request head must be complete this long after its first byte, or after the connection opened.
   */
  readonly headTimeoutMs: number
  /** A connection without a request is closed. */
  readonly idleTimeoutMs: number
  /** An answer of which the client acknowledges nothing for this long is given up. */
  readonly stallTimeoutMs: number
  /** Answers that one connection gets before it is closed; 0: no limit. */
  readonly requestsPerConnection: number
  /** Connections that one remote address may have at a time; 0: no limit. */
  readonly connectionsPerAddress: number
  /** Requests that one remote address may send in a second; 0: no limit. */
  readonly requestsPerSecond: number
  /** Bytes of a request target; longer: 414. */
  readonly targetBytes: number
  /** Bytes of a request head; longer: 431. */
  readonly headBytes: number
  /** Field lines of a head; more: 431. */
  readonly fields: number
  /** Bytes of a request body, for an origin or to be dropped; more: 413. */
  readonly bodyBytes: number
  /** So long a server that is to end waits for its connections. */
  readonly drainTimeoutMs: number
}

export const DEFAULT_LIMITS: Limits = {
  headTimeoutMs: MOUNT_LIMITS.headTimeoutMs,
  idleTimeoutMs: MOUNT_LIMITS.idleTimeoutMs,
  stallTimeoutMs: MOUNT_LIMITS.stallTimeoutMs,
  requestsPerConnection: 0,
  connectionsPerAddress: 0,
  requestsPerSecond: 0,
  targetBytes: HTTP_LIMITS.targetBytes,
  headBytes: HTTP_LIMITS.headBytes,
  fields: HTTP_LIMITS.fields,
  bodyBytes: HTTP_LIMITS.bodyBytes,
  drainTimeoutMs: 5000,
}

/** How a quantity is written, and its least and most in its own unit (ms, bytes, how many). */
export interface Measure {
  readonly kind: 'duration' | 'size' | 'count'
  readonly least: number
  readonly most: number
  readonly description: string
}

export interface LimitKey extends Measure {
  readonly member: keyof Limits
}

const HOUR = 3_600_000
/** A head is a target, and what stands around it (http/limits.ts). */
export const HEAD_AROUND_TARGET_BYTES = 128

const duration = (member: keyof Limits, least: number, description: string): LimitKey => ({
  kind: 'duration',
  member,
  least,
  most: HOUR,
  description,
})
const size = (
  member: keyof Limits,
  least: number,
  most: number,
  description: string,
): LimitKey => ({
  kind: 'size',
  member,
  least,
  most,
  description,
})
const count = (
  member: keyof Limits,
  least: number,
  most: number,
  description: string,
): LimitKey => ({
  kind: 'count',
  member,
  least,
  most,
  description,
})

/** By the name of the file's key. */
export const LIMIT_KEYS: Readonly<Record<string, LimitKey>> = {
  headTimeout: duration('headTimeoutMs', 100, 'a request head must be complete after so long'),
  idleTimeout: duration('idleTimeoutMs', 100, 'a connection without a request is closed'),
  stallTimeout: duration(
    'stallTimeoutMs',
    100,
    'an answer of which nothing is taken, or nothing comes from disk, is given up',
  ),
  drainTimeout: duration('drainTimeoutMs', 0, 'so long an ending server waits for its connections'),
  requestsPerConnection: count('requestsPerConnection', 0, 1e9, 'then it is closed; 0: no limit'),
  connectionsPerAddress: count('connectionsPerAddress', 0, 1e6, 'of one client; 0: no limit'),
  requestsPerSecond: count('requestsPerSecond', 0, 1e6, 'of one client; more: 429; 0: no limit'),
  targetBytes: size('targetBytes', 16, 8192, 'of a request target; longer: 414'),
  headBytes: size('headBytes', 256, REQUEST_BUFFER_BYTES, 'of a request head; longer: 431'),
  fields: count('fields', 1, 1000, 'lines of a request head; more: 431'),
  bodyBytes: size(
    'bodyBytes',
    0,
    2 ** 30 - 1,
    'of a request body, dropped or for an origin; more: 413',
  ),
}

/** A quantity in its own unit, or NaN. A number is seconds, bytes, or how many. */
export function parseLimit({ kind }: Measure, value: unknown): number {
  if (kind === 'duration') return parseDuration(String(value))
  if (kind === 'size') return parseSize(String(value))
  return typeof value === 'number' && Number.isInteger(value) ? value : Number.NaN
}

/** From values that have been checked. */
export function limitsOf(values: Readonly<Record<string, unknown>>): Limits {
  const given = Object.entries(values).map(([key, value]) => {
    const limit = LIMIT_KEYS[key]
    return [limit.member, parseLimit(limit, value)]
  })
  return { ...DEFAULT_LIMITS, ...Object.fromEntries(given) }
}
