/**
 * Which paths of a site are the origin's, whatever its folder has (site.ts: SiteOrigin). Plain
 * prefixes and whole paths rather than globs: they are looked at for every request, file or not, in
 * the bytes where they lie. A path is compared decoded, so "/%61pi/" is "/api/".
 *
 * Invariant: `has` allocates nothing.
 */
import { SLASH } from './chars.ts'

export class OriginPaths {
  /** By site; none: the origin is asked for what no file answers. */
  readonly #paths: readonly (readonly Uint8Array[])[]

  /** By site, as in SiteOrigin; a site that is left out has none. */
  constructor(paths: readonly (readonly string[])[]) {
    this.#paths = paths.map(list => list.map(path => Uint8Array.from(Buffer.from(path))))
  }

  /** Are the origin's paths of this site named? */
  areNamed(site: number): boolean {
    return site < this.#paths.length && this.#paths[site].length > 0
  }

  /** Is the decoded path bytes[off, end) one of those named? */
  has(site: number, bytes: Uint8Array, off: number, end: number): boolean {
    const paths = this.#paths[site]
    for (let i = 0; i < paths.length; i++) {
      if (begins(paths[i], bytes, off, end)) return true
    }
    return false
  }
}

function begins(path: Uint8Array, bytes: Uint8Array, off: number, end: number): boolean {
  const len = path.length
  if (end - off < len || (end - off > len && path[len - 1] !== SLASH)) return false
  for (let i = 0; i < len; i++) if (path[i] !== bytes[off + i]) return false
  return true
}
