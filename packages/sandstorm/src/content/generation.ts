/**
 * Writes the tables of one generation: which paths of which sites lead to which images. The images
 * are in the store already (imageStore.ts) and may be those of the generation before; tables are
 * made anew each time, so that readers go from one whole generation to the next at once.
 */
import { assert } from '@sandstorm/libnmio'
import { CODING_COUNT, IDENTITY, NO_RESOURCE, NO_VARIANT } from './content.ts'
import { STATUSES } from './head.ts'
import { HOST_STRIDE, hostEntry } from './hosts.ts'
import { type PlannedName, sharedInts, writeNames } from './names.ts'
import * as table from './table.ts'

export class GenerationBuilder {
  readonly #number: number
  readonly #variants: number[] = []
  readonly #paths: PlannedName[] = []
  readonly #hosts: PlannedName[] = []
  readonly #sites: number[] = []
  #nameBytes = 0

  /** Generations have numbers from 1 on, each higher than the last. */
  constructor(number: number) {
    this.#number = number
  }

  /**
   * The next site: its host names, its answers in the order of STATUSES, and whether an origin is
   * asked for what it does not have. Returns its index.
   */
  addSite(
    hosts: readonly string[],
    statusImages: readonly number[],
    hasOrigin: boolean = false,
  ): number {
    assert(statusImages.length === STATUSES.length, 'a site answers each status')
    const fields = [NO_RESOURCE, hasOrigin ? 1 : 0, ...statusImages]
    const site = this.#sites.push(...fields) / table.SITE_STRIDE - 1
    for (const host of hosts) {
      const { scope, name } = hostEntry(host)
      this.#hosts.push(this.#planName(scope, name, [site]))
    }
    return site
  }

  /**
   * A variant with its answer and its 304; `etagOff` and `lastModified` as in content.ts. Returns
   * its handle.
   */
  addVariant(answer: number, notModified: number, lastModified = 0, etagOff = 0): number {
    return (
      this.#variants.push(answer, notModified, etagOff, lastModified | 0) - table.VARIANT_STRIDE
    )
  }

  /**
   * A path of a site with a variant for each coding, by their indices; returns the resource's
   * handle.
   */
  addPath(site: number, path: string, variants: readonly number[]): number {
    const all = Array.from({ length: CODING_COUNT }, (_, i) => variants[i] ?? NO_VARIANT)
    assert(all[IDENTITY] !== NO_VARIANT, 'a resource has a variant in identity')
    this.#paths.push(this.#planName(site, path, all))
    return (this.#paths.length - 1) * table.RESOURCE_STRIDE
  }

  /** The resource that answers where a site has nothing. */
  setFallback(site: number, resource: number): void {
    this.#sites[site * table.SITE_STRIDE + table.FALLBACK] = resource
  }

  finish(): table.GenerationShared {
    const names = new SharedArrayBuffer(this.#nameBytes)
    const bytes = new Uint8Array(names)
    const hosts = writeNames(bytes, 0, this.#hosts, HOST_STRIDE)
    const hostBytes = this.#hosts.reduce((sum, host) => sum + host.bytes.length, 0)
    const paths = writeNames(bytes, hostBytes, this.#paths, table.RESOURCE_STRIDE)
    return {
      number: this.#number,
      names,
      variants: share(this.#variants),
      resources: paths.records.buffer,
      resourceSlots: paths.slots.buffer,
      sites: share(this.#sites),
      hosts: hosts.records.buffer,
      hostSlots: hosts.slots.buffer,
    }
  }

  #planName(scope: number, name: string, values: readonly number[]): PlannedName {
    const bytes = Buffer.from(name)
    this.#nameBytes += bytes.length
    return { scope, bytes, values }
  }
}

function share(values: readonly number[]): SharedArrayBuffer {
  const ints = sharedInts(values.length)
  ints.set(values)
  return ints.buffer
}
