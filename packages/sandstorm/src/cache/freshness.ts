/**
 * Freshness of a response (RFC 9111 §4.2): how long it may be used, and how old it is. Pure
 * functions over what was stored; the clock is an argument, in milliseconds since 1970.
 */
import type { PolicyConfig } from './config.ts'
import { type Directives, parseDirectives, parseSeconds, secondsOf } from './directives.ts'
import { parseHttpDate } from './httpDate.ts'
import { type Fields, fieldValue, firstValue, hasField, listElements } from './message.ts'
import { parseTargeted } from './targeted.ts'

/** What a response says of its caching, read once. */
export interface Control {
  readonly directives: Directives
  /** A targeted field said it: Cache-Control and Expires do not count (RFC 9213 §2.1). */
  readonly isTargeted: boolean
}

/** When the response was asked for and when its head came. */
export interface Times {
  readonly requestMs: number
  readonly responseMs: number
}

export interface Lifetime {
  readonly sec: number
  /** The origin said it; else it is a guess of ours. */
  readonly isExplicit: boolean
}

/** Statuses that may be stored on a guess (RFC 9110 §15.1), but for 206, which we never store. */
export const HEURISTIC_STATUSES: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501,
])

export function controlOf(fields: Fields, config: PolicyConfig): Control {
  for (const name of config.targetedFields) {
    const directives = parseTargeted(fieldValue(fields, name))
    if (directives !== undefined) return { directives, isTargeted: true }
  }
  const directives = parseDirectives(fieldValue(fields, 'cache-control'))
  return { directives, isTargeted: false }
}

/** RFC 9111 §4.2.1, for a shared cache. */
export function lifetimeOf(
  status: number,
  fields: Fields,
  control: Control,
  responseMs: number,
  config: PolicyConfig,
): Lifetime {
  const { directives } = control
  const said = secondsOf(directives, 's-maxage') ?? secondsOf(directives, 'max-age')
  if (said !== undefined) return { sec: said, isExplicit: true }
  if (!control.isTargeted && hasField(fields, 'expires')) {
    return { sec: untilExpires(fields, responseMs), isExplicit: true }
  }
  const negative = config.negativeSec[status]
  if (negative !== undefined) return { sec: negative, isExplicit: false }
  return { sec: heuristicSec(status, fields, control, responseMs, config), isExplicit: false }
}

/** Of several Expires the first counts; what is no date is in the past (RFC 9111 §5.3). */
function untilExpires(fields: Fields, responseMs: number): number {
  const expires = parseHttpDate(firstValue(fields, 'expires'), responseMs)
  if (Number.isNaN(expires)) return 0
  return Math.max(0, (expires - dateOf(fields, responseMs)) / 1000)
}

/** A fraction of the time for which it had not changed (RFC 9111 §4.2.2). */
function heuristicSec(
  status: number,
  fields: Fields,
  control: Control,
  responseMs: number,
  config: PolicyConfig,
): number {
  const isCandidate = HEURISTIC_STATUSES.has(status) || control.directives.has('public')
  if (!config.heuristic || !isCandidate) return 0
  const modified = parseHttpDate(firstValue(fields, 'last-modified'), responseMs)
  if (Number.isNaN(modified)) return 0
  const unchangedSec = (dateOf(fields, responseMs) - modified) / 1000
  const guess = Math.floor(unchangedSec * config.heuristicFraction)
  return Math.min(Math.max(0, guess), config.heuristicMaxSec)
}

/** date_value: when the response came, where the origin sent none that can be read. */
export function dateOf(fields: Fields, responseMs: number): number {
  const date = parseHttpDate(firstValue(fields, 'date'), responseMs)
  return Number.isNaN(date) ? responseMs : date
}

/** age_value: the first member counts, and what is no number is ignored (RFC 9111 §5.1). */
function ageValue(fields: Fields): number {
  const first = listElements(firstValue(fields, 'age') ?? '')[0]
  return first === undefined ? 0 : (parseSeconds(first) ?? 0)
}

/** current_age in seconds, with fractions of our own clock (RFC 9111 §4.2.3). */
export function currentAge(fields: Fields, times: Times, nowMs: number): number {
  const { requestMs, responseMs } = times
  const apparent = Math.max(0, Math.floor((responseMs - dateOf(fields, responseMs)) / 1000))
  const delay = Math.max(0, responseMs - requestMs) / 1000
  const corrected = ageValue(fields) + delay
  return Math.max(apparent, corrected) + Math.max(0, nowMs - responseMs) / 1000
}
