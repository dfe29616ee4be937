/**
 * Frames on their way out, in the order of push, and which of their pieces the kernel still has: it
 * tells each piece's address when it is through with it, in whatever order.
 *
 * Invariant: pieces of frames under way begin in 2 KB of their own. Frames lie in cells of that
 * size or a larger power of two, and a further piece begins a chunk.
 */
import { assert } from '../assert.ts'
import { piecesOf, TX_SLOTS } from './layout.ts'

const MASK = TX_SLOTS - 1
const PLACE_SHIFT = 11

export class Underway {
  /** Where frames begin that `reclaim` has found, as Device.doneOff. */
  readonly doneOff: Int32Array = new Int32Array(TX_SLOTS)
  readonly #off: Int32Array = new Int32Array(TX_SLOTS)
  /** Pieces that the kernel has of each. */
  readonly #pieces: Uint8Array = new Uint8Array(TX_SLOTS)
  readonly #piecesMax: number
  /** By an address's 2 KB the slot of the frame whose piece begins there. */
  readonly #slotOf: Int32Array
  /** Slots [head, tail) are in use; both run on and wrap. */
  #head = 0
  #tail = 0

  /** For addresses below `umemLen`. */
  constructor(umemLen: number, mtu: number) {
    this.#slotOf = new Int32Array(umemLen >> PLACE_SHIFT)
    this.#piecesMax = piecesOf(mtu)
  }

  /** How many more frames can be under way. */
  get space(): number {
    return TX_SLOTS - ((this.#tail - this.#head) | 0)
  }

  /** A frame that begins at byte `off` of the region; its pieces follow. */
  begin(off: number): void {
    assert(((this.#tail - this.#head) | 0) < TX_SLOTS, 'the ring has space')
    const slot = this.#tail & MASK
    this.#off[slot] = off
    this.#pieces[slot] = 0
    this.#tail = (this.#tail + 1) | 0
  }

  /** A piece of the last frame. */
  addPiece(address: number): void {
    const slot = (this.#tail - 1) & MASK
    assert(
      this.#pieces[slot] < this.#piecesMax,
      'a frame has no more pieces than the rings have room for',
    )
    this.#pieces[slot]++
    this.#slotOf[address >> PLACE_SHIFT] = slot
  }

  /** The kernel is through with a piece; true: it was the last of its frame. */
  complete(address: number): boolean {
    const slot = this.#slotOf[address >> PLACE_SHIFT]
    // None: the frame was a dead thread's.
    return this.#pieces[slot] > 0 && --this.#pieces[slot] === 0
  }

  /** Nobody will send what is under way any more; returns how many frames that are. */
  giveUp(): number {
    let count = 0
    for (let i = this.#head; i !== this.#tail; i = (i + 1) | 0) {
      if (this.#pieces[i & MASK] > 0) count++
      this.#pieces[i & MASK] = 0
    }
    return count
  }

  /** As Device.reclaim. */
  reclaim(): number {
    let count = 0
    while (this.#head !== this.#tail && this.#pieces[this.#head & MASK] === 0) {
      this.doneOff[count++] = this.#off[this.#head & MASK]
      this.#head = (this.#head + 1) | 0
    }
    return count
  }
}
