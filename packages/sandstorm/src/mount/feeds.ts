/**
 * Answers whose bytes are not there yet: a *feed* brings the body of one answer, or all of one that
 * an origin gives, to its connection piece by piece, each an image without a head that is sent like
 * any other. Pieces come from another thread; how many are asked for ahead is bounded, and a client
 * that takes nothing gets nothing more. While a connection has a feed no further request of it is
 * answered.
 *
 * The head before a body from disk waits for its first piece: if there is none, the client is told
 * so by another answer, instead of a reset.
 *
 * A feed is a slot of a bounded table and a serial number, so that what comes late is known as
 * such.
 */
import { tcb } from '@sandstorm/libtcpip'
import { NO_IMAGE } from '../content/image.ts'
import { EXTENT_BYTES } from '../content/pager.ts'
import type { Slice } from '../content/slices.ts'
import { type Answered, notAnswered } from '../front/answered.ts'
import type { ForwardRequest } from '../front/forwardRequest.ts'
import { NO_ANSWER } from '../packetize/answers.ts'

export const FEED_COUNT = 1024
/** No feed. */
export const NO_FEED = -1
/**
 * With fewer bytes than this to be acknowledged the next piece is asked for: one is sent meanwhile.
 */
const AHEAD_BYTES = 2 * EXTENT_BYTES
/** Pieces of one feed that may be under way: the first and the last may be short. */
export const PIECES_MAX = 4

/** Bytes [from, end) of `image`, which has no head, are the next of a feed. */
export interface FeedPiece {
  readonly image: number
  readonly from: number
  readonly end: number
  readonly isLast: boolean
  /** Of an origin's answer: how far it has come with this piece. */
  readonly answered: Answered | undefined
}

/**
 * Where pieces are asked for. Each is delivered to the mount later, in answer to `open` or `more`.
 */
export interface FeedPort {
  /**
   * A feed of slices of the body of an image whose file is not in memory; asks for the first piece.
   */
  open(slot: number, serial: number, image: number, slices: readonly Slice[]): void
  /** A feed of the whole answer to a request; asks for the first piece. */
  forward(slot: number, serial: number, request: ForwardRequest): void
  /** More of the body of that request; a copy. */
  body(slot: number, serial: number, bytes: Uint8Array): void
  /** All of that body has come, which had no length. */
  bodyEnd(slot: number, serial: number): void
  /** The rest of that body does not come. */
  cut(slot: number, serial: number): void
  /** The connection ends behind that answer. */
  close(slot: number, serial: number): void
  /** The last piece is held: asks for the next. */
  more(slot: number, serial: number): void
  /** Nothing more is wanted; what was delivered is held or dropped. */
  drop(slot: number, serial: number): void
}

/** Of a mount that serves nothing but what is in memory. */
export const NO_FEEDS: FeedPort = {
  open: () => {},
  forward: () => {},
  body: () => {},
  bodyEnd: () => {},
  cut: () => {},
  close: () => {},
  more: () => {},
  drop: () => {},
}

const NO_HEAD = new Uint8Array()
const NOT_ANSWERED = notAnswered(false)

export class Feeds {
  readonly #port: FeedPort
  // By slot
  readonly #connection: Int32Array = new Int32Array(FEED_COUNT).fill(tcb.NO_CONN)
  readonly #image: Int32Array = new Int32Array(FEED_COUNT)
  readonly #serial: Int32Array = new Int32Array(FEED_COUNT)
  /** A piece is asked for. */
  readonly #isAsking: Uint8Array = new Uint8Array(FEED_COUNT)
  /** The connection is to be closed behind the last piece. */
  readonly #closes: Uint8Array = new Uint8Array(FEED_COUNT)
  /** The answer that is the head, while it waits for the first piece; else NO_ANSWER. */
  readonly #held: Int32Array = new Int32Array(FEED_COUNT)
  /** Of a request that waits: its head, and how far the answer has come, or how it will be. */
  readonly #head: Uint8Array[] = new Array(FEED_COUNT).fill(NO_HEAD)
  readonly #answered: Answered[] = new Array(FEED_COUNT).fill(NOT_ANSWERED)
  readonly #free: Int32Array = new Int32Array(FEED_COUNT)
  #freeCount: number = FEED_COUNT

