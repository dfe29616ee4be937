/**
 * Lays out the content region: first everything is planned (`addImage`, `addVariant`, `addPath`), then
 * `allocate` makes the memory at exactly the planned size and writes heads, names and tables; bodies
 * of files are read into their places afterwards (load.ts).
 *
 * Invariant: status images come first, site by site, in order of STATUSES; every image begins at an
 * even offset, head and body one behind the other (image.ts).
 */
import { assert, REGION_MAX_BYTES, Region } from '@sandstorm/libnmio'
import { CODING_COUNT, IDENTITY, NO_RESOURCE, NO_VARIANT } from './content.ts'
import { type Head, STATUSES } from './head.ts'
import { HOST_STRIDE, hostEntry } from './hosts.ts'
import * as image from './image.ts'
import {
  type NameMemory,
  type PlannedName,
  SLOT_STRIDE,
  sharedInts,
  slotCount,
  writeNames,
} from './names.ts'
import { type StatusSite, statusAnswer } from './statuses.ts'
import * as table from './table.ts'

/**
 * Room that is left for files that grow between being listed and being read; a file that does not
 * fit any more is answered 503 until the next load.
 */
const GROWTH_BYTES = 65536

/** What the builder needs to know of a site. */
export interface SitePlan extends StatusSite {
  readonly hosts: readonly string[]
}

interface PlannedImage {
  head: Head
  /** Bytes of body, and the body itself if it is no file's. */
  bodyLen: number
  body: Uint8Array | undefined
  /** Where it lies, and how many bytes it may take there. */
  off: number
  room: number
}

export class ContentBuilder {
  readonly #images: PlannedImage[] = []
  readonly #variants: number[] = []
  /** Of variants whose bytes are there before memory is. */
  readonly #etags: { readonly variant: number; readonly etag: string }[] = []
  readonly #paths: PlannedName[] = []
  readonly #hosts: PlannedName[] = []
  readonly #fallbacks: number[]
  #plannedBytes = 0
  #nameBytes = 0
  #growthBytes = GROWTH_BYTES
  #region: Region | undefined
  /** The region, to write text to. */
  #text: Buffer = Buffer.alloc(0)
  #imageTable: Int32Array = new Int32Array()
  #variantTable: Int32Array = new Int32Array()
  #pathTables: NameMemory = { records: new Int32Array(), slots: new Int32Array() }
  #hostTables: NameMemory = { records: new Int32Array(), slots: new Int32Array() }

  constructor(sites: readonly SitePlan[]) {
    this.#fallbacks = sites.map(() => NO_RESOURCE)
    sites.forEach((site, i) => {
      for (const status of STATUSES) {
        const { head, body } = statusAnswer(status, site)
        this.addImage(head, body)
      }
      for (const host of site.hosts) {
        const { scope, name } = hostEntry(host)
        this.#hosts.push(this.#planName(scope, name, [i]))
      }
    })
  }

  /** Plans an image with a body, or with room for one of so many bytes; returns its handle. */
  addImage(head: Head, body: Uint8Array | number): number {
    assert(head.text.length <= image.HEAD_LEN_MAX, 'a head is no longer than HEAD_LEN_MAX')
    assert(head.typeOff <= image.HEAD_ROOM, 'what is patched lies in frame 0')
    const isThere = typeof body !== 'number'
    const bodyLen = isThere ? body.length : body
    const room = even(head.text.length + bodyLen)
    const off = this.#plannedBytes
    this.#plannedBytes += room
    this.#images.push({ head, bodyLen, body: isThere ? body : undefined, off, room })
    return (this.#images.length - 1) * image.IMAGE_STRIDE
  }

  /**
   * Plans a variant with its answer and its 304; `lastModified` as in content.ts, `etag` if it is known
   * already. Returns its handle.
   */
  addVariant(answer: number, notModified: number, lastModified = 0, etag = ''): number {
    const variant = this.#variants.push(answer, notModified, 0, lastModified) - table.VARIANT_STRIDE
    if (etag !== '') this.#etags.push({ variant, etag })
    return variant
  }

  /** Plans a path of a site with a variant for each coding, in order; returns the resource's handle. */
  addPath(site: number, path: string, variants: readonly number[]): number {
    const all = Array.from({ length: CODING_COUNT }, (_, i) => variants[i] ?? NO_VARIANT)
    assert(all[IDENTITY] !== NO_VARIANT, 'a resource has a variant in identity')
    this.#paths.push(this.#planName(site, path, all))
    return (this.#paths.length - 1) * table.RESOURCE_STRIDE
  }

  /** The resource of a planned path, or NO_RESOURCE; looks at all of them. */
  findPath(site: number, path: string): number {
    const bytes = Buffer.from(path)
    const i = this.#paths.findIndex(
      planned => planned.scope === site && bytes.equals(planned.bytes),
    )
    return i < 0 ? NO_RESOURCE : i * table.RESOURCE_STRIDE
  }

  setFallback(site: number, resource: number): void {
    this.#fallbacks[site] = resource
  }

  statusImage(site: number, status: number): number {
    return (site * STATUSES.length + STATUSES.indexOf(status)) * image.IMAGE_STRIDE
  }

  #planName(scope: number, name: string, values: readonly number[]): PlannedName {
    const bytes = Buffer.from(name)
    this.#nameBytes += bytes.length
    return { scope, bytes, values }
  }

