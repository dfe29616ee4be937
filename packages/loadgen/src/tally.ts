/**
 * What was counted: answers, errors by kind, and how long everything took. Plain numbers that
 * several threads count each for itself, and that are added up in the end.
 */
import { Histogram, type HistogramData } from './histogram.ts'

/** No connection came to be. */
export const CONNECT = 0
/** No answer, or not all of it, in time. */
export const TIMEOUT = 1
/** The connection ended before the answer began, or by a reset. */
export const RESET = 2
/** 400 or above. */
export const STATUS = 3
/** A body that is shorter or longer than its head said, or than the first answer's. */
export const LENGTH = 4
/** A body that is not the first answer's. */
export const CHECKSUM = 5
/** What came is no HTTP/1.1. */
export const PROTOCOL = 6
export const ERROR_NAMES = [
  'connect',
  'timeout',
  'reset',
  'status',
  'length',
  'checksum',
  'protocol',
] as const

/** A tally as plain data, from one thread to another. */
export interface TallyData {
  readonly answers: number
  readonly checked: number
  readonly bytes: number
  readonly opened: number
  readonly unused: number
  readonly unfinished: number
  readonly unsent: number
  readonly seconds: number
  readonly openingSeconds: number
  readonly bodyBytes: number
  readonly hash: number
  readonly errors: Float64Array
  readonly statuses: Float64Array
  readonly latency: HistogramData
  readonly connect: HistogramData
  readonly firstByte: HistogramData
}

/** What was counted; tallies of threads can be added. */
export class Tally {
  /** Whole answers, right or wrong. */
  answers = 0
  /** Of these, bodies that were compared byte for byte, by their hash. */
  checked = 0
  /** Bytes received: heads, bodies and their framing. */
  bytes = 0
  /** Connections that came to be. */
  opened = 0
  /** Of these, closed by the server before their first request. */
  unused = 0
  /** Requests under way when it ended. */
  unfinished = 0
  /** Requests that were due when it ended, and were not sent. */
  unsent = 0
  seconds = 0
  /** With keep-alive, until all connections had been opened, before those. */
  openingSeconds = 0
  /** Of the first right answer, which the others are compared with; -1: there was none. */
  bodyBytes = -1
  /** Of the first that was checked. */
  hash = 0
  readonly errors: Float64Array = new Float64Array(ERROR_NAMES.length)
  readonly statuses: Float64Array = new Float64Array(1000)
  readonly latency: Histogram = new Histogram()
  readonly connect: Histogram = new Histogram()
  readonly firstByte: Histogram = new Histogram()

  get errorCount(): number {
    return this.errors.reduce((sum, count) => sum + count, 0)
  }

  /**
   * Counts a whole answer; `isAll`: nothing came behind its end. True if nothing is wrong with it,
   * as far as its length tells.
   */
  addAnswer(status: number, bodyBytes: number, isAll: boolean): boolean {
    this.answers++
    this.statuses[status]++
    if (status >= 400) {
      this.errors[STATUS]++
      return false
    }
    if (this.bodyBytes < 0) this.bodyBytes = bodyBytes
    if (isAll && bodyBytes === this.bodyBytes) return true
    this.errors[LENGTH]++
    return false
  }

  /** Compares the hash of a body of the right length with the first. */
  check(hash: number): void {
    if (this.checked++ === 0) this.hash = hash
    if (hash !== this.hash) this.errors[CHECKSUM]++
  }

  /** Adds what another thread has counted; `seconds` become those of the longest. */
  add(other: TallyData): void {
    this.#compare(other)
    this.answers += other.answers
    this.checked += other.checked
    this.bytes += other.bytes
    this.opened += other.opened
    this.unused += other.unused
    this.unfinished += other.unfinished
    this.unsent += other.unsent
    this.seconds = Math.max(this.seconds, other.seconds)
    this.openingSeconds = Math.max(this.openingSeconds, other.openingSeconds)
    for (const [kind, count] of other.errors.entries()) this.errors[kind] += count
    for (const [status, count] of other.statuses.entries()) this.statuses[status] += count
    this.latency.add(other.latency)
    this.connect.add(other.connect)
    this.firstByte.add(other.firstByte)
  }

  data(): TallyData {
    const { openingSeconds, unused } = this
    const { answers, checked, bytes, opened, unfinished, unsent, seconds, bodyBytes, hash } = this
    return {
      ...{ answers, checked, bytes, opened, unfinished, unsent, seconds, bodyBytes, hash },
      ...{ openingSeconds, unused },
      errors: this.errors,
      statuses: this.statuses,
      latency: this.latency.data(),
      connect: this.connect.data(),
      firstByte: this.firstByte.data(),
    }
  }

  /** Each thread has compared with the first answer of its own. */
  #compare({ bodyBytes, hash, checked }: TallyData): void {
    if (bodyBytes < 0) return
    if (this.bodyBytes < 0) this.bodyBytes = bodyBytes
    else if (bodyBytes !== this.bodyBytes) this.errors[LENGTH]++
    if (checked === 0) return
    if (this.checked === 0) this.hash = hash
    else if (hash !== this.hash) this.errors[CHECKSUM]++
  }
}
