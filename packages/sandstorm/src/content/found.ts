/** What a scan finds in a site's folder (scan.ts), before anything of it is read. */
import type { CodingName } from '../site/site.ts'
import type { FileState } from './read.ts'

/** A file in another coding: a sibling on disk, or bytes that were made of it, now or before. */
export interface FoundCoding {
  readonly coding: CodingName
  readonly source: { readonly file: string } | MadeCoding | 'stored'
  readonly state: FileState
}

/** Coded bytes, and the entity tags of them and of the bytes that they were made of. */
export interface MadeCoding {
  readonly body: Uint8Array
  readonly etag: string
  readonly identity: string
}

export interface FoundFile {
  /** Real path on disk. */
  readonly file: string
  readonly name: string
  /** Canonical request paths: its own, then "/dir/" of an index file and "/about" of about.html. */
  readonly paths: string[]
  state: FileState
  /** Files beside it that are this one in a coding, at most one for each. */
  readonly siblings: { readonly coding: CodingName; readonly file: string }[]
  /** It is one of those: seldom asked for by its own name, so its bytes stay on disk. */
  isSibling: boolean
  /** What it is offered in beside identity, at most one for each coding. */
  readonly codings: FoundCoding[]
  /** 200, or the status it is answered with because it cannot be read. */
  status: number
}

export interface FoundRedirect {
  /** "/a/dir", which is answered with a redirect to "/a/dir/". */
  readonly path: string
  readonly name: string
}

/** A folder without an index, in a site that lists such folders. */
export interface FoundListing {
  /** "/a/dir/" */
  readonly path: string
  readonly files: readonly FoundFile[]
  readonly folders: readonly FoundFolder[]
}

export interface FoundFolder {
  readonly name: string
  /** 0: not known. */
  readonly mtimeMs: number
}

export interface FoundTree {
  /** The real path of the site's folder. */
  readonly root: string
  readonly files: FoundFile[]
  readonly redirects: FoundRedirect[]
  readonly listings: FoundListing[]
  /** Real paths of all folders that were looked into, or that hold what a link leads to. */
  readonly dirs: string[]
}
