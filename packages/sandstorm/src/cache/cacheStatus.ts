/**
 * Cache-Status (RFC 9211): one member that says what this cache did with a request. Caches that the
 * response has passed before us are named before us.
 */
import type { Forward } from './policy.ts'

export interface Handling {
  /** Why the request went to the origin; '' if a stored response did, 'none' if neither. */
  readonly forward: Forward | 'bypass' | 'method' | 'none'
  /** What the origin answered; 0 if it did not. */
  readonly forwardStatus?: number
  /** Whole seconds of freshness left, negative if stale; undefined if the response is not ours. */
  readonly ttlSec?: number | undefined
  readonly isStored?: boolean
  /** It waited for another request's answer. */
  readonly isCollapsed?: boolean
  /** A word for people. */
  readonly detail?: string
}

export function cacheStatus(name: string, handling: Handling): string {
  const { forward, forwardStatus = 0, ttlSec, isStored, isCollapsed, detail = '' } = handling
  let text = name
  if (forward !== 'none') text += forward === '' ? '; hit' : `; fwd=${forward}`
  if (forwardStatus !== 0) text += `; fwd-status=${forwardStatus}`
  if (ttlSec !== undefined) text += `; ttl=${Math.floor(ttlSec)}`
  if (isStored) text += '; stored'
  if (isCollapsed) text += '; collapsed'
  if (detail !== '') text += `; detail=${detail}`
  return text
}
