/**
 * A stored response: immutable plain data, exchanged as a whole when a 304 freshens it. What was
 * worked out from its fields is kept beside them, so that a hit parses nothing.
 */
import type { PolicyConfig } from './config.ts'
import { type Control, controlOf, currentAge, dateOf, lifetimeOf, type Times } from './freshness.ts'
import { parseHttpDate } from './httpDate.ts'
import { type Fields, fieldValue, firstValue, type ResponseHead } from './message.ts'

export interface Entry extends ResponseHead, Times {
  /** The key of its URL (key.ts). */
  readonly key: string
  /**
   * The fields that Vary names, in lower case, and their normal values in the request it answers.
   */
  readonly varyNames: readonly string[]
  readonly secondary: string
  readonly body: Uint8Array
  readonly tags: readonly string[]
  readonly control: Control
  /** Freshness lifetime in seconds. */
  readonly lifetimeSec: number
  /** Age in seconds when it came; it grows with the clock from `responseMs`. */
  readonly initialAgeSec: number
  readonly dateMs: number
  /** '' if there is none. */
  readonly etag: string
  /** NaN if there is none. */
  readonly modifiedMs: number
  /** From here on it is stale whatever it says of itself: a soft purge. Infinity: never. */
  readonly staleFromMs: number
}

/** What identifies an entry, and its body. */
export type EntryIdentity = Pick<Entry, 'key' | 'varyNames' | 'secondary' | 'body'>

export function makeEntry(
  identity: EntryIdentity,
  head: ResponseHead,
  times: Times,
  config: PolicyConfig,
): Entry {
  const { key, varyNames, secondary, body } = identity
  const { status, fields } = head
  const { requestMs, responseMs } = times
  const control = controlOf(fields, config)
  return {
    key,
    varyNames,
    secondary,
    body,
    status,
    fields,
    requestMs,
    responseMs,
    control,
    tags: tagsOf(fields),
    lifetimeSec: lifetimeOf(status, fields, control, responseMs, config).sec,
    initialAgeSec: currentAge(fields, times, responseMs),
    dateMs: dateOf(fields, responseMs),
    etag: firstValue(fields, 'etag') ?? '',
    modifiedMs: parseHttpDate(firstValue(fields, 'last-modified'), responseMs),
    staleFromMs: Number.POSITIVE_INFINITY,
  }
}

/** Cache-Tag is a list with commas, Surrogate-Key one with spaces. */
export function tagsOf(fields: Fields): string[] {
  const commas = (fieldValue(fields, 'cache-tag') ?? '').split(',')
  const spaces = (fieldValue(fields, 'surrogate-key') ?? '').split(/[\s,]+/)
  const tags = [...commas, ...spaces].map(tag => tag.trim()).filter(tag => tag !== '')
  return [...new Set(tags)]
}

/** current_age in seconds (RFC 9111 §4.2.3). */
export function ageOf(entry: Entry, nowMs: number): number {
  return entry.initialAgeSec + Math.max(0, nowMs - entry.responseMs) / 1000
}

/** Seconds for which it stays fresh; negative: for how long it has been stale. */
export function ttlOf(entry: Entry, nowMs: number): number {
  return Math.min(entry.lifetimeSec - ageOf(entry, nowMs), (entry.staleFromMs - nowMs) / 1000)
}

/** Can the origin be asked whether it still holds (RFC 9111 §4.3.1)? */
export function hasValidator(entry: Entry): boolean {
  return entry.etag !== '' || !Number.isNaN(entry.modifiedMs)
}
