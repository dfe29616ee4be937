/**
 * The body of one answer of the kernel mount that is not in memory: piece by piece from the pager
 * to the socket, one more only when the last is nearly sent, and in parts between which others have
 * their turn. The head waits for the first piece, since there may be none. The connection answers
 * nothing else until `onEnd` or `onNone`; unless it is cancelled, one of them is called, once, or
 * the socket is reset.
 */
import type { Socket } from 'node:net'
import type { Holds } from '../content/holds.ts'
import type { Piece } from '../content/pager.ts'
import type { KernelSender } from './kernelSender.ts'
import type { Turns } from './turns.ts'

/**
 * Written in one turn of the event loop. An extent at once takes up to 0.2 ms of it, and the
 * sockets of many clients get room at the same time: beside 64 that took 1 MiB/s each, the p99 of
 * 22 KB from memory was 31 ms, with turns it is 3.9 ms; alone it was 1.5 to 3 (2 virtual cores of a
 * busy machine, 2026-11-29).
 */
const WRITE_BYTES = 64 << 10

export interface KernelFeedOptions {
  readonly socket: Pick<Socket, 'writableNeedDrain' | 'resetAndDestroy'>
  readonly sender: Pick<KernelSender, 'body'>
  readonly pieces: AsyncGenerator<Piece>
  /** Whose body it is: held until it is over, so that its file is known. */
  readonly image: number
  readonly holds: Holds
  /** Of all feeds of the mount. */
  readonly turns: Turns
  /** The connection ends behind it. */
  readonly close: boolean
  /** The head of the request. */
  readonly request: Uint8Array
  /** The body is about to be written: the head goes first. */
  readonly onBegin: () => void
  /** All is written. */
  readonly onEnd: () => void
  /** Nothing of the body can be had, and nothing is written. */
  readonly onNone: () => void
}

export class KernelFeed {
  /** The connection ends behind it. */
  close: boolean
  readonly #options: KernelFeedOptions
  /** Something is written. */
  hasBegun = false
  readonly request: Uint8Array
  #isOver = false
  /** Set while the socket has more than it wants. */
  #onDrain: (() => void) | undefined

  constructor(options: KernelFeedOptions) {
    this.#options = options
    this.close = options.close
    this.request = options.request
    options.holds.hold(options.image)
    void this.#run()
  }

  /** The client does not take what it is sent; else it is the disk that is waited for. */
  get waitsForClient(): boolean {
    return this.#onDrain !== undefined
  }

  /** The socket has room again. */
  drained(): void {
    this.#onDrain?.()
  }

  /** Ends it as it stands. */
  cancel(): void {
    this.#isOver = true
    this.#onDrain?.()
  }

  /**
   * A file that changes, or can't be read, cuts an answer that has begun: nobody must take it for
   * whole.
   */
  async #run(): Promise<void> {
    const { socket, pieces, onEnd, onNone, image, holds } = this.#options
    try {
      for await (const piece of pieces) {
        try {
          await this.#write(piece)
        } finally {
          piece.release()
        }
        if (this.#isOver) return
      }
      if (this.#isOver) return
      this.#begin()
    } catch {
      if (this.hasBegun) socket.resetAndDestroy()
      else if (!this.#isOver) onNone()
      return
    } finally {
      holds.release(image)
    }
    this.#isOver = true
    onEnd()
  }

  #begin(): void {
    if (!this.hasBegun) this.#options.onBegin()
    this.hasBegun = true
  }

  /** Writes a piece, in parts of which each has its turn. */
  async #write({ image, from, end }: Piece): Promise<void> {
    const { socket, sender, turns } = this.#options
    for (let at = from; at < end; at += WRITE_BYTES) {
      await turns.next()
      if (this.#isOver) return
      this.#begin()
      sender.body(image, at, Math.min(end, at + WRITE_BYTES))
      if (socket.writableNeedDrain) await this.#room()
      if (this.#isOver) return
    }
  }

  /** Until the socket wants more, or it is over. */
  async #room(): Promise<void> {
    await new Promise<void>(resolve => {
      this.#onDrain = resolve
    })
    this.#onDrain = undefined
  }
}
