/**
 * How long answers take, from the request's last byte to the acknowledgment of the answer's: of one
 * at a time, since a time for each would cost every connection memory. The next one is timed when
 * the last has ended, so slow clients are no more often looked at than others, but take the place
 * longer.
 */
import type { Histogram } from '../admin/histogram.ts'
import { NO_ANSWER } from '../packetize/answers.ts'

export class AnswerSample {
  readonly #durations: Histogram | undefined
  #answer: number = NO_ANSWER
  #beginUs = 0

  /** Without `durations` nothing is timed. */
  constructor(durations: Histogram | undefined) {
    this.#durations = durations
  }

  /** Answer `a` is queued. */
  begin(a: number, nowUs: number): void {
    if (this.#answer !== NO_ANSWER || this.#durations === undefined) return
    this.#answer = a
    this.#beginUs = nowUs
  }

  /** All of answer `a` is acknowledged. */
  end(a: number, nowUs: number): void {
    if (a !== this.#answer || this.#durations === undefined) return
    this.#durations.observe((nowUs - this.#beginUs) | 0)
  }

  /** Its record is given back, acknowledged or not. */
  forget(a: number): void {
    if (a === this.#answer) this.#answer = NO_ANSWER
  }
}
