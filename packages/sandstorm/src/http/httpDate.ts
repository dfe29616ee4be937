/**
 * Reading an HTTP-date (RFC 9110 §5.6.7) in its three forms:
 *
 *   Sun, 06 Nov 1994 08:49:37 GMT     IMF-fixdate: what everybody sends
 *   Sunday, 06-Nov-94 08:49:37 GMT    RFC 850: obsolete, yet every recipient must take it
 *   Sun Nov  6 08:49:37 1994          asctime: likewise
 *
 * Invariant: allocates nothing; what is not exactly one of these is NO_DATE, and a condition with
 * such a date is ignored (RFC 9110 §13.1.3).
 */
import { ascii, COLON, COMMA, DIGIT_0, isDigit, isWord, MINUS, SP } from './chars.ts'

/** No date, or none that is 1970 or later. */
export const NO_DATE = -1

const MONTHS = [
  'jan',
  'feb',
  'mar',
  'apr',
  'may',
  'jun',
  'jul',
  'aug',
  'sep',
  'oct',
  'nov',
  'dec',
].map(ascii)
const GMT = ascii(' gmt')
/** Days before each month of a year that is no leap year. */
const DAYS_BEFORE = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]
const DAYS_IN = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const FIXDATE_LEN = 29
const ASCTIME_LEN = 24

/**
 * Seconds since 1970 of the date bytes[off, end), or NO_DATE. `nowSec` decides the century of a
 * two-digit year: it is at most 50 years ahead.
 */
export function parseDate(bytes: Uint8Array, off: number, end: number, nowSec: number): number {
  if (end - off === FIXDATE_LEN && bytes[off + 3] === COMMA) return fixdate(bytes, off)
  if (end - off === ASCTIME_LEN) return asctime(bytes, off)
  return rfc850(bytes, off, end, nowSec)
}

function fixdate(bytes: Uint8Array, off: number): number {
  const isShaped = areSpaces(bytes, off, 4, 7, 11, 16)
  if (!isShaped || !isWord(bytes, off + 25, off + 29, GMT)) return NO_DATE
  const year = number(bytes, off + 12, 4)
  return seconds(year, month(bytes, off + 8), number(bytes, off + 5, 2), time(bytes, off + 17))
}

function asctime(bytes: Uint8Array, off: number): number {
  if (!areSpaces(bytes, off, 3, 7, 10, 19)) return NO_DATE
  const isPadded = bytes[off + 8] === SP
  const day = isPadded ? number(bytes, off + 9, 1) : number(bytes, off + 8, 2)
  return seconds(number(bytes, off + 20, 4), month(bytes, off + 4), day, time(bytes, off + 11))
}

function rfc850(bytes: Uint8Array, off: number, end: number, nowSec: number): number {
  let at = off
  while (at < end && bytes[at] !== COMMA) at++
  // ", 06-Nov-94 08:49:37 GMT"
  if (end - at !== 24 || at - off < 6 || !isWord(bytes, end - 4, end, GMT)) return NO_DATE
  if (bytes[at + 1] !== SP || bytes[at + 4] !== MINUS || bytes[at + 8] !== MINUS) return NO_DATE
  if (bytes[at + 11] !== SP) return NO_DATE
  const thisYear = 1970 + Math.floor(nowSec / 31556952)
  const inCentury = number(bytes, at + 9, 2)
  let year = thisYear - (thisYear % 100) + inCentury
  if (year > thisYear + 50) year -= 100
  const sec = time(bytes, at + 12)
  return inCentury < 0
    ? NO_DATE
    : seconds(year, month(bytes, at + 5), number(bytes, at + 2, 2), sec)
}

/** Are the bytes at these four places spaces? */
function areSpaces(
  bytes: Uint8Array,
  off: number,
  a: number,
  b: number,
  c: number,
  d: number,
): boolean {
  const sp = SP
  return (
    bytes[off + a] === sp && bytes[off + b] === sp && bytes[off + c] === sp && bytes[off + d] === sp
  )
}

/** `len` digits as a number; negative if one is none. */
function number(bytes: Uint8Array, off: number, len: number): number {
  let value = 0
  for (let i = 0; i < len; i++) {
    if (!isDigit(bytes[off + i])) return -1
    value = value * 10 + bytes[off + i] - DIGIT_0
  }
  return value
}

/** 0 for January; -1: no month. */
function month(bytes: Uint8Array, off: number): number {
  for (let i = 0; i < 12; i++) if (isWord(bytes, off, off + 3, MONTHS[i])) return i
  return -1
}

/** "08:49:37" in seconds of the day; a leap second counts; negative: no time. */
function time(bytes: Uint8Array, off: number): number {
  const hour = number(bytes, off, 2)
  const minute = number(bytes, off + 3, 2)
  const second = number(bytes, off + 6, 2)
  const isTime = bytes[off + 2] === COLON && bytes[off + 5] === COLON
  if (!isTime || hour < 0 || hour > 23 || minute < 0 || minute > 59) return -1
  return second < 0 || second > 60 ? -1 : hour * 3600 + minute * 60 + second
}

function seconds(year: number, month: number, day: number, timeSec: number): number {
  if (year < 1970 || month < 0 || day < 1 || day > DAYS_IN[month] || timeSec < 0) return NO_DATE
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  if (month === 1 && day === 29 && !isLeap) return NO_DATE
  const before = year - 1
  const leaps = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400) - 477
  const inYear = DAYS_BEFORE[month] + (month > 1 && isLeap ? 1 : 0) + day - 1
  return ((year - 1970) * 365 + leaps + inYear) * 86400 + timeSec
}
