/**
 * What is served and how, as plain data: checked once (config file or flags), posted to no worker,
 * since all of it is turned into ready answers while the content is loaded. A server has one site
 * or several (virtual hosts, RFC 9110 §7.2); the first answers for names that belong to none.
 */
import type { CacheConfig } from '../cache/config.ts'
import type { UpstreamConfig } from '../cache/upstream.ts'

/**
 * Fields that answers for some paths carry, or do not. The last rule that matches decides a field.
 */
export interface Rule {
  /**
   * A glob over the decoded request path: `*` within a segment, `**` across segments, `?`, `{a,b}`,
   * `[a-z]`. Without a slash it is matched against the last segment: `*.css`. A file that answers
   * to several paths ("/", "/index.html") has one head, with the fields of rules that match any of
   * them.
   */
  readonly match: string
  /** By name as it is to be written; '' takes out what an earlier rule, or we, would have sent. */
  readonly headers: Readonly<Record<string, string>>
}

/** Content codings that files are offered in beside their own bytes. */
export type CodingName = 'gzip' | 'br' | 'zstd'

/**
 * Where the answers come from that a site's folder does not have; through a cache (docs/cache.md).
 */
export interface SiteOrigin {
  /** `http://host:port` or `https://…`, with nothing behind it. */
  readonly url: string
  /**
   * Paths that are asked of the origin whatever the folder has, and then they alone: with a slash
   * at the end all that begin with it, else the path itself. None: all that no file answers.
   */
  readonly paths: readonly string[]
  /** Where stored answers outlive the process, as an absolute path; '': nowhere. */
  readonly folder: string
  /** What differs from the defaults (cache/config.ts, cache/upstream.ts). */
  readonly cache: Partial<CacheConfig>
  readonly upstream: Partial<UpstreamConfig>
}

/** What is served under some host names, and how, as plain data. */
export interface Site {
  /** Host names it answers for, lower-case, without port; `*.example.org` for all below. */
  readonly hosts: readonly string[]
  /** The folder, as an absolute path; '': none, where there is an origin. */
  readonly root: string
  /** undefined: the folder has all there is. */
  readonly origin: SiteOrigin | undefined
  /** Names that answer for their folder, best first; default index.html. */
  readonly index: readonly string[]
  /** What a folder without an index answers with: nothing (404), a page, or JSON. */
  readonly listing: 'off' | 'html' | 'json'
  /** `/about` is answered with `about.html`. */
  readonly cleanUrls: boolean
  /**
   * A file, as a path of this site, that answers for paths that name nothing, but for those whose
   * last segment has a dot: the page of a single-page application. '': none.
   */
  readonly fallback: string
  /** Files, as paths of this site, that are the body of error answers, by status. */
  readonly errorPages: Readonly<Record<number, string>>
  /**
   * `a.css.br` beside `a.css` is that file in Brotli (.gz, .zst likewise), and no file of its own.
   */
  readonly precompressed: boolean
  /** Codings that are made at load for compressible files that have no such sibling. */
  readonly compress: readonly CodingName[]
  /** The Server field; '': none. */
  readonly serverName: string
  readonly rules: readonly Rule[]
}

/** A URL, which `new URL` would give as its origin, and nothing else said. */
export function plainOrigin(url: string): SiteOrigin {
  return { url, paths: [], folder: '', cache: {}, upstream: {} }
}

/** A folder and nothing else said. */
export function plainSite(root: string): Site {
  return {
    hosts: [],
    root,
    origin: undefined,
    index: ['index.html'],
    listing: 'off',
    cleanUrls: false,
    fallback: '',
    errorPages: {},
    precompressed: true,
    compress: [],
    serverName: 'sandstorm',
    rules: [],
  }
}
