/** A queue of connections, first come, first served, in which each is at most once. */
export class Waiting {
  readonly #ring: Int32Array
  readonly #isIn: Uint8Array
  #first = 0
  #count = 0

  constructor(connections: number) {
    this.#ring = new Int32Array(connections)
    this.#isIn = new Uint8Array(connections)
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  push(i: number): void {
    if (this.#isIn[i] === 1) return
    this.#isIn[i] = 1
    this.#ring[(this.#first + this.#count) % this.#ring.length] = i
    this.#count++
  }

  /** The first, of a queue that is not empty. */
  shift(): number {
    const i = this.#ring[this.#first]
    this.#first = (this.#first + 1) % this.#ring.length
    this.#count--
    this.#isIn[i] = 0
    return i
  }
}
