/**
 * Answers that are ready without a file: one for each status in each site, with the site's Server
 * field, the page that it has for the status, and what its rules say of other origins (CORS).
 */
import type { CompiledRule } from '../site/rules.ts'
import { type Head, makeHead, REASONS, serverLine } from './head.ts'

const ALLOW = 'Allow: GET, HEAD, OPTIONS'
const NOSNIFF = 'X-Content-Type-Options: nosniff'

/**
 * Fields that one status alone has: what is allowed, and that it is worth another try
 * (RFC 9110 §10.2.3).
 */
const OF_STATUS: Readonly<Record<number, readonly string[]>> = {
  405: [ALLOW],
  429: ['Retry-After: 1'],
  503: ['Retry-After: 1'],
}

/** What a status answer takes from its site. */
export interface StatusSite {
  /** The Server field; '': none. */
  readonly serverName: string
  /** Access-Control-Allow-Origin of the answer to OPTIONS; '': none. */
  readonly allowOrigin: string
  /** Pages that are sent instead of ours, by status. */
  readonly pages: ReadonlyMap<number, ErrorPage>
}

export interface ErrorPage {
  readonly type: string
  readonly body: Uint8Array
}

export interface StatusAnswer {
  readonly head: Head
  readonly body: Uint8Array
}

/** Head and body of a site's ready answer for `status`. */
export function statusAnswer(status: number, site: StatusSite): StatusAnswer {
  const server = serverLine(site.serverName)
  if (status === 204) {
    return { head: makeHead(204, server, [], optionsLines(site)), body: new Uint8Array() }
  }
  const { type, body } = site.pages.get(status) ?? plainPage(status)
  const framing = [`Content-Type: ${type}`, `Content-Length: ${body.length}`]
  const rest = [...(OF_STATUS[status] ?? []), NOSNIFF]
  return { head: makeHead(status, server, framing, rest), body }
}

/** The origin that the site's rules let read its answers: the last one that is named; '': none. */
export function allowedOrigin(rules: readonly CompiledRule[]): string {
  let origin = ''
  for (const { headers } of rules) {
    for (const [name, value] of Object.entries(headers)) {
      if (name.toLowerCase() === 'access-control-allow-origin' && value !== '') origin = value
    }
  }
  return origin
}

/** What a browser asks before it sends a request to another origin (Fetch §3.3). */
function optionsLines({ allowOrigin }: StatusSite): string[] {
  if (allowOrigin === '') return [ALLOW]
  return [
    ALLOW,
    `Access-Control-Allow-Origin: ${allowOrigin}`,
    'Access-Control-Allow-Methods: GET, HEAD, OPTIONS',
    'Access-Control-Allow-Headers: Range, If-Range, If-None-Match, If-Modified-Since',
    'Access-Control-Max-Age: 86400',
  ]
}

function plainPage(status: number): ErrorPage {
  const title = `${status} ${REASONS[status]}`
  const html =
    `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${title}</title>\n` +
    '<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}' +
    `</style></head>\n<body><h1>${title}</h1></body></html>\n`
  return { type: 'text/html; charset=utf-8', body: Buffer.from(html) }
}
