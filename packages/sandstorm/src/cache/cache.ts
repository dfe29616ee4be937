/**
 * The front-end cache of one origin: a request goes in, an outcome comes out (RFC 9111, shared
 * cache). It stores, validates, collapses requests for one answer into one fetch, and serves stale
 * answers while it asks (RFC 5861), or while the origin fails. It knows no sockets: a mount sends
 * outcomes, an Origin fetches, and the clock is an argument.
 *
 * Read policy.ts for what is decided and why, fetcher.ts for what happens to an answer.
 */
import type { Outcome } from './answer.ts'
import { ORIGIN_CONDITIONS } from './conditions.ts'
import { type CacheConfig, checkCacheConfig } from './config.ts'
import { requestDirectives } from './directives.ts'
import { ttlOf } from './entry.ts'
import { type Fetched, Fetcher } from './fetcher.ts'
import { type Flight, Flights, unlessAborted } from './flight.ts'
import { keyOf, primaryKey, secondaryKey } from './key.ts'
import { type CacheRequest, fieldValue, hasField } from './message.ts'
import { type Origin, OriginError, statusOfFailure } from './origin.ts'
import { PassList } from './passList.ts'
import { type Decision, decide, mayStandIn } from './policy.ts'
import { type CacheStats, type Case, Presenter } from './present.ts'
import { Store } from './store.ts'
import { invalidatedBy } from './update.ts'

export class Cache {
  readonly store: Store
  readonly stats: CacheStats = {
    requests: 0,
    hits: 0,
    stale: 0,
    collapsed: 0,
    forwarded: 0,
    errors: 0,
  }
  readonly #config: CacheConfig
  readonly #fetcher: Fetcher
  readonly #flights = new Flights<Fetched>()
  readonly #passes: PassList
  readonly #show: Presenter
  readonly #nowMs: () => number

  /** `nowMs` tells when an answer came; milliseconds since 1970. Throws if the config is wrong. */
  constructor(origin: Origin, config: Partial<CacheConfig>, nowMs: () => number) {
    this.#config = checkCacheConfig(config)
    this.store = new Store(this.#config.memoryBytes, this.#config.variantsMax)
    this.#fetcher = new Fetcher(origin, this.store, this.#config, nowMs)
    this.#passes = new PassList(this.#config.passSec * 1000)
    this.#nowMs = nowMs
    this.#show = new Presenter(this.#config, nowMs, this.stats, this.#passes)
  }

  /** Rejects only if the request's signal is aborted: then there is nobody to answer. */
  async handle(request: CacheRequest, nowMs: number): Promise<Outcome> {
    this.stats.requests++
    if (request.method === 'CONNECT') {
      return this.#show.own(501, 'not implemented', request, { forward: 'none' })
    }
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    const key = keyOf(request)
    const cacheControl = fieldValue(request.fields, 'cache-control')
    const directives = requestDirectives(cacheControl, fieldValue(request.fields, 'pragma'))
    const base = { request, directives, key, stored: undefined }
    if (!isRead) return this.#pass({ ...base, forward: 'method' })
    const isForOrigin = ORIGIN_CONDITIONS.some(name => hasField(request.fields, name))
    if (request.body || isForOrigin) return this.#pass({ ...base, forward: 'bypass' })
    return this.#read(base, nowMs)
  }

  /** Drops what is stored for a URL, or makes it stale. Returns how many responses that were. */
  purge(url: string, mode: 'drop' | 'stale' = 'drop'): number {
    const { protocol, host, pathname, search } = new URL(url)
    return this.#purgeKey(primaryKey(protocol.slice(0, -1), host, pathname + search), mode)
  }

  /** Likewise for responses with a tag (Cache-Tag, Surrogate-Key). */
  purgeTag(tag: string, mode: 'drop' | 'stale' = 'drop'): number {
    this.#flights.detach()
    return this.store.purgeTag(tag, this.#softMs(mode))
  }

  purgeAll(mode: 'drop' | 'stale' = 'drop'): number {
    this.#flights.detach()
    return this.store.purgeAll(this.#softMs(mode))
  }

  #purgeKey(key: string, mode: 'drop' | 'stale'): number {
    this.#flights.detach(key)
    this.#passes.delete(key)
    return this.store.purge(key, this.#softMs(mode))
  }

  #softMs(mode: 'drop' | 'stale'): number | undefined {
    return mode === 'stale' ? this.#nowMs() : undefined
  }

  async #read(base: Omit<Case, 'forward'>, nowMs: number): Promise<Outcome> {
    const { request, directives, key } = base
    const stored = this.store.find(key, request.fields)
    const isVaryMiss = stored === undefined && this.store.has(key)
    const decision = decide(stored, isVaryMiss, directives, nowMs, this.#config)
    const found: Case = { ...base, stored, forward: decision.forward }
    if (decision.use === 'only-if-cached') {
      return this.#show.own(504, 'not in the cache', request, {
        forward: 'none',
        detail: decision.use,
      })
    }
    if (stored !== undefined && decision.forward === '') return this.#hit(found, decision, nowMs)
    try {
      return await (this.#isAlone(found, nowMs) ? this.#alone(found) : this.#together(found))
    } catch (error) {
      return this.#failed(found, error)
    }
  }

  #hit(found: Case, decision: Decision, nowMs: number): Outcome {
    const stored = found.stored!
    this.stats.hits++
    const ttlSec = ttlOf(stored, nowMs)
    if (ttlSec <= 0) this.stats.stale++
    if (decision.use === 'stale-while-revalidate') this.#refresh(found)
    return this.#show.answer(stored, found, { forward: '', ttlSec })
  }

