/**
 * Conditional requests, in the order of RFC 9110 §13.2.2: If-Match, else If-Unmodified-Since; then
 * If-None-Match, else If-Modified-Since; then Range with If-Range. Dates are compared as dates, so
 * a client with a later one than ours has what we have.
 */
import type { Content } from '../content/content.ts'
import { ETAG_CHARS } from '../content/head.ts'
import { QUOTE } from './chars.ts'
import { namesEtag, STRONG, WEAK } from './entityTags.ts'
import {
  type Fields,
  IF_MATCH,
  IF_MODIFIED_SINCE,
  IF_NONE_MATCH,
  IF_RANGE,
  IF_UNMODIFIED_SINCE,
} from './fields.ts'
import { NO_DATE, parseDate } from './httpDate.ts'

/** No condition stands against the answer. */
const PROCEED = 0
export const NOT_MODIFIED = 304
export const PRECONDITION_FAILED = 412

/** What becomes of a GET or HEAD of `variant`, which has an entity tag. */
export function judgeConditions(
  fields: Fields,
  bytes: Uint8Array,
  content: Content,
  variant: number,
  nowSec: number,
): number {
  const modifiedSec = content.lastModifiedOf(variant)
  if (fields.lines[IF_MATCH] > 0) {
    if (!isNamed(fields, IF_MATCH, STRONG, bytes, content, variant)) return PRECONDITION_FAILED
  } else if (isAfter(modifiedSec, fields, IF_UNMODIFIED_SINCE, bytes, nowSec)) {
    return PRECONDITION_FAILED
  }
  if (fields.lines[IF_NONE_MATCH] > 0) {
    return isNamed(fields, IF_NONE_MATCH, WEAK, bytes, content, variant) ? NOT_MODIFIED : PROCEED
  }
  const sinceSec = dateIn(fields, IF_MODIFIED_SINCE, bytes, nowSec)
  const isKnown = sinceSec !== NO_DATE && modifiedSec > 0
  return isKnown && modifiedSec <= sinceSec ? NOT_MODIFIED : PROCEED
}

/**
 * Does a Range count (RFC 9110 §13.1.5)? If-Range holds one entity tag, which must be ours by
 * strong comparison, or exactly the date of our Last-Modified.
 */
export function isRangeValid(
  fields: Fields,
  bytes: Uint8Array,
  content: Content,
  variant: number,
  nowSec: number,
): boolean {
  if (fields.lines[IF_RANGE] === 0) return true
  if (!fields.isOnce(IF_RANGE)) return false
  const off = fields.startOf(IF_RANGE, 0)
  const end = fields.endOf(IF_RANGE, 0)
  if (bytes[off] === QUOTE) {
    const isSingle = end - off === ETAG_CHARS + 2
    return isSingle && isNamed(fields, IF_RANGE, STRONG, bytes, content, variant)
  }
  const date = parseDate(bytes, off, end, nowSec)
  return date !== NO_DATE && date === content.lastModifiedOf(variant)
}

function isNamed(
  fields: Fields,
  field: number,
  isWeak: boolean,
  bytes: Uint8Array,
  content: Content,
  variant: number,
): boolean {
  const etags = content.region.bytes
  const etag = content.etagOff(variant)
  for (let n = 0; n < fields.lines[field]; n++) {
    const start = fields.startOf(field, n)
    const end = fields.endOf(field, n)
    if (namesEtag(bytes, start, end, isWeak, etags, etag, ETAG_CHARS)) return true
  }
  return false
}

/** Is the date that we know later than that of the field? False if either is not known. */
function isAfter(
  modifiedSec: number,
  fields: Fields,
  field: number,
  bytes: Uint8Array,
  nowSec: number,
): boolean {
  const sec = dateIn(fields, field, bytes, nowSec)
  return sec !== NO_DATE && modifiedSec > sec
}

function dateIn(fields: Fields, field: number, bytes: Uint8Array, nowSec: number): number {
  if (!fields.isOnce(field)) return NO_DATE
  return parseDate(bytes, fields.startOf(field, 0), fields.endOf(field, 0), nowSec)
}
