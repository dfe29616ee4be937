/**
 * What goes out on each connection of the mount on our TCP: the answers that it has under way, one
 * behind the other in its stream, and the feed that brings the rest of the last one. TCP asks here
 * for the frames of any byte that is not acknowledged yet (paper §2.1: answers are sent from where
 * they lie).
 */
import { assert, type Region } from '@sandstorm/libnmio'
import { abort, seq, type Tcp, tcb } from '@sandstorm/libtcpip'
import type { Histogram } from '../admin/histogram.ts'
import type { Content } from '../content/content.ts'
import { answerBytes, NO_IMAGE } from '../content/image.ts'
import { sliceBytes } from '../content/slices.ts'
import type { Answered } from '../front/answered.ts'
import type { ForwardRequest } from '../front/forwardRequest.ts'
import type { HttpMachine } from '../http/machine.ts'
import { Answers, BASE, DATE_SEC, LEN, made, NO_ANSWER, ready } from '../packetize/answers.ts'
import { MadeHeads } from '../packetize/madeHeads.ts'
import type { Transmitter } from '../packetize/transmitter.ts'
import { AnswerQueues } from './answerQueues.ts'
import { AnswerSample } from './answerSample.ts'
import {
  FEED_COUNT,
  type FeedPiece,
  type FeedPort,
  Feeds,
  NO_FEED,
  NO_FEEDS,
  PIECES_MAX,
} from './feeds.ts'

export interface StreamStats {
  /** Bytes of answers, heads included. */
  answerBytes: number
  /** Answers of parts for which there was no room: the whole was sent instead. */
  partsGivenUp: number
  /** Feeds of bodies from disk, and of answers of origins. */
  feeds: number
  forwards: number
  /** Of both: refused since there were too many, and cut short. */
  feedsRefused: number
  feedsFailed: number
}

export interface StreamOptions {
  readonly content: Content
  /** Where made heads lie. */
  readonly region: Region
  readonly maxConnections: number
  /** What it has answered last is what `answer` queues. */
  readonly http: HttpMachine
  readonly feedPort: FeedPort | undefined
  readonly durations: Histogram | undefined
  readonly stats: StreamStats
}

export class AnswerStreams {
  readonly answers: Answers
  /** Seconds since 1970 for Date fields, as int32. */
  epochSec = 0
  readonly #content: Content
  readonly #http: HttpMachine
  readonly #stats: StreamStats
  readonly #sample: AnswerSample
  readonly #bytes: Uint8Array
  readonly #queues: AnswerQueues
  readonly #feeds: Feeds
  /** By connection index. */
  readonly #feed: Int16Array
  #tcp!: Tcp
  #transmitter!: Transmitter

  constructor(options: StreamOptions) {
    const { content, region, maxConnections, durations, feedPort } = options
    this.#content = content
    this.#http = options.http
    this.#stats = options.stats
    this.#sample = new AnswerSample(durations)
    this.#bytes = region.bytes
    const [shared, pieces] = [Math.ceil(maxConnections / 4), PIECES_MAX * FEED_COUNT]
    const heads = new MadeHeads(region, content.images)
    this.answers = new Answers(maxConnections + shared + pieces, heads, content.holds)
    this.#queues = new AnswerQueues(this.answers, maxConnections, shared)
    this.#feeds = new Feeds(feedPort ?? NO_FEEDS)
    this.#feed = new Int16Array(maxConnections).fill(NO_FEED)
  }

  /** The TCP below, and how frames are made. */
  attach(tcp: Tcp, transmitter: Transmitter): void {
    this.#tcp = tcp
    this.#transmitter = transmitter
  }

  segmentBytes(mss: number): number {
    return this.#transmitter.segmentBytes(mss)
  }

  /** Connection `i` begins with none. */
  open(i: number): void {
    this.#queues.open(i)
  }

  /** Has it an answer under way, or one that is still to come? */
  isBusy(i: number): boolean {
    return this.#queues.isBusy(i) || this.#feed[i] !== NO_FEED
  }

  /** May it have one more, if `most` are the most that one has? */
  mayAnswer(i: number, most: number): boolean {
    return this.#feed[i] === NO_FEED && this.#queues.hasRoom(i, most)
  }

  /** The machine has answered: if there is no room for that, it answers with less. */
  bound(): void {
    const { parts, isPaged, headOnly, forward } = this.#http
    const wantsFeed = forward || (isPaged && !headOnly)
    if (wantsFeed && !this.#hasRoomForFeed()) {
      this.#http.refuse(503)
      this.#stats.feedsRefused++
    } else if (parts.count > Math.min(this.#queues.sharedLeft, this.answers.heads.freeCount)) {
      parts.count = 0
      this.#stats.partsGivenUp++
    }
  }

  /**
   * Is there a feed left, and are there records for its pieces? Those of feeds that are over may
   * still be under way, so that feeds alone do not bound them.
   */
  #hasRoomForFeed(): boolean {
    const { freeCount } = this.#feeds
    return freeCount > 0 && this.#queues.sharedLeft + PIECES_MAX * (freeCount - 1) >= 0
  }

