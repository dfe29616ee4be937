/**
 * A generation in the making, on the main thread: keeps the images of the last one that are still
 * right, and adds those that are not there yet. Nobody sees any of it until it is published; what
 * it has added is given back if it never is.
 */
import { Catalog, type HeadBasis, isSameBasis, type StoredFile } from './catalog.ts'
import type { Head } from './head.ts'
import { NO_IMAGE, PAGED } from './image.ts'
import type { ImageStore } from './imageStore.ts'
import type { Pager } from './pager.ts'
import { etagOf, type FileState, isSameState } from './read.ts'

/** A version so young may be followed by another with the same times, or be half of one. */
const YOUNG_MS = 100

interface Heads {
  readonly basis: HeadBasis
  readonly answer: Head
  readonly revalidated: Head
}

interface DraftParts {
  readonly store: ImageStore
  readonly pager: Pager
  /** Of the generation that is served; an empty one if there is none. */
  readonly old: Catalog
  /** Since 1970. */
  readonly nowMs: () => number
  /** Of the store, what is kept for others than files in memory. */
  readonly reservedBytes: () => number
}

export class Draft {
  readonly catalog: Catalog = new Catalog()
  readonly store: ImageStore
  readonly #pager: Pager
  readonly #old: Catalog
  readonly #nowMs: () => number
  readonly #reservedBytes: () => number
  readonly #added: number[] = []
  /** Something was not as it will be: look again soon. */
  isUnsettled = false
  /** All files stay on disk for now, so that it is there at once. */
  isEarly = false

  constructor({ store, pager, old, nowMs, reservedBytes }: DraftParts) {
    this.store = store
    this.#pager = pager
    this.#old = old
    this.#nowMs = nowMs
    this.#reservedBytes = reservedBytes
  }

  /** What the last generation has under `key`, right or not. */
  last(key: string): StoredFile | undefined {
    return this.#old.files.get(key)
  }

