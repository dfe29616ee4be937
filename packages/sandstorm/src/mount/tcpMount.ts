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
import { Answers, BASE, DATE_SEC, LEN, NEXT, NO_ANSWER, WHAT, what } from '../packetize/answers.ts'
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
  /** Answers beyond the first of each connection: how many there may be. */
  readonly #pipelinedMax: number
  /** Connections that have an answer. */
  #busyCount = 0
  // By connection index
  readonly #phase: Uint8Array
  readonly #firstAnswer: Int32Array
  readonly #buffer: Int16Array
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
    this.#pipelinedMax = Math.ceil(maxConnections / 4)
    this.answers = new Answers(maxConnections + this.#pipelinedMax)
    this.#phase = new Uint8Array(maxConnections)
    this.#firstAnswer = new Int32Array(maxConnections)
    this.#buffer = new Int16Array(maxConnections)
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
    if (this.#buffer[i] === NO_BUFFER || !this.#isBusy(i)) this.#close(c, i)
  }

  onAcked(c: number): void {
    const i = tcb.indexOf(c)
    this.#releaseAnswers(c, i)
    if (this.#buffer[i] !== NO_BUFFER && (this.#phase[i] & CLOSING) === 0) this.#serveBuffer(c, i)
    this.#startTimer(c, i)
  }

  onTimeout(c: number): void {
    const i = tcb.indexOf(c)
    if (this.#isBusy(i) || this.#phase[i] & CLOSING) {
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
    while (this.#isBusy(i)) this.#freeFirst(i)
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

  /** Has the connection an answer under way? */
  #isBusy(i: number): boolean {
    return this.#firstAnswer[i] !== NO_ANSWER
  }

  /** One answer is always possible: only what is left beyond those is shared by pipelined ones. */
  #mayAnswer(i: number): boolean {
    if (!this.#isBusy(i)) return true
    const pipelined = this.answers.usedCount - this.#busyCount
    return (
      pipelined < this.#pipelinedMax && this.#countAnswers(i) < this.#limits.answersPerConnection
    )
  }

  #countAnswers(i: number): number {
    const { records } = this.answers
    let count = 0
    for (let a = this.#firstAnswer[i]; a !== NO_ANSWER; a = records[a + NEXT]) count++
    return count
  }

  /** Queues an answer; `mayAnswer` was true, or nothing is queued yet. */
  #answer(c: number, i: number, image: number, headOnly: boolean, close: boolean): void {
    const a = this.answers.alloc()
    assert(a !== NO_ANSWER, 'every connection can have one answer')
    const { records } = this.answers
    const len = answerBytes(this.#content.images, image, headOnly)
    records[a + WHAT] = what(image, close)
    records[a + BASE] = this.#tcp.tcb[c + tcb.SND_END]
    records[a + LEN] = len
    records[a + DATE_SEC] = this.epochSec
    this.#append(i, a)
    this.stats.requests++
    this.stats.answerBytes += len
    this.#tcp.commit(c, len)
    if (close) this.#close(c, i)
    else this.#startTimer(c, i)
  }

  /** Puts an answer behind the connection's others: a few at most, so they are walked. */
  #append(i: number, a: number): void {
    if (!this.#isBusy(i)) {
      this.#firstAnswer[i] = a
      this.#busyCount++
      return
    }
    const { records } = this.answers
    let last = this.#firstAnswer[i]
    while (records[last + NEXT] !== NO_ANSWER) last = records[last + NEXT]
    records[last + NEXT] = a
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
    while (this.#isBusy(i)) {
      const a = this.#firstAnswer[i]
      if (seq.span(records[a + BASE], una) < records[a + LEN]) break
      this.#freeFirst(i)
    }
  }

  #freeFirst(i: number): void {
    const a = this.#firstAnswer[i]
    this.#firstAnswer[i] = this.answers.records[a + NEXT]
    this.answers.free(a)
    if (!this.#isBusy(i)) this.#busyCount--
  }

  /** What the connection waits for now decides how long it may wait. */
  #startTimer(c: number, i: number): void {
    const limits = this.#limits
    const busy = this.#isBusy(i) || this.#phase[i] & CLOSING
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
    if (!this.#isBusy(i)) this.#tcp.setAppTimer(c, this.#limits.headTimeoutMs)
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
    const isLast = isEmpty || !this.#isBusy(i)
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
