/**
 * The load generator: so many connections, each of which asks, reads the answer, and asks again, or
 * is closed and opened anew. Sans-I/O: bytes come from a transport and requests go to it, the clock
 * is the caller's. State is in flat arrays by connection, and an answer allocates nothing.
 *
 *     idle → opening → (waiting) → asked → reading → waiting, or ending → idle
 *
 * With keep-alive all connections are opened first, and then requests and time begin; without, a
 * request opens its connection, and the time that this takes is part of its latency. The server
 * closes, as it was asked to, so TIME-WAIT is the server's (RFC 9112 §9.6, RFC 9293 §3.6).
 */
import { assert } from '@sandstorm/libnmio'
import { Leaving } from './leaving.ts'
import { BURST, ENDING_US, LOOK_US, OPENING_MAX, RETRY_US, SAMPLE } from './limits.ts'
import { ASKED, ENDING, IDLE, OPENING, READING, RETIRED, WAITING } from './phases.ts'
import { Responses } from './response.ts'
import type { Schedule } from './schedule.ts'
import { CONNECT, LENGTH, PROTOCOL, RESET, Tally, TIMEOUT } from './tally.ts'
import type { Transport, TransportListener } from './transport.ts'
import { Waiting } from './waiting.ts'

/** How many connections, in which way, by which schedule. */
export interface GeneratorOptions {
  readonly connections: number
  readonly keepAlive: boolean
  /** For a connection to come to be, and for an answer to be whole; microseconds. */
  readonly timeoutUs: number
  readonly schedule: Schedule
  /** When nothing begins any more, what is under way may take so much longer. */
  readonly graceUs: number
}

const NEVER = Number.POSITIVE_INFINITY

/** Asks over and over on many connections, and counts. */
export class Generator implements TransportListener {
  readonly tally: Tally = new Tally()
  /** Set by `poll`; a transport that calls at other times sets it before. */
  nowUs = 0
  readonly #options: GeneratorOptions
  readonly #schedule: Schedule
  readonly #transport: Transport
  readonly #responses: Responses
  readonly #waiting: Waiting
  readonly #leaving: Leaving
  // By connection
  readonly #phase: Uint8Array
  /** It carries a request, whose latency counts from `#startUs`. */
  readonly #hasRequest: Uint8Array
  /** It has brought an answer: its server is no stranger. */
  readonly #hasAnswered: Uint8Array
  readonly #isSettled: Uint8Array
  readonly #startUs: Float64Array
  readonly #openUs: Float64Array
  readonly #deadlineUs: Float64Array
  /** Connections that were ever begun, those opened once or refused, and those with a request. */
  #begun = 0
  #settled = 0
  #busy = 0
  #asked = 0
  #lookUs = 0
  /** The connection whose deadline is looked at next. */
  #looked = 0
  #startedUs = 0
  #overUs = NEVER
  #lastUs = 0
  #isOver = false

  constructor(options: GeneratorOptions, transport: Transport) {
    const { connections, schedule } = options
    assert(connections > 0, 'there is a connection')
    this.#options = options
    this.#schedule = schedule
    this.#transport = transport
    this.#responses = new Responses(connections)
    this.#waiting = new Waiting(connections)
    this.#phase = new Uint8Array(connections).fill(IDLE)
    this.#hasRequest = new Uint8Array(connections)
    this.#leaving = new Leaving(transport, this.#hasRequest)
    this.#hasAnswered = new Uint8Array(connections)
    this.#isSettled = new Uint8Array(connections)
    this.#startUs = new Float64Array(connections)
    this.#openUs = new Float64Array(connections)
    this.#deadlineUs = new Float64Array(connections).fill(NEVER)
  }