  /** Asks the origin without anybody waiting. */
  #refresh(found: Case): void {
    const { key, request } = found
    const secondary = secondaryKey(this.store.varyNames(key), request.fields)
    if (this.#flights.find(key, secondary) !== undefined) return
    this.#begin(found, secondary).result.then(leave, () => {})
  }

  /** Must the request have an answer of its own? Otherwise it may share one. */
  #isAlone(found: Case, nowMs: number): boolean {
    const { request, directives, stored, key } = found
    const asksForPart = stored === undefined && hasField(request.fields, 'range')
    const isHeard = this.#config.honorsRequests
    return (
      request.method === 'HEAD' ||
      asksForPart ||
      hasField(request.fields, 'authorization') ||
      (isHeard && (directives.has('no-cache') || directives.has('no-store'))) ||
      (stored === undefined && this.#passes.has(key, nowMs))
    )
  }

  async #alone(found: Case): Promise<Outcome> {
    const { request, directives, key, stored } = found
    const keepsConditions = stored === undefined
    const land = (): void => {}
    const task = { request, directives, key, stored, keepsConditions, land }
    return this.#show.present(await this.#fetcher.fetch(task), found, false)
  }

  /** Joins the fetch that is under way for the same answer, or begins one. */
  async #together(found: Case): Promise<Outcome> {
    const { request, key } = found
    let names = this.store.varyNames(key)
    for (let tries = 0; tries < 2; tries++) {
      const secondary = secondaryKey(names, request.fields)
      const other = this.#flights.find(key, secondary)
      if (other === undefined) {
        const flight = this.#begin(found, secondary)
        return this.#show.present(await this.#wait(flight, request, true), found, false)
      }
      const fetched = await this.#wait(other, request, false)
      if (isFor(fetched, request)) {
        return this.#show.present(fetched, found, true)
      }
      if (this.#show.standsIn(fetched, found))
        return this.#show.stale(found, fetched.head.status, 'error')
      // Its answer is not ours: ask for what its Vary selects for us, or by ourselves.
      if (sameNames(names, fetched.varyNames)) break
      names = fetched.varyNames
    }
    return this.#alone(found)
  }

  /** The fetch goes on if its client leaves: others may have joined. */
  #begin(found: Case, secondary: string): Flight<Fetched> {
    const { directives, key, stored } = found
    const { signal: _, ...rest } = found.request
    const request = { ...rest, method: 'GET' }
    return this.#flights.begin(key, secondary, land =>
      this.#fetcher.fetch({ request, directives, key, stored, keepsConditions: false, land }),
    )
  }

  async #wait(flight: Flight<Fetched>, request: CacheRequest, isOwner: boolean): Promise<Fetched> {
    try {
      return await unlessAborted(flight.result, request.signal)
    } catch (error) {
      if (isOwner && request.signal?.aborted) flight.result.then(leave, () => {})
      throw error
    }
  }

  /** To the origin and back; an unsafe method that succeeds drops what it has changed. */
  async #pass(found: Case): Promise<Outcome> {
    const { request, directives, key } = found
    const task = { request, directives, key, stored: undefined, keepsConditions: true }
    try {
      const fetched = await this.#fetcher.fetch({ ...task, land: () => {} })
      if (fetched.kind === 'own') {
        for (const changed of invalidatedBy(request, fetched.head)) this.#purgeKey(changed, 'drop')
      }
      return this.#show.present(fetched, found, false)
    } catch (error) {
      return this.#failed(found, error)
    }
  }

  /** The origin failed: a stale answer if that is allowed, else an error (RFC 9111 §4.2.4). */
  #failed(found: Case, error: unknown): Outcome {
    const { stored, request, directives, forward } = found
    if (!(error instanceof OriginError) || request.signal?.aborted) throw error
    if (stored !== undefined) {
      if (mayStandIn(stored, 'down', directives, this.#nowMs(), this.#config)) {
        return this.#show.stale(found, 0, error.failure)
      }
    }
    this.stats.errors++
    const status = stored === undefined ? statusOfFailure(error.failure) : 504
    const detail = error.failure
    return this.#show.own(status, 'the origin does not answer', request, { forward, detail })
  }
}

/** Is an answer that was fetched for another request good for this one? */
function isFor(fetched: Fetched, request: CacheRequest): boolean {
  if (fetched.kind === 'own') return false
  const { varyNames, secondary } = fetched.kind === 'validated' ? fetched.entry : fetched
  if (fetched.kind === 'shared' && !fetched.body.canJoin) return false
  return secondaryKey(varyNames, request.fields) === secondary
}

/** Ends the fetch of an answer that nobody wants, unless it is being stored. */
function leave(fetched: Fetched): void {
  if (fetched.kind === 'own') fetched.answer.cancel()
  else if (fetched.kind === 'shared') fetched.body.open()
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i])
}
