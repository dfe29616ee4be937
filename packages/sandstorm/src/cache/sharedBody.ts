/**
 * The body of one fetch, read by any number of clients while it comes and kept for the store. While
 * it is kept, the origin is read as fast as it sends, and a client may join late. If it proves too
 * large to be stored, it is a stream through a window: the slowest reader sets the pace, nobody
 * joins, and with the last reader the fetch ends.
 *
 * Invariant: `whole` resolves with bytes only if the origin sent all that it had promised.
 */
import { type OriginAnswer, OriginError } from './origin.ts'

/** Bytes that a body which is not kept holds for its slowest reader. */
const WINDOW_BYTES = 256 * 1024

/** Memory that all bodies under way may use together. */
export class FillBudget {
  used = 0
  readonly max: number
  constructor(max: number) {
    this.max = max
  }
}

interface Reader {
  /** Number of the next chunk. */
  at: number
}

export class SharedBody {
  /**
   * The whole body; undefined if it grew too large to be stored or its readers left; rejects if the
   * origin failed.
   */
  readonly whole: Promise<Uint8Array | undefined>
  readonly #answer: OriginAnswer
  readonly #objectBytes: number
  readonly #budget: FillBudget
  readonly #readers = new Set<Reader>()
  #chunks: Uint8Array[] = []
  /** Number of the first chunk held. */
  #first = 0
  #heldBytes = 0
  #isKept = true
  /** Its first reader has come, or is known not to come. */
  #isOpen = false
  #isDone = false
  #error: unknown
  #wake: () => void = () => {}
  #changed: Promise<void> = Promise.resolve()

  constructor(answer: OriginAnswer, objectBytes: number, budget: FillBudget) {
    this.#answer = answer
    this.#objectBytes = objectBytes
    this.#budget = budget
    this.#renew()
    this.whole = this.#pump()
    this.whole.catch(() => {}) // readers are told by themselves
  }

  /** May a client that comes now read it from its first byte? */
  get canJoin(): boolean {
    return this.#isKept && this.#error === undefined
  }

  /** A reader from the first byte on; only while `canJoin`. It must be read or left. */
  read(): AsyncIterableIterator<Uint8Array> {
    const reader: Reader = { at: this.#first }
    this.#readers.add(reader)
    this.open()
    const leave = async (): Promise<IteratorResult<Uint8Array>> => {
      if (this.#readers.delete(reader)) this.#notify()
      return { done: true, value: undefined }
    }
    const iterator: AsyncIterableIterator<Uint8Array> = {
      next: () => this.#next(reader, leave),
      return: leave,
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  /** No reader needs to be waited for. */
  open(): void {
    this.#isOpen = true
    this.#notify()
  }

  async #next(
    reader: Reader,
    leave: () => Promise<IteratorResult<Uint8Array>>,
  ): Promise<IteratorResult<Uint8Array>> {
    while (reader.at === this.#first + this.#chunks.length) {
      if (!this.#readers.has(reader)) throw new OriginError('aborted', 'the reader has left')
      if (this.#isDone) {
        await leave()
        if (this.#error !== undefined) throw this.#error
        return { done: true, value: undefined }
      }
      await this.#changed
    }
    const value = this.#chunks[reader.at++ - this.#first]
    if (!this.#isKept) this.#notify()
    return { done: false, value }
  }

  async #pump(): Promise<Uint8Array | undefined> {
    try {
      for await (const chunk of this.#answer.body) {
        if (chunk.length === 0) continue
        this.#add(chunk)
        if (this.#isKept || (await this.#hasRoom())) continue
        this.#error = new OriginError('aborted', 'all readers have left')
        return undefined
      }
      return this.#isKept ? joined(this.#chunks, this.#heldBytes) : undefined
    } catch (error) {
      this.#error = error
      throw error
    } finally {
      if (this.#isKept) this.#budget.used -= this.#heldBytes
      this.#isDone = true
      this.#notify()
    }
  }

  #add(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.#heldBytes += chunk.length
    if (this.#isKept) {
      this.#budget.used += chunk.length
      const isTooLarge = this.#heldBytes > this.#objectBytes
      if (isTooLarge || this.#budget.used > this.#budget.max) {
        this.#isKept = false
        this.#budget.used -= this.#heldBytes
      }
    }
    this.#notify()
  }

  /** Waits until the window has room; false if all readers have left. */
  async #hasRoom(): Promise<boolean> {
    for (;;) {
      let slowest = Number.POSITIVE_INFINITY
      for (const reader of this.#readers) slowest = Math.min(slowest, reader.at)
      if (this.#readers.size === 0 && this.#isOpen) return false
      while (this.#readers.size > 0 && this.#first < slowest) {
        this.#heldBytes -= this.#chunks.shift()!.length
        this.#first++
      }
      if (this.#heldBytes < WINDOW_BYTES) return true
      await this.#changed
    }
  }

  #notify(): void {
    this.#wake()
    this.#renew()
  }

  #renew(): void {
    this.#changed = new Promise(resolve => {
      this.#wake = resolve
    })
  }
}

/** In memory of its own: a Buffer of a few bytes would keep a whole shared block. */
function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length)
  let off = 0
  for (const chunk of chunks) {
    whole.set(chunk, off)
    off += chunk.length
  }
  return whole
}
