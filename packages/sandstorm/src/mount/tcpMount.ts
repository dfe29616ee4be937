/**
 * HTTP on our own TCP: the application that the stack calls back. A request is parsed where it lies
 * in the receive ring; its answer is a record (packetize/answers.ts) that says which image goes out
 * at which place of the stream, and TCP asks for the frames in the same pass (paper §2.1).
 *
 * State per connection is a few numbers in flat tables beside the TCBs. Bytes are only kept when a
 * head comes in pieces, or when a client sends requests faster than it takes the answers.
 */
import { assert, type Region } from '@sandstorm/libnmio'
import { type Application, abort, seq, state, type Tcp, tcb } from '@sandstorm/libtcpip'
import type { Content } from '../content/content.ts'
import { answerBytes } from '../content/image.ts'
import { HttpMachine } from '../http/machine.ts'
import {
  Answers,
  BASE,
  CLOSE,
  DATE_SEC,
  IMAGE,
  LEN,
  NEXT,
  NO_ANSWER,
} from '../packetize/answers.ts'
import type { Transmitter } from '../packetize/transmitter.ts'
import { NO_BUFFER, REQUEST_BUFFER_BYTES, RequestBuffers } from './requestBuffers.ts'

export interface MountLimits {
  /** A request head must be complete this long after its first byte, or after the connection opened. */
  headTimeoutMs: number
  /** A connection without a request is closed. */
  idleTimeoutMs: number
  /** An answer of which the client acknowledges nothing for this long is given up. */
  stallTimeoutMs: number
  /** Answers under way per connection; further requests wait in its buffer. */
  answersPerConnection: number
  /** Bytes that a client may still send after its connection was closed to it. */
  lingerBytes: number
}

export const MOUNT_LIMITS: MountLimits = {
  headTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  stallTimeoutMs: 120_000,
  answersPerConnection: 8,
  lingerBytes: 1 << 20,
}

// Phase bits of a connection
const CLOSING = 1 // nothing more is answered; what the client still sends is dropped
const PEER_DONE = 2 // the client has sent its FIN

export interface MountStats {
  requests: number
  answerBytes: number
  /** Connections ended by a time-out: no request, half a head, or an answer not taken. */
  idleTimeouts: number
  headTimeouts: number
  stallTimeouts: number
}

export class TcpMount implements Application {
  readonly answers: Answers
  readonly stats: MountStats = {
    requests: 0,
    answerBytes: 0,
    idleTimeouts: 0,
    headTimeouts: 0,
    stallTimeouts: 0,
  }
  /** Seconds since 1970 for Date fields, as int32; set once a batch. */
  epochSec = 0
  readonly #content: Content
  readonly #http: HttpMachine
  readonly #limits: MountLimits
  readonly #buffers: RequestBuffers
  readonly #bytes: Uint8Array
  #tcp!: Tcp
  #transmitter!: Transmitter
  // By connection index
  readonly #phase: Uint8Array
  readonly #firstAnswer: Int32Array
  readonly #lastAnswer: Int32Array
  readonly #answerCount: Uint8Array
  readonly #buffer: Int32Array
  /** Body bytes of a request still to be dropped; once closing, bytes the client may still send. */
  readonly #skip: Int32Array

  constructor(
    content: Content,
    region: Region,
    maxConnections: number,
    limits: Partial<MountLimits> = {},
  ) {
    this.#content = content
    this.#http = new HttpMachine(content)
    this.#limits = { ...MOUNT_LIMITS, ...limits }
    this.#buffers = new RequestBuffers(region)
    this.#bytes = region.bytes
    this.answers = new Answers(2 * maxConnections)
    this.#phase = new Uint8Array(maxConnections)
    this.#firstAnswer = new Int32Array(maxConnections)
    this.#lastAnswer = new Int32Array(maxConnections)
    this.#answerCount = new Uint8Array(maxConnections)
    this.#buffer = new Int32Array(maxConnections)
    this.#skip = new Int32Array(maxConnections)
  }

  /** The TCP below, and how frames are made: both need the mount first. */
  attach(tcp: Tcp, transmitter: Transmitter): void {
    this.#tcp = tcp
    this.#transmitter = transmitter
  }

  get buffersUsed(): number {
    return this.#buffers.usedCount
  }

  segmentBytes(mss: number): number {
    return this.#transmitter.segmentBytes(mss)
  }

