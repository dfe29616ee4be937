/**
 * The content as a server sees it: one region with every image's bytes, a table of images, and
 * tables of paths and of their variants. All is written on the main thread (load.ts) and only read
 * by others, so any number of workers share it without locks (paper §2: no shared cache lines that
 * anybody writes).
 *
 * A *resource* is a path of a site. It has a *variant* for each content coding that it is offered
 * in, and a variant has its image, its 304 and its entity tag.
 */
import type { Region } from '@sandstorm/libnmio'
import type { HitTable } from './hitTable.ts'
import type { Holds } from './holds.ts'
import type { ContentMail } from './table.ts'

/** Handle of a resource, or NO_RESOURCE. */
export const NO_RESOURCE = -1
/** Handle of a variant, or NO_VARIANT. */
export const NO_VARIANT = -1

// Content codings (RFC 9110 §8.4.1), as indices
export const IDENTITY = 0
export const GZIP = 1
export const BR = 2
export const ZSTD = 3
export const CODING_COUNT = 4

/** The site that answers where no other does. */
export const DEFAULT_SITE = 0

/** All that is served, as one thread sees it. */
export interface Content {
  /** Where heads and bodies lie, and behind them a stack's frames. */
  readonly region: Region
  /** Image records (image.ts). */
  readonly images: Int32Array
  /** Where this reader says which images it needs: whoever sends one holds it until it is sent. */
  readonly holds: Holds
  /** Stored answers of origins that need no decision. */
  readonly hits: HitTable
  /**
   * Takes note of what is new, between two requests. What was found in an earlier generation is
   * found no more, but images that are held stay.
   */
  take(mail: ContentMail): void
  /**
   * The site that the Host value bytes[start, end) names (RFC 9110 §7.2; case, port and a trailing
   * dot do not count), else DEFAULT_SITE. Like all of these it allocates nothing.
   */
  siteOf(bytes: Uint8Array, start: number, end: number): number
  /**
   * The resource of a site whose canonical path (decoded once, no dot segments, "/" first) equals
   * bytes[start, end); NO_RESOURCE if there is none. A folder with an index file or a listing is
   * found as "/dir/", and as "/dir" it is a redirect.
   */
  find(site: number, bytes: Uint8Array, start: number, end: number): number
  /** The resource that answers for paths which name nothing (site.ts: fallback), or NO_RESOURCE. */
  fallbackOf(site: number): number
  /**
   * Is there an origin behind the site, for what its folder does not have (site.ts: SiteOrigin)?
   */
  hasOrigin(site: number): boolean
  /** The variant of a resource in a coding, or NO_VARIANT; every resource has one in IDENTITY. */
  variantOf(resource: number, coding: number): number
  /** The 200 answer of a variant; or a redirect, or the status of a file that could not be read. */
  imageOf(variant: number): number
  /** Its 304 answer. */
  notModifiedOf(variant: number): number
  /**
   * Where ETAG_CHARS characters of its (strong) entity tag lie in the region, without quotes; 0: it
   * has none, and so no conditions apply to it.
   */
  etagOff(variant: number): number
  /** Its modification time in seconds since 1970, as a uint32; 0: not known. */
  lastModifiedOf(variant: number): number
  /**
   * A site's ready answer for a status without a resource: one of head.ts's STATUSES, else its 500.
   */
  statusImage(site: number, status: number): number
}