  /**
   * Queues what the machine has answered; `mayAnswer` was true, and `bound` came first. True: it is
   * held until something of its body has come (`onPiece`).
   */
  answer(c: number, i: number): boolean {
    const { parts, image, headOnly, close, isPaged } = this.#http
    if (isPaged && !headOnly && this.#openFeed(c, i)) return true
    if (parts.count === 0) this.#whole(c, i, image, headOnly, close)
    else for (let part = 0; part < parts.count; part++) this.#part(c, i, part)
    this.#sample.begin(this.#queues.last(i), this.#tcp.nowUs)
    return false
  }

  /** Queues an image as the last answer, which says so. */
  last(c: number, i: number, image: number): void {
    this.#whole(c, i, image, false, true)
  }

  /** Gives back what is acknowledged, and sees to it that there is more to send. */
  onAcked(c: number, i: number): void {
    const una = this.#tcp.tcb[c + tcb.SND_UNA]
    while (this.#queues.firstDone(i, una) !== NO_ANSWER) {
      const a = this.#queues.freeFirst(i)
      this.#sample.end(a, this.#tcp.nowUs)
      this.#sample.forget(a)
    }
    if (this.#feed[i] !== NO_FEED) this.#pull(c, i)
  }

  /** Gives back everything: the connection is gone. */
  onClosed(i: number): void {
    while (this.#queues.isBusy(i)) this.#sample.forget(this.#queues.freeFirst(i))
    if (this.#feed[i] !== NO_FEED) this.#dropFeed(i)
  }

  /** Closes the stream behind its last answer. */
  close(c: number, i: number): void {
    if (this.#feed[i] === NO_FEED) this.#tcp.close(c)
    else this.#feeds.closeBehind(this.#feed[i])
  }

  /** Queues what the site's origin will answer; there is room for a feed (`bound`). */
  forward(c: number, i: number, request: ForwardRequest): void {
    this.#stats.forwards++
    this.#feed[i] = this.#feeds.forward(c, request)
  }

  /** More of the body of that request; a copy. */
  forwardBody(i: number, bytes: Uint8Array): void {
    this.#feeds.body(this.#feed[i], bytes)
  }

  /** All of the body of that request has come, which had no length. */
  endBody(i: number): void {
    this.#feeds.bodyEnd(this.#feed[i])
  }

  /** The rest of the body of that request does not come. */
  cutBody(i: number): void {
    this.#feeds.cut(this.#feed[i])
  }

  /** Is an origin to answer, or does it? */
  isForwarding(i: number): boolean {
    return this.#feed[i] !== NO_FEED && this.#feeds.imageOf(this.#feed[i]) === NO_IMAGE
  }

  /** The head of the request whose answer is held, and what is to be said of it. */
  note(i: number, head: Uint8Array, answered: Answered): void {
    this.#feeds.note(this.#feed[i], head, answered)
  }

  /** Is an answer held, since nothing of its body has come yet? */
  isHeld(i: number): boolean {
    return this.#feed[i] !== NO_FEED && this.#feeds.heldOf(this.#feed[i]) !== NO_ANSWER
  }

  /** Of the request that an origin is to answer, or whose answer is held: its head … */
  headOf(i: number): Uint8Array {
    return this.#feeds.headOf(this.#feed[i])
  }

  /** … and how far the answer has come. */
  answeredOf(i: number): Answered {
    return this.#feeds.answeredOf(this.#feed[i])
  }

  /** Has anything of an answer been queued that is not acknowledged yet? */
  isSending(i: number): boolean {
    return this.#queues.isBusy(i)
  }

  /** Nothing more of the connection's feed is wanted. */
  cancelFeed(i: number): void {
    if (this.#feed[i] !== NO_FEED) this.#dropFeed(i)
  }

  /** The connection of a feed, or NO_CONN if it is over. */
  connectionOf(slot: number, serial: number): number {
    return this.#feeds.connectionOf(slot, serial)
  }

  /** The piece is held when this returns. */
  onPiece(c: number, piece: FeedPiece): void {
    const i = tcb.indexOf(c)
    this.#feeds.onPiece(this.#feed[i], piece)
    if (this.isHeld(i)) this.#queue(c, i, this.#unhold(this.#feed[i]), 0)
    this.#queue(c, i, this.#record(ready(piece.image, false), piece.end), piece.from)
    if (piece.isLast) this.onFed(c)
    else this.#pull(c, i)
    this.#tcp.addWork(c, tcb.NEED_OUTPUT)
  }

  /** All pieces of the connection's feed are queued; true: the stream is closed behind them. */
  onFed(c: number): boolean {
    const i = tcb.indexOf(c)
    const closes = this.#feeds.closes(this.#feed[i])
    this.#dropFeed(i)
    if (closes) this.#tcp.close(c)
    this.#tcp.addWork(c, tcb.NEED_OUTPUT)
    return closes
  }

  /** The rest of a feed can't be had: the client must not take what it has for whole. */
  onFeedFailed(c: number): void {
    this.#stats.feedsFailed++
    abort(this.#tcp, c)
  }

  transmit(c: number, from: number, room: number): number {
    const a = this.#queues.at(tcb.indexOf(c), from)
    return this.#transmitter.transmit(c, a, seq.span(this.answers.records[a + BASE], from), room)
  }

  transmitExactly(c: number, from: number, len: number): number {
    const { records } = this.answers
    const a = this.#queues.at(tcb.indexOf(c), from)
    const at = seq.span(records[a + BASE], from)
    const left = records[a + LEN] - at
    return this.#transmitter.transmitExactly(c, a, at, len < left ? len : left)
  }

  /**
   * Asks for the next piece if it is time to. Pieces may be short: it is their number that is
   * bounded.
   */
  #pull(c: number, i: number): void {
    if (this.#queues.count(i) < PIECES_MAX) this.#feeds.pull(this.#feed[i], this.#unacked(c))
  }

  #whole(c: number, i: number, image: number, headOnly: boolean, close: boolean): void {
    const len = answerBytes(this.#content.images, image, headOnly)
    this.#queue(c, i, this.#record(ready(image, close), len), 0)
  }

  #part(c: number, i: number, part: number): void {
    const { parts, headOnly } = this.#http
    const sliceLen = headOnly ? 0 : parts.end[part] - parts.from[part]
    this.#queue(c, i, this.#madeRecord(part, sliceLen), 0)
  }

  /** An answer that is the head of a part and `sliceLen` bytes of the body. */
  #madeRecord(part: number, sliceLen: number): number {
    const { parts, image } = this.#http
    const { heads } = this.answers
    const slot = heads.alloc()
    heads.image[slot] = image
    heads.from[slot] = parts.from[part]
    heads.len[slot] = parts.write(part, this.#bytes, heads.offOf(slot), this.epochSec >>> 0)
    return this.#record(made(slot), heads.len[slot] + sliceLen)
  }

  /** An answer that ends at byte `end` of `what`, as of this second. */
  #record(what: number, end: number): number {
    const a = this.answers.alloc(what)
    assert(a !== NO_ANSWER, 'every connection can have one answer, and a feed its pieces')
    this.answers.records[a + LEN] = end
    this.answers.records[a + DATE_SEC] = this.epochSec
    return a
  }

  /** Puts answer `a`, from byte `from` on, into the stream. */
  #queue(c: number, i: number, a: number, from: number): void {
    const { records } = this.answers
    const len = records[a + LEN] - from
    // Where its first byte would be: those before `from` count as acknowledged.
    records[a + BASE] = (this.#tcp.tcb[c + tcb.SND_END] - from) | 0
    this.#queues.append(i, a)
    this.#stats.answerBytes += len
    this.#tcp.commit(c, len)
  }

  /**
   * Asks for the body of an image, or parts of it, and holds the head meanwhile; false: there is
   * none.
   */
  #openFeed(c: number, i: number): boolean {
    const { parts, image, close } = this.#http
    const slices = this.#http.slices()
    if (sliceBytes(slices) === 0) return false
    this.#stats.feeds++
    this.#content.holds.hold(image)
    const slot = this.#feeds.open(c, image, slices)
    this.#feed[i] = slot
    const a =
      parts.count === 0
        ? this.#record(ready(image, close), answerBytes(this.#content.images, image, true))
        : this.#madeRecord(0, 0)
    this.#sample.begin(a, this.#tcp.nowUs)
    this.#feeds.hold(slot, a)
    this.#queues.heldCount++
    return true
  }

  /** The answer that is held, if there is one, is so no more; returns it, or NO_ANSWER. */
  #unhold(slot: number): number {
    const a = this.#feeds.heldOf(slot)
    if (a !== NO_ANSWER) this.#queues.heldCount--
    this.#feeds.hold(slot, NO_ANSWER)
    return a
  }

  #dropFeed(i: number): void {
    const slot = this.#feed[i]
    const held = this.#unhold(slot)
    if (held !== NO_ANSWER) {
      this.#sample.forget(held)
      this.answers.free(held)
    }
    const image = this.#feeds.imageOf(slot)
    if (image !== NO_IMAGE) this.#content.holds.release(image)
    this.#feed[i] = NO_FEED
    this.#feeds.end(slot)
  }

  /** Bytes in its stream that are not acknowledged. */
  #unacked(c: number): number {
    const table = this.#tcp.tcb
    return seq.span(table[c + tcb.SND_UNA], table[c + tcb.SND_END])
  }
}
