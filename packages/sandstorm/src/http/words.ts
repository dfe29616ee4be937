/**
 * Bytes of a request seen as words of four, so that what nearly every client sends is told by fewer
 * steps than it has bytes.
 */
import { NO_BYTES } from '../content/slices.ts'

/** A view of the array that was read last: a mount has most heads in one. */
export class Words {
  #bytes: Uint8Array = NO_BYTES
  #view: DataView = new DataView(NO_BYTES.buffer)

  /** The same bytes, at the same offsets; made anew only when the array is another. */
  viewOf(bytes: Uint8Array): DataView {
    if (bytes === this.#bytes) return this.#view
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return this.#view
  }
}

/**
 * Is one of the four bytes of `word` a control character (TAB, too) or DELETE? A byte's highest bit
 * gets set where taking 32 from it borrows; likewise 1 from what is 0 where it is DELETE. Not by a
 * byte of 128 or more, which is text.
 */
export function hasControls(word: number): boolean {
  const deletes = word ^ 0x7f7f7f7f
  const controls = (word - 0x20202020) & ~word
  return ((controls | ((deletes - 0x01010101) & ~deletes)) & 0x80808080) !== 0
}
