/**
 * What the admin server says of stored answers, and its one order: to drop some, or to make them
 * stale.
 *
 * An order is a POST, and of a browser only one that a page of our own has sent: a page from
 * somewhere else could have its visitor's browser post to an address that only the visitor reaches,
 * but not without telling so in Origin (Fetch §3.1).
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Fronts, Purge, StoredPage } from '../front/fronts.ts'
import { JSON_LINES, send } from './reply.ts'

/** Answers that are stored. */
export type AdminStore = Pick<Fronts, 'purge' | 'list'>

const BODY_MAX_BYTES = 64 * 1024
/** Lines of one page. */
const LINES_MAX = 1000
const NO_STORE = 'nothing is stored here: no site has an origin, or nothing serves yet\n'
const USAGE =
  'expected one of url=http://…, tag=… and all, and perhaps soft; in the query, or as JSON\n'

/** Has a browser sent it for a page that is not ours? Host has been found to be ours. */
export function isFromElsewhere({ headers: { origin, host } }: IncomingMessage): boolean {
  return origin !== undefined && origin.toLowerCase() !== `http://${host}`.toLowerCase()
}

/** GET /cache?from=N: a page of what is stored, and a line that says where the next one begins. */
export function answerList(
  { url = '' }: IncomingMessage,
  response: ServerResponse,
  store: AdminStore | undefined,
): void {
  const text = new URL(url, 'http://x').searchParams.get('from') ?? '0'
  if (store === undefined) send(response, 404, NO_STORE)
  else if (!/^\d{1,9}$/.test(text)) send(response, 400, 'expected a number as from\n')
  else send(response, 200, pageText(store.list(Number(text), LINES_MAX)), JSON_LINES)
}

function pageText({ lines, total, next }: StoredPage): string {
  return [...lines, { entries: total, next: next ?? null }]
    .map(line => `${JSON.stringify(line)}\n`)
    .join('')
}

/** POST /purge. */
export async function answerPurge(
  request: IncomingMessage,
  response: ServerResponse,
  store: AdminStore | undefined,
): Promise<void> {
  const text = await bodyOf(request)
  if (text === undefined) {
    response.setHeader('Connection', 'close')
    send(response, 413, 'too much to read\n')
    return
  }
  const order = orderOf(new URL(request.url ?? '', 'http://x').searchParams, text)
  if (store === undefined) send(response, 404, NO_STORE)
  else if (order === undefined) send(response, 400, USAGE)
  else {
    const purged = store.purge(order.what, order.isSoft ? 'stale' : 'drop')
    send(response, 200, `${JSON.stringify({ purged })}\n`, 'application/json')
  }
}

/** undefined: too long, or it broke off. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = []
  let bytes = 0
  try {
    for await (const part of request) {
      bytes += part.length
      if (bytes > BODY_MAX_BYTES) return undefined
      parts.push(part)
    }
  } catch {
    return undefined
  }
  return Buffer.concat(parts).toString()
}

interface Order {
  readonly what: Purge
  readonly isSoft: boolean
}

/** What is asked for, in the query and in the JSON of the body; undefined if that is not clear. */
function orderOf(query: URLSearchParams, text: string): Order | undefined {
  const given = new Map<string, unknown>()
  for (const [name, value] of query) given.set(name, isSwitch(name) ? flagOf(value) : value)
  if (text.trim() !== '') {
    const data = jsonOf(text)
    if (typeof data !== 'object' || data === null || Array.isArray(data)) return undefined
    for (const [name, value] of Object.entries(data)) given.set(name, value)
  }
  const { url, tag, all = false, soft = false, ...others } = Object.fromEntries(given)
  if (typeof all !== 'boolean' || typeof soft !== 'boolean') return undefined
  if (Object.keys(others).length > 0) return undefined
  const whats: Purge[] = []
  if (url !== undefined) {
    if (typeof url !== 'string' || !/^https?:\/\//i.test(url) || !URL.canParse(url))
      return undefined
    whats.push({ url })
  }
  if (tag !== undefined) {
    if (typeof tag !== 'string' || tag === '') return undefined
    whats.push({ tag })
  }
  if (all) whats.push({ all: true })
  return whats.length === 1 ? { what: whats[0], isSoft: soft } : undefined
}

const isSwitch = (name: string): boolean => name === 'all' || name === 'soft'

/** `?soft`, `?soft=1`, `?soft=true`. */
function flagOf(value: string): unknown {
  if (['', '1', 'true'].includes(value)) return true
  return ['0', 'false'].includes(value) ? false : value
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
