/**
 * The two head fields that are written anew for each answer: Date (or Age) and Connection. Both
 * have a fixed width (image.ts), so they are patched in place like a port number (paper §2.1).
 *
 * Read RFC 9110 §5.6.7 (IMF-fixdate) and §6.6.1 (Date). Invariant: exactly DATE_LEN bytes are
 * written, by integer arithmetic alone: no Date object, no string, nothing to collect.
 */
import { CONNECTION_LEN, DATE_LEN } from './image.ts'

const DAY_SECONDS = 86400
const DAY_NAMES = ascii('SunMonTueWedThuFriSat')
const MONTH_NAMES = ascii('JanFebMarAprMayJunJulAugSepOctNovDec')
const GMT = ascii(' GMT')
const SPACE = 32
const COMMA = 44
const ZERO = 48
const COLON = 58

/** The Connection value of an answer after which the connection stays open. */
export const CONNECTION_KEEP_ALIVE: Uint8Array = ascii('keep-alive'.padEnd(CONNECTION_LEN))
/** The Connection value of the last answer; trailing spaces are not part of it (RFC 9110 §5.5). */
export const CONNECTION_CLOSE: Uint8Array = ascii('close'.padEnd(CONNECTION_LEN))

/**
 * Writes the DATE_LEN bytes of an IMF-fixdate at `off`. `epochSec` is a whole number of seconds
 * since 1970, before the year 10000.
 */
export function writeDate(bytes: Uint8Array, off: number, epochSec: number): void {
  const days = Math.floor(epochSec / DAY_SECONDS)
  const seconds = epochSec - days * DAY_SECONDS
  // Days to a civil date, in years that begin on 1 March, so that the leap day is a year's last.
  const shifted = days + 719468
  const era = (shifted / 146097) | 0
  const dayOfEra = shifted - era * 146097
  const leaps = ((dayOfEra / 1460) | 0) - ((dayOfEra / 36524) | 0) + ((dayOfEra / 146096) | 0)
  const yearOfEra = ((dayOfEra - leaps) / 365) | 0
  const dayOfYear = dayOfEra - (365 * yearOfEra + (yearOfEra >> 2) - ((yearOfEra / 100) | 0))
  const marchMonth = ((5 * dayOfYear + 2) / 153) | 0
  const day = dayOfYear - (((153 * marchMonth + 2) / 5) | 0) + 1
  const month = marchMonth < 10 ? marchMonth + 2 : marchMonth - 10 // 0 = January
  const year = era * 400 + yearOfEra + (month < 2 ? 1 : 0)

  writeName(bytes, off, DAY_NAMES, (days + 4) % 7)
  bytes[off + 3] = COMMA
  bytes[off + 4] = SPACE
  writeTwoDigits(bytes, off + 5, day)
  bytes[off + 7] = SPACE
  writeName(bytes, off + 8, MONTH_NAMES, month)
  bytes[off + 11] = SPACE
  writeTwoDigits(bytes, off + 12, (year / 100) | 0)
  writeTwoDigits(bytes, off + 14, year % 100)
  bytes[off + 16] = SPACE
  writeTwoDigits(bytes, off + 17, (seconds / 3600) | 0)
  bytes[off + 19] = COLON
  writeTwoDigits(bytes, off + 20, ((seconds / 60) | 0) % 60)
  bytes[off + 22] = COLON
  writeTwoDigits(bytes, off + 23, seconds % 60)
  for (let i = 0; i < GMT.length; i++) bytes[off + DATE_LEN - GMT.length + i] = GMT[i]
}

/**
 * Writes an Age (RFC 9111 §5.1), as wide as a Date: spaces, which are no part of it, then digits.
 */
function writeAge(bytes: Uint8Array, off: number, ageSec: number): void {
  let rest = ageSec > 0 ? ageSec : 0
  let at = off + DATE_LEN - 1
  bytes[at] = ZERO + (rest % 10)
  for (rest = (rest / 10) | 0; rest > 0; rest = (rest / 10) | 0) bytes[--at] = ZERO + (rest % 10)
  while (at > off) bytes[--at] = SPACE
}

/**
 * Writes the time field of an answer that is sent in this second: Date, or Age since `ageSince` if
 * it is not 0.
 */
export function writeTime(
  bytes: Uint8Array,
  off: number,
  ageSince: number,
  epochSec: number,
): void {
  if (ageSince === 0) writeDate(bytes, off, epochSec)
  else writeAge(bytes, off, (epochSec - ageSince) | 0)
}

function writeName(bytes: Uint8Array, off: number, names: Uint8Array, index: number): void {
  for (let i = 0; i < 3; i++) bytes[off + i] = names[index * 3 + i]
}

function writeTwoDigits(bytes: Uint8Array, off: number, value: number): void {
  bytes[off] = ZERO + ((value / 10) | 0)
  bytes[off + 1] = ZERO + (value % 10)
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, c => c.charCodeAt(0))
}
