/**
 * The content as plain shared memory, and its reader: the images (imageStore.ts), and the tables of
 * one generation (generation.ts), which lead from host names and paths to them. A reader goes from
 * one generation to the next at once, between two batches; what it looked up before is whole.
 *
 * Invariant: what a reader calls allocates nothing, but for `take`.
 */
import { Region, type SharedMemory } from '@sandstorm/libnmio'
import { CODING_COUNT, type Content } from './content.ts'
import { STATUSES } from './head.ts'
import type { HitMail, HitRecord } from './hits.ts'
import { HitTable } from './hitTable.ts'
import { Holds } from './holds.ts'
import { HostFinder } from './hosts.ts'
import { NAME_LEN, NameTable } from './names.ts'

/**
 * int32 fields of a resource record, whose name (names.ts) is its path, in the scope of its site:
 * the handle of its variant in each coding, or NO_VARIANT.
 */
export const VARIANTS: number = NAME_LEN + 1
export const RESOURCE_STRIDE: number = VARIANTS + CODING_COUNT

// int32 fields of a variant record
export const IMAGE = 0 // handle of its answer
export const NOT_MODIFIED = 1 // handle of its 304 answer
export const ETAG_OFF = 2 // byte offset of the entity tag's characters; 0: none, always modified
export const LAST_MODIFIED = 3 // seconds since 1970, as a uint32; 0: not known
export const VARIANT_STRIDE = 4

// int32 fields of a site record
export const FALLBACK = 0 // handle of a resource, or NO_RESOURCE
export const HAS_ORIGIN = 1 // 0 or 1
export const STATUS_IMAGES = 2 // one for each of STATUSES
export const SITE_STRIDE: number = STATUS_IMAGES + STATUSES.length

/** The tables of one generation: structured-cloneable, and shared (not copied) by postMessage. */
export interface GenerationShared {
  readonly number: number
  /** Paths and host names. */
  readonly names: SharedArrayBuffer
  readonly variants: SharedArrayBuffer
  readonly resources: SharedArrayBuffer
  readonly resourceSlots: SharedArrayBuffer
  readonly sites: SharedArrayBuffer
  readonly hosts: SharedArrayBuffer
  readonly hostSlots: SharedArrayBuffer
}

/** What a reader is told, in this order; likewise. */
export type ContentMail =
  | { readonly kind: 'generation'; readonly generation: GenerationShared }
  | HitMail

/** What one reader starts with; likewise. */
export interface ContentShared {
  /** Heads and bodies; frames may follow. */
  readonly region: SharedMemory
  /** How much of the region, from its start, is the content's. */
  readonly contentBytes: number
  readonly images: SharedArrayBuffer
  /** The reader's own (holds.ts). */
  readonly holds: SharedArrayBuffer
  /**
   * The hits, a byte for each that says that it was used, and the number of the last mail about
   * them.
   */
  readonly hits: {
    readonly records: readonly HitRecord[]
    readonly used: SharedArrayBuffer
    readonly number: number
  }
  readonly generation: GenerationShared
}

/** The reader that `shared.holds` belongs to. */
export function attachContent(shared: ContentShared): Content {
  return new FlatContent(shared)
}

class FlatContent implements Content {
  readonly region: Region
  readonly images: Int32Array
  readonly holds: Holds
  readonly hits: HitTable
  #variants!: Int32Array
  #resources!: Int32Array
  #sites!: Int32Array
  #paths!: NameTable
  #hosts!: HostFinder
  /** A status's place in STATUSES. */
  readonly #statusIndex: Int32Array

  constructor(shared: ContentShared) {
    this.region = new Region(shared.region)
    this.region.reserve(shared.contentBytes)
    this.images = new Int32Array(shared.images)
    this.holds = new Holds(shared.holds)
    // An unknown status is our own mistake, and answered as one.
    this.#statusIndex = new Int32Array(600).fill(STATUSES.indexOf(500))
    STATUSES.forEach((status, i) => {
      this.#statusIndex[status] = i
    })
    this.hits = new HitTable(shared.hits.used, shared.hits.records)
    this.holds.hear(shared.hits.number)
    this.#adopt(shared.generation)
  }

  take(mail: ContentMail): void {
    if (mail.kind === 'generation') {
      this.#adopt(mail.generation)
      return
    }
    if (mail.kind === 'hit') this.hits.put(mail.record)
    else this.hits.drop(mail.id)
    this.holds.hear(mail.number)
  }

  #adopt(generation: GenerationShared): void {
    const names = new Uint8Array(generation.names)
    this.#variants = new Int32Array(generation.variants)
    this.#resources = new Int32Array(generation.resources)
    this.#sites = new Int32Array(generation.sites)
    this.#paths = new NameTable(names, this.#resources, new Int32Array(generation.resourceSlots))
    const hosts = new Int32Array(generation.hosts)
    const hostNames = new NameTable(names, hosts, new Int32Array(generation.hostSlots))
    this.#hosts = new HostFinder(hostNames, hosts)
    this.holds.adopt(generation.number)
  }

  siteOf(bytes: Uint8Array, start: number, end: number): number {
    return this.#hosts.find(bytes, start, end)
  }

  find(site: number, bytes: Uint8Array, start: number, end: number): number {
    return this.#paths.find(site, bytes, start, end)
  }

  fallbackOf(site: number): number {
    return this.#sites[site * SITE_STRIDE + FALLBACK]
  }

  hasOrigin(site: number): boolean {
    return this.#sites[site * SITE_STRIDE + HAS_ORIGIN] !== 0
  }

  variantOf(resource: number, coding: number): number {
    return this.#resources[resource + VARIANTS + coding]
  }

  imageOf(variant: number): number {
    return this.#variants[variant + IMAGE]
  }

  notModifiedOf(variant: number): number {
    return this.#variants[variant + NOT_MODIFIED]
  }

  etagOff(variant: number): number {
    return this.#variants[variant + ETAG_OFF]
  }

  lastModifiedOf(variant: number): number {
    return this.#variants[variant + LAST_MODIFIED] >>> 0
  }

  statusImage(site: number, status: number): number {
    return this.#sites[site * SITE_STRIDE + STATUS_IMAGES + this.#statusIndex[status]]
  }
}
