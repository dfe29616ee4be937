/**
 * The content store's tables, as plain shared memory: resource records and an open-addressing hash
 * over their paths. `FlatContent` reads them; builder.ts writes them once.
 *
 * The hash has no key: only the owner of the folder chooses the paths in it, and a client's path is
 * looked up, never stored, so nobody outside can make a probe sequence longer.
 *
 * Invariant: `find` and `etagMatches` allocate nothing and read only what they are given.
 */
import { assert, Region } from '@sandstorm/libnmio'
import { type Content, NO_RESOURCE } from './content.ts'
import { listNamesEtag } from './etag.ts'
import { ETAG_CHARS, STATUSES } from './head.ts'
import { IMAGE_STRIDE, STATUS } from './image.ts'

/** int32 fields of a resource record; the handle of a resource is the index of its first field. */
export const PATH_OFF = 0 // byte offset of the canonical path in the region
export const PATH_LEN = 1
export const IMAGE = 2 // handle of its answer
export const NOT_MODIFIED = 3 // handle of its 304 answer
export const ETAG_OFF = 4 // byte offset of the entity tag's characters; 0: none, always modified
export const RESOURCE_STRIDE = 5

/** A hash slot is a pair: the path's hash and the resource, or NO_RESOURCE. */
export const SLOT_STRIDE = 2

/** What `loadContent` makes: structured-cloneable, and shared (not copied) by postMessage. */
export interface ContentShared {
  /** Heads, bodies and paths; frames may follow. */
  readonly region: SharedArrayBuffer
  /** How much of the region, from its start, is content. */
  readonly contentBytes: number
  readonly images: SharedArrayBuffer
  readonly resources: SharedArrayBuffer
  readonly slots: SharedArrayBuffer
}

/** FNV-1a over the bytes, then mixed, since the table uses the low bits. */
export function hashPath(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return hash ^ (hash >>> 13)
}

/** A reader of shared content; any number of threads may have one. */
export function attachContent(shared: ContentShared): Content {
  return new FlatContent(shared)
}

class FlatContent implements Content {
  readonly region: Region
  readonly images: Int32Array
  readonly #bytes: Uint8Array
  readonly #resources: Int32Array
  readonly #slots: Int32Array
  readonly #slotMask: number
  /** Image handle by HTTP status; the builder puts the status images first, in order of STATUSES. */
  readonly #statusImages: Int32Array = new Int32Array(600)

  constructor(shared: ContentShared) {
    this.region = new Region(shared.region)
    this.region.reserve(shared.contentBytes)
    this.images = new Int32Array(shared.images)
    this.#bytes = this.region.bytes
    this.#resources = new Int32Array(shared.resources)
    this.#slots = new Int32Array(shared.slots)
    this.#slotMask = this.#slots.length / SLOT_STRIDE - 1
    STATUSES.forEach((status, i) => {
      assert(this.images[i * IMAGE_STRIDE + STATUS] === status, 'status images come first')
      this.#statusImages[status] = i * IMAGE_STRIDE
    })
    this.#statusImages.forEach((image, status) => {
      // An unknown status is our own mistake, and answered as one. (400's handle is 0.)
      if (image === 0 && status !== 400) this.#statusImages[status] = this.#statusImages[500]
    })
  }

  find(bytes: Uint8Array, start: number, end: number): number {
    const hash = hashPath(bytes, start, end)
    const slots = this.#slots
    // Ends: at least half of the slots are empty.
    for (let slot = hash & this.#slotMask; ; slot = (slot + 1) & this.#slotMask) {
      const resource = slots[slot * SLOT_STRIDE + 1]
      if (resource === NO_RESOURCE) return NO_RESOURCE
      if (slots[slot * SLOT_STRIDE] === hash && this.#hasPath(resource, bytes, start, end)) {
        return resource
      }
    }
  }

  imageOf(resource: number): number {
    return this.#resources[resource + IMAGE]
  }

  notModifiedOf(resource: number): number {
    return this.#resources[resource + NOT_MODIFIED]
  }

  etagMatches(resource: number, bytes: Uint8Array, start: number, end: number): boolean {
    const etagOff = this.#resources[resource + ETAG_OFF]
    if (etagOff === 0) return false
    return listNamesEtag(bytes, start, end, this.#bytes, etagOff, ETAG_CHARS)
  }

  statusImage(status: number): number {
    return this.#statusImages[status]
  }

  #hasPath(resource: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#resources[resource + PATH_LEN] !== end - start) return false
    const off = this.#resources[resource + PATH_OFF] - start
    for (let i = start; i < end; i++) if (this.#bytes[off + i] !== bytes[i]) return false
    return true
  }
}
