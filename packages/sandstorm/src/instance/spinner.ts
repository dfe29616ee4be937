/**
 * Whether to look again or to sleep when no frame has come. Falling asleep and being woken takes
 * some microseconds of both sides; a client that waits for its answer sends the next frame sooner.
 * So we look for a while, and whether that is any use we learn: each time in vain, twice as many
 * sleeps go by before it is tried again.
 */
export class Spinner {
  readonly #limitUs: number
  /** When frames last came. */
  #lastUs = 0
  /**
   * Times in vain, less half of them for each success; the next sleeps come without looking first.
   */
  #failures = 0
  #skip = 0
  #isLooking = false

  /** `limitUs`: for so long after the last frame; 0: never. */
  constructor(limitUs: number) {
    this.#limitUs = limitUs
  }

  /** Frames have come. */
  onFrames(nowUs: number): void {
    this.#lastUs = nowUs
    if (!this.#isLooking) return
    this.#isLooking = false
    this.#failures >>= 1
  }

  /** None has: true, if it is time to sleep. */
  shouldSleep(nowUs: number): boolean {
    if (this.#skip > 0) {
      this.#skip--
      return true
    }
    this.#isLooking = nowUs - this.#lastUs < this.#limitUs
    if (this.#isLooking) return false
    if (this.#failures < FAILURES_MAX) this.#failures++
    this.#skip = (1 << this.#failures) - 1
    return true
  }
}

/** A try in 256 sleeps at least. */
const FAILURES_MAX = 8
