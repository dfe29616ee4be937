/**
 * The content store's tables, as plain shared memory: records of resources and of their variants,
 * hashes over paths and over host names. `FlatContent` reads them; builder.ts writes them once.
 *
 * Invariant: what a reader of it calls allocates nothing and reads only what it is given.
 */
import { assert, Region } from '@sandstorm/libnmio'
import { CODING_COUNT, type Content } from './content.ts'
import { STATUSES } from './head.ts'
import { HostFinder } from './hosts.ts'
import { IMAGE_STRIDE, STATUS } from './image.ts'
import { NAME_LEN, NameTable } from './names.ts'

/**
 * int32 fields of a resource record, whose name (names.ts) is its path, in the scope of its site: the
 * handle of its variant in each coding, or NO_VARIANT.
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
export const SITE_STRIDE = 1

/** What `loadContent` makes: structured-cloneable, and shared (not copied) by postMessage. */
export interface ContentShared {
  /** Heads, bodies and names; frames may follow. */
  readonly region: SharedArrayBuffer
  /** How much of the region, from its start, is content. */
  readonly contentBytes: number
  readonly images: SharedArrayBuffer
  readonly variants: SharedArrayBuffer
  readonly resources: SharedArrayBuffer
  readonly resourceSlots: SharedArrayBuffer
  readonly sites: SharedArrayBuffer
  readonly hosts: SharedArrayBuffer
  readonly hostSlots: SharedArrayBuffer
}

/** A reader of shared content; any number of threads may have one. */
export function attachContent(shared: ContentShared): Content {
  return new FlatContent(shared)
}

class FlatContent implements Content {
  readonly region: Region
  readonly images: Int32Array
  readonly #variants: Int32Array
  readonly #resources: Int32Array
  readonly #sites: Int32Array
  readonly #paths: NameTable
  readonly #hosts: HostFinder
  /** A status's place in STATUSES. */
  readonly #statusIndex: Int32Array

  constructor(shared: ContentShared) {
    this.region = new Region(shared.region)
    this.region.reserve(shared.contentBytes)
    this.images = new Int32Array(shared.images)
    this.#variants = new Int32Array(shared.variants)
    this.#resources = new Int32Array(shared.resources)
    this.#sites = new Int32Array(shared.sites)
    const { bytes } = this.region
    this.#paths = new NameTable(bytes, this.#resources, new Int32Array(shared.resourceSlots))
    const hosts = new Int32Array(shared.hosts)
    this.#hosts = new HostFinder(
      new NameTable(bytes, hosts, new Int32Array(shared.hostSlots)),
      hosts,
    )
    // An unknown status is our own mistake, and answered as one.
    this.#statusIndex = new Int32Array(600).fill(STATUSES.indexOf(500))
    STATUSES.forEach((status, i) => {
      this.#statusIndex[status] = i
    })
    for (let site = 0; site < this.#sites.length / SITE_STRIDE; site++) {
      for (const status of STATUSES) {
        const image = this.statusImage(site, status)
        assert(this.images[image + STATUS] === status, 'status images come first')
      }
    }
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
    return (site * STATUSES.length + this.#statusIndex[status]) * IMAGE_STRIDE
  }
}
