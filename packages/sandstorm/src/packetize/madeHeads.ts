/**
 * Heads made for one answer (http/parts.ts), kept until its last byte is acknowledged, since any of
 * them may have to be sent again. With each goes the slice of a ready image's body that follows it.
 * A bounded pool: who finds it empty gets the whole image instead.
 */
import type { Region } from '@sandstorm/libnmio'
import { HEAD_LEN, IMAGE_OFF } from '../content/image.ts'
import { PART_HEAD_MAX } from '../http/parts.ts'

export const MADE_HEAD_COUNT = 2048
/** No slot. */
export const NO_HEAD = -1

export class MadeHeads {
  // By slot: bytes of the head, the image whose body follows, and from which byte of the body on
  readonly len: Int32Array = new Int32Array(MADE_HEAD_COUNT)
  readonly image: Int32Array = new Int32Array(MADE_HEAD_COUNT)
  readonly from: Int32Array = new Int32Array(MADE_HEAD_COUNT)
  readonly #images: Int32Array
  readonly #base: number
  readonly #free: Int32Array = new Int32Array(MADE_HEAD_COUNT)
  #freeCount: number = MADE_HEAD_COUNT

  constructor(region: Region, images: Int32Array) {
    this.#images = images
    this.#base = region.reserve(MADE_HEAD_COUNT * PART_HEAD_MAX)
    for (let i = 0; i < MADE_HEAD_COUNT; i++) this.#free[i] = MADE_HEAD_COUNT - 1 - i
  }

  get freeCount(): number {
    return this.#freeCount
  }

  get usedCount(): number {
    return MADE_HEAD_COUNT - this.#freeCount
  }

  /** Byte offset of a slot's PART_HEAD_MAX bytes in the region. */
  offOf(slot: number): number {
    return this.#base + slot * PART_HEAD_MAX
  }

  /** Byte offset in the region of the body byte that follows the head. */
  bodyOff(slot: number): number {
    const image = this.image[slot]
    return this.#images[image + IMAGE_OFF] + this.#images[image + HEAD_LEN] + this.from[slot]
  }

  /** What to add to a place in the answer to get that byte's place in the image. */
  shiftOf(slot: number): number {
    return this.#images[this.image[slot] + HEAD_LEN] + this.from[slot] - this.len[slot]
  }

  /** A slot, or NO_HEAD. */
  alloc(): number {
    return this.#freeCount === 0 ? NO_HEAD : this.#free[--this.#freeCount]
  }

  free(slot: number): void {
    this.#free[this.#freeCount++] = slot
  }
}
