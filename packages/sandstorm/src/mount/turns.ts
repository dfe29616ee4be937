/**
 * Whose turn it is to write a part of an answer from disk: one at a time, and between two of them
 * the event loop looks for requests. What is in memory is then answered between the parts of large
 * answers, not behind those of all sockets that have room just now.
 *
 * Invariant: of all that wait none waits for more than one turn of each of the others.
 */
export class Turns {
  /** Oldest first. */
  readonly #waiting: (() => void)[] = []

  /** Settles when it is the caller's turn, for what it does at once. */
  next(): Promise<void> {
    return new Promise(resolve => {
      this.#waiting.push(resolve)
      if (this.#waiting.length === 1) setImmediate(this.#take)
    })
  }

  readonly #take = (): void => {
    this.#waiting.shift()?.()
    if (this.#waiting.length > 0) setImmediate(this.#take)
  }
}