  /**
   * The file if it is stored in this version already: as it is (unless it is on disk, may be in
   * memory, and there is room for it now), or, if its heads are to be others, with a copy of its
   * body. NO_IMAGE: there is no room for that.
   */
  keep(
    key: string,
    state: FileState,
    heads: Heads,
    staysOnDisk: boolean,
  ): StoredFile | undefined | typeof NO_IMAGE {
    const last = this.last(key)
    if (last === undefined || !this.#isVersion(last, state)) return undefined
    const isPaged = this.store.images[last.image + PAGED] !== 0
    const { basis } = heads
    // Its heads need not be made: see place.ts.
    if (!isPaged && isSameBasis(last.basis, basis)) return this.put(key, last)
    const hasRoom = !staysOnDisk && this.hasRoom(heads.answer, state.size)
    if (isPaged && hasRoom) return undefined
    if (this.#hasHeads(last, heads)) return this.put(key, { ...last, basis })
    if (isPaged || !hasRoom) return undefined
    const image = this.store.addCopy(heads.answer, last.image)
    if (image === NO_IMAGE) return NO_IMAGE
    const etag = this.store.etagAt(last.etagOff)
    return this.#enter(key, state, heads, image, etag, true) ?? NO_IMAGE
  }

  /** May an answer with so long a body be in memory? */
  hasRoom(answer: Head, bodyLen: number): boolean {
    if (this.isEarly) return false
    const room = Math.min(this.#pager.fileBytesMax, this.store.freeBytes - this.#reservedBytes())
    return room >= answer.text.length + bodyLen
  }

  /**
   * Stores a file whose bytes stay where they are: its entity tag is made of what is known of this
   * version. undefined: there is no room even for its heads.
   */
  storePaged(key: string, state: FileState, heads: Heads, file: string): StoredFile | undefined {
    const image = this.store.addPaged(heads.answer, state.size)
    if (image === NO_IMAGE) return undefined
    this.#pager.add(image, file, state)
    const version = `${state.ino} ${state.size} ${state.mtimeMs} ${state.ctimeMs}`
    return this.storeFile(key, state, heads, image, etagOf(Buffer.from(version)))
  }

  /** Has the last generation heads for `key` that were made of the same? */
  hasHeadsOf(key: string, state: FileState, basis: HeadBasis): boolean {
    const last = this.last(key)
    return last !== undefined && this.#isVersion(last, state) && isSameBasis(last.basis, basis)
  }

  /** Is the file of `key` stored, read or made of this version of a file? */
  isStored(key: string, version: FileState): boolean {
    const last = this.last(key)
    return last !== undefined && this.#isVersion(last, { ...version, size: last.state.size })
  }

  /** Was it tried in vain to code this version of the file? */
  isInVain(key: string, coding: string, version: FileState): boolean {
    const isTried = this.#old.inVain.get(key)?.includes(coding) ?? false
    return isTried && this.isStored(key, version)
  }

  /**
   * Keeps the last version of a file of which the present one can't be had; undefined: there is
   * none.
   */
  keepLast(key: string): StoredFile | undefined {
    const last = this.last(key)
    return last === undefined ? undefined : this.put(key, last)
  }

  put(key: string, stored: StoredFile): StoredFile {
    this.catalog.files.set(key, stored)
    return stored
  }

  /** Is this a change that may not be all of it yet? */
  isUnripe(key: string, state: FileState): boolean {
    return this.isYoung(state) && !this.isStored(key, state)
  }

  /**
   * The body of `image`, which is the draft's from here on, is read and has this entity tag: stores
   * the file; or keeps the last version, if it turns out to be the same after all. undefined: there
   * is no room for its 304.
   */
  storeFile(
    key: string,
    state: FileState,
    heads: Heads,
    image: number,
    etag: string,
  ): StoredFile | undefined {
    const isSettled = !this.isYoung(state)
    if (!isSettled) this.isUnsettled = true
    const last = this.last(key)
    const isSame =
      last !== undefined && this.#hasHeads(last, heads) && this.store.etagAt(last.etagOff) === etag
    if (!isSame) return this.#enter(key, state, heads, image, etag, isSettled)
    this.store.discard(image)
    return this.put(key, { ...last, state, basis: heads.basis, isSettled })
  }

  #enter(
    key: string,
    state: FileState,
    { basis, answer, revalidated }: Heads,
    image: number,
    etag: string,
    isSettled: boolean,
  ): StoredFile | undefined {
    const notModified = this.store.add(revalidated, 0)
    if (notModified === NO_IMAGE) {
      this.store.discard(image)
      return undefined
    }
    this.#added.push(image, notModified)
    this.store.setEtag(notModified, revalidated, etag)
    this.store.setEtag(image, answer, etag)
    const etagOff = this.store.etagOff(image, answer)
    return this.put(key, { state, basis, isSettled, image, notModified, etagOff })
  }

  /**
   * The image of bytes that are there, with this entity tag if its head has one: the last one's if
   * that is the same. NO_IMAGE: no room.
   */
  page(name: string, head: Head, body: Uint8Array, etag = ''): number {
    const last = this.#old.pages.get(name)
    const isSame = last !== undefined && this.#isPage(last, head, body, etag)
    const image = isSame ? last : this.store.addWhole(head, body)
    if (image === NO_IMAGE) return NO_IMAGE
    if (!isSame) {
      this.#added.push(image)
      if (head.etagOff > 0) this.store.setEtag(image, head, etag)
    }
    this.catalog.pages.set(name, image)
    return image
  }

  #isPage(image: number, head: Head, body: Uint8Array, etag: string): boolean {
    const { store } = this
    if (!store.hasHead(image, head) || !store.hasBody(image, body)) return false
    return head.etagOff === 0 || store.etagAt(store.etagOff(image, head)) === etag
  }

  /** Gives back what was added: this generation will not be. */
  discard(): void {
    for (const image of this.#added) this.store.discard(image)
    this.#added.length = 0
  }

  /** So young that it may still be written to. */
  isYoung({ mtimeMs, ctimeMs }: FileState): boolean {
    return Math.abs(this.#nowMs() - Math.max(mtimeMs, ctimeMs)) < YOUNG_MS
  }

  #isVersion({ state, isSettled }: StoredFile, version: FileState): boolean {
    return isSettled && isSameState(state, version)
  }

  #hasHeads({ image, notModified }: StoredFile, { answer, revalidated }: Heads): boolean {
    return this.store.hasHead(image, answer) && this.store.hasHead(notModified, revalidated)
  }
}
