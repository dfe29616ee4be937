/** One time limit at a time: a new one takes the place of the last. */
export class Deadline {
  #timer: NodeJS.Timeout | undefined
  #isOff = false

  get isRunning(): boolean {
    return this.#timer !== undefined
  }

  start(ms: number, onOver: () => void): void {
    this.stop()
    if (!this.#isOff) this.#timer = setTimeout(onOver, ms)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Nothing is waited for any more. */
  end(): void {
    this.stop()
    this.#isOff = true
  }
}
