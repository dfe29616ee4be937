/**
 * An origin as a file describes it (site.ts: SiteOrigin): the keys beside its URL, with the
 * defaults of who obeys them (cache/config.ts, cache/upstream.ts, cache/health.ts). A key that is
 * left out is left to them.
 */
import { resolve } from 'node:path'
import { type CacheConfig, DEFAULT_CACHE } from '../cache/config.ts'
import { DEFAULT_HEALTH, type HealthConfig } from '../cache/health.ts'
import { DEFAULT_UPSTREAM, type UpstreamConfig } from '../cache/upstream.ts'
import { plainOrigin, type SiteOrigin } from '../site/site.ts'
import { FileProblem, type KeyPath } from './fileProblem.ts'
import { type Measure, parseLimit } from './limits.ts'
import type { FileOrigin } from './shape.ts'

/**
 * A key, and what it sets: of the cache, of the client that asks, or of its judgement of health.
 */
export interface OriginKey extends Omit<Measure, 'kind'> {
  readonly kind: Measure['kind'] | 'flag'
  readonly part: 'cache' | 'upstream' | 'health'
  readonly member: keyof CacheConfig | keyof UpstreamConfig | keyof HealthConfig
}

type Member<T> = Extract<keyof T, string>

const HOUR_MS = 3_600_000
const YEAR_MS = 8760 * HOUR_MS
const SIZE_MAX = 2 ** 40

const cache = (
  kind: OriginKey['kind'],
  member: Member<CacheConfig>,
  least: number,
  most: number,
  description: string,
): OriginKey => ({ part: 'cache', kind, member, least, most, description })
const upstream = (
  kind: OriginKey['kind'],
  member: Member<UpstreamConfig>,
  least: number,
  most: number,
  description: string,
): OriginKey => ({ part: 'upstream', kind, member, least, most, description })
const health = (
  kind: OriginKey['kind'],
  member: Member<HealthConfig>,
  least: number,
  most: number,
  description: string,
): OriginKey => ({ part: 'health', kind, member, least, most, description })

/** By the name of the file's key. */
export const ORIGIN_KEYS: Readonly<Record<string, OriginKey>> = {
  connectTimeout: upstream('duration', 'connectMs', 1, HOUR_MS, 'to connect'),
  headTimeout: upstream('duration', 'headMs', 1, HOUR_MS, "from a request to its answer's head"),
  bodyTimeout: upstream('duration', 'bodyMs', 1, HOUR_MS, 'between two pieces of a body'),
  keepAlive: upstream('duration', 'keepAliveMs', 1, HOUR_MS, 'an idle connection is kept so long'),
  connections: upstream('count', 'connections', 1, 65535, 'at once'),
  pending: upstream('count', 'pendingMax', 1, 1e6, 'requests under way; one more: 503'),
  retries: upstream('count', 'retries', 0, 10, 'of requests that the origin never answered'),
  retryPause: upstream('duration', 'retryMs', 0, HOUR_MS, 'before the first, at most; then double'),
  downAfter: health('count', 'failures', 1, 1000, 'failures in a row: it is asked no more'),
  probePause: health('duration', 'pauseMs', 1, HOUR_MS, 'then one request asks whether it is back'),
  probePauseMax: health('duration', 'pauseMaxMs', 1, HOUR_MS, 'the pause doubles up to this'),
  keepHost: upstream('flag', 'keepsHost', 0, 1, "it gets the client's Host, else its own"),
  xForwarded: upstream('flag', 'xForwarded', 0, 1, 'it gets X-Forwarded-For, -Proto and -Host'),
  forwarded: upstream('flag', 'forwarded', 0, 1, 'it gets Forwarded (RFC 7239)'),
  trustClient: upstream('flag', 'trustsClient', 0, 1, 'what clients say in these is added to'),
  memory: cache('size', 'memoryBytes', 65536, SIZE_MAX, 'of all that is stored'),
  objectBytes: cache('size', 'objectBytes', 0, 2 ** 31, 'no larger answer is stored'),
  fillBytes: cache('size', 'fillBytes', 0, SIZE_MAX, 'of answers on their way to the store'),
  variants: cache('count', 'variantsMax', 1, 10_000, 'stored of one URL, by Vary'),
  heuristic: cache('flag', 'heuristic', 0, 1, 'guess freshness from Last-Modified'),
  heuristicMax: cache('duration', 'heuristicMaxSec', 0, YEAR_MS, 'the longest guess'),
  staleWhenDown: cache(
    'duration',
    'staleWhenDownSec',
    0,
    YEAR_MS,
    'a stale answer stands in for an origin that cannot be reached',
  ),
  honorRequests: cache('flag', 'honorsRequests', 0, 1, "clients' Cache-Control counts"),
  passTime: cache(
    'duration',
    'passSec',
    0,
    HOUR_MS,
    'requests for what was not to be stored do not wait for each other',
  ),
}

