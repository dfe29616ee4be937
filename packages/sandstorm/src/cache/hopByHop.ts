/**
 * Fields that belong to one connection and are neither stored nor sent on (RFC 9110 §7.6.1,
 * RFC 9111 §3.1), and what an intermediary adds of its own (RFC 9110 §7.6.3).
 */
import type { CacheConfig } from './config.ts'
import { listedFields } from './directives.ts'
import { controlOf } from './freshness.ts'
import { formatHttpDate, parseHttpDate } from './httpDate.ts'
import { type Field, type Fields, fieldNames, fieldValue, firstValue, without } from './message.ts'

const HOP_BY_HOP: readonly string[] = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]
/** Connection cannot take these away: without them a message means something else. */
const NEVER_LISTED: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'content-encoding',
  'content-type',
  'cache-control',
  'set-cookie',
  'cookie',
  'authorization',
])

/** All fields but those for this connection alone. */
export function endToEnd(fields: Fields): Field[] {
  const listed = fieldNames(fieldValue(fields, 'connection'))
  const names = new Set([...HOP_BY_HOP, ...listed.filter(name => !NEVER_LISTED.has(name))])
  return without(fields, names)
}

/**
 * The fields to store: not those that `private` and `no-cache` list (RFC 9111 §5.2.2.4, §5.2.2.7).
 */
export function storable(fields: Fields, config: CacheConfig): Field[] {
  const listed = new Set(listedFields(controlOf(fields, config).directives))
  return listed.size === 0 ? [...fields] : without(fields, listed)
}

/** With a Date that can be read: a clock-less origin's answer gets ours (RFC 9110 §6.6.1). */
export function dated(fields: Fields, responseMs: number): Field[] {
  const date = firstValue(fields, 'date')
  if (!Number.isNaN(parseHttpDate(date, responseMs))) return [...fields]
  return [...without(fields, new Set(['date'])), ['Date', formatHttpDate(responseMs)]]
}

/** With our name at the end of Via. */
export function withVia(fields: Fields, name: string): Field[] {
  const before = fieldValue(fields, 'via')
  const via = before === undefined ? `1.1 ${name}` : `${before}, 1.1 ${name}`
  return [...without(fields, new Set(['via'])), ['Via', via]]
}
