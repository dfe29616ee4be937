/**
 * Descriptors of files that are sent from disk. One is kept after its last use, and may be had
 * before the first, so that who asks for a file which was replaced or deleted a moment ago, while
 * what is served still leads to it, gets it as it was: its name leads elsewhere by then. So many
 * are kept at the most; those that nobody used for longest are closed, and their files opened by
 * name when they are asked for again.
 */
import { type ContentFs, OPEN_FLAGS } from './fileSystem.ts'
import { type FileState, hasSameBytes, isInFolder, stateOf } from './read.ts'

/** A version of a file whose bytes are not in memory. */
export interface PagedFile {
  /** Of this one alone: images are used again. */
  readonly id: number
  readonly file: string
  readonly state: FileState
}

interface OpenFile {
  readonly fd: number
  /** Those who read it just now. */
  users: number
  /** Nobody will ask for it any more. */
  isForgotten: boolean
}

export class PagedFiles {
  readonly #fs: ContentFs
  readonly #keptMax: number
  /** By id; least recently used first. */
  readonly #open = new Map<number, OpenFile>()

  /** Keeps `keptMax` descriptors, and those that are used. */
  constructor(fs: ContentFs, keptMax: number) {
    this.#fs = fs
    this.#keptMax = keptMax
  }

  get openCount(): number {
    return this.#open.size
  }

  /** Opens a file for those who will ask for it, if it is what it was, and if there is room. */
  keep(paged: PagedFile): void {
    if (this.#open.size >= this.#keptMax || this.#open.has(paged.id)) return
    try {
      const fd = this.#openByName(paged)
      this.#open.set(paged.id, { fd, users: 0, isForgotten: false })
    } catch {
      // Who asks for it will learn why.
    }
  }

  /** The descriptor, until `release`. Throws if the file cannot be had, or is another. */
  use(paged: PagedFile): number {
    const kept = this.#open.get(paged.id)
    const open = kept ?? { fd: this.#openByName(paged), users: 0, isForgotten: false }
    open.users++
    this.#open.delete(paged.id)
    this.#open.set(paged.id, open)
    this.#closeUnused(this.#keptMax)
    return open.fd
  }

  release({ id }: PagedFile): void {
    const open = this.#open.get(id)!
    open.users--
    if (open.isForgotten) this.#closeIfUnused(id, open)
    else this.#closeUnused(this.#keptMax)
  }

  /** Nobody will ask for the file any more: it is closed when nobody uses it. */
  forget({ id }: PagedFile): void {
    const open = this.#open.get(id)
    if (open === undefined) return
    open.isForgotten = true
    this.#closeIfUnused(id, open)
  }

  /** Closes what nobody uses. */
  close(): void {
    this.#closeUnused(0)
  }

  /** Of the versions that there may be under this name. */
  #openByName({ file, state }: PagedFile): number {
    const fd = this.#fs.open(file, OPEN_FLAGS)
    try {
      if (!isInFolder(this.#fs, fd, file)) throw new Error(`${file} lies elsewhere now`)
      if (!hasSameBytes(stateOf(this.#fs.fstat(fd)), state)) throw new Error(changed(file))
      return fd
    } catch (error) {
      this.#fs.close(fd)
      throw error
    }
  }

  /** Those used longest ago, until so many are left. */
  #closeUnused(max: number): void {
    if (this.#open.size <= max) return
    for (const [id, open] of this.#open) {
      this.#closeIfUnused(id, open)
      if (this.#open.size <= max) return
    }
  }

  #closeIfUnused(id: number, { fd, users }: OpenFile): void {
    if (users > 0) return
    this.#open.delete(id)
    this.#fs.close(fd)
  }
}

/** What is wrong with a file that was written to, or replaced. */
export const changed = (file: string): string => `${file} is not what it was`