  /** The first call. */
  start(nowUs: number): void {
    this.nowUs = nowUs
    this.#startedUs = nowUs
    if (!this.#options.keepAlive) this.#setOut()
    this.#openMore()
  }

  /** From now on time counts. */
  #setOut(): void {
    this.#lastUs = this.nowUs
    this.#schedule.begin(this.nowUs)
    this.tally.openingSeconds = (this.nowUs - this.#startedUs) / 1e6
  }

  /** It is over: all answers have come, or there will be none. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** It is over, and no connection is left. */
  get hasLeft(): boolean {
    return this.#isOver && this.#leaving.isOver
  }

  /**
   * What is due: requests, deadlines, and once it is over the ends of connections. To be called
   * with each batch, and when `waitUs` is over.
   */
  poll(nowUs: number): void {
    this.nowUs = nowUs
    if (this.#isOver) {
      this.#leaving.step(i => this.#letGo(i))
      return
    }
    this.#openMore()
    const areOpen = this.#settled === this.#options.connections
    if (areOpen && !this.#schedule.hasBegun) this.#setOut()
    this.#beginDue()
    const isOver = this.#schedule.isOver(nowUs)
    if (isOver && this.#overUs === NEVER) this.#overUs = nowUs
    if (nowUs >= this.#lookUs) this.#lookAtDeadlines()
    const isDone = isOver && this.#busy === 0
    if (isDone || this.#isHopeless() || this.#isOverdue()) this.finish(nowUs)
  }

  /** Microseconds until `poll` has something to do by itself. */
  waitUs(nowUs: number): number {
    if (this.#isOver) return this.hasLeft || this.#leaving.room === 0 ? LOOK_US : 0
    if (!this.#waiting.isEmpty && this.#schedule.isDue(nowUs)) return 0
    const look = Math.max(0, this.#lookUs - nowUs)
    const due = this.#waiting.isEmpty ? -1 : this.#schedule.waitUs(nowUs)
    return due < 0 || due > look ? look : due
  }

  /** Ends it now; what is under way is counted as unfinished, and `poll` lets it go. Idempotent. */
  finish(nowUs: number): void {
    if (this.#isOver) return
    this.#isOver = true
    this.nowUs = nowUs
    const { tally } = this
    tally.unsent = this.#schedule.overdue(nowUs)
    const endUs = Math.max(this.#lastUs, this.#overUs === NEVER ? nowUs : this.#overUs)
    tally.seconds = this.#schedule.elapsedUs(endUs) / 1e6
    tally.unfinished = this.#busy
  }

  /** False if there is no such connection. */
  #letGo(i: number): boolean {
    if (!this.#isOpen(i)) return false
    if (this.#hasRequest[i] === 1) this.#transport.abort(i)
    else this.#transport.close(i)
    this.#phase[i] = RETIRED
    return true
  }

  onOpen(i: number): void {
    if (this.#isOver) return
    this.tally.opened++
    this.tally.connect.record(this.nowUs - this.#openUs[i])
    this.#settle(i)
    this.#hasAnswered[i] = 0
    if (this.#hasRequest[i] === 1) this.#ask(i)
    else this.#ready(i)
  }

  onData(i: number, bytes: Uint8Array, off: number, len: number): void {
    if (this.#isOver) return
    this.tally.bytes += len
    if (this.#phase[i] === ASKED) {
      this.tally.firstByte.record(this.nowUs - this.#startUs[i])
      this.#phase[i] = READING
    } else if (this.#phase[i] !== READING) {
      // More than the answer's head has said, or an answer that nobody has asked for.
      this.#fail(i, LENGTH)
      return
    }
    const taken = this.#responses.read(i, bytes, off, len)
    if (this.#responses.isDone(i)) this.#answered(i, taken === len)
    else if (this.#responses.isBad(i)) this.#fail(i, PROTOCOL)
  }

  onFin(i: number): void {
    if (this.#isOver) return
    if (this.#phase[i] === READING) {
      this.#responses.end(i)
      if (!this.#responses.isDone(i)) {
        this.#fail(i, LENGTH)
        return
      }
      this.#count(i, true)
    } else if (this.#phase[i] === ASKED) {
      this.#fail(i, RESET)
      return
    }
    this.#transport.close(i)
    this.#again(i)
  }

  onLost(i: number, isTimeout: boolean): void {
    if (this.#isOver) this.#phase[i] = RETIRED
    else if (this.#phase[i] === OPENING) this.#refused(i, isTimeout ? TIMEOUT : CONNECT)
    else if (this.#hasRequest[i] === 1) {
      this.#error(i, isTimeout ? TIMEOUT : RESET)
      this.#again(i)
    } else this.#again(i)
  }

  /** Those that were never opened, a few at a time. */
  #openMore(): void {
    const { connections, keepAlive } = this.#options
    while (this.#begun < connections && this.#begun - this.#settled < OPENING_MAX) {
      const i = this.#begun++
      if (keepAlive) this.#open(i)
      else this.#ready(i)
    }
  }

  /** An attempt to open it has come to something. */
  #settle(i: number): void {
    if (this.#isSettled[i] === 1) return
    this.#isSettled[i] = 1
    this.#settled++
  }

  /** Connection `i` could carry a request. */
  #ready(i: number): void {
    if (this.#schedule.isDue(this.nowUs)) this.#begin(i)
    else {
      this.#phase[i] = WAITING
      this.#deadlineUs[i] = NEVER
      this.#waiting.push(i)
    }
  }

  #beginDue(): void {
    for (let left = BURST; left > 0 && !this.#waiting.isEmpty; left--) {
      if (!this.#schedule.isDue(this.nowUs)) return
      const i = this.#waiting.shift()
      // It may have been closed meanwhile.
      if (this.#phase[i] === WAITING) this.#begin(i)
    }
  }

  #begin(i: number): void {
    this.#startUs[i] = this.#schedule.take(this.nowUs)
    this.#setRequest(i, 1)
    if (this.#options.keepAlive) this.#ask(i)
    else this.#open(i)
  }

  #open(i: number): void {
    this.#phase[i] = OPENING
    this.#openUs[i] = this.nowUs
    this.#deadlineUs[i] = this.nowUs + this.#options.timeoutUs
    if (!this.#transport.open(i)) this.#refused(i, CONNECT)
  }

  #ask(i: number): void {
    this.#phase[i] = ASKED
    this.#deadlineUs[i] = this.nowUs + this.#options.timeoutUs
    this.#responses.begin(i, this.#asked++ % SAMPLE === 0)
    this.#transport.ask(i)
  }

  /** The answer is whole; `isAll`: nothing came behind it. */
  #answered(i: number, isAll: boolean): void {
    this.#count(i, isAll)
    if (!isAll) {
      this.#transport.abort(i)
      this.#again(i)
    } else if (this.#options.keepAlive && this.#responses.keeps(i)) this.#ready(i)
    else {
      this.#phase[i] = ENDING
      this.#deadlineUs[i] = this.nowUs + ENDING_US
    }
  }

  #count(i: number, isAll: boolean): void {
    const { tally } = this
    const responses = this.#responses
    tally.latency.record(this.nowUs - this.#startUs[i])
    this.#setRequest(i, 0)
    this.#hasAnswered[i] = 1
    this.#lastUs = this.nowUs
    const isRight = tally.addAnswer(responses.status(i), responses.bodyBytes(i), isAll)
    if (isRight && responses.isHashed(i)) tally.check(responses.hash(i))
  }

  #fail(i: number, kind: number): void {
    this.#error(i, kind)
    this.#transport.abort(i)
    this.#again(i)
  }

  #error(i: number, kind: number): void {
    this.tally.errors[kind]++
    this.#setRequest(i, 0)
    this.#lastUs = this.nowUs
  }

  #setRequest(i: number, has: 0 | 1): void {
    this.#busy += has - this.#hasRequest[i]
    this.#hasRequest[i] = has
  }

  /** No connection: one of the requests comes to nothing. */
  #refused(i: number, kind: number): void {
    if (this.#hasRequest[i] === 0 && this.#schedule.isDue(this.nowUs))
      this.#schedule.take(this.nowUs)
    this.#error(i, kind)
    this.#settle(i)
    this.#retryLater(i)
  }

  #retryLater(i: number): void {
    this.#phase[i] = IDLE
    this.#deadlineUs[i] = this.nowUs + RETRY_US
  }

  /** Connection `i` is closed; what now? */
  #again(i: number): void {
    const isStranger = this.#phase[i] === WAITING && this.#hasAnswered[i] === 0
    if (isStranger) this.tally.unused++
    this.#phase[i] = IDLE
    if (this.#schedule.isOver(this.nowUs)) this.#retire(i)
    else if (isStranger) this.#retryLater(i)
    else this.#anew(i)
  }

  #anew(i: number): void {
    if (this.#options.keepAlive) this.#open(i)
    else this.#ready(i)
  }

  /** It is closed, and nothing begins any more. */
  #retire(i: number): void {
    this.#phase[i] = RETIRED
    this.#deadlineUs[i] = NEVER
  }

  #isOpen(i: number): boolean {
    const phase = this.#phase[i]
    return phase === WAITING ? this.#options.keepAlive : phase >= OPENING
  }

  #lookAtDeadlines(): void {
    const { nowUs } = this
    for (let left = BURST; this.#looked < this.#begun; this.#looked++) {
      if (this.#deadlineUs[this.#looked] > nowUs) continue
      if (left-- === 0) return
      this.#onDeadline(this.#looked)
    }
    this.#looked = 0
    this.#lookUs = nowUs + LOOK_US
  }

  #onDeadline(i: number): void {
    const phase = this.#phase[i]
    this.#deadlineUs[i] = NEVER
    if (phase === IDLE) this.#again(i)
    else if (phase === OPENING) {
      this.#transport.abort(i)
      this.#refused(i, TIMEOUT)
    } else if (phase === ENDING) {
      this.#transport.close(i)
      this.#again(i)
    } else if (phase === ASKED || phase === READING) this.#fail(i, TIMEOUT)
  }

  /** Nobody is there, and never was. */
  #isHopeless(): boolean {
    const { opened, errors } = this.tally
    const attempts = Math.min(this.#options.connections, OPENING_MAX)
    return opened === 0 && errors[CONNECT] + errors[TIMEOUT] >= attempts
  }

  #isOverdue(): boolean {
    return this.nowUs >= this.#overUs + this.#options.graceUs
  }
}
