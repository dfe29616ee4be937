/**
 * The decisions of a shared cache, as pure functions: may a response be stored (RFC 9111 §3), and
 * may a stored one answer a request (§4), now, in a while, or only because the origin fails
 * (RFC 5861).
 */
import type { PolicyConfig } from './config.ts'
import { type Directives, isWhole, secondsOf } from './directives.ts'
import { ageOf, type Entry, ttlOf } from './entry.ts'
import { controlOf, HEURISTIC_STATUSES, lifetimeOf } from './freshness.ts'
import { varyNamesOf } from './key.ts'
import { hasField, type ResponseHead } from './message.ts'

/** Why a response is not stored, as Cache-Status says it; '' if it is. */
export type StoreReason =
  | ''
  | 'method'
  | 'status'
  | 'partial'
  | 'no-store'
  | 'request-no-store'
  | 'private'
  | 'authorization'
  | 'vary'
  | 'no-freshness'
  | 'set-cookie'

/** What of a request matters to storing its response. */
export interface AskedBy {
  readonly method: string
  readonly directives: Directives
  readonly isAuthorized: boolean
}

/** Statuses whose meaning for caches we know (RFC 9111 §3: "understands"). */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  ...[200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 307, 308],
  ...[400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417],
  ...[421, 422, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 511],
])

/** May the response be stored? '' if so, else why not. */
export function whyNotStored(
  request: AskedBy,
  head: ResponseHead,
  responseMs: number,
  config: PolicyConfig,
): StoreReason {
  const { status, fields } = head
  const control = controlOf(fields, config)
  const { directives } = control
  if (request.method !== 'GET') return 'method'
  if (status < 200 || status > 599 || status === 304) return 'status'
  // Parts are not put together. In other answers Content-Range means nothing (RFC 9110 §14.4).
  if (status === 206 || status === 416) return 'partial'
  if (config.honorsRequests && request.directives.has('no-store')) return 'request-no-store'
  if (directives.has('must-understand')) {
    if (!UNDERSTOOD.has(status)) return 'status'
  } else if (directives.has('no-store')) return 'no-store'
  if (isWhole(directives, 'private')) return 'private'
  if (request.isAuthorized && !isForAuthorized(directives)) return 'authorization'
  if (varyNamesOf(fields)[0] === '*') return 'vary'
  const lifetime = lifetimeOf(status, fields, control, responseMs, config)
  const isOurGuess = !lifetime.isExplicit && !directives.has('public')
  if (isOurGuess && !HEURISTIC_STATUSES.has(status) && lifetime.sec === 0) return 'no-freshness'
  // A guess is no ground for giving one client's cookie to the others (RFC 9111 §7.3).
  if (isOurGuess && hasField(fields, 'set-cookie')) return 'set-cookie'
  return isOfUse(head, directives, lifetime.sec) ? '' : 'no-freshness'
}

/** RFC 9111 §3.5. */
function isForAuthorized(directives: Directives): boolean {
  return ['public', 'must-revalidate', 's-maxage'].some(name => directives.has(name))
}

/** Could it ever answer a request? */
function isOfUse(head: ResponseHead, directives: Directives, lifetimeSec: number): boolean {
  if (hasField(head.fields, 'etag') || hasField(head.fields, 'last-modified')) return true
  if (isWhole(directives, 'no-cache')) return false
  const stale = Math.max(
    secondsOf(directives, 'stale-while-revalidate') ?? 0,
    secondsOf(directives, 'stale-if-error') ?? 0,
  )
  return lifetimeSec > 0 || stale > 0
}

export type Use =
  | 'hit' // answer with it
  | 'stale-while-revalidate' // answer with it, and ask the origin meanwhile
  | 'revalidate' // ask the origin first
  | 'miss' // there is nothing
  | 'only-if-cached' // 504: the client wants no request sent on (RFC 9111 §5.2.1.7)

