/**
 * Files whose bytes are not in memory (design: content beyond the budget): a body is read in
 * *extents* of one size, each an image without a head that anybody who sends this file shares, so
 * that it is sent as any other: framed once, from where it lies. Those that nobody used for longest
 * go first.
 *
 * Invariant: all bytes of one `read` are of one version of the file. It is looked at before each
 * extent; if it was written to, reading fails, and who sends it must not pretend that it is whole.
 * One that was replaced, or deleted, is read to its end, and as long as its descriptor is kept
 * (pagedFiles.ts) from its start too.
 *
 * A disk may hang. Who waits for bytes longer than the stall time-out is told that they cannot be
 * had; the reading itself cannot be called off, and keeps its extent until it returns.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ContentFs } from './fileSystem.ts'
import { NO_IMAGE } from './image.ts'
import type { ImageStore } from './imageStore.ts'
import { changed, type PagedFile, PagedFiles } from './pagedFiles.ts'
import { type FileState, hasSameBytes, stateOf } from './read.ts'

/** Large enough to be worth a system call and a message, small enough to be shared by many. */
export const EXTENT_BYTES: number = 256 << 10
/** When everything is in use: how soon to look again. */
const WAIT_MS = 10

/**
 * Bytes [from, end) of the body of an image, to be sent; it stays until `release`, or while it is
 * held.
 */
export interface Piece {
  readonly image: number
  readonly from: number
  readonly end: number
  /** Once it is held by its reader, or not wanted. */
  release(): void
}

/** What is counted of files on disk. */
export interface PagingStats {
  /** In memory, and files that are open. */
  extents: number
  openFiles: number
  /**
   * Extents that were read, and their bytes; that were in memory already, or on their way; that
   * gave way.
   */
  reads: number
  readBytes: number
  hits: number
  evicted: number
  /** Times that all extents were in use, so that an answer had to wait. */
  waits: number
  /**
   * Answers that were refused, or cut off: the file is not what it was, or cannot be read in time.
   */
  failed: number
}

export interface PagerLimits {
  /** Of the store, for extents. */
  readonly bytesMax: number
  /** Larger files stay on disk although there may be room. */
  readonly fileBytesMax: number
  /** Files that are kept open although nobody reads them. */
  readonly keptFilesMax: number
  /** For one extent: so long a reader waits for room, and so long for its bytes. */
  readonly stallTimeoutMs: number
}

interface Extent {
  readonly image: number
  /** Pieces that are not released. */
  users: number
  /** Its bytes are still being read, whoever waits for them. */
  isReading: boolean
  /** Its bytes are there; false: they could not be had. */
  readonly ready: Promise<boolean>
}

export class Pager {
  readonly #counts = { reads: 0, readBytes: 0, hits: 0, waits: 0, evicted: 0, failed: 0 }
  readonly #store: ImageStore
  readonly #fs: ContentFs
  readonly #bytesMax: number
  readonly fileBytesMax: number
  readonly #keptFilesMax: number
  readonly #stallTimeoutMs: number
  readonly #files = new Map<number, PagedFile>()
  readonly #open: PagedFiles
  /** Least recently used first. */
  readonly #extents = new Map<string, Extent>()
  #bytes = 0
  #lastId = 0

  constructor(store: ImageStore, fs: ContentFs, limits: PagerLimits) {
    this.#store = store
    this.#fs = fs
    this.#bytesMax = Math.max(limits.bytesMax, EXTENT_BYTES)
    this.fileBytesMax = limits.fileBytesMax
    this.#keptFilesMax = limits.keptFilesMax
    this.#stallTimeoutMs = limits.stallTimeoutMs
    this.#open = new PagedFiles(fs, limits.keptFilesMax)
    store.onPagedGone = image => this.#remove(image)
  }

  get stats(): PagingStats {
    const extents = this.#extents.size
    return { extents, openFiles: this.#open.openCount, ...this.#counts }
  }

  /** Memory that it may want yet: nobody else should take it. */
  get wantedBytes(): number {
    return this.#bytesMax - this.#bytes
  }

  /** The body of `image` is this version of a file. Until the image is discarded. */
  add(image: number, file: string, state: FileState): void {
    this.#files.set(image, { id: ++this.#lastId, file, state })
  }

  #remove(image: number): void {
    const paged = this.#files.get(image)
    if (paged !== undefined) this.#open.forget(paged)
    this.#files.delete(image)
  }

