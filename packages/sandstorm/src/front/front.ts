/**
 * The front end of one origin: the client that asks it, the cache before it, and the folder in
 * which that outlives the process. It knows no sockets of clients: a mount hands it requests as
 * text (requestText.ts) and sends what comes back (wire.ts).
 *
 * Read docs/cache.md for what is stored and for how long.
 */
import { Cache } from '../cache/cache.ts'
import { type CacheConfig, checkCacheConfig } from '../cache/config.ts'
import { ageOf, type Entry, ttlOf } from '../cache/entry.ts'
import type { CacheRequest } from '../cache/message.ts'
import { type Disk, Persistence } from '../cache/persist.ts'
import { openUpstream, type Upstream } from '../cache/upstream.ts'
import type { Hits } from '../content/hits.ts'
import type { Site, SiteOrigin } from '../site/site.ts'
import { StartError } from '../startError.ts'
import { REAL_DISK } from './disk.ts'
import { publishHits } from './hitBoard.ts'
import { hitPlan } from './hitPlan.ts'
import { type WireAnswer, type WireClient, wireAnswer } from './wire.ts'

/** A file holds an object, and so much around it at most. */
const FILE_OVERHEAD_BYTES = 1 << 20

/** What tests bring along. */
export interface FrontParts {
  /** Milliseconds since 1970. */
  readonly nowMs?: () => number
  readonly disk?: Disk
}

/** A stored answer, for people. */
export interface StoredLine {
  readonly key: string
  readonly status: number
  readonly ageSec: number
  /** Of freshness left; negative: stale for so long. */
  readonly ttlSec: number
  readonly bytes: number
  readonly tags: readonly string[]
  /** What selects it among others of its URL, by the names that Vary says; '' if nothing does. */
  readonly vary: string
}

/** Counters by name, in groups. */
export type FrontStats = Readonly<Record<string, Readonly<Record<string, number>>>>

export class Front {
  readonly cache: Cache
  readonly #upstream: Upstream
  readonly #persistence: Persistence | undefined
  readonly #config: CacheConfig
  readonly #serverName: string
  /** Of requests that name no host. */
  readonly #authority: string
  readonly #nowMs: () => number

  /** Reads what the folder has; opens no connection yet. Throws one clear line. */
  static async open(site: Site, origin: SiteOrigin, parts: FrontParts = {}): Promise<Front> {
    const { nowMs = Date.now, disk = REAL_DISK } = parts
    const upstream = await openUpstream({ ...origin.upstream, origin: origin.url })
    const cache = new Cache(upstream, origin.cache, nowMs)
    if (origin.folder === '') return new Front(site, origin, cache, upstream, undefined, nowMs)
    const persistence = new Persistence(disk, origin.folder)
    const config = checkCacheConfig(origin.cache)
    try {
      await persistence.attach(cache.store, config, config.objectBytes + FILE_OVERHEAD_BYTES)
    } catch (error) {
      await upstream.close()
      const why = (error as Error).message
      throw new StartError(`cannot keep stored answers in ${origin.folder}: ${why}`)
    }
    return new Front(site, origin, cache, upstream, persistence, nowMs)
  }

  private constructor(
    site: Site,
    origin: SiteOrigin,
    cache: Cache,
    upstream: Upstream,
    persistence: Persistence | undefined,
    nowMs: () => number,
  ) {
    this.cache = cache
    this.#upstream = upstream
    this.#persistence = persistence
    this.#config = checkCacheConfig(origin.cache)
    this.#serverName = site.serverName
    const name = site.hosts.find(host => !host.startsWith('*'))
    this.#authority = name ?? new URL(origin.url).host
    this.#nowMs = nowMs
  }

  /**
   * The answer to a request. `client` is looked at when the answer is there: a server that ends may
   * have closed the connection to more until then. Rejects only if the request's signal is aborted.
   */
  async answer(request: CacheRequest, client: WireClient): Promise<WireAnswer> {
    const { authority } = request
    const named = authority === '' ? { ...request, authority: this.#authority } : request
    const outcome = await this.cache.handle(named, this.#nowMs())
    return wireAnswer(outcome, client, this.#serverName, this.#nowMs())
  }

  /** Lets readers answer with what is stored for `site`, where nothing needs to be decided. */
  publish(hits: Hits, site: number): void {
    const { name } = this.#config
    publishHits(this.cache.store, hits, entry =>
      hitPlan(entry, site, name, this.#serverName, this.#nowMs()),
    )
  }

  /** A stored answer, for people. */
  lineOf(entry: Entry): StoredLine {
    const nowMs = this.#nowMs()
    const { key, status, tags, body, varyNames, secondary } = entry
    const vary = varyNames.map((name, i) => `${name}${secondary.split('\n')[i]}`).join('; ')
    const ageSec = Math.floor(ageOf(entry, nowMs))
    const ttlSec = Math.floor(ttlOf(entry, nowMs))
    return { key, status, ageSec, ttlSec, bytes: body.length, tags, vary }
  }

  get stats(): FrontStats {
    const { cache, store } = { cache: this.cache.stats, store: this.cache.store.stats }
    const isDown = this.#upstream.health.isDown ? 1 : 0
    return {
      cache: { ...cache, ...store },
      origin: { ...this.#upstream.stats, down: isDown },
      cacheDisk: { ...(this.#persistence?.stats ?? NO_DISK) },
    }
  }

  /** Ends what is asked of the origin, and waits until the folder has what is stored. */
  async close(): Promise<void> {
    await this.#upstream.close()
    await this.#persistence?.settled()
  }
}

const NO_DISK = { written: 0, removed: 0, loaded: 0, refused: 0, errors: 0 }
