/**
 * What a log line wants of a request's head, read leniently: whatever the bytes are, something
 * comes out, since the requests that were refused are those one looks for in a log. Strictness is
 * the HTTP machine's business (http/machine.ts).
 *
 * Texts are Latin-1: a character for each byte, so nothing is lost until a format decides.
 */
import { type AccessRecord, HEAD_CUT } from './accessLog.ts'

/** Longer request lines and field values are cut, and end with CUT. */
const LINE_MAX_BYTES = 2048
const VALUE_MAX_BYTES = 512
const CUT = '...'

/** '' stands for what is not there. */
export interface RequestHead {
  /** The first line as it came. */
  readonly line: string
  readonly host: string
  readonly referer: string
  readonly userAgent: string
}

/** The three words of a request line; '' for those that are not there. */
export interface LineWords {
  readonly method: string
  readonly target: string
  readonly version: string
}

/** The request line alone, for formats that need no more. */
export function readLine(record: AccessRecord): string {
  const text = textOf(record)
  const from = lineStart(text)
  return cutTo(LINE_MAX_BYTES, lineAt(text, from, lineEnd(text, from)), isOpenEnded(record, text))
}

/** Line and fields; of a field that comes twice the first. */
export function readHead(record: AccessRecord): RequestHead {
  const text = textOf(record)
  const head = { line: readLine(record), host: '', referer: '', userAgent: '' }
  let at = lineEnd(text, lineStart(text)) + 1
  let colon = -1
  while (at < text.length && text[at] !== '\n' && !text.startsWith('\r\n', at)) {
    if (colon < at) colon = text.indexOf(':', at)
    if (colon < 0) break
    const end = lineEnd(text, at)
    const key = colon < end ? keyOf(text, at, colon) : ''
    if (key !== '' && head[key] === '') {
      const value = trim(lineAt(text, colon + 1, end))
      head[key] = cutTo(VALUE_MAX_BYTES, value, end === text.length && isCut(record))
    }
    at = end + 1
  }
  return head
}

/** Which field the name text[at, colon) is; '' if none that is wanted. */
function keyOf(text: string, at: number, colon: number): keyof typeof FIELDS | '' {
  const len = colon - at
  const key = len === 4 ? 'host' : len === 7 ? 'referer' : len === 10 ? 'userAgent' : ''
  if (key === '') return ''
  return text.slice(at, colon).toLowerCase() === FIELDS[key] ? key : ''
}

const FIELDS = { host: 'host', referer: 'referer', userAgent: 'user-agent' } as const

/** `GET /a b HTTP/1.1`: a target has spaces only if the request was refused. */
export function splitLine(line: string): LineWords {
  const first = line.indexOf(' ')
  if (first < 0) return { method: line, target: '', version: '' }
  const method = line.slice(0, first)
  const rest = line.slice(first + 1)
  const version = /(?:^| )(HTTP\/[^ ]*)$/.exec(rest)?.[1] ?? ''
  const target = version === '' ? rest : rest.slice(0, -version.length).replace(/ $/, '')
  return { method, target, version }
}

function textOf({ bytes, start, end }: AccessRecord): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
}

const isCut = ({ flags }: AccessRecord): boolean => (flags & HEAD_CUT) !== 0

/** Has the first line no end, since the head was cut? */
const isOpenEnded = (record: AccessRecord, text: string): boolean =>
  isCut(record) && text.indexOf('\n', lineStart(text)) < 0

/** Empty lines may come before a request (RFC 9112 §2.2). */
function lineStart(text: string): number {
  let at = 0
  while (text[at] === '\r' || text[at] === '\n') at++
  return at
}

/** Where the LF is that ends the line at `at`, or the text's end. */
function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end < 0 ? text.length : end
}

/** The line without its CR. */
const lineAt = (text: string, from: number, end: number): string =>
  text.slice(from, end > from && text[end - 1] === '\r' ? end - 1 : end)

/** Without the spaces and tabs around it. */
function trim(text: string): string {
  let from = 0
  let end = text.length
  while (from < end && (text[from] === ' ' || text[from] === '\t')) from++
  while (end > from && (text[end - 1] === ' ' || text[end - 1] === '\t')) end--
  return text.slice(from, end)
}

const cutTo = (max: number, text: string, isOpen: boolean): string =>
  text.length > max ? text.slice(0, max) + CUT : isOpen ? text + CUT : text