  onOpen(c: number): void {
    const i = tcb.indexOf(c)
    this.#phase[i] = 0
    this.#firstAnswer[i] = NO_ANSWER
    this.#lastAnswer[i] = NO_ANSWER
    this.#answerCount[i] = 0
    this.#buffer[i] = NO_BUFFER
    this.#skip[i] = 0
    this.#tcp.setAppTimer(c, this.#limits.headTimeoutMs)
  }

  onData(c: number, off: number, len: number): number {
    const i = tcb.indexOf(c)
    if (this.#phase[i] & CLOSING) return this.#linger(c, i, len)
    if (this.#buffer[i] !== NO_BUFFER) {
      const taken = this.#buffers.append(this.#buffer[i], off, len)
      this.#serveBuffer(c, i)
      return taken
    }
    const used = this.#serve(c, i, off, off + len, 0)
    return used === len ? len : used + this.#keep(c, i, off + used, len - used)
  }

  onFin(c: number): void {
    const i = tcb.indexOf(c)
    this.#phase[i] |= PEER_DONE
    if (this.#buffer[i] === NO_BUFFER || this.#answerCount[i] === 0) this.#close(c, i)
  }

  onAcked(c: number): void {
    const i = tcb.indexOf(c)
    this.#releaseAnswers(c, i)
    if (this.#buffer[i] !== NO_BUFFER && (this.#phase[i] & CLOSING) === 0) this.#serveBuffer(c, i)
    this.#startTimer(c, i)
  }

  onTimeout(c: number): void {
    const i = tcb.indexOf(c)
    if (this.#answerCount[i] > 0 || this.#phase[i] & CLOSING) {
      this.stats.stallTimeouts++
      abort(this.#tcp, c)
    } else if (this.#buffer[i] !== NO_BUFFER) {
      this.stats.headTimeouts++
      this.#answer(c, i, this.#content.statusImage(408), false, true)
    } else {
      this.stats.idleTimeouts++
      this.#close(c, i)
    }
  }

  onClosed(c: number): void {
    const i = tcb.indexOf(c)
    let a = this.#firstAnswer[i]
    while (a !== NO_ANSWER) {
      const next = this.answers.records[a + NEXT]
      this.answers.free(a)
      a = next
    }
    this.#dropBuffer(c, i)
  }

  transmit(c: number, from: number, room: number): number {
    const a = this.#answerAt(c, from)
    return this.#transmitter.transmit(c, a, seq.span(this.answers.records[a + BASE], from), room)
  }

  transmitExactly(c: number, from: number, len: number): number {
    const { records } = this.answers
    const a = this.#answerAt(c, from)
    const at = seq.span(records[a + BASE], from)
    const left = records[a + LEN] - at
    return this.#transmitter.transmitExactly(c, a, at, len < left ? len : left)
  }

  /** Closes every connection behind the answers it has begun. For the end of service. */
  drain(): void {
    const table = this.#tcp.tcb
    for (let c = 0; c < table.length; c += tcb.TCB_STRIDE) {
      const open = state.canSend(table[c + tcb.STATE]) && table[c + tcb.FLAGS] & tcb.OPENED
      if (!open) continue
      this.#close(c, tcb.indexOf(c))
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
        this.#skip[i] -= dropped
        at += dropped
        continue
      }
      if (!this.#mayAnswer(i)) break
      const taken = this.#http.next(this.#bytes, at, end, seen)
      if (taken === 0) break
      seen = 0
      at += taken
      const { image, headOnly, close, skip } = this.#http
      this.#skip[i] = skip
      this.#answer(c, i, image, headOnly, close)
      if (this.#phase[i] & CLOSING) return end - start
    }
    return at - start
  }

  /** One answer is always possible; pipelined ones share the other half of the records. */
  #mayAnswer(i: number): boolean {
    const count = this.#answerCount[i]
    if (count === 0) return true
    const spare = this.answers.usedCount < this.answers.capacity / 2
    return spare && count < this.#limits.answersPerConnection
  }

  /** Queues an answer; `mayAnswer` was true, or nothing is queued yet. */
  #answer(c: number, i: number, image: number, headOnly: boolean, close: boolean): void {
    const a = this.answers.alloc()
    assert(a !== NO_ANSWER, 'every connection can have one answer')
    const { records } = this.answers
    const len = answerBytes(this.#content.images, image, headOnly)
    records[a + IMAGE] = image
    records[a + BASE] = this.#tcp.tcb[c + tcb.SND_END]
    records[a + LEN] = len
    records[a + DATE_SEC] = this.epochSec
    records[a + CLOSE] = close ? 1 : 0
    if (this.#lastAnswer[i] === NO_ANSWER) this.#firstAnswer[i] = a
    else records[this.#lastAnswer[i] + NEXT] = a
    this.#lastAnswer[i] = a
    this.#answerCount[i]++
    this.stats.requests++
    this.stats.answerBytes += len
    this.#tcp.commit(c, len)
    if (close) this.#close(c, i)
    else this.#startTimer(c, i)
  }

  /** The answer that holds stream byte `from`: the first, unless an ACK straddles two. */
  #answerAt(c: number, from: number): number {
    const { records } = this.answers
    let a = this.#firstAnswer[tcb.indexOf(c)]
    while (seq.span(records[a + BASE], from) >= records[a + LEN]) a = records[a + NEXT]
    return a
  }

  #releaseAnswers(c: number, i: number): void {
    const { records } = this.answers
    const una = this.#tcp.tcb[c + tcb.SND_UNA]
    let a = this.#firstAnswer[i]
    while (a !== NO_ANSWER && seq.span(records[a + BASE], una) >= records[a + LEN]) {
      const next = records[a + NEXT]
      this.answers.free(a)
      this.#answerCount[i]--
      a = next
    }
    this.#firstAnswer[i] = a
    if (a === NO_ANSWER) this.#lastAnswer[i] = NO_ANSWER
  }

  /** What the connection waits for now decides how long it may wait. */
  #startTimer(c: number, i: number): void {
    const limits = this.#limits
    const busy = this.#answerCount[i] > 0 || this.#phase[i] & CLOSING
    const hasHead = this.#buffer[i] !== NO_BUFFER
    const ms = busy ? limits.stallTimeoutMs : hasHead ? limits.headTimeoutMs : limits.idleTimeoutMs
    this.#tcp.setAppTimer(c, ms)
  }

  /** Keeps bytes that cannot be served yet; returns how many it could. */
  #keep(c: number, i: number, off: number, len: number): number {
    const buffer = this.#buffers.alloc()
    if (buffer === NO_BUFFER) return 0
    this.#buffer[i] = buffer
    const kept = this.#buffers.append(buffer, off, len)
    this.#buffers.scanned[buffer] = this.#mayAnswer(i) ? kept : 0
    this.#tcp.setReceiveSpace(c, REQUEST_BUFFER_BYTES - kept)
    if (this.#answerCount[i] === 0) this.#tcp.setAppTimer(c, this.#limits.headTimeoutMs)
    return kept
  }

  /** Goes on with what a connection has in its buffer. */
  #serveBuffer(c: number, i: number): void {
    const buffer = this.#buffer[i]
    const buffers = this.#buffers
    const start = buffers.offOf(buffer)
    const end = start + buffers.used[buffer]
    const used = this.#serve(c, i, start, end, buffers.scanned[buffer])
    if (this.#buffer[i] === NO_BUFFER) return // closed meanwhile
    const isEmpty = start + used === end
    // Nothing more comes: what is left of a request will never be one.
    const isLast = isEmpty || this.#answerCount[i] === 0
    if (this.#phase[i] & PEER_DONE && isLast) {
      this.#close(c, i)
      return
    }
    if (isEmpty) {
      this.#dropBuffer(c, i)
      return
    }
    buffers.consume(buffer, used)
    if (this.#mayAnswer(i)) buffers.scanned[buffer] = buffers.used[buffer]
    this.#tcp.setReceiveSpace(c, REQUEST_BUFFER_BYTES - buffers.used[buffer])
  }

  #dropBuffer(c: number, i: number): void {
    if (this.#buffer[i] === NO_BUFFER) return
    this.#buffers.free(this.#buffer[i])
    this.#buffer[i] = NO_BUFFER
    this.#tcp.setReceiveSpace(c, REQUEST_BUFFER_BYTES)
  }

  /** Half-close: the answers go out, then a FIN; the client may still be sending (RFC 9112 §9.6). */
  #close(c: number, i: number): void {
    this.#phase[i] |= CLOSING
    this.#skip[i] = this.#limits.lingerBytes
    this.#dropBuffer(c, i)
    this.#tcp.close(c)
    this.#startTimer(c, i)
  }

  /** Drops what a client sends after the end, within bounds. */
  #linger(c: number, i: number, len: number): number {
    this.#skip[i] -= len
    if (this.#skip[i] < 0) abort(this.#tcp, c)
    return len
  }
}