/** Why a request is sent on, in the words of RFC 9211 §2.2; '' with 'hit'. */
export type Forward = '' | 'request' | 'stale' | 'uri-miss' | 'vary-miss'

export interface Decision {
  readonly use: Use
  readonly forward: Forward
}

/** How to answer a GET or HEAD with the entry that its key and Vary select, if any. */
export function decide(
  entry: Entry | undefined,
  isVaryMiss: boolean,
  request: Directives,
  nowMs: number,
  config: PolicyConfig,
): Decision {
  const asked: Directives = config.honorsRequests ? request : new Map()
  const otherwise = (use: Use, forward: Forward): Decision =>
    asked.has('only-if-cached') ? { use: 'only-if-cached', forward } : { use, forward }
  if (entry === undefined) return otherwise('miss', isVaryMiss ? 'vary-miss' : 'uri-miss')
  if (asked.has('no-cache')) return otherwise('revalidate', 'request')
  if (isWhole(entry.control.directives, 'no-cache')) return otherwise('revalidate', 'stale')
  const ttl = ttlOf(entry, nowMs)
  const isTooOld = ageOf(entry, nowMs) > (secondsOf(asked, 'max-age') ?? Number.POSITIVE_INFINITY)
  const isTooShort = ttl < (secondsOf(asked, 'min-fresh') ?? Number.NEGATIVE_INFINITY)
  if (isTooOld || isTooShort) return otherwise('revalidate', ttl > 0 ? 'request' : 'stale')
  if (ttl > 0 || isStaleWelcome(entry, asked, ttl)) return { use: 'hit', forward: '' }
  if (mayBeStaleFor(entry, 'stale-while-revalidate', -ttl)) {
    return { use: 'stale-while-revalidate', forward: '' }
  }
  return otherwise('revalidate', 'stale')
}

/** max-stale, with or without a limit (RFC 9111 §5.2.1.2). */
function isStaleWelcome(entry: Entry, asked: Directives, ttl: number): boolean {
  const limit = asked.get('max-stale')
  if (limit === undefined || isStaleForbidden(entry)) return false
  return limit === '' || -ttl <= (secondsOf(asked, 'max-stale') ?? 0)
}

/** May a stale entry answer in place of a failure (RFC 5861 §4, RFC 9111 §4.2.4)? */
export function mayStandIn(
  entry: Entry,
  failure: 'down' | 'status',
  request: Directives,
  nowMs: number,
  config: PolicyConfig,
): boolean {
  if (isWhole(entry.control.directives, 'no-cache')) return false
  const asked: Directives = config.honorsRequests ? request : new Map()
  if (asked.has('no-cache')) return false
  const staleSec = -ttlOf(entry, nowMs)
  if (staleSec < 0) return true // asked for anew by its client only
  if (mayBeStaleFor(entry, 'stale-if-error', staleSec)) return true
  const wanted = secondsOf(asked, 'stale-if-error')
  if (isStaleForbidden(entry)) return false
  if (wanted !== undefined && staleSec < wanted) return true
  return failure === 'down' && staleSec < config.staleWhenDownSec
}

/** Statuses that stale-if-error is for (RFC 5861 §4). */
export function isErrorStatus(status: number): boolean {
  return status === 500 || (status >= 502 && status <= 504)
}

/**
 * The origin's own permission. It counts beside s-maxage, which alone forbids stale answers (RFC
 * 9111 §5.2.2.10): who writes both means the second to bound the first.
 */
function mayBeStaleFor(entry: Entry, directive: string, staleSec: number): boolean {
  const { directives } = entry.control
  if (directives.has('must-revalidate') || directives.has('proxy-revalidate')) return false
  return staleSec < (secondsOf(directives, directive) ?? 0)
}

/** RFC 9111 §4.2.4. */
function isStaleForbidden(entry: Entry): boolean {
  const { directives } = entry.control
  const forbids = (name: string): boolean => directives.has(name)
  return ['must-revalidate', 'proxy-revalidate', 's-maxage'].some(forbids)
}