  /**
   * Opens the files that were added last, as many as may be, so that they can be had although they
   * are replaced.
   */
  openFiles(): void {
    for (const paged of [...this.#files.values()].slice(-this.#keptFilesMax)) this.#open.keep(paged)
  }

  /** Closes files that nobody reads. */
  close(): void {
    this.#open.close()
  }

  /**
   * Bytes [from, end) of the body of `image`, in pieces. Throws if the file is not what it was, or
   * cannot be read, or not in time. `return` it when no more is wanted.
   */
  async *read(image: number, from: number, end: number): AsyncGenerator<Piece> {
    const paged = this.#files.get(image)
    if (paged === undefined) throw new Error('the file is not served any more')
    try {
      yield* this.#pieces(paged, from, end)
    } catch (error) {
      this.#counts.failed++
      throw error
    }
  }

  async *#pieces(paged: PagedFile, from: number, end: number): AsyncGenerator<Piece> {
    const fd = this.#open.use(paged)
    try {
      for (let at = from; at < end; ) {
        const base = at - (at % EXTENT_BYTES)
        const extent = await this.#extent(paged, fd, base)
        const pieceEnd = Math.min(end, base + EXTENT_BYTES)
        yield this.#piece(extent, at - base, pieceEnd - base)
        at = pieceEnd
      }
    } finally {
      this.#open.release(paged)
    }
  }

  #piece(extent: Extent, from: number, end: number): Piece {
    let isReleased = false
    const release = (): void => {
      if (!isReleased) extent.users--
      isReleased = true
    }
    return { image: extent.image, from, end, release }
  }

  /** The extent that begins at byte `base`, with one user more. */
  async #extent(paged: PagedFile, fd: number, base: number): Promise<Extent> {
    this.#check(paged, fd)
    const key = `${paged.id} ${base}`
    const extent = this.#use(key) ?? (await this.#load(key, paged, base))
    if (this.#extents.get(key) === extent) {
      // The most recently used is the last.
      this.#extents.delete(key)
      this.#extents.set(key, extent)
    }
    if (await within(this.#stallTimeoutMs, extent.ready)) return extent
    extent.users--
    throw new Error(`${paged.file} changed while it was sent, or its disk hangs`)
  }

  /** An extent that is there or under way, with one user more. */
  #use(key: string): Extent | undefined {
    const extent = this.#extents.get(key)
    if (extent === undefined) return undefined
    this.#counts.hits++
    extent.users++
    return extent
  }

  /** With its first user from the start on: whoever looks for room must not take it for unused. */
  async #load(key: string, paged: PagedFile, base: number): Promise<Extent> {
    const len = Math.min(EXTENT_BYTES, paged.state.size - base)
    let image = this.#room(len)
    if (image === NO_IMAGE) this.#counts.waits++
    for (let waitedMs = 0; image === NO_IMAGE; waitedMs += WAIT_MS) {
      if (waitedMs >= this.#stallTimeoutMs) throw new Error(`no room to read ${paged.file}`)
      await sleep(WAIT_MS)
      image = this.#room(len)
    }
    // While we waited somebody else may have begun it.
    const other = this.#use(key)
    if (other !== undefined) {
      this.#store.discard(image)
      this.#bytes -= len
      return other
    }
    // Begins when the extent is known, or a failure at once would find nothing to take back.
    const ready = Promise.resolve().then(() => this.#fill(key, paged, extent, base))
    const extent: Extent = { image, users: 1, isReading: true, ready }
    this.#extents.set(key, extent)
    this.#counts.reads++
    return extent
  }

  async #fill(key: string, paged: PagedFile, extent: Extent, base: number): Promise<boolean> {
    const { region } = this.#store
    const { image } = extent
    // Who waits for it may have given up before it returns.
    const fd = this.#open.use(paged)
    const off = this.#store.bodyOff(image)
    const len = this.#store.lenOf(image)
    try {
      for (let done = 0; done < len; ) {
        const count = await this.#fs.read(fd, region.bytes, off + done, len - done, base + done)
        if (count === 0) throw new Error('it ended early')
        done += count
        this.#counts.readBytes += count
      }
      this.#check(paged, fd)
      return true
    } catch {
      // Whoever waits for it sees that it is not ready, and sends nothing of it.
      this.#drop(key, image)
      return false
    } finally {
      extent.isReading = false
      this.#open.release(paged)
    }
  }

  /** An image of `len` bytes, others given up for it if need be; NO_IMAGE: all are in use. */
  #room(len: number): number {
    while (this.#bytes + len > this.#bytesMax) if (!this.evict()) return NO_IMAGE
    let image = this.#store.addPiece(len)
    while (image === NO_IMAGE && this.evict()) image = this.#store.addPiece(len)
    if (image !== NO_IMAGE) this.#bytes += len
    return image
  }

  /** Gives up the extent that nobody used for longest; false: all are in use. */
  evict(): boolean {
    for (const [key, extent] of this.#extents) {
      if (extent.users > 0 || extent.isReading || this.#store.isHeld(extent.image)) continue
      this.#drop(key, extent.image)
      this.#counts.evicted++
      return true
    }
    return false
  }

  #drop(key: string, image: number): void {
    this.#extents.delete(key)
    this.#bytes -= this.#store.lenOf(image)
    this.#store.discard(image)
  }

  #check({ file, state }: PagedFile, fd: number): void {
    if (!hasSameBytes(stateOf(this.#fs.fstat(fd)), state)) throw new Error(changed(file))
  }
}

/** What it brings; false too if it takes longer. */
async function within(ms: number, promise: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>(resolve => {
    timer = setTimeout(() => resolve(false), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
