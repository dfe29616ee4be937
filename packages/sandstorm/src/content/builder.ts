/**
 * Lays out the content region: first everything is planned (`addImage`, `addPath`), then `allocate`
 * makes the memory at exactly the planned size and writes heads, paths and tables; bodies are read
 * into their places afterwards (load.ts).
 *
 * Invariant: status images come first, in order of STATUSES; every image begins at an even offset,
 * head and body one behind the other (image.ts).
 */
import { assert, REGION_MAX_BYTES, Region } from '@sandstorm/libnmio'
import { NO_RESOURCE } from './content.ts'
import { type Head, STATUSES, statusAnswer } from './head.ts'
import * as image from './image.ts'
import {
  type ContentShared,
  ETAG_OFF,
  hashPath,
  IMAGE,
  NOT_MODIFIED,
  PATH_LEN,
  PATH_OFF,
  RESOURCE_STRIDE,
  SLOT_STRIDE,
} from './table.ts'

/**
 * Room that is left for files that grow between being listed and being read; a file that does not
 * fit any more is answered 503 until the next load.
 */
const GROWTH_BYTES = 65536

interface PlannedPath {
  readonly bytes: Uint8Array
  readonly image: number
  readonly notModified: number
}

export class ContentBuilder {
  readonly #heads: Head[] = []
  readonly #bodyLens: number[] = []
  /** Where each image lies, and how many bytes it may take there. */
  readonly #offs: number[] = []
  readonly #rooms: number[] = []
  readonly #paths: PlannedPath[] = []
  #plannedBytes = 0
  #pathBytes = 0
  #growthBytes = GROWTH_BYTES
  #region: Region | undefined
  #images: Int32Array = new Int32Array()
  #resources: Int32Array = new Int32Array()
  #slots: Int32Array = new Int32Array()

  constructor() {
    for (const status of STATUSES) {
      const { head, body } = statusAnswer(status)
      this.addImage(head, body.length)
    }
  }

  /** Plans an image; returns its handle. */
  addImage(head: Head, bodyLen: number): number {
    const handle = this.#heads.push(head) * image.IMAGE_STRIDE - image.IMAGE_STRIDE
    this.#offs.push(this.#plannedBytes)
    this.#bodyLens.push(bodyLen)
    this.#rooms.push(even(head.text.length + bodyLen))
    this.#plannedBytes += even(head.text.length + bodyLen)
    return handle
  }

  /** Plans a canonical path that is answered with `imageHandle`; returns the resource's handle. */
  addPath(path: string, imageHandle: number, notModified: number): number {
    const bytes = Buffer.from(path)
    this.#pathBytes += bytes.length
    return (
      this.#paths.push({ bytes, image: imageHandle, notModified }) * RESOURCE_STRIDE -
      RESOURCE_STRIDE
    )
  }

  statusImage(status: number): number {
    return STATUSES.indexOf(status) * image.IMAGE_STRIDE
  }

