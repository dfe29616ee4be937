/**
 * An origin's answer to a request that came to a packet thread, as the pieces of a feed
 * (feedDesk.ts). The request's body comes in messages behind it; the thread is told what of it was
 * taken, and bounds by that what it sends (mount/incomingBody.ts).
 */
import type { Piece } from '../content/pager.ts'
import { type Asked, answerBytes } from '../front/answerBytes.ts'
import { type Answered, notAnswered } from '../front/answered.ts'
import type { ForwardRequest } from '../front/forwardRequest.ts'
import { RequestBody } from '../mount/requestBody.ts'

/** So much has to have been taken of a body to be worth telling. */
const TOLD_BYTES = 64 * 1024

export class ForwardFeed {
  readonly pieces: AsyncGenerator<Piece, void>
  /** How far the answer has come. */
  readonly answered: Answered
  /** undefined: the request has none. */
  readonly #body: RequestBody | undefined
  readonly #leaving = new AbortController()

  /** `lend`: bytes as pieces (content/lender.ts); `onTaken` is told what was taken of the body. */
  constructor(
    front: Asked,
    request: ForwardRequest,
    lend: (bytes: Uint8Array) => AsyncGenerator<Piece>,
    onTaken: (bytes: number) => void,
  ) {
    const { bodyBytes } = request
    this.answered = notAnswered(request.close)
    const room = Number.POSITIVE_INFINITY // the thread bounds it
    if (bodyBytes > 0) this.#body = new RequestBody(bodyBytes, inSteps(onTaken), room)
    const answer = answerBytes(front, request, this.#body, this.answered, this.#leaving.signal)
    this.pieces = piecesOf(answer, lend)
  }

  /** More of the request's body. */
  put(bytes: Uint8Array): void {
    this.#body?.put(bytes, 0)
  }

  /** All of a body in chunks has come. */
  end(): void {
    this.#body?.end()
  }

  /** The rest of the request's body does not come. */
  cut(): void {
    this.#body?.fail()
  }

  /** The connection ends behind the answer. */
  close(): void {
    this.answered.close = true
  }

  /** The client has left. */
  cancel(): void {
    this.#body?.fail()
    this.#leaving.abort()
  }
}

async function* piecesOf(
  answer: AsyncGenerator<Uint8Array, void>,
  lend: (bytes: Uint8Array) => AsyncGenerator<Piece>,
): AsyncGenerator<Piece, void> {
  for await (const bytes of answer) yield* lend(bytes)
}

/** Adds up, and tells when it is worth it. */
function inSteps(onTaken: (bytes: number) => void): (bytes: number) => void {
  let untold = 0
  return bytes => {
    untold += bytes
    if (untold < TOLD_BYTES) return
    onTaken(untold)
    untold = 0
  }
}