  get #regionBytes(): number {
    return this.#plannedBytes + GROWTH_BYTES + this.#nameBytes
  }

  /** Everything that `allocate` takes, tables included. */
  get neededBytes(): number {
    const words =
      this.#images.length * image.IMAGE_STRIDE +
      this.#variants.length +
      this.#paths.length * table.RESOURCE_STRIDE +
      this.#hosts.length * HOST_STRIDE +
      (slotCount(this.#paths.length) + slotCount(this.#hosts.length)) * SLOT_STRIDE +
      this.#fallbacks.length * table.SITE_STRIDE
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
    this.#text = Buffer.from(this.#region.buffer)
    const namesOff = this.#region.reserve(this.#plannedBytes + this.#nameBytes, 2)
    this.#imageTable = sharedInts(this.#images.length * image.IMAGE_STRIDE)
    this.#variantTable = sharedInts(this.#variants.length)
    this.#variantTable.set(this.#variants)
    this.#images.forEach((planned, i) => {
      this.#writeImage(i * image.IMAGE_STRIDE)
      if (planned.body === undefined) return
      this.bytes.set(planned.body, planned.off + planned.head.text.length)
      planned.body = undefined
    })
    for (const { variant, etag } of this.#etags) this.setEtag(variant, etag)
    const hostsOff = namesOff + this.#plannedBytes
    this.#hostTables = writeNames(this.bytes, hostsOff, this.#hosts, HOST_STRIDE)
    const pathsOff = this.#hosts.reduce((off, { bytes }) => off + bytes.length, hostsOff)
    this.#pathTables = writeNames(this.bytes, pathsOff, this.#paths, table.RESOURCE_STRIDE)
  }

  get bytes(): Uint8Array {
    return this.#allocated.bytes
  }
  bodyOff(handle: number): number {
    const { off, head } = this.#images[handle / image.IMAGE_STRIDE]
    return off + head.text.length
  }
  bodyLen(handle: number): number {
    return this.#images[handle / image.IMAGE_STRIDE].bodyLen
  }

  /** Gives an image another head and body length, in its own place or in the spare room; false: no room. */
  resize(handle: number, head: Head, bodyLen: number): boolean {
    const planned = this.#images[handle / image.IMAGE_STRIDE]
    const len = even(head.text.length + bodyLen)
    if (len > planned.room) {
      if (len + 1 > this.#growthBytes) return false
      this.#growthBytes -= len + 1
      planned.off = this.#allocated.reserve(len, 2)
      planned.room = len
    }
    planned.head = head
    planned.bodyLen = bodyLen
    this.#writeImage(handle)
    return true
  }

  /** Writes the entity tag into both heads of a variant, and lets it be asked for. */
  setEtag(variant: number, etag: string): void {
    for (const field of [table.NOT_MODIFIED, table.IMAGE]) {
      const { off, head } = this.#images[this.#variantTable[variant + field] / image.IMAGE_STRIDE]
      this.#text.write(etag, off + head.etagOff, 'latin1')
      this.#variantTable[variant + table.ETAG_OFF] = off + head.etagOff
    }
  }

  setLastModified(variant: number, lastModified: number): void {
    this.#variantTable[variant + table.LAST_MODIFIED] = lastModified
  }

  /** Answers a variant with the ready image of a status, whatever is asked of it. */
  setStatus(variant: number, site: number, status: number): void {
    const handle = this.statusImage(site, status)
    this.#variantTable.set([handle, handle, 0, 0], variant)
  }

  /** Offers a resource no longer in a coding. */
  dropVariant(resource: number, coding: number): void {
    this.#pathTables.records[resource + table.VARIANTS + coding] = NO_VARIANT
  }

  finish(): table.ContentShared {
    const region = this.#allocated
    const sites = sharedInts(this.#fallbacks.length * table.SITE_STRIDE)
    sites.set(this.#fallbacks)
    const shared = (ints: Int32Array): SharedArrayBuffer => ints.buffer as SharedArrayBuffer
    return {
      region: region.buffer,
      contentBytes: region.byteLength - region.unreservedBytes,
      images: shared(this.#imageTable),
      variants: shared(this.#variantTable),
      resources: shared(this.#pathTables.records),
      resourceSlots: shared(this.#pathTables.slots),
      sites: shared(sites),
      hosts: shared(this.#hostTables.records),
      hostSlots: shared(this.#hostTables.slots),
    }
  }

  get #allocated(): Region {
    assert(this.#region !== undefined, 'allocate() comes first')
    return this.#region
  }

  /** Its record and its head. */
  #writeImage(handle: number): void {
    const { head, bodyLen, off } = this.#images[handle / image.IMAGE_STRIDE]
    const record = this.#imageTable.subarray(handle, handle + image.IMAGE_STRIDE)
    record[image.IMAGE_OFF] = off
    record[image.HEAD_LEN] = head.text.length
    record[image.BODY_LEN] = bodyLen
    record[image.DATE_OFF] = head.dateOff
    record[image.CONNECTION_OFF] = head.connectionOff
    record[image.STATUS] = head.status
    record[image.TYPE_OFF] = head.typeOff
    record[image.REST_OFF] = head.restOff
    this.#text.write(head.text, off, 'latin1')
  }
}

const even = (n: number): number => n + (n & 1)
