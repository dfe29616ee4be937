/**
 * The body of one request that an origin answers, as it comes to a connection of our TCP: where it
 * ends, sized or in chunks, and how much of it waits on the main thread for the origin's client.
 * The client's receive window is held to what is left of WINDOW_BYTES.
 *
 * Invariant: of a client that keeps to its window, WINDOW_BYTES and one receive window wait at
 * most.
 */
import { IN_CHUNKS } from '../front/forwardRequest.ts'
import { ChunkDecoder } from '../http/chunkDecoder.ts'
import type { HttpLimits } from '../http/limits.ts'
import { BODY_STEP_BYTES } from './limits.ts'
import { pieceBytes } from './requestBody.ts'
import { REQUEST_BUFFER_BYTES } from './requestBuffers.ts'

const WINDOW_BYTES = 256 * 1024
const NOTHING = new Uint8Array()

export class IncomingBody {
  /** What the last call of `take` took for the origin; a copy. */
  content: Uint8Array = NOTHING
  /** Nobody wants the rest: it is read over. */
  isDropped = false
  /** Bytes that are still to come; IN_CHUNKS to the last. */
  #left: number
  readonly #chunks: ChunkDecoder | undefined
  /** On the main thread, with what the pieces take there. */
  #waiting = 0
  #stepBytes = 0

  /** `length`: bytes that are to come, or IN_CHUNKS. */
  constructor(length: number, { bodyBytes, headBytes }: HttpLimits) {
    this.#left = length
    this.#chunks = length === IN_CHUNKS ? new ChunkDecoder(bodyBytes, headBytes) : undefined
  }

  get isChunked(): boolean {
    return this.#chunks !== undefined
  }

  get isOver(): boolean {
    return this.#chunks?.isOver ?? this.#left === 0
  }

  /** It is malformed or too large: the status to answer with; 0: neither. */
  get refused(): number {
    return this.#chunks?.refused ?? 0
  }

  /** What the client may send. */
  get window(): number {
    const left = this.isDropped ? REQUEST_BUFFER_BYTES : WINDOW_BYTES - this.#waiting
    return Math.max(0, Math.min(REQUEST_BUFFER_BYTES, left))
  }

  /** It is not the client that is slow. */
  get waitsForOrigin(): boolean {
    return this.window < REQUEST_BUFFER_BYTES
  }

  /** Takes what bytes[off, end) have of it; returns how many bytes that are. */
  take(bytes: Uint8Array, off: number, end: number): number {
    this.content = NOTHING
    const taken =
      this.#chunks === undefined
        ? this.#takeSized(bytes, off, end)
        : this.#takeChunks(this.#chunks, bytes, off, end)
    if (this.content.length > 0) this.#waiting += pieceBytes(this.content.length)
    this.#stepBytes += taken
    return taken
  }

  /** The origin's client has taken so much, as RequestBody counts it. */
  onTaken(bytes: number): void {
    this.#waiting -= bytes
  }

  /** Has enough come since this was last true? */
  isStep(): boolean {
    if (this.#stepBytes < BODY_STEP_BYTES) return false
    this.#stepBytes = 0
    return true
  }

  #takeSized(bytes: Uint8Array, off: number, end: number): number {
    const count = Math.min(this.#left, end - off)
    this.#left -= count
    if (!this.isDropped) this.content = bytes.slice(off, off + count)
    return count
  }

  #takeChunks(chunks: ChunkDecoder, bytes: Uint8Array, off: number, end: number): number {
    if (this.isDropped) return chunks.skip(bytes, off, end) - off
    const copy = bytes.slice(off, end)
    const taken = chunks.gather(copy, 0, copy.length)
    // A view would take all of its buffer along to the other thread.
    this.content = copy.slice(chunks.dataOff, chunks.dataEnd)
    return taken
  }
}
