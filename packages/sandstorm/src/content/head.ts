/**
 * Answer heads: made as text once, at load (RFC 9112 §4, §5), in the order of lines that image.ts
 * prescribes: status line, Server, Date, Connection, then what is said of the body, then the rest,
 * fields of the site's rules last.
 *
 * Date and Connection values are zero bytes in the image and written per answer (image.ts); the
 * entity tag is a placeholder until the body has been read and hashed.
 *
 * A head may come out longer than an image may have it: whoever makes it checks `text.length`.
 */
import { NO_FIELDS, type RuleFields } from '../site/rules.ts'
import type { CodingName } from '../site/site.ts'
import { CONNECTION_LEN, DATE_LEN } from './image.ts'

export const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  204: 'No Content',
  304: 'Not Modified',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
}

/** Statuses that have a ready answer of their own; 204 is the answer to OPTIONS. */
export const STATUSES: readonly number[] = [
  204, 400, 403, 404, 405, 408, 412, 413, 414, 416, 417, 429, 431, 500, 501, 502, 503, 504, 505,
]

/** Characters of an entity tag between the quotes: 128 bits of SHA-256 in base64url. */
export const ETAG_CHARS = 22

export interface Head {
  readonly status: number
  /** Latin-1, from the status line to the empty line. */
  readonly text: string
  readonly dateOff: number
  readonly connectionOff: number
  readonly typeOff: number
  readonly restOff: number
  /** Where the ETAG_CHARS characters of the entity tag go; 0 if the head has none. */
  readonly etagOff: number
}

/** What the head of an answer needs to know of a file in one coding. */
export interface Representation {
  readonly type: string
  /** Bytes of body, coded. */
  readonly size: number
  /** Seconds since 1970; 0: not known. */
  readonly lastModified: number
  readonly coding: CodingName | undefined
  /** The file is offered in more than one coding. */
  readonly varies: boolean
  /** The Server field; '': none. */
  readonly serverName: string
  readonly fields: RuleFields
}

const ETAG_NAME = 'ETag: "'
const ETAG_LINE = `${ETAG_NAME}${'.'.repeat(ETAG_CHARS)}"`

/** Fields of a rule that are merged into a line of ours, not written behind. */
const MERGED: ReadonlySet<string> = new Set([
  'server',
  'content-type',
  'accept-ranges',
  'vary',
  'x-content-type-options',
])

/** Head of a file's 200 answer. */
export function fileHead(of: Representation): Head {
  const { fields } = of
  const type = fields.get('content-type')?.value ?? of.type
  const rest = [ETAG_LINE, ...lastModifiedLine(of), ...ruled(fields, 'Accept-Ranges', 'bytes')]
  if (of.coding !== undefined) rest.push(`Content-Encoding: ${of.coding}`)
  rest.push(...varyLine(of), ...ruled(fields, 'X-Content-Type-Options', 'nosniff'))
  for (const [key, { name, value }] of fields) {
    if (value !== '' && !MERGED.has(key)) rest.push(`${name}: ${value}`)
  }
  const framing = [`Content-Type: ${type}`, `Content-Length: ${of.size}`]
  return makeHead(200, serverLine(of.serverName, fields), framing, rest)
}

/**
 * Head of a file's 304 answer: what a cache needs to refresh its copy (RFC 9110 §15.4.5), and what
 * a browser asks of an answer to another origin's script.
 */
export function notModifiedHead(of: Representation): Head {
  const rest = [ETAG_LINE, ...lastModifiedLine(of), ...varyLine(of)]
  for (const [key, { name, value }] of of.fields) {
    if (value !== '' && isForCaches(key)) rest.push(`${name}: ${value}`)
  }
  return makeHead(304, serverLine(of.serverName, of.fields), [], rest)
}

function isForCaches(key: string): boolean {
  return (
    key === 'cache-control' ||
    key === 'cdn-cache-control' ||
    key === 'content-location' ||
    key === 'expires' ||
    key.startsWith('access-control-')
  )
}

/**
 * Head of the answer that sends a client at /dir to /dir/. The Location is relative ("./dir/"), so
 * one ready image is right under any authority.
 */
export function redirectHead(
  name: string,
  serverName: string,
  fields: RuleFields = NO_FIELDS,
): Head {
  // "./" keeps a colon in the name from being read as a scheme (RFC 3986 §4.2).
  const framing = [`Location: ./${encodeURIComponent(name)}/`, 'Content-Length: 0']
  const rest: string[] = []
  for (const [key, field] of fields) {
    const isOfBody = key === 'location' || (MERGED.has(key) && key !== 'vary')
    if (field.value !== '' && !isOfBody) rest.push(`${field.name}: ${field.value}`)
  }
  return makeHead(308, serverLine(serverName, fields), framing, rest)
}

/** One that is written by hand: `framing` is the type and the length, or nothing. */
export function makeHead(
  status: number,
  server: readonly string[],
  framing: readonly string[],
  rest: readonly string[],
): Head {
  const statusLine = `HTTP/1.1 ${status} ${REASONS[status]}`
  const first = lines([statusLine, ...server, `Date: ${'\0'.repeat(DATE_LEN)}`])
  const second = lines([`Connection: ${'\0'.repeat(CONNECTION_LEN)}`])
  const typeOff = first.length + second.length
  const framed = lines(framing)
  const restOff = typeOff + framed.length
  return {
    status,
    text: `${first}${second}${framed}${lines(rest)}\r\n`,
    dateOff: first.length - 2 - DATE_LEN,
    connectionOff: typeOff - 2 - CONNECTION_LEN,
    typeOff,
    restOff,
    etagOff: rest[0] === ETAG_LINE ? restOff + ETAG_NAME.length : 0,
  }
}

/** The line of a Server field, if there is to be one. */
export function serverLine(serverName: string, fields: RuleFields = NO_FIELDS): string[] {
  const value = fields.get('server')?.value ?? serverName
  return value === '' ? [] : [`Server: ${value}`]
}

/** A line of ours, as the rules want it. */
function ruled(fields: RuleFields, name: string, ours: string): string[] {
  const value = fields.get(name.toLowerCase())?.value ?? ours
  return value === '' ? [] : [`${name}: ${value}`]
}

function lastModifiedLine({ lastModified }: Representation): string[] {
  return lastModified === 0 ? [] : [`Last-Modified: ${new Date(lastModified * 1000).toUTCString()}`]
}

/** Ours and the rule's in one (RFC 9110 §12.5.5); a rule with '' takes out both. */
function varyLine({ varies, fields }: Representation): string[] {
  const rule = fields.get('vary')?.value
  if (rule === '') return []
  const names = rule === undefined ? [] : rule.split(',').map(name => name.trim())
  const isNamed = names.some(name => name === '*' || name.toLowerCase() === 'accept-encoding')
  if (varies && !isNamed) names.unshift('Accept-Encoding')
  return names.length === 0 ? [] : [`Vary: ${names.join(', ')}`]
}

function lines(list: readonly string[]): string {
  return list.map(line => `${line}\r\n`).join('')
}
