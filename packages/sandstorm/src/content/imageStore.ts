/**
 * All images there are, made and given up while a server runs (paper §2.1: content is turned into
 * finished answers ahead of time). The main thread alone writes here; readers see an image only
 * when a generation (generation.ts) leads to it, and by then it is complete.
 *
 * Ownership: an image is its maker's, who discards it if no reader can need it (holds.ts), or
 * retires it; then it is the store's, which discards it when that is so.
 */
import { assert, Region } from '@sandstorm/libnmio'
import { ETAG_CHARS, type Head } from './head.ts'
import { Holds } from './holds.ts'
import * as image from './image.ts'
import { NO_IMAGE } from './image.ts'
import { even, NO_SPACE, Space } from './space.ts'

/** There are as many records as images of this length would fill the region. */
const RECORD_PER_BYTES = 512
const RECORDS_MIN = 4096

const NO_HEAD: Head = {
  status: 200,
  text: '',
  dateOff: 0,
  connectionOff: 0,
  typeOff: 0,
  restOff: 0,
  etagOff: 0,
}

interface Retired {
  readonly image: number
  /** The first generation without it; 0: it was in none. */
  readonly generation: number
  /** The mail that says that it is no hit any more; 0: it was none. */
  readonly mail: number
}

export class ImageStore {
  readonly region: Region
  readonly images: Int32Array<SharedArrayBuffer>
  readonly recordCount: number
  readonly #text: Buffer
  readonly #space: Space
  readonly #freeRecords: number[] = []
  #unusedRecord = 0
  readonly #readers = new Map<SharedArrayBuffer, Holds>()
  #retired: Retired[] = []
  /** Told that `reclaim` has something to wait for. */
  onRetired: () => void = () => {}
  /** Told of each image whose file is not wanted any more. */
  onPagedGone: (handle: number) => void = () => {}

  /**
   * A region of `regionBytes`, of which images may take `contentBytes` for now (see `cut`). Memory
   * is taken as it is written to.
   */
  constructor(regionBytes: number, contentBytes: number) {
    this.region = new Region(regionBytes)
    this.#text = Buffer.from(this.region.buffer)
    this.#space = new Space(0, contentBytes - (contentBytes % 2))
    this.recordCount = Math.max(RECORDS_MIN, Math.floor(contentBytes / RECORD_PER_BYTES))
    this.images = new Int32Array(new SharedArrayBuffer(4 * this.recordCount * image.IMAGE_STRIDE))
  }

  get freeBytes(): number {
    return this.#space.freeBytes
  }
  /** Images that readers may still need although no generation leads to them. */
  get retiredCount(): number {
    return this.#retired.length
  }

  /** What is free beyond `spareBytes` is others'; returns where images end from now on. */
  cut(spareBytes: number): number {
    return this.#space.cut(spareBytes)
  }

  /**
   * An image with this head and `bodyLen` bytes of body, to be written at `bodyOff`; or NO_IMAGE.
   */
  add(head: Head, bodyLen: number): number {
    const { length } = head.text
    assert(length <= image.HEAD_LEN_MAX, 'a head is no longer than HEAD_LEN_MAX')
    assert(head.typeOff <= image.HEAD_ROOM, 'what is patched lies in frame 0')
    const handle = this.#freeRecords.pop() ?? this.#unused()
    if (handle === NO_IMAGE) return NO_IMAGE
    const off = this.#space.alloc(length + bodyLen)
    if (off === NO_SPACE) {
      this.#freeRecords.push(handle)
      return NO_IMAGE
    }
    const { images } = this
    images[handle + image.IMAGE_OFF] = off
    images[handle + image.HEAD_LEN] = length
    images[handle + image.BODY_LEN] = bodyLen
    images[handle + image.DATE_OFF] = head.dateOff
    images[handle + image.CONNECTION_OFF] = head.connectionOff
    images[handle + image.STATUS] = head.status
    images[handle + image.TYPE_OFF] = head.typeOff
    images[handle + image.REST_OFF] = head.restOff
    images[handle + image.PAGED] = 0
    images[handle + image.AGE_SINCE] = 0
    this.#text.write(head.text, off, 'latin1')
    return handle
  }

  /** A piece of a body: `bodyLen` bytes without a head, to be written at `bodyOff`; or NO_IMAGE. */
  addPiece(bodyLen: number): number {
    return this.add(NO_HEAD, bodyLen)
  }

  /** The answer with a file as its body that is not in memory; or NO_IMAGE. */
  addPaged(head: Head, fileLen: number): number {
    const handle = this.add(head, 0)
    if (handle === NO_IMAGE) return NO_IMAGE
    this.images[handle + image.PAGED] = 1
    this.images[handle + image.FILE_LEN_HIGH] = Math.floor(fileLen / 2 ** 31)
    this.images[handle + image.FILE_LEN_LOW] = fileLen % 2 ** 31
    return handle
  }

