/**
 * Answer heads: made as text once, at load (RFC 9112 §4, §5). The order of fields is fixed, so heads
 * of a kind differ only in values: status line, Server, Date, Connection, then what the kind needs.
 *
 * Date and Connection values are zero bytes in the image and written per answer (image.ts); the
 * entity tag is a placeholder until the body has been read and hashed.
 */
import { assert } from '@sandstorm/libnmio'
import { lookup } from 'mrmime'
import { CONNECTION_LEN, DATE_LEN, HEAD_LEN_MAX } from './image.ts'

/** Characters of an entity tag between the quotes: 128 bits of SHA-256 in base64url. */
export const ETAG_CHARS = 22

export interface Head {
  readonly status: number
  /** Latin-1, from the status line to the empty line. */
  readonly text: string
  readonly dateOff: number
  readonly connectionOff: number
  /** Where the ETAG_CHARS characters of the entity tag go; 0 if the head has none. */
  readonly etagOff: number
}

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  304: 'Not Modified',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  505: 'HTTP Version Not Supported',
}

/** Statuses that have a ready answer of their own. */
export const STATUSES: readonly number[] = [
  400, 403, 404, 405, 408, 413, 414, 431, 500, 501, 503, 505,
]

const ETAG_FIELD = `ETag: "${'.'.repeat(ETAG_CHARS)}"`
const NOSNIFF = 'X-Content-Type-Options: nosniff'

/** Head of a file's 200 answer. `name` gives the type by its extension. */
export function fileHead(name: string, size: number): Head {
  return makeHead(200, [
    `Content-Type: ${contentType(name)}`,
    `Content-Length: ${size}`,
    ETAG_FIELD,
    NOSNIFF,
  ])
}

/** Head of a file's 304 answer: what a cache needs to refresh its copy (RFC 9110 §15.4.5). */
export function notModifiedHead(): Head {
  return makeHead(304, [ETAG_FIELD])
}

/**
 * Head of the answer that sends a client at /dir to /dir/, or undefined if the name is too
 * long for a head. The Location is relative ("dir/"), so one ready image is right under any
 * authority; the price is that a query is not carried over.
 */
export function redirectHead(name: string): Head | undefined {
  // "./" keeps a colon in the name from being read as a scheme (RFC 3986 §4.2).
  const location = `./${encodeURIComponent(name)}/`
  const fields = [`Location: ${location}`, 'Content-Length: 0']
  return headText(308, fields).length > HEAD_LEN_MAX ? undefined : makeHead(308, fields)
}

/** Head and body of the ready answer for `status`. */
export function statusAnswer(status: number): { head: Head; body: string } {
  const title = `${status} ${REASONS[status]}`
  const body =
    `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${title}</title>\n` +
    '<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}' +
    `</style></head>\n<body><h1>${title}</h1></body></html>\n`
  const fields = ['Content-Type: text/html; charset=utf-8', `Content-Length: ${body.length}`]
  if (status === 405) fields.push('Allow: GET, HEAD')
  fields.push(NOSNIFF)
  return { head: makeHead(status, fields), body }
}

/** Media type by extension, with a charset where text is sent (RFC 9110 §8.3). */
export function contentType(name: string): string {
  const type = lookup(name) ?? 'application/octet-stream'
  const isText = /^text\/|[/+](?:json|xml)$|\/javascript$/.test(type)
  return isText ? `${type}; charset=utf-8` : type
}

function headText(status: number, fields: readonly string[]): string {
  const lines = [
    `HTTP/1.1 ${status} ${REASONS[status]}`,
    'Server: sandstorm',
    `Date: ${'\0'.repeat(DATE_LEN)}`,
    `Connection: ${'\0'.repeat(CONNECTION_LEN)}`,
    ...fields,
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

function makeHead(status: number, fields: readonly string[]): Head {
  const text = headText(status, fields)
  assert(text.length <= HEAD_LEN_MAX, 'a head fits into frame 0')
  const dateOff = text.indexOf('\0')
  const etag = text.indexOf(ETAG_FIELD)
  return {
    status,
    text,
    dateOff,
    connectionOff: text.indexOf('\0', dateOff + DATE_LEN),
    etagOff: etag < 0 ? 0 : etag + 'ETag: "'.length,
  }
}
