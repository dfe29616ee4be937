/**
 * Outcomes: what the cache tells a mount to send. From a stored entry that is the whole response, a
 * part of it (206), or nothing but a head (304, HEAD).
 */
import { cacheStatus, type Handling } from './cacheStatus.ts'
import { isNotModified, rangeOf } from './conditions.ts'
import { ageOf, type Entry } from './entry.ts'
import {
  type CacheRequest,
  type Field,
  type Fields,
  fieldValue,
  hasField,
  without,
} from './message.ts'

export interface Outcome {
  readonly status: number
  /**
   * In order, without fields of the connection: the mount adds those, and the framing where there
   * is no Content-Length.
   */
  readonly fields: Fields
  /**
   * Empty for a HEAD, a 204 and a 304. An iterable must be read, or left: with `return`, or by the
   * request's signal. If it throws, the client must not take what it has for whole.
   */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>
  /** As in the Cache-Status field, without what earlier caches said. */
  readonly cacheStatus: string
  /** The stored response that it was made from. */
  readonly entry?: Entry
}

export const EMPTY: Uint8Array = new Uint8Array(0)

/** What a 304 carries (RFC 9110 §15.4.5), and what earlier caches said. */
const IN_304: ReadonlySet<string> = new Set([
  ...['cache-control', 'content-location', 'date', 'etag', 'expires', 'vary'],
  ...['cdn-cache-control', 'set-cookie', 'via', 'cache-status'],
])
/** Told anew; Content-Range means something in a 206 and a 416 alone (RFC 9110 §14.4). */
const COUNTED: ReadonlySet<string> = new Set(['age', 'content-length', 'content-range'])

/** Answers a GET or HEAD with an entry. `name`: of this cache. */
export function answerWith(
  entry: Entry,
  request: CacheRequest,
  nowMs: number,
  name: string,
  handling: Handling,
): Outcome {
  const age: Field = ['Age', String(Math.floor(ageOf(entry, nowMs)))]
  const kept = without(entry.fields, COUNTED)
  const make = (status: number, fields: Field[], body: Uint8Array): Outcome => ({
    ...outcome(status, fields, request.method === 'HEAD' ? EMPTY : body, name, handling),
    entry,
  })
  if (isNotModified(request.fields, entry, entry.responseMs)) {
    return make(304, [...fieldsOf304(kept), age], EMPTY)
  }
  const length = entry.body.length
  const range = request.method === 'GET' ? rangeOf(request.fields, entry, length) : undefined
  if (range === 'unsatisfiable') {
    const fields: Field[] = [['Content-Range', `bytes */${length}`], ['Content-Length', '0'], age]
    return make(416, [...kept.filter(([field]) => /^(date|via)$/i.test(field)), ...fields], EMPTY)
  }
  if (range !== undefined) {
    const { from, to } = range
    const part: Field[] = [
      ['Content-Range', `bytes ${from}-${to - 1}/${length}`],
      ['Content-Length', String(to - from)],
    ]
    return make(206, [...kept, ...part, age], entry.body.subarray(from, to))
  }
  const framing: Field[] = entry.status === 204 ? [] : [['Content-Length', String(length)]]
  return make(entry.status, [...kept, ...framing, age], entry.body)
}

/** Last-Modified only where there is no ETag. */
export function fieldsOf304(fields: Fields): Field[] {
  const tells = (name: string): boolean =>
    IN_304.has(name) || (name === 'last-modified' && !hasField(fields, 'etag'))
  return fields.filter(([name]) => tells(name.toLowerCase()))
}

/** An outcome with our member at the end of Cache-Status. */
export function outcome(
  status: number,
  fields: Fields,
  body: Outcome['body'],
  name: string,
  handling: Handling,
): Outcome {
  const said = cacheStatus(name, handling)
  const before = fieldValue(fields, 'cache-status')
  const line: Field = ['Cache-Status', before === undefined ? said : `${before}, ${said}`]
  const others = without(fields, new Set(['cache-status']))
  return { status, fields: [...others, line], body, cacheStatus: said }
}

/** A short answer of our own, for people. */
export function ownAnswer(
  status: number,
  text: string,
  request: CacheRequest,
  name: string,
  handling: Handling,
): Outcome {
  const body = Buffer.from(`${text}\n`)
  const fields: Field[] = [
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['Content-Length', String(body.length)],
    ['Cache-Control', 'no-store'],
  ]
  return outcome(status, fields, request.method === 'HEAD' ? EMPTY : body, name, handling)
}
