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
import type { Histogram } from '../admin/histogram.ts'
import { type Content, DEFAULT_SITE } from '../content/content.ts'
import { answerBytes, BODY_LEN } from '../content/image.ts'
import { HttpMachine } from '../http/machine.ts'
import { type AccessLog, CLOSES, HEAD_ONLY } from '../log/accessLog.ts'
import { Answers, BASE, DATE_SEC, LEN, made, NO_ANSWER, ready, WHAT } from '../packetize/answers.ts'
import { MadeHeads } from '../packetize/madeHeads.ts'
import type { Transmitter } from '../packetize/transmitter.ts'
import { AnswerQueues } from './answerQueues.ts'
import { AnswerSample } from './answerSample.ts'
import { MOUNT_LIMITS, type MountLimits } from './limits.ts'
import { NO_BUFFER, REQUEST_BUFFER_BYTES, RequestBuffers } from './requestBuffers.ts'

/** A count of requests stands still here; a limit beyond is none. */
const REQUESTS_MAX = 65535

// Phase bits of a connection
const CLOSING = 1 // nothing more is answered; what the client still sends is dropped
const PEER_DONE = 2 // the client has sent its FIN

export interface TcpMountOptions {
  readonly content: Content
  /** Where request buffers and made heads lie. */
  readonly region: Region
  readonly maxConnections: number
  readonly limits?: Partial<MountLimits> | undefined
  /** For the machine: what separates parts. */
  readonly boundary?: string | undefined
  /** Where answers are noted. */
  readonly accessLog?: AccessLog | undefined
  /** Where is counted how long a sample of answers took. */
  readonly durations?: Histogram | undefined
}

export interface MountStats {
  requests: number
  answerBytes: number
  /** Connections ended by a time-out: no request, half a head, or an answer not taken. */
  idleTimeouts: number
  headTimeouts: number
  stallTimeouts: number
  /** Answers of parts for which there was no room: the whole was sent instead. */
  partsGivenUp: number
}

export class TcpMount implements Application {
  readonly answers: Answers
  readonly stats: MountStats = {
    requests: 0,
    answerBytes: 0,
    idleTimeouts: 0,
    headTimeouts: 0,
    stallTimeouts: 0,
    partsGivenUp: 0,
  }
  /** Seconds since 1970 for Date fields, as int32. */
  #epochSec = 0
  readonly #content: Content
  readonly #http: HttpMachine
  readonly #limits: MountLimits
  readonly #buffers: RequestBuffers
  readonly #accessLog: AccessLog | undefined
  readonly #sample: AnswerSample
  readonly #bytes: Uint8Array
  #tcp!: Tcp
  #transmitter!: Transmitter
  readonly #queues: AnswerQueues
  // By connection index
  readonly #phase: Uint8Array
  readonly #buffer: Int16Array
  /** Requests answered. */
  readonly #asked: Uint16Array
  /** Body bytes of a request still to be dropped; once closing, bytes the client may still send. */
  readonly #skip: Int32Array

