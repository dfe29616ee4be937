/**
 * What a front-end cache is told, as plain data with defaults that follow the RFCs. All times are
 * in whole seconds unless the name says otherwise; all sizes are bytes.
 */
import { assert } from '@sandstorm/libnmio'

export interface PolicyConfig {
  /** Fields that overrule Cache-Control, best first, in lower case (RFC 9213 §2.2). */
  readonly targetedFields: readonly string[]
  /** Freshness from the age of Last-Modified where the origin says nothing (RFC 9111 §4.2.2). */
  readonly heuristic: boolean
  readonly heuristicFraction: number
  readonly heuristicMaxSec: number
  /** Freshness by status where the origin says nothing: `{ 404: 10 }` (RFC 9111 §4: our choice). */
  readonly negativeSec: Readonly<Record<number, number>>
  /** Clients may ask for revalidation, for stale answers and not to store (RFC 9111 §5.2.1). */
  readonly honorsRequests: boolean
  /** How long stale answers stand in for an origin that can't be reached (RFC 9111 §4.2.4). */
  readonly staleWhenDownSec: number
}

export interface CacheConfig extends PolicyConfig {
  /** Memory of all that is stored, heads and keys included. */
  readonly memoryBytes: number
  /** No larger body is stored. */
  readonly objectBytes: number
  /** Memory of bodies that are under way to the store, together. */
  readonly fillBytes: number
  /** Of one URL; the one that was stored first gives way. */
  readonly variantsMax: number
  /**
   * How long an answer that was not to be stored keeps requests for its key from waiting for one.
   */
  readonly passSec: number
  /** Our name in Cache-Status and Via (RFC 9211 §2, RFC 9110 §7.6.3). */
  readonly name: string
}

export const DEFAULT_POLICY: PolicyConfig = {
  targetedFields: ['cdn-cache-control'],
  heuristic: true,
  heuristicFraction: 0.1,
  heuristicMaxSec: 86_400,
  negativeSec: {},
  honorsRequests: true,
  staleWhenDownSec: 86_400,
}

export const DEFAULT_CACHE: CacheConfig = {
  ...DEFAULT_POLICY,
  memoryBytes: 256 * 2 ** 20,
  objectBytes: 16 * 2 ** 20,
  fillBytes: 64 * 2 ** 20,
  variantsMax: 32,
  passSec: 60,
  name: 'sandstorm',
}

/** The configuration with defaults; throws if it contradicts itself. */
export function checkCacheConfig(config: Partial<CacheConfig>): CacheConfig {
  const all = { ...DEFAULT_CACHE, ...config }
  assert(all.objectBytes <= all.memoryBytes, 'the cache has room for one object')
  assert(all.objectBytes <= all.fillBytes, 'an object fits what may be under way')
  assert(all.variantsMax >= 1, 'a URL has a variant')
  assert(all.heuristicFraction >= 0 && all.heuristicFraction <= 1, 'the fraction is a fraction')
  assert(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(all.name), 'the name is a token')
  return all
}
