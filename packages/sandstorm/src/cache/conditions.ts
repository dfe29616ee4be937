/**
 * Preconditions that a cache answers itself: If-None-Match, If-Modified-Since (RFC 9111 §4.3.2),
 * and Range with If-Range (RFC 9110 §14.2, §13.1.5). If-Match and If-Unmodified-Since are the
 * origin's business. On a stored answer's fields, as text; http/conditions.ts judges our own
 * variants by bytes.
 */
import { dateOf } from './freshness.ts'
import { parseHttpDate } from './httpDate.ts'
import {
  type Fields,
  fieldValue,
  firstValue,
  hasField,
  listElements,
  onlyValue,
  type ResponseHead,
} from './message.ts'
import { opaque } from './update.ts'

/** Of a request: to be taken off when the cache asks for itself. */
export const CONDITIONS: ReadonlySet<string> = new Set([
  'if-none-match',
  'if-modified-since',
  'if-range',
  'range',
])
/** Only the origin can judge these. */
export const ORIGIN_CONDITIONS: readonly string[] = ['if-match', 'if-unmodified-since']

/** Does the client have the response already, so that a 304 will do? */
export function isNotModified(request: Fields, head: ResponseHead, responseMs: number): boolean {
  if (head.status < 200 || head.status > 299) return false // RFC 9110 §13.2.1
  const noneMatch = fieldValue(request, 'if-none-match')
  if (noneMatch !== undefined) return matchesAny(noneMatch, firstValue(head.fields, 'etag'))
  const since = parseHttpDate(onlyValue(request, 'if-modified-since'), responseMs)
  if (Number.isNaN(since)) return false
  const modified = parseHttpDate(firstValue(head.fields, 'last-modified'), responseMs)
  return (Number.isNaN(modified) ? dateOf(head.fields, responseMs) : modified) <= since
}

/** Weak comparison with each tag of a list, or "*" (RFC 9110 §13.1.2). */
function matchesAny(noneMatch: string, etag: string | undefined): boolean {
  if (noneMatch === '*') return true
  return etag !== undefined && listElements(noneMatch).some(tag => opaque(tag) === opaque(etag))
}

/** Bytes [from, to). */
export interface ByteRange {
  readonly from: number
  readonly to: number
}

/**
 * The range of a body that a request wants: undefined for all of it, also where it names several
 * ranges or none that can be read (RFC 9110 §14.2); 'unsatisfiable' where it names none of the
 * body.
 */
export function rangeOf(
  request: Fields,
  head: ResponseHead,
  length: number,
): ByteRange | 'unsatisfiable' | undefined {
  const range = onlyValue(request, 'range')
  if (range === undefined || head.status !== 200 || !isSame(request, head.fields)) return undefined
  const parts = /^bytes[ \t]*=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(range)
  if (parts === null || (parts[1] === '' && parts[2] === '')) return undefined
  if (parts[1] === '') {
    const from = Math.max(0, length - Number(parts[2]))
    return from < length ? { from, to: length } : 'unsatisfiable'
  }
  const from = Number(parts[1])
  const last = parts[2] === '' ? Number.POSITIVE_INFINITY : Number(parts[2])
  if (last < from) return undefined
  return from < length ? { from, to: Math.min(last + 1, length) } : 'unsatisfiable'
}

/** If-Range: strong tags, or exactly the date (RFC 9110 §13.1.5). */
function isSame(request: Fields, response: Fields): boolean {
  if (!hasField(request, 'if-range')) return true
  const condition = onlyValue(request, 'if-range')
  if (condition === undefined) return false
  if (condition.startsWith('"')) return condition === firstValue(response, 'etag')
  if (condition.startsWith('W/')) return false
  const modified = firstValue(response, 'last-modified')
  const modifiedMs = parseHttpDate(modified, 0)
  // A date is only a strong validator if it is well before the response (RFC 9110 §8.8.2.2).
  const isStrong = parseHttpDate(firstValue(response, 'date'), 0) - modifiedMs >= 1000
  return isStrong && condition === modified
}
