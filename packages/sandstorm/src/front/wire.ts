/**
 * Outcomes of the cache as HTTP/1.1 messages (RFC 9112 §4, §6, §9): the head's bytes, and how the
 * body is to be sent so that its end is clear. The cache leaves out the fields of a connection;
 * here they come in.
 *
 * Invariant: a body that breaks off never looks whole. One with a length is short, one in chunks
 * has no last chunk, and one that ends with the connection, for HTTP/1.0, ends with a reset.
 */
import { STATUS_CODES } from 'node:http'
import { EMPTY, type Outcome } from '../cache/answer.ts'
import { formatHttpDate } from '../cache/httpDate.ts'
import { type Field, firstValue, hasField, type ResponseHead, without } from '../cache/message.ts'

/** What is known of whoever gets the answer, when it is there. */
export interface WireClient {
  readonly method: string
  /** Of its HTTP/1 version. */
  readonly minor: number
  /** The connection ends behind the answer. */
  readonly close: boolean
}

/** How the end of a body is known. `none`: there is no body. */
export type Framing = 'none' | 'sized' | 'chunked' | 'close'

export interface WireAnswer {
  readonly status: number
  readonly head: Uint8Array
  /** As in Outcome: an iterable must be read or left. */
  readonly body: Outcome['body']
  readonly framing: Framing
  /** With `sized`: bytes of body that the head promises. */
  readonly length: number
  readonly close: boolean
  readonly cacheStatus: string
}

const OF_CONNECTION: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'trailer'],
  'content-length',
])
const SERVER: ReadonlySet<string> = new Set(['server'])

/** `serverName`: as the site wants it; '' leaves out the origin's as well. */
export function wireAnswer(
  outcome: Outcome,
  client: WireClient,
  serverName: string,
  nowMs: number,
): WireAnswer {
  const { status, body, cacheStatus } = outcome
  const said = firstValue(outcome.fields, 'content-length')
  const framing = framingOf(outcome, client, said)
  const isBare = status === 204
  const length = body instanceof Uint8Array ? body.length : Number(said ?? 0)
  const promised = framing === 'none' ? said : String(length)
  const close = client.close || framing === 'close'
  const own: Field[] = []
  if (!hasField(outcome.fields, 'date')) own.push(['Date', formatHttpDate(nowMs)])
  if (serverName !== '' && !hasField(outcome.fields, 'server')) own.push(['Server', serverName])
  own.push(['Connection', close ? 'close' : 'keep-alive'])
  if (framing === 'chunked') own.push(['Transfer-Encoding', 'chunked'])
  else if (promised !== undefined && framing !== 'close' && !isBare)
    own.push(['Content-Length', promised])
  const rest = without(outcome.fields, OF_CONNECTION)
  const fields = [...own, ...(serverName === '' ? without(rest, SERVER) : rest)]
  const head = headBytes({ status, fields })
  const sent = framing === 'none' ? EMPTY : body
  return { status, head, body: sent, framing, length, close, cacheStatus }
}

function framingOf({ status, body }: Outcome, client: WireClient, said?: string): Framing {
  if (client.method === 'HEAD' || status === 204 || status === 304) return 'none'
  if (body instanceof Uint8Array || said !== undefined) return 'sized'
  return client.minor > 0 ? 'chunked' : 'close'
}

/**
 * An interim answer (RFC 9110 §15.2) as the client gets it; undefined if it gets none: HTTP/1.0 has
 * none, "100 Continue" is between the origin and us, and protocols are not switched.
 */
export function interimBytes(head: ResponseHead, minor: number): Uint8Array | undefined {
  if (minor === 0 || head.status <= 101) return undefined
  return headBytes({ status: head.status, fields: without(head.fields, OF_CONNECTION) })
}

function headBytes({ status, fields }: ResponseHead): Uint8Array {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines}\r\n`, 'latin1')
}