  get #regionBytes(): number {
    return this.#plannedBytes + GROWTH_BYTES + this.#pathBytes
  }
  get #slotCount(): number {
    return 2 ** Math.ceil(Math.log2(2 * this.#paths.length + 2))
  }

  /** Everything that `allocate` takes, tables included. */
  get neededBytes(): number {
    const words =
      this.#heads.length * image.IMAGE_STRIDE +
      this.#paths.length * RESOURCE_STRIDE +
      this.#slotCount * SLOT_STRIDE
    return this.#regionBytes + 4 * words
  }

  /** Do all offsets stay below 2 GiB? */
  get fitsRegion(): boolean {
    return this.#regionBytes <= REGION_MAX_BYTES
  }

  /**
   * Makes the memory and writes all that does not depend on a file's bytes. The region has
   * `regionBytes`, or just what the content needs: what is left of it is for a stack's frames.
   */
  allocate(regionBytes = 0): void {
    assert(this.#region === undefined && this.fitsRegion, 'allocated once, within one region')
    this.#region = new Region(Math.max(regionBytes, this.#regionBytes))
    this.#images = sharedInts(this.#heads.length * image.IMAGE_STRIDE)
    this.#resources = sharedInts(this.#paths.length * RESOURCE_STRIDE)
    this.#slots = sharedInts(this.#slotCount * SLOT_STRIDE).fill(NO_RESOURCE)
    for (let i = 0; i < this.#heads.length; i++) {
      this.#writeImage(i * image.IMAGE_STRIDE, this.#heads[i], this.#offs[i], this.#bodyLens[i])
    }
    for (const status of STATUSES) {
      const handle = this.statusImage(status)
      this.bytes.set(Buffer.from(statusAnswer(status).body), this.bodyOff(handle))
    }
    this.#writePaths()
  }

  get bytes(): Uint8Array {
    return this.#allocated.bytes
  }
  bodyOff(handle: number): number {
    return this.#images[handle + image.IMAGE_OFF] + this.#images[handle + image.HEAD_LEN]
  }
  bodyLen(handle: number): number {
    return this.#images[handle + image.BODY_LEN]
  }

  /** Gives an image another head and body length, in its own place or in the spare room; false: no room. */
  resize(handle: number, head: Head, bodyLen: number): boolean {
    const i = handle / image.IMAGE_STRIDE
    const len = even(head.text.length + bodyLen)
    if (len > this.#rooms[i]) {
      if (len + 1 > this.#growthBytes) return false
      this.#growthBytes -= len + 1
      this.#offs[i] = this.#allocated.reserve(len, 2)
      this.#rooms[i] = len
    }
    this.#writeImage(handle, head, this.#offs[i], bodyLen)
    return true
  }

  /** Writes the entity tag into a file's two heads, and lets its resources be asked for it. */
  setEtag(etag: string, handles: readonly number[], resources: readonly number[]): void {
    for (const handle of handles) {
      const { etagOff } = this.#heads[handle / image.IMAGE_STRIDE]
      this.bytes.set(Buffer.from(etag, 'latin1'), this.#images[handle + image.IMAGE_OFF] + etagOff)
    }
    const [first] = handles
    const { etagOff } = this.#heads[first / image.IMAGE_STRIDE]
    for (const resource of resources) {
      this.#resources[resource + ETAG_OFF] = this.#images[first + image.IMAGE_OFF] + etagOff
    }
  }

  /** Answers a resource with the ready image of a status. */
  setStatus(resource: number, status: number): void {
    this.#resources[resource + IMAGE] = this.statusImage(status)
    this.#resources[resource + ETAG_OFF] = 0
  }

  finish(): ContentShared {
    const region = this.#allocated
    return {
      region: region.buffer,
      contentBytes: region.byteLength - region.unreservedBytes,
      images: this.#images.buffer as SharedArrayBuffer,
      resources: this.#resources.buffer as SharedArrayBuffer,
      slots: this.#slots.buffer as SharedArrayBuffer,
    }
  }

  get #allocated(): Region {
    assert(this.#region !== undefined, 'allocate() comes first')
    return this.#region
  }

  #writeImage(handle: number, head: Head, off: number, bodyLen: number): void {
    const record = this.#images.subarray(handle, handle + image.IMAGE_STRIDE)
    record[image.IMAGE_OFF] = off
    record[image.HEAD_LEN] = head.text.length
    record[image.BODY_LEN] = bodyLen
    record[image.DATE_OFF] = head.dateOff
    record[image.CONNECTION_OFF] = head.connectionOff
    record[image.STATUS] = head.status
    this.#heads[handle / image.IMAGE_STRIDE] = head
    this.bytes.set(Buffer.from(head.text, 'latin1'), off)
  }

  #writePaths(): void {
    let off = this.#allocated.reserve(this.#plannedBytes + this.#pathBytes, 2) + this.#plannedBytes
    const mask = this.#slots.length / SLOT_STRIDE - 1
    this.#paths.forEach((path, i) => {
      this.bytes.set(path.bytes, off)
      const resource = i * RESOURCE_STRIDE
      this.#resources[resource + PATH_OFF] = off
      this.#resources[resource + PATH_LEN] = path.bytes.length
      this.#resources[resource + IMAGE] = path.image
      this.#resources[resource + NOT_MODIFIED] = path.notModified
      const hash = hashPath(path.bytes, 0, path.bytes.length)
      let slot = hash & mask
      while (this.#slots[slot * SLOT_STRIDE + 1] !== NO_RESOURCE) slot = (slot + 1) & mask
      this.#slots[slot * SLOT_STRIDE] = hash
      this.#slots[slot * SLOT_STRIDE + 1] = resource
      off += path.bytes.length
    })
  }
}

const even = (n: number): number => n + (n & 1)

function sharedInts(length: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(4 * length))
}
