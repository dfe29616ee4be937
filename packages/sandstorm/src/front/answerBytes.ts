/**
 * An origin's answer as a stream of bytes, for a mount that only passes bytes on: interim answers,
 * the head, and the body in its framing (wire.ts).
 *
 * Invariant: if the body breaks off this throws, and who sends it must break off too.
 */
import type { CacheRequest } from '../cache/message.ts'
import { FROM_ORIGIN, FROM_STORE } from '../log/accessLog.ts'
import type { Answered } from './answered.ts'
import { CONTINUE, type ForwardRequest } from './forwardRequest.ts'
import type { Front } from './front.ts'
import { interimBytes, type WireAnswer } from './wire.ts'

const CRLF = Buffer.from('\r\n')
const LAST_CHUNK = Buffer.from('0\r\n\r\n')

/** What of a front is asked here. */
export type Asked = Pick<Front, 'answer'>

/**
 * `body`: of a request that has one; `signal` is aborted when the client leaves. `answered` is kept
 * up to date; whoever sets its `close` before the answer is there has that said to the client.
 */
export async function* answerBytes(
  front: Asked,
  request: ForwardRequest,
  body: AsyncIterable<Uint8Array> | undefined,
  answered: Answered,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const { text, clientAddress, minor } = request
  if (request.wantsContinue && body !== undefined) yield CONTINUE
  const interims = new Interims(minor)
  const { onInterim } = interims
  const base = { ...text, scheme: 'http', clientAddress, onInterim, signal } as const
  const asked: CacheRequest = body === undefined ? base : { ...base, body }
  const pending = front.answer(asked, {
    method: text.method,
    minor,
    get close() {
      return answered.close
    },
  })
  yield* interims.until(pending)
  const answer = await pending
  answered.status = answer.status
  answered.from = answer.cacheStatus.includes('; hit') ? FROM_STORE : FROM_ORIGIN
  answered.close = answer.close
  yield* wireBytes(answer, answered)
}

/** Head and body; content is counted. */
async function* wireBytes(
  { head, body, framing, length }: WireAnswer,
  answered: Answered,
): AsyncGenerator<Uint8Array> {
  if (body instanceof Uint8Array) {
    answered.bodyBytes = body.length
    yield Buffer.concat([head, body])
    return
  }
  yield head
  for await (const bytes of body) {
    if (bytes.length === 0) continue // as a chunk it would be the last
    const isTooMuch = framing === 'sized' && answered.bodyBytes + bytes.length > length
    if (isTooMuch) throw new Error('the body is longer than its length')
    answered.bodyBytes += bytes.length
    yield framing === 'chunked' ? chunk(bytes) : bytes
  }
  const isShort = framing === 'sized' && answered.bodyBytes < length
  if (isShort) throw new Error('the body is too short')
  if (framing === 'chunked') yield LAST_CHUNK
}

const chunk = (bytes: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`, 'latin1'), bytes, CRLF])

/** Interim answers (1xx) that come while the answer is waited for. */
class Interims {
  readonly #minor: number
  #queue: Uint8Array[] = []
  #wake: () => void = () => {}

  constructor(minor: number) {
    this.#minor = minor
  }

  readonly onInterim: NonNullable<CacheRequest['onInterim']> = head => {
    const bytes = interimBytes(head, this.#minor)
    if (bytes !== undefined) this.#queue.push(bytes)
    this.#wake()
  }

  /** Those that come before `answer` settles. */
  async *until(answer: Promise<unknown>): AsyncGenerator<Uint8Array> {
    let isThere = false
    const settled = (): void => {
      isThere = true
      this.#wake()
    }
    answer.then(settled, settled)
    for (;;) {
      yield* this.#queue.splice(0)
      if (isThere) return
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}
