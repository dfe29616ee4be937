/**
 * HTTP dates (RFC 9110 §5.6.7): IMF-fixdate and the two obsolete forms are read, the first is
 * written. As RFC 9111 §4.2 asks of a cache, letters compare without case and "UTC" is "GMT"; any
 * other zone, and any other form, is no date.
 *
 * These are for text, on the main thread; http/httpDate.ts reads bytes, where nothing may be
 * allocated.
 */
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

const IMF_FIXDATE =
  /^(?:mon|tue|wed|thu|fri|sat|sun), (\d\d) ([a-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d) (?:gmt|utc)$/
const RFC_850 =
  /^(?:mon|tues|wednes|thurs|fri|satur|sun)day, (\d\d)-([a-z]{3})-(\d\d) (\d\d):(\d\d):(\d\d) (?:gmt|utc)$/
const ASCTIME =
  /^(?:mon|tue|wed|thu|fri|sat|sun) ([a-z]{3}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/

/** No date has more characters. */
const DATE_MAX = 40
const DAYS_50_YEARS = 50 * 365.25 * 86_400_000

/** Milliseconds since 1970; NaN if the text is no HTTP date. `nowMs` settles two-digit years. */
export function parseHttpDate(text: string | undefined, nowMs: number): number {
  if (text === undefined || text.length > DATE_MAX) return Number.NaN
  const lower = text.toLowerCase()
  const imf = IMF_FIXDATE.exec(lower)
  if (imf !== null) return fromParts(imf[3], imf[2], imf[1], imf[4], imf[5], imf[6])
  const old = RFC_850.exec(lower)
  if (old !== null) return fromShortYear(old, nowMs)
  const asc = ASCTIME.exec(lower)
  if (asc !== null) return fromParts(asc[6], asc[1], asc[2].trim(), asc[3], asc[4], asc[5])
  return Number.NaN
}

/** As an IMF-fixdate. */
export function formatHttpDate(ms: number): string {
  return new Date(ms).toUTCString()
}

/** A date that seems more than 50 years ahead is in the past (RFC 9110 §5.6.7). */
function fromShortYear(parts: RegExpExecArray, nowMs: number): number {
  const century = Math.floor(new Date(nowMs).getUTCFullYear() / 100) * 100
  const at = (base: number): number =>
    fromParts(String(base + Number(parts[3])), parts[2], parts[1], parts[4], parts[5], parts[6])
  const ms = at(century)
  return ms - nowMs > DAYS_50_YEARS ? at(century - 100) : ms
}

function fromParts(
  year: string,
  month: string,
  day: string,
  hour: string,
  minute: string,
  second: string,
): number {
  const [h, m, s, d] = [Number(hour), Number(minute), Number(second), Number(day)]
  const monthIndex = MONTHS.indexOf(month)
  if (monthIndex < 0 || h > 23 || m > 59 || s > 60) return Number.NaN // 60: a leap second
  const midnight = new Date(0)
  midnight.setUTCFullYear(Number(year), monthIndex, d)
  if (midnight.getUTCDate() !== d || midnight.getUTCMonth() !== monthIndex) return Number.NaN
  return midnight.getTime() + ((h * 60 + m) * 60 + s) * 1000
}
