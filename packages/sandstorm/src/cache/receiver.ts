/**
 * Takes one response from undici: resolves with its final head and hands its body on as it comes,
 * pausing the socket while nobody reads. Interim answers (1xx) are handed on to who wants them. A
 * body that ends before its length, or in the middle of a chunk, ends in an OriginError.
 */
import type { Dispatcher } from 'undici'
import { endToEnd } from './hopByHop.ts'
import { type CacheRequest, type Field, fieldValue } from './message.ts'
import { type OriginAnswer, OriginError, type OriginFailure } from './origin.ts'

/** Bytes of body that wait for their reader before the socket is paused. */
const QUEUE_BYTES = 128 * 1024

const DOWN: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN'],
  ...['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_CLOSED', 'UND_ERR_DESTROYED'],
])
const CLOSED: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])
/** The client's doing: nothing is said of the origin. */
const INVALID: ReadonlySet<string> = new Set([
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
])
const SLOW: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'])

/** An error of undici or the system in our words; `hasHead`: the answer had begun. */
function originError(error: unknown, hasHead: boolean): OriginError {
  if (error instanceof OriginError) return error
  const { code = '', message = String(error) } = error as { code?: string; message?: string }
  let failure: OriginFailure = 'bad'
  if (SLOW.has(code)) failure = 'timeout'
  else if (INVALID.has(code)) failure = 'invalid'
  else if (DOWN.has(code) && !hasHead) failure = 'down'
  else if (CLOSED.has(code) && !hasHead) failure = 'closed'
  return new OriginError(failure, message, error)
}

export class Receiver implements Dispatcher.DispatchHandler {
  readonly answer: Promise<OriginAnswer>
  readonly #request: CacheRequest
  #resolve: (answer: OriginAnswer) => void = () => {}
  #reject: (error: OriginError) => void = () => {}
  #controller: Dispatcher.DispatchController | undefined
  #hasHead = false
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #isEnded = false
  #error: OriginError | undefined
  #wake: () => void = () => {}
  readonly #onAbort = (): void => this.abort()

  constructor(request: CacheRequest) {
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#request = request
    request.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Ends the fetch. */
  abort(): void {
    if (this.#isEnded) return
    const error = new OriginError('aborted', 'nobody wants the answer any more')
    this.fail(error)
    this.#controller?.abort(error)
  }

  /** Whoever waits gets the error; later ones are ignored. */
  fail(cause: unknown): void {
    if (this.#isEnded) return
    this.#error = originError(cause, this.#hasHead)
    this.#end()
    if (!this.#hasHead) this.#reject(this.#error)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#request.signal?.aborted || this.#isEnded) {
      this.abort()
      controller.abort(this.#error ?? new OriginError('aborted', 'the client left'))
    }
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const fields = rawFields(controller.rawHeaders)
    if (status < 200) {
      this.#request.onInterim?.({ status, fields: endToEnd(fields) })
      return
    }
    if (!hasPlainFraming(fields)) {
      const error = new OriginError('bad', 'a transfer coding that nobody asked for')
      this.fail(error)
      controller.abort(error)
      return
    }
    this.#hasHead = true
    this.#resolve({
      status,
      fields,
      body: { [Symbol.asyncIterator]: () => this.#iterator() },
      cancel: () => this.abort(),
    })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
    if (this.#queuedBytes >= QUEUE_BYTES) controller.pause()
    this.#wake()
  }

  onResponseEnd(): void {
    this.#end()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(error)
  }

  #end(): void {
    this.#isEnded = true
    this.#request.signal?.removeEventListener('abort', this.#onAbort)
    this.#wake()
  }

  #iterator(): AsyncIterator<Uint8Array> {
    return {
      next: () => this.#next(),
      return: async () => {
        this.abort()
        return { done: true, value: undefined }
      },
    }
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    while (this.#queue.length === 0) {
      if (this.#error !== undefined) throw this.#error
      if (this.#isEnded) return { done: true, value: undefined }
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    const value = this.#queue.shift()!
    this.#queuedBytes -= value.length
    if (this.#controller?.paused && this.#queuedBytes < QUEUE_BYTES / 2) this.#controller.resume()
    return { done: false, value }
  }
}

/**
 * We send no TE, and undici hands on the bytes of another coding as if they were the content
 * (RFC 9112 §6.1, §7). "identity" is what RFC 2616 called none.
 */
function hasPlainFraming(fields: readonly Field[]): boolean {
  return /^(chunked|identity)?$/i.test(fieldValue(fields, 'transfer-encoding') ?? '')
}

/** Names and values by turns, as they came. */
function rawFields(raw: Dispatcher.DispatchController['rawHeaders']): Field[] {
  const fields: Field[] = []
  const lines = Array.isArray(raw) ? raw : []
  for (let i = 0; i + 1 < lines.length; i += 2) fields.push([text(lines[i]), text(lines[i + 1])])
  return fields
}

const text = (part: Buffer | string): string =>
  typeof part === 'string' ? part : part.toString('latin1')
