/** How a question is put: the request, and what may come of it. */
import type { Exchange, Reply, Sent } from './exchange.ts'
import { SECRET } from './site.ts'

export interface Question {
  readonly area: string
  readonly name: string
  readonly sent: Sent
  readonly methods: readonly string[]
  judge(exchange: Exchange): string
}

/** All that were put, in order. */
export const QUESTIONS: Question[] = []

export const CLOSE = 'Connection: close\r\n'
/** The last GET on its connection. */
export const get = (target: string, ...fields: string[]): string =>
  request('GET', target, ...fields)

/** The last request on its connection. */
export function request(method: string, target: string, ...fields: string[]): string {
  const lines = fields.map(field => `${field}\r\n`).join('')
  return `${method} ${target} HTTP/1.1\r\nHost: a\r\n${lines}${CLOSE}\r\n`
}

/** A question with one answer. */
export function ask(area: string, name: string, sent: Sent, judge: (reply: Reply) => string): void {
  const text = String(typeof sent === 'string' || Buffer.isBuffer(sent) ? sent : sent.join(''))
  const methods = [text.trimStart().split(' ', 1)[0]]
  const first = (exchange: Exchange): string => {
    const final = exchange.replies.find(({ status }) => status >= 200)
    if (final !== undefined) return judge(final)
    return exchange.isReset ? 'reset' : exchange.isClosed ? 'closed without an answer' : 'no answer'
  }
  QUESTIONS.push({ area, name, sent, methods, judge: first })
}

/** A question about a whole connection. */
export function askAll(
  area: string,
  name: string,
  sent: Sent,
  methods: string[],
  judge: (exchange: Exchange) => string,
): void {
  QUESTIONS.push({ area, name, sent, methods, judge })
}

export const status =
  (...expected: number[]) =>
  (reply: Reply): string =>
    expected.includes(reply.status) ? '' : String(reply.status)

export const statusAnd =
  (expected: number, judge: (reply: Reply) => string) =>
  (reply: Reply): string =>
    reply.status === expected ? judge(reply) : String(reply.status)

export const field =
  (name: string, expected: RegExp) =>
  (reply: Reply): string =>
    expected.test(reply.fields.get(name) ?? '')
      ? ''
      : `${reply.status}, ${name}: ${reply.fields.get(name) ?? '(none)'}`

export const body =
  (expected: string) =>
  (reply: Reply): string =>
    reply.body.toString('latin1') === Buffer.from(expected).toString('latin1') ? '' : 'other bytes'

/** What refuses a request whose end is in doubt: and nothing behind it is taken for a request. */
function refused(expected: number): (exchange: Exchange) => string {
  return ({ replies, isClosed, raw }) => {
    const [first] = replies
    if (first === undefined) return raw.length === 0 ? 'no answer' : 'bytes without a head'
    // Another refusal is as good, if nothing behind it is taken for a request.
    if (first.status >= 400 && replies.length === 1 && isClosed) return ''
    if (first.status !== expected) return String(first.status)
    if (replies.length > 1) return `${expected}, then answers what follows`
    return isClosed ? '' : `${expected}, left open`
  }
}
export const refuse = (area: string, name: string, sent: Sent, expected = 400): void =>
  askAll(area, name, sent, ['GET', 'GET'], refused(expected))

/** Not served, whatever the status. */
export const withheld = (reply: Reply): string =>
  reply.body.includes(SECRET) ? 'served' : status(400, 403, 404)(reply)

/** A GET behind which another request may follow. */
export const open = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`
