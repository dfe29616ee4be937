/**
 * Requests of the mount on our own TCP that origins answer: they are handed over as plain data,
 * with a feed for the answer (feeds.ts), their bodies follow as they come (incomingBody.ts), and
 * they are noted in the access log when the answer has ended, or was cut. Those whose answer waits
 * for the disk are noted when that has brought something.
 *
 * Invariant: each is noted once.
 */
import { type Answered, notAnswered } from '../front/answered.ts'
import { forwardRequest } from '../front/forwardRequest.ts'
import type { HttpMachine } from '../http/machine.ts'
import { CLIENT_LEFT } from '../log/accessLog.ts'
import type { AnswerStreams } from './answerStreams.ts'
import { IncomingBody } from './incomingBody.ts'
import { REQUEST_BUFFER_BYTES } from './requestBuffers.ts'
import type { TcpNotes } from './tcpNotes.ts'

export class TcpForwards {
  readonly #http: HttpMachine
  readonly #streams: AnswerStreams
  readonly #notes: TcpNotes
  /** By connection index: what is still to come of a request's body. */
  readonly #bodies: (IncomingBody | undefined)[]

  /** `http`: what it has found last is what `begin` hands over. */
  constructor(http: HttpMachine, streams: AnswerStreams, notes: TcpNotes, maxConnections: number) {
    this.#http = http
    this.#streams = streams
    this.#notes = notes
    this.#bodies = new Array(maxConnections).fill(undefined)
  }

  /** Has the site's origin answer the request in bytes[start, end) of connection `c`; allocates. */
  begin(c: number, i: number, bytes: Uint8Array, start: number, end: number): void {
    const client = this.#notes.clientOf(c)
    const request = forwardRequest(this.#http, bytes, start, end, client)
    const { bodyBytes } = request
    if (bodyBytes > 0) this.#bodies[i] = new IncomingBody(bodyBytes, this.#http.limits)
    this.#streams.forward(c, i, request)
  }

  /**
   * The machine's answer to the request in bytes[start, end) is held (AnswerStreams.answer);
   * allocates.
   */
  hold(i: number, bytes: Uint8Array, start: number, end: number): void {
    const { status, bodyBytes, close } = this.#http
    this.#streams.note(i, bytes.slice(start, end), { status, bodyBytes, from: 0, close })
  }

  /** A piece of an answer has come: if it was held, it begins. */
  onPiece(c: number, i: number): void {
    if (!this.#streams.isHeld(i)) return
    const answered = this.#streams.answeredOf(i)
    this.#notes.forwarded(c, this.#streams.headOf(i), answered.status, answered)
  }

  /** Is there more to come of a request's body, whoever wants it? */
  hasBody(i: number): boolean {
    return this.#bodies[i] !== undefined
  }

  /** … that an origin is to get? */
  isBodyDue(i: number): boolean {
    return this.#bodies[i]?.isDropped === false
  }

  /** Takes body from bytes[off, end); returns how many bytes. Then see `refusedBody`. */
  takeBody(i: number, bytes: Uint8Array, off: number, end: number): number {
    const body = this.#bodies[i]!
    const taken = body.take(bytes, off, end)
    if (body.refused > 0) return taken
    if (body.content.length > 0) this.#streams.forwardBody(i, body.content)
    if (!body.isOver) return taken
    this.#bodies[i] = undefined
    if (body.isChunked && !body.isDropped) this.#streams.endBody(i)
    return taken
  }

  /** What came of the body is malformed, or too large: the status to answer with; 0: neither. */
  refusedBody(i: number): number {
    return this.#bodies[i]?.refused ?? 0
  }

  /** Has as much of the body come as the time of a head is for, or all? */
  isBodyStep(i: number): boolean {
    return this.#bodies[i]?.isStep() ?? true
  }

  /** What the client may send of its body, or behind it. */
  window(i: number): number {
    return this.#bodies[i]?.window ?? REQUEST_BUFFER_BYTES
  }

  /** Is it the origin that is slow to take the body? */
  waitsForOrigin(i: number): boolean {
    return this.#bodies[i]?.waitsForOrigin ?? false
  }

  /** The origin's client has taken so much of the body. True: the client had to wait for that. */
  onBodyTaken(i: number, bytes: number): boolean {
    const hadToWait = this.waitsForOrigin(i)
    this.#bodies[i]?.onTaken(bytes)
    return hadToWait
  }

  /** What is still to come of the body is not looked at any more. */
  forgetBody(i: number): void {
    this.#bodies[i] = undefined
  }

  /** The answer is whole: what it left of the body is for nobody. */
  ended(c: number, i: number, answered: Answered): void {
    const body = this.#bodies[i]
    if (body !== undefined) body.isDropped = true
    this.#notes.forwarded(c, this.#streams.headOf(i), answered.status, answered)
  }

  /** The connection is gone, with such a request or without. */
  gone(c: number, i: number): void {
    this.#bodies[i] = undefined
    const isHeld = this.#streams.isHeld(i)
    if (!isHeld && !this.#streams.isForwarding(i)) return
    const found = this.#streams.answeredOf(i)
    const answered = isHeld ? notAnswered(found.close) : found
    const status = answered.status || CLIENT_LEFT
    this.#notes.forwarded(c, this.#streams.headOf(i), status, answered)
  }

  /** Is an answer waited for that has not begun? Then there may be another in its place. */
  mayRefuse(i: number): boolean {
    return this.#streams.isForwarding(i) && this.#streams.answeredOf(i).status === 0
  }

  /** The status of a refusal in place of an answer that fails; 0: it has begun. */
  refusal(i: number): number {
    if (this.#streams.isHeld(i)) return 503
    return this.mayRefuse(i) ? 500 : 0
  }

  /** Gives it up, unnoted; returns the head of the request. */
  giveUp(i: number): Uint8Array {
    const head = this.#streams.headOf(i)
    this.#streams.cancelFeed(i)
    return head
  }
}
