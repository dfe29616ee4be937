/**
 * When each client of a crowd has something to do: one deadline each, at most a second and a half
 * ahead.
 */
import { assert } from '@sandstorm/libnmio'

const DAYS = 2048
const NONE = -1

export class Calendar {
  readonly #first = new Int32Array(DAYS).fill(NONE)
  readonly #next: Int32Array
  readonly #prev: Int32Array
  /** By client: its day, −1 if it waits for nothing. */
  readonly #day: Int32Array
  #count = 0
  #today: number

  constructor(capacity: number, nowMs: number) {
    this.#today = nowMs
    this.#next = new Int32Array(capacity)
    this.#prev = new Int32Array(capacity)
    this.#day = new Int32Array(capacity).fill(NONE)
  }

  set(i: number, atMs: number): void {
    this.clear(i)
    assert(atMs - this.#today < DAYS, 'a deadline is less than two seconds ahead')
    const day = atMs % DAYS
    const next = this.#first[day]
    this.#next[i] = next
    this.#prev[i] = NONE
    if (next !== NONE) this.#prev[next] = i
    this.#first[day] = i
    this.#day[i] = day
    this.#count++
  }

  clear(i: number): void {
    const day = this.#day[i]
    if (day === NONE) return
    const next = this.#next[i]
    const prev = this.#prev[i]
    if (prev === NONE) this.#first[day] = next
    else this.#next[prev] = next
    if (next !== NONE) this.#prev[next] = prev
    this.#day[i] = NONE
    this.#count--
  }

  /** A client whose time has come by `nowMs`, or −1: call until then. */
  pop(nowMs: number): number {
    if (this.#count === 0) this.#today = nowMs
    for (; this.#today <= nowMs; this.#today++) {
      const i = this.#first[this.#today % DAYS]
      if (i === NONE) continue
      this.clear(i)
      return i
    }
    return NONE
  }

  /** Milliseconds until the next deadline, −1: there is none. */
  idleMs(nowMs: number): number {
    if (this.#count === 0) return NONE
    let at = this.#today
    while (this.#first[at % DAYS] === NONE) at++
    return Math.max(0, at - nowMs)
  }
}