  constructor(options: TcpMountOptions) {
    const { content, region, maxConnections } = options
    this.#content = content
    this.#limits = { ...MOUNT_LIMITS, ...options.limits }
    this.#http = new HttpMachine(content, this.#limits.http, options.boundary)
    this.#accessLog = options.accessLog
    this.#sample = new AnswerSample(options.durations)
    assert(this.#http.limits.headBytes <= REQUEST_BUFFER_BYTES, 'a head fits in a request buffer')
    this.#buffers = new RequestBuffers(region)
    this.#bytes = region.bytes
    const heads = new MadeHeads(region, content.images)
    this.answers = new Answers(maxConnections + Math.ceil(maxConnections / 4), heads)
    this.#queues = new AnswerQueues(this.answers, maxConnections)
    this.#phase = new Uint8Array(maxConnections)
    this.#buffer = new Int16Array(maxConnections)
    this.#asked = new Uint16Array(maxConnections)
    this.#skip = new Int32Array(maxConnections)
  }

  /** The TCP below, and how frames are made: both need the mount first. */
  attach(tcp: Tcp, transmitter: Transmitter): void {
    this.#tcp = tcp
    this.#transmitter = transmitter
  }

  /** The time for Date fields, once a batch. */
  set epochSec(sec: number) {
    this.#epochSec = sec
    this.#http.epochSec = sec >>> 0
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
    this.#queues.open(i)
    this.#buffer[i] = NO_BUFFER
    this.#asked[i] = 0
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
    if (this.#buffer[i] === NO_BUFFER || !this.#queues.isBusy(i)) this.#close(c, i)
  }

  onAcked(c: number): void {
    const i = tcb.indexOf(c)
    const una = this.#tcp.tcb[c + tcb.SND_UNA]
    while (this.#queues.firstDone(i, una) !== NO_ANSWER) {
      const a = this.#queues.freeFirst(i)
      this.#sample.end(a, this.#tcp.nowUs)
      this.#sample.forget(a)
    }
    if (this.#buffer[i] !== NO_BUFFER && (this.#phase[i] & CLOSING) === 0) this.#serveBuffer(c, i)
    this.#startTimer(c, i)
  }

  onTimeout(c: number): void {
    const i = tcb.indexOf(c)
    if (this.#queues.isBusy(i) || this.#phase[i] & CLOSING) {
      this.stats.stallTimeouts++
      abort(this.#tcp, c)
    } else if (this.#skip[i] > 0) {
      this.stats.headTimeouts++
      this.#close(c, i)
    } else if (this.#buffer[i] !== NO_BUFFER) {
      this.stats.headTimeouts++
      const image = this.#content.statusImage(DEFAULT_SITE, 408)
      const start = this.#buffers.offOf(this.#buffer[i])
      const end = start + this.#buffers.used[this.#buffer[i]]
      this.#note(c, start, end, 408, this.#content.images[image + BODY_LEN], CLOSES)
      this.#queue(c, i, ready(image, true), answerBytes(this.#content.images, image, false))
      this.#close(c, i)
    } else {
      this.stats.idleTimeouts++
      this.#close(c, i)
    }
  }

  onClosed(c: number): void {
    const i = tcb.indexOf(c)
    while (this.#queues.isBusy(i)) this.#sample.forget(this.#queues.freeFirst(i))
    this.#dropBuffer(c, i)
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
        if (this.#skip[i] === 0) this.#startTimer(c, i)
        continue
      }
      if (!this.#mayAnswer(i)) break
      this.#http.isLast = this.#asked[i] + 1 === this.#limits.requestsPerConnection
      const taken = this.#http.next(this.#bytes, at, end, seen)
      if (taken === 0) break
      seen = 0
      this.#boundParts()
      const { status, bodyBytes, headOnly, close } = this.#http
      const flags = (headOnly ? HEAD_ONLY : 0) | (close ? CLOSES : 0)
      this.#note(c, at, at + taken, status, bodyBytes, flags)
      at += taken
      this.#skip[i] = this.#http.skip
      this.#answerRequest(c, i)
      if (this.#phase[i] & CLOSING) return end - start
    }
    return at - start
  }

  /** Is there room for one more answer? */
  #mayAnswer(i: number): boolean {
    return this.#queues.hasRoom(i, this.#limits.answersPerConnection)
  }

  /** Queues what the machine has answered. */
  #answerRequest(c: number, i: number): void {
    const { parts, image, headOnly, close } = this.#http
    this.stats.requests++
    if (this.#asked[i] < REQUESTS_MAX) this.#asked[i]++
    if (parts.count === 0) {
      this.#queue(c, i, ready(image, close), answerBytes(this.#content.images, image, headOnly))
    } else {
      for (let part = 0; part < parts.count; part++) this.#queuePart(c, i, part)
    }
    this.#sample.begin(this.#queues.last(i), this.#tcp.nowUs)
    if (close) this.#close(c, i)
    else this.#startTimer(c, i)
  }

  /** Tells the access log of the answer to bytes[start, end). */
  #note(
    c: number,
    start: number,
    end: number,
    status: number,
    bodyBytes: number,
    flags: number,
  ): void {
    const log = this.#accessLog
    if (log === undefined) return
    const { tcb: table } = this.#tcp
    log.request(
      table[c + tcb.FRAME_KEY] & tcb.KIND_IPV6 ? 6 : 4,
      table[c + tcb.REMOTE],
      table[c + tcb.REMOTE + 1],
      table[c + tcb.REMOTE + 2],
      table[c + tcb.REMOTE + 3],
      table[c + tcb.PORTS] >>> 16,
      this.#bytes,
      start,
      end,
      status,
      bodyBytes,
      flags,
    )
  }

  /** Without room for an answer's parts, among the records that are shared and the made heads, the whole is sent. */
  #boundParts(): void {
    const { parts } = this.#http
    if (parts.count === 0) return
    if (parts.count <= Math.min(this.#queues.sharedLeft, this.answers.heads.freeCount)) return
    parts.count = 0
    this.stats.partsGivenUp++
  }

  #queuePart(c: number, i: number, part: number): void {
    const { parts, image, headOnly } = this.#http
    const { heads } = this.answers
    const slot = heads.alloc()
    heads.image[slot] = image
    heads.from[slot] = parts.from[part]
    heads.len[slot] = parts.write(part, this.#bytes, heads.offOf(slot), this.#epochSec >>> 0)
    const bodyLen = headOnly ? 0 : parts.end[part] - parts.from[part]
    this.#queue(c, i, made(slot), heads.len[slot] + bodyLen)
  }

  /** Puts `len` bytes into the stream; `mayAnswer` or `mayMake` was true. */
  #queue(c: number, i: number, what: number, len: number): void {
    const a = this.answers.alloc()
    assert(a !== NO_ANSWER, 'every connection can have one answer')
    const { records } = this.answers
    records[a + WHAT] = what
    records[a + BASE] = this.#tcp.tcb[c + tcb.SND_END]
    records[a + LEN] = len
    records[a + DATE_SEC] = this.#epochSec
    this.#queues.append(i, a)
    this.stats.answerBytes += len
    this.#tcp.commit(c, len)
  }

  /** What the connection waits for now decides how long it may wait. */
  #startTimer(c: number, i: number): void {
    const limits = this.#limits
    // A part of a request has come, or of a body that is dropped.
    const isAsking = this.#buffer[i] !== NO_BUFFER || this.#skip[i] > 0
    let ms = isAsking ? limits.headTimeoutMs : limits.idleTimeoutMs
    if (this.#queues.isBusy(i) || this.#phase[i] & CLOSING) ms = limits.stallTimeoutMs
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
    if (!this.#queues.isBusy(i)) this.#tcp.setAppTimer(c, this.#limits.headTimeoutMs)
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
    const isLast = isEmpty || !this.#queues.isBusy(i)
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
