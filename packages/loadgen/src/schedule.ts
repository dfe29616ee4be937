/**
 * When requests begin. Closed loop: as soon as a connection is free, so a slow server is asked
 * less. Open loop: at times that are fixed beforehand, whatever the server does; who waits for a
 * free connection has begun to wait at the intended time, and a latency counts from there.
 * Otherwise a server that stalls would hide how many it kept waiting: Gil Tene's "coordinated
 * omission", as wrk2 avoids it.
 */
import { assert } from '@sandstorm/libnmio'

/** How many requests, for how long, at what rate. */
export interface SchedulePlan {
  /** Requests in all; 0: any number. */
  readonly count: number
  /** No request begins so long after the first, microseconds; 0: no limit. */
  readonly durationUs: number
  /** Requests a second; 0: closed loop. */
  readonly rate: number
  /** Of the first intended time, microseconds: so that several threads take turns. */
  readonly offsetUs?: number
}

/** When requests are due: at once, or at fixed times. */
export class Schedule {
  readonly isOpenLoop: boolean
  readonly #count: number
  readonly #durationUs: number
  readonly #intervalUs: number
  readonly #offsetUs: number
  #startUs = 0
  #hasBegun = false
  #taken = 0

  constructor(plan: SchedulePlan) {
    const { count, durationUs, rate, offsetUs = 0 } = plan
    assert(count > 0 || durationUs > 0, 'a schedule has an end')
    this.isOpenLoop = rate > 0
    this.#count = count > 0 ? count : Number.POSITIVE_INFINITY
    this.#durationUs = durationUs > 0 ? durationUs : Number.POSITIVE_INFINITY
    this.#intervalUs = rate > 0 ? 1e6 / rate : 0
    this.#offsetUs = offsetUs
  }

  /** From now on, a clock's microseconds, requests may begin. */
  begin(nowUs: number): void {
    this.#startUs = nowUs
    this.#hasBegun = true
  }

  get hasBegun(): boolean {
    return this.#hasBegun
  }

  /** Microseconds since the beginning; 0 before. */
  elapsedUs(nowUs: number): number {
    return this.#hasBegun ? nowUs - this.#startUs : 0
  }

  /** Nothing begins any more. */
  isOver(nowUs: number): boolean {
    return this.#taken >= this.#count || this.elapsedUs(nowUs) >= this.#durationUs
  }

  /** May a request begin now? */
  isDue(nowUs: number): boolean {
    if (!this.#hasBegun || this.isOver(nowUs)) return false
    return !this.isOpenLoop || this.#nextUs() <= nowUs
  }

  /** Takes the next request; when it was meant to begin: now, or earlier in an open loop. */
  take(nowUs: number): number {
    const startUs = this.isOpenLoop ? this.#nextUs() : nowUs
    this.#taken++
    return startUs
  }

  /** Microseconds until a request is due, 0: now; -1: no time will bring one. */
  waitUs(nowUs: number): number {
    if (!this.isOpenLoop || !this.#hasBegun || this.isOver(nowUs)) return -1
    const wait = this.#nextUs() - nowUs
    return wait > 0 ? wait : 0
  }

  /** Requests of an open loop that were due, and nobody was free to take them. */
  overdue(nowUs: number): number {
    if (!this.isOpenLoop || !this.#hasBegun) return 0
    const elapsed = Math.min(this.elapsedUs(nowUs), this.#durationUs) - this.#offsetUs
    const due = Math.min(Math.ceil(elapsed / this.#intervalUs), this.#count)
    return Math.max(0, due - this.#taken)
  }

  #nextUs(): number {
    return this.#startUs + this.#offsetUs + this.#taken * this.#intervalUs
  }
}
