/** The fronts of all sites that have an origin: found by site, purged and counted together. */
import { checkCacheConfig } from '../cache/config.ts'
import type { Hits } from '../content/hits.ts'
import { OriginPaths } from '../http/originPaths.ts'
import type { Site } from '../site/site.ts'
import { Front, type FrontParts, type FrontStats, type StoredLine } from './front.ts'

/** What is to be dropped, or made stale. */
export type Purge = { readonly url: string } | { readonly tag: string } | { readonly all: true }

/** A part of what is stored. */
export interface StoredPage {
  readonly lines: readonly StoredLine[]
  readonly total: number
  /** Where the next part begins; undefined: there is none. */
  readonly next: number | undefined
}

/** By site, for OriginPaths; undefined: no site has an origin. */
export function originPathsOf(sites: readonly Site[]): (readonly string[])[] | undefined {
  if (sites.every(({ origin }) => origin === undefined)) return undefined
  return sites.map(({ origin }) => origin?.paths ?? [])
}

/** What all that is stored may take of memory. */
export function storedBytesMax(sites: readonly Site[]): number {
  return sites.reduce((sum, { origin }) => {
    return origin === undefined ? sum : sum + checkCacheConfig(origin.cache).memoryBytes
  }, 0)
}

export class Fronts {
  /** Which paths are the origins', for the HTTP machine. */
  readonly paths: OriginPaths
  /** By site; undefined: it has no origin. */
  readonly #fronts: readonly (Front | undefined)[]

  /** undefined if no site has an origin. Throws one clear line. */
  static async open(sites: readonly Site[], parts: FrontParts = {}): Promise<Fronts | undefined> {
    const paths = originPathsOf(sites)
    if (paths === undefined) return undefined
    const fronts: (Front | undefined)[] = []
    try {
      for (const site of sites) {
        const { origin } = site
        fronts.push(origin === undefined ? undefined : await Front.open(site, origin, parts))
      }
    } catch (error) {
      for (const front of fronts) await front?.close()
      throw error
    }
    return new Fronts(fronts, new OriginPaths(paths))
  }

  private constructor(fronts: readonly (Front | undefined)[], paths: OriginPaths) {
    this.#fronts = fronts
    this.paths = paths
  }

  /** Lets readers of the content answer with what is stored, where nothing needs to be decided. */
  publish(hits: Hits): void {
    for (const [site, front] of this.#fronts.entries()) front?.publish(hits, site)
  }

  of(site: number): Front | undefined {
    return this.#fronts[site]
  }

  /**
   * Returns how many stored answers it met. A URL of no site of ours meets none; throws if it is
   * none.
   */
  purge(what: Purge, mode: 'drop' | 'stale'): number {
    let count = 0
    for (const { cache } of this.#all()) {
      if ('url' in what) count += cache.purge(what.url, mode)
      else if ('tag' in what) count += cache.purgeTag(what.tag, mode)
      else count += cache.purgeAll(mode)
    }
    return count
  }

  /** Stored answers [from, from + count), site by site, least recently used first. */
  list(from: number, count: number): StoredPage {
    const lines: StoredLine[] = []
    let total = 0
    for (const front of this.#all()) {
      for (const entry of front.cache.store.entries()) {
        const at = total++
        if (at >= from && at < from + count) lines.push(front.lineOf(entry))
      }
    }
    return { lines, total, next: from + count < total ? from + count : undefined }
  }

  /** Sums over all fronts. */
  get stats(): FrontStats {
    const sums: Record<string, Record<string, number>> = {}
    for (const { stats } of this.#all()) {
      for (const [group, counters] of Object.entries(stats)) {
        sums[group] ??= {}
        const sum = sums[group]
        for (const [name, value] of Object.entries(counters)) sum[name] = (sum[name] ?? 0) + value
      }
    }
    return sums
  }

  async close(): Promise<void> {
    await Promise.all(this.#all().map(front => front.close()))
  }

  #all(): Front[] {
    return this.#fronts.filter(front => front !== undefined)
  }
}
