/**
 * The body of a request on its way from a connection to an origin. The connection puts in what
 * comes, the origin's client takes it out; between them lie ROOM_BYTES and what was read at once,
 * then the connection waits. What has no length, a body in chunks, lasts until `end` is called.
 *
 * Invariant: exactly the promised bytes come out, or an error.
 */
const ROOM_BYTES = 64 * 1024
/** What a piece takes beside its bytes: a client may send a byte at a time. */
const PIECE_BYTES = 512

/** What a piece of so many bytes takes of the room. */
export const pieceBytes = (bytes: number): number => bytes + PIECE_BYTES

export class RequestBody implements AsyncIterable<Uint8Array> {
  /** Bytes that are still to come from the client. */
  left: number
  readonly #onTaken: (bytes: number) => void
  readonly #roomBytes: number
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #error: Error | undefined
  /** Nobody reads it any more: what comes is dropped. */
  #isLeft = false
  #wake: () => void = () => {}

  /** `onTaken` is told what became free (pieceBytes); between the two lie `roomBytes`. */
  constructor(length: number, onTaken: (bytes: number) => void, roomBytes: number = ROOM_BYTES) {
    this.left = length
    this.#onTaken = onTaken
    this.#roomBytes = roomBytes
  }

  /** Would `put` take anything? */
  get hasRoom(): boolean {
    return this.#queuedBytes < this.#roomBytes
  }

  /**
   * Takes body from chunk[off…]; returns how many bytes, 0 if it has them all or there is no room.
   */
  put(chunk: Uint8Array, off: number): number {
    if (!this.hasRoom) return 0
    const count = Math.min(this.left, chunk.length - off)
    if (count === 0) return 0
    this.left -= count
    this.#queue.push(chunk.subarray(off, off + count))
    this.#queuedBytes += pieceBytes(count)
    if (this.#isLeft) this.#take(1)
    this.#wake()
    return count
  }

  /** All has come of a body without a length. */
  end(): void {
    this.left = 0
    this.#wake()
  }

  /** The rest does not come. */
  fail(): void {
    this.#error ??= new Error('the body of the request broke off')
    this.#wake()
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: () => this.#next(),
      return: async () => {
        this.#isLeft = true
        this.#take(this.#queue.length)
        return { done: true, value: undefined }
      },
    }
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    while (this.#queue.length === 0) {
      if (this.left === 0 || this.#isLeft) return { done: true, value: undefined }
      if (this.#error !== undefined) throw this.#error
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    return { done: false, value: this.#take(1)[0] }
  }

  #take(count: number): Uint8Array[] {
    const taken = this.#queue.splice(0, count)
    const bytes = taken.reduce((sum, { length }) => sum + pieceBytes(length), 0)
    this.#queuedBytes -= bytes
    if (bytes > 0) this.#onTaken(bytes)
    return taken
  }
}
