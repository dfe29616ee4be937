/**
 * HTTP messages as the cache sees them: plain data, fields in the order in which they came, so that
 * what is stored is what the origin said. Text is latin1: one character a byte (RFC 9110 §5.5).
 */

/** One field line. Names keep their case, and compare without it (RFC 9110 §5.1). */
export type Field = readonly [name: string, value: string]
export type Fields = readonly Field[]

export interface CacheRequest {
  /** Methods are case-sensitive (RFC 9110 §9.1). */
  readonly method: string
  readonly scheme: 'http' | 'https'
  /** Host as the client named it, with its port if it is not the scheme's own. */
  readonly authority: string
  /** Path and query, "/" first. */
  readonly target: string
  /**
   * Without Host, which is `authority`, and without those of the client's connection (hopByHop.ts).
   */
  readonly fields: Fields
  /** The body of a request that has one; read at most once. */
  readonly body?: AsyncIterable<Uint8Array>
  /** Of the client, for X-Forwarded-For; '' hides it. */
  readonly clientAddress: string
  /** Aborted when the client leaves. */
  readonly signal?: AbortSignal
  /** Gets the interim answers (1xx) of the origin, if it is this request that is sent on. */
  readonly onInterim?: (head: ResponseHead) => void
}

/** A response without its body. */
export interface ResponseHead {
  readonly status: number
  readonly fields: Fields
}

/**
 * The value of a field, its lines joined as RFC 9110 §5.3 allows; undefined if no line has the
 * name. `name` is in lower case.
 */
export function fieldValue(fields: Fields, name: string): string | undefined {
  let value: string | undefined
  for (const [n, v] of fields) {
    if (n.length === name.length && n.toLowerCase() === name) {
      value = value === undefined ? v.trim() : `${value}, ${v.trim()}`
    }
  }
  return value
}

/** The first line of a field that may have only one; undefined if there is none. */
export function firstValue(fields: Fields, name: string): string | undefined {
  for (const [n, v] of fields) {
    if (n.length === name.length && n.toLowerCase() === name) return v.trim()
  }
  return undefined
}

/** Likewise; undefined as well if there are several: of two neither can be trusted. */
export function onlyValue(fields: Fields, name: string): string | undefined {
  const value = firstValue(fields, name)
  return value === fieldValue(fields, name) ? value : undefined
}

export function hasField(fields: Fields, name: string): boolean {
  return firstValue(fields, name) !== undefined
}

/** All lines but those whose lower-case name is in `names`. */
export function without(fields: Fields, names: ReadonlySet<string>): Field[] {
  return fields.filter(([name]) => !names.has(name.toLowerCase()))
}

/**
 * The elements of a comma-separated list (RFC 9110 §5.6.1); commas in quoted strings are kept. A
 * quote that is never closed is an ordinary character.
 */
export function listElements(value: string): string[] {
  const parts: string[] = []
  let from = 0
  let isQuoted = false
  for (let at = 0; at < value.length; at++) {
    const c = value[at]
    if (c === '"') isQuoted = !isQuoted
    else if (c === '\\' && isQuoted) at++
    else if (c === ',' && !isQuoted) {
      parts.push(value.slice(from, at))
      from = at + 1
    }
  }
  parts.push(value.slice(from))
  const whole = isQuoted ? value.split(',') : parts
  return whole.map(part => part.trim()).filter(part => part !== '')
}

/** The names that a list of field names holds, in lower case: Connection, Vary, no-cache="…". */
export function fieldNames(value: string | undefined): string[] {
  return value === undefined ? [] : listElements(value).map(name => name.toLowerCase())
}
