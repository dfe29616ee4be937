/**
 * Lines of the access log. `common` and `combined` are Apache's formats, read by every log
 * analyser; `json` is one object a line. Times are UTC. Every line is printable ASCII and ends with
 * the only LF in it, whatever the client has sent: nobody can forge a line, or speak to the
 * terminal of who reads it.
 */
import { type AccessRecord, FROM_ORIGIN, FROM_STORE } from './accessLog.ts'
import { clientText } from './client.ts'
import { readHead, readLine, splitLine } from './requestHead.ts'

export type AccessFormatName = 'common' | 'combined' | 'json'

export const ACCESS_FORMAT_NAMES: readonly AccessFormatName[] = ['common', 'combined', 'json']

/** The line for a record, with its LF. */
export type AccessFormat = (record: AccessRecord) => string

/** A format by its name. */
export function accessFormat(name: AccessFormatName): AccessFormat {
  return FORMATS[name]
}

/** `%h %l %u %t "%r" %>s %b` */
const common: AccessFormat = record => `${begin(record, readLine(record))}\n`

/** The same, and Referer and User-Agent. */
const combined: AccessFormat = record => {
  const { line, referer, userAgent } = readHead(record)
  return `${begin(record, line)} "${quoted(referer)}" "${quoted(userAgent)}"\n`
}

/** What is not there is null. */
const json: AccessFormat = record => {
  const { line, host, referer, userAgent } = readHead(record)
  const { method, target, version } = splitLine(line)
  const { timeMs, port, status, bodyBytes, flags } = record
  return (
    `{"time":"${new Date(timeMs).toISOString()}","client":"${clientText(record)}","port":${port},` +
    `"method":${jsonText(method)},"target":${jsonText(target)},"version":${jsonText(version)},` +
    `"host":${jsonText(host)},"status":${status},"bytes":${bodyBytes},` +
    `"referer":${jsonText(referer)},"userAgent":${jsonText(userAgent)}${cacheText(flags)}}\n`
  )
}

/** In the words of Cache-Status (RFC 9211); nothing for what a file has answered. */
function cacheText(flags: number): string {
  if ((flags & FROM_STORE) !== 0) return ',"cache":"hit"'
  return (flags & FROM_ORIGIN) !== 0 ? ',"cache":"fwd"' : ''
}

const FORMATS: Readonly<Record<AccessFormatName, AccessFormat>> = { common, combined, json }

/** Nobody has logged in, and who the client's system says it is nobody asks any more: `- -`. */
function begin(record: AccessRecord, line: string): string {
  const bytes = record.bodyBytes > 0 ? record.bodyBytes : '-'
  return `${clientText(record)} - - [${timeText(record.timeMs)}] "${quoted(line)}" ${record.status} ${bytes}`
}

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')
let textSec = Number.NaN
let text = ''

/** `10/Oct/2000:13:55:36 +0000`; made once a second. */
function timeText(timeMs: number): string {
  const sec = Math.floor(timeMs / 1000)
  if (sec === textSec) return text
  const date = new Date(sec * 1000)
  const two = (n: number): string => String(n).padStart(2, '0')
  const clock = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':')
  const month = MONTHS[date.getUTCMonth()]
  textSec = sec
  text = `${two(date.getUTCDate())}/${month}/${date.getUTCFullYear()}:${clock} +0000`
  return text
}

const UNSAFE = /[^ !#-[\]-~]/
const EVERY_UNSAFE = new RegExp(UNSAFE, 'g')

/**
 * Between quotes: as nginx does, what is not printable ASCII, `"` and `\` are `\xHH`; nothing is
 * `-`.
 */
function quoted(latin1: string): string {
  if (latin1 === '') return '-'
  return UNSAFE.test(latin1) ? latin1.replaceAll(EVERY_UNSAFE, hexEscape) : latin1
}

const hexEscape = (c: string): string =>
  `\\x${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`

/** A string or null. Bytes beyond ASCII are taken for UTF-8; those that are not become U+FFFD. */
function jsonText(latin1: string): string {
  if (latin1 === '') return 'null'
  if (!UNSAFE.test(latin1)) return `"${latin1}"`
  const text = Buffer.from(latin1, 'latin1').toString('utf8')
  return JSON.stringify(text).replaceAll(NOT_ASCII, unicodeEscape)
}

const NOT_ASCII = /[\x7f-\uffff]/g

const unicodeEscape = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`
