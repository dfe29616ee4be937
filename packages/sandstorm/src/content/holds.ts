/**
 * What a reader of the content (a packet thread, or the kernel mount) still needs of it: for each
 * image how many of its answers are under way, and which generation it looks things up in. The
 * reader writes, the main thread reads: an image that a newer generation does not have any more is
 * free when every reader has gone on to that generation and has no answer of it under way.
 *
 * Word 0 is the generation, word 1 the number of the last mail about hits (hits.ts) that was heard,
 * then there is a count for each image. Once a reader has gone on, counts of images that it can no
 * longer find only fall, so a zero that was seen stays true.
 */
import { IMAGE_STRIDE } from './image.ts'

/** Words before the counts. */
const HEADER = 2

export class Holds {
  readonly #words: Int32Array

  /** Memory for `allocate`d counts; attach to it in both threads. */
  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared)
  }

  /** For a table of `records` images. Memory is taken as it is touched. */
  static allocate(records: number): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * (HEADER + records))
  }

  /** The reader looks things up in this generation from now on. */
  adopt(generation: number): void {
    Atomics.store(this.#words, 0, generation)
  }

  get generation(): number {
    return Atomics.load(this.#words, 0)
  }

  /** The reader knows what this mail, and all before it, has said of hits. */
  hear(number: number): void {
    Atomics.store(this.#words, 1, number)
  }

  get heard(): number {
    return Atomics.load(this.#words, 1)
  }

  /** One answer more needs the image. */
  hold(image: number): void {
    this.#words[HEADER + ((image / IMAGE_STRIDE) | 0)]++
  }

  /** One answer less. */
  release(image: number): void {
    this.#words[HEADER + ((image / IMAGE_STRIDE) | 0)]--
  }

  isHeld(image: number): boolean {
    return this.#words[HEADER + ((image / IMAGE_STRIDE) | 0)] !== 0
  }
}