/** In the key's own unit: milliseconds, bytes, how many, or 0 and 1. */
export function originDefault({ part, member }: OriginKey): number {
  const parts = { cache: DEFAULT_CACHE, upstream: DEFAULT_UPSTREAM, health: DEFAULT_HEALTH }
  const value = (parts[part] as unknown as Record<string, number | boolean>)[member]
  return member.endsWith('Sec') ? Number(value) * 1000 : Number(value)
}

export const NEGATIVE_MEASURE: Measure = {
  kind: 'duration',
  least: 0,
  most: YEAR_MS,
  description: 'freshness by status',
}

export const URL_EXPECTED = 'one like http://127.0.0.1:3000, with nothing behind it'

/** The URL as `http://host:port`; '' if it is none of an origin. */
export function originUrl(text: string): string {
  const isPlain = /^https?:\/\/[^/?#@\\\s]+\/?$/i.test(text) && URL.canParse(text)
  return isPlain ? new URL(text).origin : ''
}

export const PATHS_EXPECTED = 'paths like /api/ (all below) or /login'

/** Why it is no path of a site, without its query; '' if it is. */
export function originPathProblem(text: string): string {
  if (!text.startsWith('/')) return 'does not begin with a slash'
  if (/[?#*]/.test(text)) return 'neither a path nor the beginning of one'
  return ''
}

/** From values that the schema has nothing against. Problems are added to `problems`. */
export function originOf(
  given: FileOrigin,
  key: KeyPath,
  { file, folder, problems }: { file: string; folder: string; problems: FileProblem[] },
): SiteOrigin {
  const parts: Record<OriginKey['part'], Record<string, unknown>> = {
    cache: {},
    upstream: {},
    health: {},
  }
  for (const [name, value] of Object.entries(given)) {
    const known = ORIGIN_KEYS[name]
    if (known !== undefined) parts[known.part][known.member] = settingOf(known, value)
  }
  const negative = Object.entries(given.negative ?? {})
  const seconds = negative.map(([status, value]) => [
    status,
    parseLimit(NEGATIVE_MEASURE, value) / 1000,
  ])
  if (negative.length > 0) parts.cache['negativeSec'] = Object.fromEntries(seconds)
  const sized = { ...parts.cache, ...sizesOf(parts.cache) }
  const why = sizeProblem(sized)
  if (why !== '') {
    const expected = 'less than memory and fillBytes'
    problems.push(
      new FileProblem(file, [...key, 'objectBytes'], given['objectBytes'], why, expected),
    )
  }
  const isJudged = Object.keys(parts.health).length > 0
  const judged = isJudged ? { health: { ...DEFAULT_HEALTH, ...parts.health } } : {}
  return {
    ...plainOrigin(originUrl(given.url)),
    paths: given.paths ?? [],
    folder: given.folder === undefined || given.folder === '' ? '' : resolve(folder, given.folder),
    cache: sized,
    upstream: { ...parts.upstream, ...judged },
  }
}

function settingOf(key: OriginKey, value: unknown): number | boolean {
  if (key.kind === 'flag') return value as boolean
  const number = parseLimit(key as Measure, value)
  return key.member.endsWith('Sec') ? number / 1000 : number
}

type Sizes = Partial<Pick<CacheConfig, 'memoryBytes' | 'objectBytes' | 'fillBytes'>>

/** Sizes that were not given follow those that were. */
function sizesOf({ memoryBytes, objectBytes, fillBytes }: Sizes): Sizes {
  if (objectBytes !== undefined) {
    return { fillBytes: fillBytes ?? Math.max(DEFAULT_CACHE.fillBytes, objectBytes) }
  }
  const most = Math.min(
    memoryBytes ?? DEFAULT_CACHE.memoryBytes,
    fillBytes ?? DEFAULT_CACHE.fillBytes,
  )
  return most < DEFAULT_CACHE.objectBytes ? { objectBytes: most } : {}
}

function sizeProblem(given: Sizes): string {
  const { memoryBytes, objectBytes, fillBytes } = { ...DEFAULT_CACHE, ...given }
  if (objectBytes > memoryBytes) return 'one object is more than memory'
  return objectBytes > fillBytes ? 'one object is more than fillBytes' : ''
}
