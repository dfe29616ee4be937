/** The flags of `serve` that say how a folder is served: a change of each site that there is. */
import { ConfigError } from '../cli/errors.ts'
import { headerProblem } from '../site/ruleHeaders.ts'
import { type CodingName, plainOrigin, type Rule, type Site } from '../site/site.ts'
import { checkChoice } from './operation.ts'
import { originUrl, URL_EXPECTED } from './origin.ts'
import { SITE_FILE_EXPECTED, siteFileProblem, sitePath } from './paths.ts'

export const LISTINGS = ['off', 'html', 'json'] as const
export const CODINGS: readonly CodingName[] = ['gzip', 'br', 'zstd']
/** A glob that every path matches. */
const EVERY_PATH = '**'

/** The flags as they were typed. */
export interface SiteFlags {
  readonly listing?: string
  readonly spa?: string
  readonly cleanUrls?: boolean
  readonly compress?: string
  /** false: --no-server-header. */
  readonly serverHeader?: boolean
  readonly cacheControl?: string
  readonly cors?: string
  readonly origin?: string
}

/** The site as the flags want it, whatever it was before. Throws ConfigError. */
export function applySiteFlags(site: Site, flags: SiteFlags): Site {
  const { listing, spa, cleanUrls, compress, serverHeader, origin } = flags
  const changed: { -readonly [K in keyof Site]?: Site[K] } = {
    rules: [...site.rules, ...rulesOf(flags)],
  }
  if (listing !== undefined) changed.listing = checkChoice('--listing', listing, LISTINGS)
  if (spa !== undefined) changed.fallback = checkSpa(site.root, spa)
  if (cleanUrls !== undefined) changed.cleanUrls = cleanUrls
  if (compress !== undefined) changed.compress = checkCompress(compress)
  if (serverHeader === false) changed.serverName = ''
  if (origin !== undefined)
    changed.origin = { ...plainOrigin(''), ...site.origin, url: checkUrl(origin) }
  return { ...site, ...changed }
}

function checkUrl(text: string): string {
  const url = originUrl(text)
  if (url === '') throw new ConfigError('--origin', text, 'not the URL of an origin', URL_EXPECTED)
  return url
}

function checkSpa(root: string, text: string): string {
  const path = sitePath(text)
  const problem = siteFileProblem(root, path)
  if (problem !== '') throw new ConfigError('--spa', text, problem, SITE_FILE_EXPECTED)
  return path
}

function checkCompress(text: string): CodingName[] {
  const codings = text.split(',').map(name => checkChoice('--compress', name, CODINGS))
  return [...new Set(codings)]
}

/** One rule for every path, behind those that are there: the last one decides. */
function rulesOf({ cacheControl, cors }: SiteFlags): Rule[] {
  const headers: Record<string, string> = {}
  if (cacheControl !== undefined) headers['Cache-Control'] = checkCacheControl(cacheControl)
  if (cors !== undefined) headers['Access-Control-Allow-Origin'] = checkCors(cors)
  return Object.keys(headers).length === 0 ? [] : [{ match: EVERY_PATH, headers }]
}

export const CACHE_CONTROL_EXPECTED = 'directives like "public, max-age=3600"'
export const CORS_EXPECTED = '* or an origin like https://example.org'

function checkCacheControl(text: string): string {
  const problem = headerProblem('Cache-Control', text)
  if (problem === '') return text
  throw new ConfigError('--cache-control', text, problem, CACHE_CONTROL_EXPECTED)
}

function checkCors(text: string): string {
  if (isOrigin(text)) return text
  throw new ConfigError('--cors', text, 'not an origin', CORS_EXPECTED)
}

/**
 * What Access-Control-Allow-Origin may say: everybody, or one origin without a path (Fetch §3.3).
 */
export function isOrigin(text: string): boolean {
  if (text === '*') return true
  return /^[a-z]+:/.test(text) && URL.canParse(text) && new URL(text).origin === text
}
