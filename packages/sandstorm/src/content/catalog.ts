/**
 * What a generation was made of: for each file in each coding the version that was read and where
 * it is stored, and the images of what was made from nothing on disk. The next generation keeps
 * what is still the same (draft.ts); what it does not keep is retired.
 */
import type { Site } from '../site/site.ts'
import type { FileState } from './read.ts'

/** All that the heads of a file in a coding depend on beside its name and its state. */
export interface HeadBasis {
  /** This very object: settings that were read again are others. */
  readonly site: Site
  /** As it is told (place.ts: modifiedSec). */
  readonly lastModified: number
  readonly varies: boolean
  /** Its paths beside the first, zero bytes between them: a rule may match them. */
  readonly otherPaths: string
}

export function isSameBasis(a: HeadBasis, b: HeadBasis): boolean {
  const isSameFile = a.lastModified === b.lastModified && a.otherPaths === b.otherPaths
  return a.site === b.site && isSameFile && a.varies === b.varies
}

/** A file in a coding, as it was read. */
export interface StoredFile {
  readonly state: FileState
  readonly basis: HeadBasis
  /**
   * The version was old enough to tell from any later one by its times alone. Otherwise the file is
   * read once more before it is believed to be the same.
   */
  readonly isSettled: boolean
  readonly image: number
  readonly notModified: number
  /** Where the characters of its entity tag lie in the region. */
  readonly etagOff: number
}

export class Catalog {
  /** By `fileKey`. */
  readonly files: Map<string, StoredFile> = new Map()
  /** Images of ready bytes: by a name of the maker's choice. */
  readonly pages: Map<string, number> = new Map()
  /** By key of identity: codings that were tried in vain for this version of the file. */
  readonly inVain: Map<string, readonly string[]> = new Map();

  /** Every image, at least once. */
  *images(): Generator<number> {
    for (const { image, notModified } of this.files.values()) {
      yield image
      yield notModified
    }
    yield* this.pages.values()
  }
}

export const fileKey = (site: number, path: string, coding: string): string =>
  `${site} ${coding} ${path}`