  /** As `add`, with the body there already. */
  addWhole(head: Head, body: Uint8Array): number {
    const handle = this.add(head, body.length)
    if (handle !== NO_IMAGE) this.region.bytes.set(body, this.bodyOff(handle))
    return handle
  }

  /** As `add`, with the body of another. */
  addCopy(head: Head, other: number): number {
    const bodyLen = this.images[other + image.BODY_LEN]
    const handle = this.add(head, bodyLen)
    if (handle === NO_IMAGE) return NO_IMAGE
    const from = this.bodyOff(other)
    this.region.copy(this.bodyOff(handle), from, bodyLen)
    return handle
  }

  bodyOff(handle: number): number {
    return this.images[handle + image.IMAGE_OFF] + this.images[handle + image.HEAD_LEN]
  }

  /** Bytes of its head and body. */
  lenOf(handle: number): number {
    return this.images[handle + image.HEAD_LEN] + this.images[handle + image.BODY_LEN]
  }

  /** What an image of this head and body takes. */
  static bytesOf(head: Head, bodyLen: number): number {
    return even(head.text.length + bodyLen)
  }

  /** Where the entity tag of an image with this head lies in the region. */
  etagOff(handle: number, head: Head): number {
    return this.images[handle + image.IMAGE_OFF] + head.etagOff
  }

  /** The characters of the entity tag that lies there. */
  etagAt(off: number): string {
    return this.#text.toString('latin1', off, off + ETAG_CHARS)
  }

  /** How long a region has records for so many images. */
  static bytesForRecords(count: number): number {
    return count <= RECORDS_MIN ? 0 : count * RECORD_PER_BYTES
  }

  /** Writes the entity tag into a head that has one, of an image that no reader has seen. */
  setEtag(handle: number, head: Head, etag: string): void {
    this.#text.write(etag, this.etagOff(handle, head), 'latin1')
  }

  /** Has the image this head, whatever its entity tag? */
  hasHead(handle: number, head: Head): boolean {
    const off = this.images[handle + image.IMAGE_OFF]
    if (this.images[handle + image.HEAD_LEN] !== head.text.length) return false
    const same = (from: number, to: number): boolean =>
      this.#text.toString('latin1', off + from, off + to) === head.text.slice(from, to)
    const [tagOff, tagEnd] = head.etagOff === 0 ? [0, 0] : [head.etagOff, head.etagOff + ETAG_CHARS]
    return same(0, tagOff) && same(tagEnd, head.text.length)
  }

  /** Has it this body? */
  hasBody(handle: number, body: Uint8Array): boolean {
    const off = this.bodyOff(handle)
    if (this.images[handle + image.BODY_LEN] !== body.length) return false
    return this.#text.compare(body, 0, body.length, off, off + body.length) === 0
  }

  /** Gives back an image that no reader has seen, or that none can find or holds any more. */
  discard(handle: number): void {
    const { images } = this
    this.#space.free(images[handle + image.IMAGE_OFF], this.lenOf(handle))
    if (images[handle + image.PAGED] !== 0) this.onPagedGone(handle)
    images[handle + image.VERSION]++
    this.#freeRecords.push(handle)
  }

  /** Does a reader send it just now? */
  isHeld(handle: number): boolean {
    for (const holds of this.#readers.values()) if (holds.isHeld(handle)) return true
    return false
  }

  /** From `generation` on nothing leads to the image any more. */
  retire(handle: number, generation: number): void {
    this.#retire({ image: handle, generation, mail: 0 })
  }

  /** Who has heard this mail answers with the image no more (hits.ts). */
  retireHit(handle: number, mail: number): void {
    this.#retire({ image: handle, generation: 0, mail })
  }

  #retire(one: Retired): void {
    this.#retired.push(one)
    this.onRetired()
  }

  /**
   * What a new reader writes for us (holds.ts); nothing is freed before it has adopted a
   * generation.
   */
  addReader(): SharedArrayBuffer {
    const shared = Holds.allocate(this.recordCount)
    this.#readers.set(shared, new Holds(shared))
    return shared
  }

  /** The reader has ended, or died: what it held it needs no more. */
  removeReader(shared: SharedArrayBuffer): void {
    this.#readers.delete(shared)
  }

  /** Frees what no reader needs any more. Call it again while something is retired. */
  reclaim(): void {
    const readers = [...this.#readers.values()]
    const adopted = Math.min(...readers.map(({ generation }) => generation))
    const heard = Math.min(...readers.map(holds => holds.heard))
    this.#retired = this.#retired.filter(one => {
      const isReachable = one.generation > adopted || one.mail > heard
      const isNeeded = isReachable || readers.some(holds => holds.isHeld(one.image))
      if (!isNeeded) this.discard(one.image)
      return isNeeded
    })
  }

  #unused(): number {
    if (this.#unusedRecord === this.recordCount) return NO_IMAGE
    return this.#unusedRecord++ * image.IMAGE_STRIDE
  }
}
