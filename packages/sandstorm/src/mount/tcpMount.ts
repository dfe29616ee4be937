/**
 * HTTP on our own TCP: the application that the stack calls back. A request is parsed where it lies
 * in the receive ring; its answer is a record (packetize/answers.ts) that says which image goes out
 * at which place of the stream, and TCP asks for the frames in the same pass (paper §2.1).
 *
 * State per connection is a few numbers in flat tables beside the TCBs. Bytes are only kept when a
 * head comes in pieces, or when a client sends requests faster than it takes the answers.
 */
import { assert } from '@sandstorm/libnmio'
import { type Application, abort, state, type Tcp, tcb } from '@sandstorm/libtcpip'
import { type Content, DEFAULT_SITE } from '../content/content.ts'
import { BODY_LEN } from '../content/image.ts'
import type { Answered } from '../front/answered.ts'
import { HttpMachine } from '../http/machine.ts'
import { CLOSES } from '../log/accessLog.ts'
import type { Answers } from '../packetize/answers.ts'
import type { Transmitter } from '../packetize/transmitter.ts'
import { AnswerStreams } from './answerStreams.ts'
import type { FeedPiece } from './feeds.ts'
import { BODY_STEP_SHIFT, MOUNT_LIMITS, type MountLimits } from './limits.ts'
import { type MountStats, noMountStats } from './mountStats.ts'
import { REQUEST_BUFFER_BYTES, RequestBuffers } from './requestBuffers.ts'
import { TcpForwards } from './tcpForwards.ts'
import type { TcpMountOptions } from './tcpMountOptions.ts'
import { TcpNotes } from './tcpNotes.ts'
import { TcpRate } from './tcpRate.ts'

/** A count of requests stands still here; a limit beyond is none. */
const REQUESTS_MAX = 65535

// Phase bits of a connection
const CLOSING = 1 // nothing more is answered; what the client still sends is dropped
const PEER_DONE = 2 // the client has sent its FIN

export class TcpMount implements Application {
  readonly stats: MountStats = noMountStats()
  readonly #content: Content
  readonly #http: HttpMachine
  readonly #limits: MountLimits
  readonly #buffers: RequestBuffers
  readonly #notes: TcpNotes
  readonly #rate: TcpRate
  readonly #bytes: Uint8Array
  #tcp!: Tcp
  readonly #streams: AnswerStreams
  readonly #forwards: TcpForwards
  // By connection index
  readonly #phase: Uint8Array
  /** Requests answered. */
  readonly #asked: Uint16Array
  /** Body bytes of a request for a file to be dropped; once closing, how many may come. */
  readonly #skip: Int32Array

