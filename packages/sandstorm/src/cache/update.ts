/**
 * How later responses change what is stored: a 304 freshens it (RFC 9111 §3.2, §4.3.4), the answer
 * to a HEAD freshens it or makes it stale (§4.3.5), an unsafe method makes it invalid (§4.4).
 */
import type { CacheConfig } from './config.ts'
import { type Entry, makeEntry } from './entry.ts'
import type { Times } from './freshness.ts'
import { dated, storable } from './hopByHop.ts'
import { parseHttpDate } from './httpDate.ts'
import { keyOf, keyOfSameOrigin } from './key.ts'
import {
  type CacheRequest,
  type Field,
  type Fields,
  fieldValue,
  firstValue,
  type ResponseHead,
  without,
} from './message.ts'

/** They describe the stored bytes, which did not change (RFC 9111 §3.2). */
const KEPT: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'content-range',
  'transfer-encoding',
])
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/**
 * Is the 304 about this entry? Not if it has another entity tag, or another date and neither has a
 * tag (RFC 9111 §4.3.4); then the origin is to be asked once more, without a condition.
 */
export function isAbout(entry: Entry, fields: Fields): boolean {
  const etag = firstValue(fields, 'etag')
  if (etag !== undefined) return entry.etag === '' || opaque(etag) === opaque(entry.etag)
  const modified = parseHttpDate(firstValue(fields, 'last-modified'), entry.responseMs)
  if (Number.isNaN(modified) || entry.etag !== '') return true
  return Number.isNaN(entry.modifiedMs) || modified === entry.modifiedMs
}

/** An entity tag without its weakness, for weak comparison (RFC 9110 §8.8.3.2). */
export function opaque(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag
}

/**
 * The entry with the fields of a 304, or of a HEAD's 200, in place of its own of the same names.
 */
export function freshened(entry: Entry, from: Fields, times: Times, config: CacheConfig): Entry {
  const news = dated(from, times.responseMs).filter(([name]) => !KEPT.has(name.toLowerCase()))
  // An Age that the new response does not have is not its age.
  const replaced = new Set(['age', ...news.map(([name]) => name.toLowerCase())])
  // Whichever of the two says that a field is private, neither's is kept.
  const fields = storable(inPlace(entry.fields, news, replaced), config)
  return makeEntry(entry, { status: entry.status, fields }, times, config)
}

/** New lines stand where the first old one of their name stood, others at the end. */
function inPlace(old: Fields, news: Fields, replaced: ReadonlySet<string>): Field[] {
  const fields: Field[] = []
  const done = new Set<string>()
  const named = (name: string): Field[] => news.filter(([n]) => n.toLowerCase() === name)
  for (const field of old) {
    const name = field[0].toLowerCase()
    if (!replaced.has(name)) fields.push(field)
    else if (!done.has(name)) fields.push(...named(name))
    done.add(name)
  }
  return [...fields, ...without(news, done)]
}

/** Does the answer to a HEAD describe the stored bytes (RFC 9111 §4.3.5)? */
export function describes(head: ResponseHead, entry: Entry): boolean {
  if (head.status !== entry.status) return false
  const etag = firstValue(head.fields, 'etag') ?? ''
  if (etag !== entry.etag) return false
  const modified = firstValue(head.fields, 'last-modified')
  if (modified !== firstValue(entry.fields, 'last-modified')) return false
  const length = fieldValue(head.fields, 'content-length')
  return length === undefined || Number(length) === entry.body.length
}

export function isSafe(method: string): boolean {
  return SAFE.has(method)
}

/**
 * The keys that a response makes invalid (RFC 9111 §4.4): none if it is an error or the method
 * safe.
 */
export function invalidatedBy(request: CacheRequest, head: ResponseHead): string[] {
  if (isSafe(request.method) || head.status < 200 || head.status >= 400) return []
  const named = ['location', 'content-location']
    .map(name => firstValue(head.fields, name))
    .filter(value => value !== undefined)
    .map(value => keyOfSameOrigin(value, request))
    .filter(key => key !== undefined)
  return [...new Set([keyOf(request), ...named])]
}
