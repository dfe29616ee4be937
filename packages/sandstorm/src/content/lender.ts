/**
 * Bytes that are sent once and then forgotten (an origin's answer that is passed on), as pieces
 * like those of files (pager.ts): copied to a place in the region for as long as a reader needs
 * them there.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { NO_IMAGE } from './image.ts'
import type { ImageStore } from './imageStore.ts'
import { EXTENT_BYTES, type Piece } from './pager.ts'

/** When everything is lent: how soon to look again. */
const WAIT_MS = 10

interface Loan {
  readonly image: number
  readonly len: number
  /** Not wanted by who asked for it; a reader may still hold it. */
  isReleased: boolean
}

export class Lender {
  readonly #store: ImageStore
  readonly #bytesMax: number
  readonly #makeRoom: () => boolean
  #loans: Loan[] = []
  #bytes = 0
  /** Told that `reclaim` has something to wait for. */
  onLent: () => void = () => {}

  /**
   * Lends `bytesMax` of the store at most, at one time. `makeRoom` gives up something that is only
   * kept for later; false: there is nothing.
   */
  constructor(store: ImageStore, bytesMax: number, makeRoom: () => boolean) {
    this.#store = store
    this.#makeRoom = makeRoom
    this.#bytesMax = Math.max(bytesMax, EXTENT_BYTES)
  }

  get lentCount(): number {
    return this.#loans.length
  }

  /** `bytes` in pieces of EXTENT_BYTES at most; waits while too much is lent. */
  async *pieces(bytes: Uint8Array): AsyncGenerator<Piece> {
    for (let at = 0; at < bytes.length; at += EXTENT_BYTES) {
      yield await this.#lend(bytes.subarray(at, at + EXTENT_BYTES))
    }
  }

  async #lend(bytes: Uint8Array): Promise<Piece> {
    const len = bytes.length
    let image = this.#place(len)
    while (image === NO_IMAGE) {
      await sleep(WAIT_MS)
      image = this.#place(len)
    }
    this.#store.region.bytes.set(bytes, this.#store.bodyOff(image))
    const loan: Loan = { image, len, isReleased: false }
    this.#loans.push(loan)
    this.onLent()
    const release = (): void => {
      loan.isReleased = true
    }
    return { image, from: 0, end: len, release }
  }

  /** A place, what is not needed any more given back first; NO_IMAGE: there is none. */
  #place(len: number): number {
    this.reclaim()
    if (this.#bytes + len > this.#bytesMax) return NO_IMAGE
    let image = this.#store.addPiece(len)
    while (image === NO_IMAGE && this.#makeRoom()) image = this.#store.addPiece(len)
    if (image !== NO_IMAGE) this.#bytes += len
    return image
  }

  /** Takes back what nobody needs any more. Call it again while something is lent. */
  reclaim(): void {
    this.#loans = this.#loans.filter(({ image, len, isReleased }) => {
      if (!isReleased || this.#store.isHeld(image)) return true
      this.#store.discard(image)
      this.#bytes -= len
      return false
    })
  }
}
