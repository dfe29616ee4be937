/**
 * Cache-Control (RFC 9111 §5.2), read as the RFC asks for what is odd: names without case, quoted
 * and plain values alike (§5.2), the first of repeated directives (§4.2.1), and a lifetime that is
 * no number is a lifetime of zero (§4.2.1). What restricts us counts even if it is written wrongly.
 */
import { fieldNames, listElements } from './message.ts'

/** Name in lower case → value without quotes, '' if there is none. */
export type Directives = ReadonlyMap<string, string>

/** Any longer time is as good as this one (RFC 9111 §1.2.2). */
export const SECONDS_MAX: number = 2 ** 31

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
const DIGITS = /^\d+$/
/** Their argument is a list of fields, and they mean most without one. */
const TAKES_FIELDS: ReadonlySet<string> = new Set(['no-cache', 'private'])

/** Reads the joined lines of a field; undefined reads as empty. */
export function parseDirectives(value: string | undefined): Directives {
  const directives = new Map<string, string>()
  for (const element of value === undefined ? [] : listElements(value)) {
    const equals = element.indexOf('=')
    const name = (equals < 0 ? element : element.slice(0, equals)).toLowerCase()
    if (!TOKEN.test(name)) continue
    const raw = equals < 0 ? '' : element.slice(equals + 1)
    if (TAKES_FIELDS.has(name)) addFieldList(directives, name, raw)
    else if (!directives.has(name)) directives.set(name, unquoted(raw))
  }
  return directives
}

/** Repeated with lists it means all of them; once without one (or with a bad one) it means all. */
function addFieldList(directives: Map<string, string>, name: string, raw: string): void {
  const earlier = directives.get(name)
  const list = raw.startsWith('"') ? unquoted(raw) : ''
  const isWhole = earlier === '' || fieldNames(list).length === 0
  directives.set(name, isWhole ? '' : earlier === undefined ? list : `${earlier}, ${list}`)
}

function unquoted(raw: string): string {
  if (raw.length < 2 || !raw.startsWith('"') || !raw.endsWith('"')) return raw
  return raw.slice(1, -1).replace(/\\(.)/g, '$1')
}

/** Delta-seconds, at most SECONDS_MAX; undefined if `text` is none. */
export function parseSeconds(text: string): number | undefined {
  return DIGITS.test(text) ? Math.min(Number(text), SECONDS_MAX) : undefined
}

/** The seconds of a directive: undefined if it is not there, 0 if its value is none. */
export function secondsOf(directives: Directives, name: string): number | undefined {
  const value = directives.get(name)
  return value === undefined ? undefined : (parseSeconds(value) ?? 0)
}

/** Is `no-cache` or `private` there without a list of fields, and so about the whole response? */
export function isWhole(directives: Directives, name: string): boolean {
  return directives.get(name) === ''
}

/** The fields that `no-cache="…"` or `private="…"` name, in lower case. */
export function listedFields(directives: Directives): string[] {
  return [...TAKES_FIELDS].flatMap(name => fieldNames(directives.get(name)))
}

/** The directives of a request; Pragma counts where Cache-Control is missing (RFC 9111 §5.4). */
export function requestDirectives(
  cacheControl: string | undefined,
  pragma: string | undefined,
): Directives {
  if (cacheControl !== undefined) return parseDirectives(cacheControl)
  return parseDirectives(pragma).has('no-cache') ? new Map([['no-cache', '']]) : new Map()
}
