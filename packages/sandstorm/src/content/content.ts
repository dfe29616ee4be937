/**
 * The content store as a server sees it: one region with every image's bytes, a table of image
 * records and a table of paths. It is made by `loadContent` on the main thread and only read
 * afterwards, so any number of workers share it without locks (paper §2: no shared cache lines
 * that anybody writes).
 */
import type { Region } from '@sandstorm/libnmio'

/** Handle of a resource (a path), or NO_RESOURCE. */
export const NO_RESOURCE = -1

export interface Content {
  /** Where heads, bodies, paths and entity tags lie, and behind them a stack's frames. */
  readonly region: Region
  /** Image records (image.ts). */
  readonly images: Int32Array
  /**
   * The resource whose canonical path (decoded once, no dot segments, "/" first) equals
   * bytes[start, end); NO_RESOURCE if there is none. A directory with an index file is found as
   * "/dir/". Allocates nothing.
   */
  find(bytes: Uint8Array, start: number, end: number): number
  /** The 200 answer of a resource (or 403 if the file could not be read). */
  imageOf(resource: number): number
  /** Its 304 answer. */
  notModifiedOf(resource: number): number
  /** Does this If-None-Match value name the resource's entity tag (weak comparison, lists, "*")? */
  etagMatches(resource: number, bytes: Uint8Array, start: number, end: number): boolean
  /** The ready answer for a status without a resource: 400, 404, 405, 408, 413, 414, 431, 501, 505, … */
  statusImage(status: number): number
}