  constructor(port: FeedPort) {
    this.#port = port
    for (let i = 0; i < FEED_COUNT; i++) this.#free[i] = FEED_COUNT - 1 - i
  }

  get freeCount(): number {
    return this.#freeCount
  }

  /** A feed for connection `c` of slices of an image's body; there is a free slot. */
  open(c: number, image: number, slices: readonly Slice[]): number {
    const slot = this.#begin(c, image)
    this.#port.open(slot, this.#serial[slot], image, slices)
    return slot
  }

  /** A feed for connection `c` of an origin's answer; likewise. */
  forward(c: number, request: ForwardRequest): number {
    const slot = this.#begin(c, NO_IMAGE)
    this.#head[slot] = request.head
    this.#port.forward(slot, this.#serial[slot], request)
    return slot
  }

  /** More of that request's body. */
  body(slot: number, bytes: Uint8Array): void {
    this.#port.body(slot, this.#serial[slot], bytes)
  }

  /** All of that body has come, which had no length. */
  bodyEnd(slot: number): void {
    this.#port.bodyEnd(slot, this.#serial[slot])
  }

  /** The rest of that body does not come. */
  cut(slot: number): void {
    this.#port.cut(slot, this.#serial[slot])
  }

  #begin(c: number, image: number): number {
    const slot = this.#free[--this.#freeCount]
    this.#connection[slot] = c
    this.#image[slot] = image
    this.#isAsking[slot] = 1
    this.#closes[slot] = 0
    this.#held[slot] = NO_ANSWER
    this.#answered[slot] = NOT_ANSWERED
    return slot
  }

  /** The connection of a feed, or NO_CONN if it is over. */
  connectionOf(slot: number, serial: number): number {
    return this.#serial[slot] === serial ? this.#connection[slot] : tcb.NO_CONN
  }

  /** The image whose body was asked for; NO_IMAGE: an origin's answer. */
  imageOf(slot: number): number {
    return this.#image[slot]
  }

  /** Answer `a` waits for the first piece; NO_ANSWER: it waits no more. */
  hold(slot: number, a: number): void {
    this.#held[slot] = a
  }

  /** The answer that waits, or NO_ANSWER. */
  heldOf(slot: number): number {
    return this.#held[slot]
  }

  /** What is to be said of that answer: the head of its request, and how it will be. */
  note(slot: number, head: Uint8Array, answered: Answered): void {
    this.#head[slot] = head
    this.#answered[slot] = answered
  }

  /** Of a request that an origin answers, or whose answer is held. */
  headOf(slot: number): Uint8Array {
    return this.#head[slot]
  }

  /** How far the origin's answer has come; of one that is held, how it will be. */
  answeredOf(slot: number): Answered {
    return this.#answered[slot]
  }

  /** A piece has come. */
  onPiece(slot: number, { answered }: FeedPiece): void {
    this.#isAsking[slot] = 0
    if (answered !== undefined) this.#answered[slot] = answered
  }

  /**
   * Asks for the next piece if it is time to, with so many bytes of the connection unacknowledged.
   */
  pull(slot: number, unackedBytes: number): void {
    if (this.#isAsking[slot] !== 0 || unackedBytes >= AHEAD_BYTES) return
    this.#isAsking[slot] = 1
    this.#port.more(slot, this.#serial[slot])
  }

  closeBehind(slot: number): void {
    this.#closes[slot] = 1
    if (this.#image[slot] === NO_IMAGE) this.#port.close(slot, this.#serial[slot])
  }

  closes(slot: number): boolean {
    return this.#closes[slot] !== 0
  }

  /** Ends a feed: its last piece is held, or its connection is gone. */
  end(slot: number): void {
    this.#port.drop(slot, this.#serial[slot])
    this.#connection[slot] = tcb.NO_CONN
    this.#head[slot] = NO_HEAD
    this.#serial[slot] = (this.#serial[slot] + 1) | 0
    this.#free[this.#freeCount++] = slot
  }
}