  constructor(options: TcpMountOptions) {
    const { content, region, maxConnections } = options
    this.#content = content
    this.#limits = { ...MOUNT_LIMITS, ...options.limits }
    this.#http = new HttpMachine(content, this.#limits.http, options.boundary, options.originPaths)
    this.#notes = new TcpNotes(options.accessLog)
    this.#rate = new TcpRate(options.rate, this.#http, this.stats)
    assert(this.#http.limits.headBytes <= REQUEST_BUFFER_BYTES, 'a head fits in a request buffer')
    this.#buffers = new RequestBuffers(region, maxConnections)
    this.#bytes = region.bytes
    const { feedPort, durations } = options
    const { stats } = this
    const common = { content, region, maxConnections, feedPort, durations, stats }
    this.#streams = new AnswerStreams({ ...common, http: this.#http })
    this.#forwards = new TcpForwards(this.#http, this.#streams, this.#notes, maxConnections)
    this.#phase = new Uint8Array(maxConnections)
    this.#asked = new Uint16Array(maxConnections)
    this.#skip = new Int32Array(maxConnections)
  }

  /** The TCP below, and how frames are made: both need the mount first. */
  attach(tcp: Tcp, transmitter: Transmitter): void {
    this.#tcp = tcp
    this.#notes.attach(tcp)
    this.#rate.attach(tcp)
    this.#streams.attach(tcp, transmitter)
  }

  /** The time for Date fields, once a batch. */
  set epochSec(sec: number) {
    this.#streams.epochSec = sec
    this.#http.epochSec = sec >>> 0
  }

  get answers(): Answers {
    return this.#streams.answers
  }

  get buffersUsed(): number {
    return this.#buffers.usedCount
  }

  segmentBytes(mss: number): number {
    return this.#streams.segmentBytes(mss)
  }

  onOpen(c: number): void {
    const i = tcb.indexOf(c)
    this.#phase[i] = 0
    this.#streams.open(i)
    this.#asked[i] = 0
    this.#skip[i] = 0
    this.#tcp.setAppTimer(c, this.#limits.headTimeoutMs)
  }

  onData(c: number, off: number, len: number): number {
    const i = tcb.indexOf(c)
    if (this.#phase[i] & CLOSING) return this.#linger(c, i, len)
    if (this.#buffers.has(i)) {
      const taken = this.#buffers.append(i, off, len)
      this.#serveBuffer(c, i)
      return taken
    }
    const used = this.#serve(c, i, off, off + len, 0)
    return used === len ? len : used + this.#keep(c, i, off + used, len - used)
  }

  onFin(c: number): void {
    const i = tcb.indexOf(c)
    this.#phase[i] |= PEER_DONE
    const isBodyCut = this.#forwards.isBodyDue(i)
    if (isBodyCut || !this.#buffers.has(i) || !this.#streams.isBusy(i)) this.#close(c, i)
    if (isBodyCut) this.#streams.cutBody(i) // after that, so that the answer says it
  }

  onAcked(c: number): void {
    const i = tcb.indexOf(c)
    this.#streams.onAcked(c, i)
    this.#goOn(c, i)
  }

  /** There may be room for one more answer. */
  #goOn(c: number, i: number): void {
    if (this.#buffers.has(i) && (this.#phase[i] & CLOSING) === 0) this.#serveBuffer(c, i)
    this.#startTimer(c, i)
  }

  /** The next of a feed; it is held when this returns, or not wanted. */
  onPiece(slot: number, serial: number, piece: FeedPiece): void {
    const c = this.#streams.connectionOf(slot, serial)
    if (c === tcb.NO_CONN) return
    this.#forwards.onPiece(c, tcb.indexOf(c))
    this.#streams.onPiece(c, piece)
    this.#goOn(c, tcb.indexOf(c))
  }

  /** All of an origin's answer is queued. */
  onFed(slot: number, serial: number, answered: Answered): void {
    const c = this.#streams.connectionOf(slot, serial)
    if (c === tcb.NO_CONN) return
    const i = tcb.indexOf(c)
    this.#forwards.ended(c, i, answered)
    if (this.#forwards.hasBody(i)) this.#openWindow(c, i)
    const closes = this.#streams.onFed(c) || answered.close
    if (closes && (this.#phase[i] & CLOSING) === 0) this.#close(c, i)
    this.#goOn(c, i)
  }

  /** The origin's client has taken so much of a request's body. */
  onBodyTaken(slot: number, serial: number, bytes: number): void {
    const c = this.#streams.connectionOf(slot, serial)
    if (c === tcb.NO_CONN) return
    const i = tcb.indexOf(c)
    if (this.#forwards.onBodyTaken(i, bytes)) this.#startTimer(c, i)
    if (this.#forwards.isBodyDue(i)) this.#openWindow(c, i)
  }

  /** The rest of a feed can't be had: the client must not take what it has for whole. */
  onFeedFailed(slot: number, serial: number): void {
    const c = this.#streams.connectionOf(slot, serial)
    if (c === tcb.NO_CONN) return
    const i = tcb.indexOf(c)
    const status = this.#forwards.refusal(i)
    if (status > 0) this.#refuse(c, i, status, this.#forwards.giveUp(i))
    else this.#streams.onFeedFailed(c)
  }

  onTimeout(c: number): void {
    const i = tcb.indexOf(c)
    const waitsForBody = this.#forwards.isBodyDue(i) && !this.#forwards.waitsForOrigin(i)
    if (waitsForBody && !this.#streams.isSending(i)) {
      this.stats.headTimeouts++
      this.#giveUp(c, i, 408)
    } else if (this.#streams.isBusy(i) && !this.#streams.isSending(i)) {
      this.#startTimer(c, i) // it is not the client that is waited for
    } else if (this.#streams.isBusy(i) || this.#phase[i] & CLOSING) {
      this.stats.stallTimeouts++
      abort(this.#tcp, c)
    } else if (this.#skip[i] > 0 || this.#forwards.hasBody(i)) {
      this.stats.headTimeouts++
      this.#close(c, i)
    } else if (this.#buffers.has(i)) {
      this.stats.headTimeouts++
      this.#refuse(c, i, 408, this.#bytes, this.#buffers.startOf(i), this.#buffers.endOf(i))
    } else {
      this.stats.idleTimeouts++
      this.#close(c, i)
    }
  }

  onClosed(c: number): void {
    const i = tcb.indexOf(c)
    this.#forwards.gone(c, i)
    this.#streams.onClosed(i)
    this.#dropBuffer(c, i)
  }

  transmit(c: number, from: number, room: number): number {
    return this.#streams.transmit(c, from, room)
  }

  transmitExactly(c: number, from: number, len: number): number {
    return this.#streams.transmitExactly(c, from, len)
  }

  /** Closes every connection behind the answers it has begun. For the end of service. */
  drain(): void {
    const table = this.#tcp.tcb
    for (let c = 0; c < table.length; c += tcb.TCB_STRIDE) {
      const open = state.canSend(table[c + tcb.STATE]) && table[c + tcb.FLAGS] & tcb.OPENED
      if (!open) continue
      const i = tcb.indexOf(c)
      // What is to come of a body is part of what has begun.
      if (this.#forwards.isBodyDue(i)) this.#streams.close(c, i)
      else this.#close(c, i)
      this.#tcp.addWork(c, tcb.NEED_OUTPUT)
    }
  }

  /** Answers requests in bytes[start, end); returns how many bytes are done with. */
  #serve(c: number, i: number, start: number, end: number, scanned: number): number {
    let at = start
    let seen = scanned
    while (at < end) {
      if (this.#skip[i] > 0) {
        const dropped = Math.min(this.#skip[i], end - at)
        const steps = this.#skip[i] >>> BODY_STEP_SHIFT
        this.#skip[i] -= dropped
        at += dropped
        if (this.#skip[i] === 0 || this.#skip[i] >>> BODY_STEP_SHIFT < steps) this.#startTimer(c, i)
        continue
      }
      if (this.#forwards.hasBody(i)) {
        at += this.#takeBody(c, i, at, end)
        continue
      }
      if (!this.#mayAnswer(i)) break
      this.#http.isLast = this.#asked[i] + 1 === this.#limits.requestsPerConnection
      const taken = this.#http.next(this.#bytes, at, end, seen)
      if (taken === 0) break
      seen = 0
      this.#rate.bound(c)
      this.#streams.bound()
      this.stats.requests++
      if (this.#asked[i] < REQUESTS_MAX) this.#asked[i]++
      if (this.#http.forward) {
        this.#forwards.begin(c, i, this.#bytes, at, at + taken)
        this.#startTimer(c, i)
        at += taken
        continue
      }
      if (this.#http.isHit) this.stats.storeHits++
      if (this.#streams.answer(c, i)) this.#forwards.hold(i, this.#bytes, at, at + taken)
      else this.#notes.answered(c, this.#bytes, at, at + taken, this.#http)
      at += taken
      this.#skip[i] = this.#http.skip
      if (this.#http.close) {
        this.#close(c, i)
        return end - start
      }
      this.#startTimer(c, i)
    }
    return at - start
  }

  /** Takes body in bytes [at, end); returns how many are done with: all if it ended here. */
  #takeBody(c: number, i: number, at: number, end: number): number {
    const taken = this.#forwards.takeBody(i, this.#bytes, at, end)
    const status = this.#forwards.refusedBody(i)
    if (status > 0) {
      this.#giveUp(c, i, status)
      return end - at
    }
    this.#openWindow(c, i)
    if (this.#forwards.isBodyStep(i)) this.#startTimer(c, i)
    return taken
  }

  /** Ends the connection for a request's body: with this status, or amid the answer. */
  #giveUp(c: number, i: number, status: number): void {
    if (this.#forwards.mayRefuse(i)) this.#refuse(c, i, status, this.#forwards.giveUp(i))
    else if (this.#forwards.isBodyDue(i)) abort(this.#tcp, c)
    else this.#close(c, i)
  }

  /** The last answer, to the head in bytes[start, end). */
  #refuse(
    c: number,
    i: number,
    status: number,
    bytes: Uint8Array,
    start = 0,
    end: number = bytes.length,
  ): void {
    const image = this.#content.statusImage(DEFAULT_SITE, status)
    this.#notes.add(c, bytes, start, end, status, this.#content.images[image + BODY_LEN], CLOSES)
    this.#streams.last(c, i, image)
    this.#close(c, i)
    this.#tcp.addWork(c, tcb.NEED_OUTPUT)
  }

  /** Is there room for one more answer? */
  #mayAnswer(i: number): boolean {
    return this.#streams.mayAnswer(i, this.#limits.answersPerConnection)
  }

  /** What the connection waits for now decides how long it may wait. */
  #startTimer(c: number, i: number): void {
    const limits = this.#limits
    // A part of a request has come, or of its body.
    const hasBody = this.#skip[i] > 0 || this.#forwards.hasBody(i)
    const isAsking = this.#buffers.has(i) || hasBody
    const isAsked = this.#streams.isBusy(i) && !this.#forwards.isBodyDue(i)
    let ms = isAsking ? limits.headTimeoutMs : limits.idleTimeoutMs
    if (isAsked || this.#phase[i] & CLOSING) ms = limits.stallTimeoutMs
    this.#tcp.setAppTimer(c, ms)
  }

  /** Keeps bytes that cannot be served yet; returns how many it could. */
  #keep(c: number, i: number, off: number, len: number): number {
    if (!this.#buffers.open(i)) return 0
    const kept = this.#buffers.append(i, off, len)
    if (this.#mayAnswer(i)) this.#buffers.noteScanned(i)
    this.#openWindow(c, i)
    if (!this.#streams.isBusy(i)) this.#tcp.setAppTimer(c, this.#limits.headTimeoutMs)
    return kept
  }

  /** Goes on with what a connection has in its buffer. */
  #serveBuffer(c: number, i: number): void {
    const buffers = this.#buffers
    const start = buffers.startOf(i)
    const end = buffers.endOf(i)
    const used = this.#serve(c, i, start, end, buffers.scannedOf(i))
    if (!buffers.has(i)) return // closed meanwhile
    const isEmpty = start + used === end
    // Nothing more comes: what is left of a request will never be one.
    const isLast = isEmpty || !this.#streams.isBusy(i)
    if (this.#phase[i] & PEER_DONE && isLast) {
      this.#close(c, i)
      return
    }
    if (isEmpty) {
      this.#dropBuffer(c, i)
      return
    }
    buffers.consume(i, used)
    if (this.#mayAnswer(i)) buffers.noteScanned(i)
    this.#openWindow(c, i)
  }

  #dropBuffer(c: number, i: number): void {
    if (!this.#buffers.has(i)) return
    this.#buffers.close(i)
    this.#openWindow(c, i)
  }

  /** As wide as there is room for what the client sends. */
  #openWindow(c: number, i: number): void {
    const window = Math.min(this.#buffers.roomOf(i), this.#forwards.window(i))
    this.#tcp.setReceiveSpace(c, window)
  }

  /** Half-close: the answers go out, then a FIN; the client may still send (RFC 9112 §9.6). */
  #close(c: number, i: number): void {
    this.#phase[i] |= CLOSING
    this.#skip[i] = this.#limits.lingerBytes
    this.#forwards.forgetBody(i)
    this.#dropBuffer(c, i)
    this.#openWindow(c, i)
    this.#streams.close(c, i)
    this.#startTimer(c, i)
  }

  /**
   * Drops what a client sends after the end. Beyond the bound its window closes: a reset could
   * overtake the answer; a client that cannot go on sending reads it, or is gone with FIN-WAIT-2.
   */
  #linger(c: number, i: number, len: number): number {
    const dropped = Math.min(len, this.#skip[i])
    this.#skip[i] -= dropped
    if (this.#skip[i] === 0) this.#tcp.setReceiveSpace(c, 0)
    return dropped
  }
}
