/**
 * Layouts: how an image is cut into segments of one size, and what each segment sums to. An answer
 * that fits into one segment is one; of others frame 0 holds the head and a fixed number of body
 * bytes, so later frames depend on the body alone (a head beyond HEAD_ROOM just fills frames). The
 * segment size is taken from a short ladder, always below what the peer allows: a few layouts serve
 * every client, and memory per image is bounded whatever clients ask for.
 *
 * A layout is made when a client first needs it, and its payload is summed then, once
 * (paper §2: after the first client no work is repeated). One of an image that is no more is
 * forgotten when the record's next image needs one; its ready frames go as the least recently used
 * do.
 */
import { assert, NO_FRAME, type Region } from '@sandstorm/libnmio'
import { checksum } from '@sandstorm/libtcpip'
import type { Content } from '../content/content.ts'
import {
  BODY_LEN,
  CONNECTION_LEN,
  CONNECTION_OFF,
  HEAD_LEN,
  HEAD_ROOM,
  IMAGE_OFF,
  IMAGE_STRIDE,
  VERSION,
} from '../content/image.ts'
import type { Ledger } from './ledger.ts'

/**
 * Segment payloads: each fits a common MTU (9000, 1500, 1280, 576) with IPv4 or IPv6 headers and
 * with or without timestamps, but for the last, where 576 is an IPv4 size.
 */
export const LADDER: readonly number[] = [8928, 1428, 1208, 524]

assert(LADDER[LADDER.length - 1] > HEAD_ROOM, 'an ordinary head fits in frame 0 of every layout')

/** The largest ladder step within `mss`; below the ladder `mss` itself, without a layout. */
export function segmentBytes(mss: number): number {
  for (let i = 0; i < LADDER.length; i++) if (LADDER[i] <= mss) return LADDER[i]
  return mss
}

/** The part of the content, or of its store, that a layout is of. */
export type Images = Pick<Content, 'images' | 'region'>

export class Layout {
  readonly image: number
  /** Of the image: with another the record is another image's, and the layout is of no use. */
  readonly version: number
  readonly mss: number
  /** Payload bytes of frame 0. */
  readonly firstLen: number
  readonly totalLen: number
  readonly segmentCount: number
  /** Checksum share of each segment's payload, the head's patched fields left out. */
  readonly sums: Uint16Array
  /** By segment, the ready frame that was sent last; NO_FRAME where there is none (template.ts). */
  readonly newestFrame: Int32Array
  /** Ready frames of all segments. */
  frameCount = 0
  /** The segment at which eviction goes on. */
  evictAt = 0
  /** Neighbours in the order of last use. */
  newer: Layout | null = null
  older: Layout | null = null

  constructor(content: Images, image: number, mss: number) {
    const { images, region } = content
    const bodyLen = images[image + BODY_LEN]
    this.image = image
    this.version = images[image + VERSION]
    this.mss = mss
    this.totalLen = images[image + HEAD_LEN] + bodyLen
    const isOne = this.totalLen <= mss
    this.firstLen = isOne ? this.totalLen : firstLen(images[image + HEAD_LEN], mss)
    const headLen = images[image + HEAD_LEN]
    const patchedEnd = headLen === 0 ? 0 : images[image + CONNECTION_OFF] + CONNECTION_LEN
    assert(patchedEnd <= this.firstLen, 'what is patched lies in frame 0')
    this.segmentCount = 1 + Math.ceil((this.totalLen - this.firstLen) / mss)
    this.sums = new Uint16Array(this.segmentCount)
    this.newestFrame = new Int32Array(this.segmentCount).fill(NO_FRAME)
    this.#sum(region, images[image + IMAGE_OFF])
  }

  /** The segment that byte `at` of the answer lies in. */
  segmentAt(at: number): number {
    return at < this.firstLen ? 0 : 1 + (((at - this.firstLen) / this.mss) | 0)
  }

  /** Where segment `k` begins, counted from the answer's first byte. */
  startOf(k: number): number {
    return k === 0 ? 0 : this.firstLen + (k - 1) * this.mss
  }

  /** Where segment `k` ends. */
  endOf(k: number): number {
    const end = this.firstLen + k * this.mss
    return end < this.totalLen ? end : this.totalLen
  }

  #sum(region: Region, imageOff: number): void {
    for (let k = 0; k < this.segmentCount; k++) {
      const start = this.startOf(k)
      this.sums[k] = checksum.sum(region.view, imageOff + start, this.endOf(k) - start)
    }
  }
}

/** A piece of a body, and a long head, just fill frames. */
const firstLen = (headLen: number, mss: number): number =>
  headLen > 0 && headLen <= HEAD_ROOM ? headLen + mss - HEAD_ROOM : mss

/** All layouts made so far, by image and ladder step. */
export class Layouts {
  readonly #content: Content
  readonly #ledger: Ledger
  readonly #layouts: Layout[] = []
  /**
   * By image and step, one more than the place in the list; 0: none. Memory is taken as it is
   * touched.
   */
  readonly #places: Int32Array

  constructor(content: Content, ledger: Ledger) {
    this.#content = content
    this.#ledger = ledger
    this.#places = new Int32Array((content.images.length / IMAGE_STRIDE) * LADDER.length)
  }

  /** The layout of an image for a ladder segment size; undefined for a size below the ladder. */
  find(image: number, mss: number): Layout | undefined {
    let step = 0
    while (LADDER[step] !== mss) if (++step === LADDER.length) return undefined
    const i = ((image / IMAGE_STRIDE) | 0) * LADDER.length + step
    const place = this.#places[i]
    if (place === 0) return this.#make(i, image, mss)
    const layout = this.#layouts[place - 1]
    const isRight = layout.version === this.#content.images[image + VERSION]
    return isRight ? layout : this.#make(i, image, mss)
  }

  #make(i: number, image: number, mss: number): Layout {
    const layout = new Layout(this.#content, image, mss)
    if (this.#places[i] === 0) this.#places[i] = this.#layouts.push(layout)
    else this.#layouts[this.#places[i] - 1] = layout
    this.#ledger.payloadBytesSummed += layout.totalLen
    return layout
  }
}
