/**
 * Content that follows its folders while a server runs. It owns the image store and the catalog of
 * the generation that is served; `reload` makes another one and, when it is whole, tells every
 * reader. Images that it does not have any more are freed when no reader needs them.
 *
 * On the main thread. A reader is a packet thread, or the kernel mount.
 */
import { assert, REGION_MAX_BYTES, type SharedMemory } from '@sandstorm/libnmio'
import type { Site } from '../site/site.ts'
import { Catalog } from './catalog.ts'
import { plainReader, type ReaderChoice } from './fileReader.ts'
import { type ContentFs, openFilesMax, REAL_FS } from './fileSystem.ts'
import { Hits } from './hits.ts'
import { IMAGE_STRIDE } from './image.ts'
import type { ImageStore } from './imageStore.ts'
import { Lender } from './lender.ts'
import { type Loaded, load, type ProgressListener } from './load.ts'
import { checkMemory, newStore, pagedBytesOf } from './memory.ts'
import { Pager, type PagingStats, type Piece } from './pager.ts'
import { readerFor } from './readTeam.ts'
import type { Slice } from './slices.ts'
import type { ContentMail, ContentShared } from './table.ts'

export interface LoadOptions {
  /** The budget for content, its tables, and `stackBytes`. */
  readonly memoryBytes: number
  /**
   * What a stack needs for its frames at least: it gets what the content leaves of the region, so
   * that frames are sent from where the content lies. Default: no stack, all is the content's.
   */
  readonly stackBytes?: number
  /** What stored answers of origins may take of the content's room (hits.ts); default: nothing. */
  readonly hitBytes?: number
  /** Larger files stay on disk although there may be room for them; default: none. */
  readonly fileBytesMax?: number
  /** So long an answer waits for bytes from disk; default: two minutes. */
  readonly stallTimeoutMs?: number
  /** Told, in one line each, what is left out or cannot be read; of each thing once. */
  readonly onWarning: (line: string) => void
  /** Is this too much to wait for? Then all files stay on disk until the next `reload`. */
  readonly isEarly?: ((fileBytes: number) => boolean) | undefined
  /** Told now and then how far the first reading of files has come. */
  readonly onProgress?: ProgressListener | undefined
  /** For tests: another file system, another clock (milliseconds since 1970). */
  readonly fs?: ContentFs
  readonly nowMs?: () => number
  /** Who reads the files at first; default: other threads too if that pays. */
  readonly readerFor?: ReaderChoice
}

/** A reader's side: what it starts with, and how it ends. */
export interface Attachment {
  readonly shared: ContentShared
  /** The reader is gone: it needs nothing any more. */
  detach(): void
}

/** What a reload brought. */
export interface Reloaded {
  /** Images that are new, and that are no more. */
  readonly added: number
  readonly retired: number
}

/** What is counted of content, from its start on. */
export interface ContentStats {
  /** Images that the generation which is served leads to. */
  images: number
  /** Others, which somebody may still need. */
  retired: number
  freeBytes: number
  /** The number of the generation that is served. */
  generation: number
  /** Looks at the folders that made a generation, and that did not. */
  reloads: number
  failedReloads: number
}

/** What new content may take beside the old: as much as that, but not less than this. */
const SPARE_MIN_BYTES = 64 << 20
/** Files kept open: this share of what the process may have, and so many, opened in 35 ms. */
const KEPT_FILES_SHARE = 1 / 4
const KEPT_FILES_MAX = 1024
/** Of the content's room. */
const HIT_SHARE = 1 / 4
const RECLAIM_MS = 100
/** What changed is taken up after so long even if more may follow. */
const WAIT_MS = 500
const STALL_MS = 120_000
/** No generation: the first is 1. */
const NEVER = 0

/** Reading more takes a second or so: nobody should wait for that. */
export const isMuchToRead = (fileBytes: number): boolean => fileBytes > 256 << 20

/** What the content is made of. */
interface Parts {
  readonly store: ImageStore
  readonly pager: Pager
  readonly hits: Hits
  readonly readers: Readers
  /** Of the store, what is kept for others than files in memory. */
  readonly reservedBytes: () => number
}

/** By what they write for us (holds.ts): how they are told. */
type Readers = Map<SharedArrayBuffer, (mail: ContentMail) => void>

export class LiveContent {
  readonly #store: ImageStore
  readonly #pager: Pager
  readonly #lender: Lender
  readonly hits: Hits
  readonly #reservedBytes: () => number
  readonly #options: LoadOptions
  #sites: readonly Site[]
  #loaded: Loaded
  /** How much of the region, from its start, is the content's. */
  readonly contentBytes: number
  readonly #readers: Readers
  /** By image record: the last generation that has its image, or NEVER. */
  readonly #lastSeen: Int32Array
  #said: ReadonlySet<string>
  /** When a change began to wait for more, by `nowMs`. */
  #waitsSinceMs: number | undefined
  #reclaiming: NodeJS.Timeout | undefined
  #imageCount: number
  #failedReloads = 0
  /** Reloads, one behind the other. */
  #queue: Promise<unknown> = Promise.resolve()

  /**
   * Loads `sites`. Rejects with an Error of one clear line if a root is no folder, or if what must
   * be in memory needs more than the budget: heads and tables. Files that do not fit stay on disk.
   */
  static async open(sites: readonly Site[], options: LoadOptions): Promise<LiveContent> {
    const { memoryBytes, stackBytes = 0, onProgress } = options
    const regionBytes = Math.min(memoryBytes, REGION_MAX_BYTES)
    const roomBytes = Math.max(0, regionBytes - stackBytes)
    const fs = options.fs ?? REAL_FS
    const store = newStore(regionBytes, roomBytes)
    const { fileBytesMax = Number.POSITIVE_INFINITY, stallTimeoutMs = STALL_MS } = options
    const keptFilesMax = Math.min(KEPT_FILES_MAX, Math.floor(openFilesMax() * KEPT_FILES_SHARE))
    const limits = { bytesMax: pagedBytesOf(roomBytes), fileBytesMax, keptFilesMax, stallTimeoutMs }
    const pager = new Pager(store, fs, limits)
    const readers: Readers = new Map()
    const hits = new Hits(store, Math.min(options.hitBytes ?? 0, roomBytes * HIT_SHARE), mail => {
      for (const tell of readers.values()) tell(mail)
    })
    const reservedBytes = (): number => pager.wantedBytes + hits.wantedBytes
    const said = new Set<string>()
    const loaded = await load({
      sites,
      store,
      pager,
      old: new Catalog(),
      number: 1,
      mayWait: false,
      fs,
      readerFor: options.readerFor ?? readerFor,
      nowMs: options.nowMs ?? Date.now,
      onWarning: line => {
        said.add(line)
        options.onWarning(line)
      },
      onProgress,
      isEarly: options.isEarly,
      reservedBytes,
      checkNeeded: needed => checkMemory(sites, needed, stackBytes, memoryBytes),
    })
    assert(loaded !== undefined, 'what is loaded first does not wait')
    pager.openFiles()
    const contentBytes =
      stackBytes === 0 ? regionBytes : store.cut(spareBytes(store, reservedBytes(), loaded))
    return new LiveContent(
      sites,
      options,
      { store, pager, hits, readers, reservedBytes },
      loaded,
      contentBytes,
      said,
    )
  }

  private constructor(
    sites: readonly Site[],
    options: LoadOptions,
    { store, pager, hits, readers, reservedBytes }: Parts,
    loaded: Loaded,
    contentBytes: number,
    said: ReadonlySet<string>,
  ) {
    this.#sites = sites
    this.#options = options
    this.#store = store
    this.#pager = pager
    this.hits = hits
    this.#reservedBytes = reservedBytes
    this.#readers = readers
    this.#lender = new Lender(store, pager.wantedBytes, () => pager.evict())
    store.onRetired = () => this.#reclaimSoon()
    this.#lender.onLent = () => this.#reclaimSoon()
    this.#loaded = loaded
    this.contentBytes = contentBytes
    this.#said = said
    this.#lastSeen = new Int32Array(store.recordCount)
    this.#imageCount = new Set(loaded.catalog.images()).size
  }

  get region(): SharedMemory {
    return this.#store.region.memory
  }

  /** Folders whose changes matter: real paths. */
  get dirs(): ReadonlySet<string> {
    return this.#loaded.dirs
  }

  /** Some file is not as it will be: look again soon. */
  get isUnsettled(): boolean {
    if (this.#waitsSinceMs !== undefined) return true
    return this.#loaded.isUnsettled || this.#loaded.isEarly
  }

  /** What readers may still need although the content does not have it any more. */
  get retiredCount(): number {
    return this.#store.retiredCount
  }

  get freeBytes(): number {
    return this.#store.freeBytes
  }

  /** Slices of the body of an image that is a file's on disk (Pager.read). */
  readonly pieces = (image: number, slices: readonly Slice[]): AsyncGenerator<Piece> =>
    this.#pieces(image, slices)

  async *#pieces(image: number, slices: readonly Slice[]): AsyncGenerator<Piece> {
    for (const { made, from, end } of slices) {
      yield* this.lend(made)
      if (end > from) yield* this.#pager.read(image, from, end)
    }
  }

  stats(): ContentStats {
    const { number } = this.#loaded.generation
    return {
      images: this.#imageCount,
      retired: this.retiredCount,
      freeBytes: this.freeBytes,
      generation: number,
      reloads: number - 1,
      failedReloads: this.#failedReloads,
    }
  }

  /** Of files on disk. */
  get pagingStats(): PagingStats {
    return this.#pager.stats
  }

  /** Bytes that are sent once, as pieces (Lender.pieces). */
  readonly lend = (bytes: Uint8Array): AsyncGenerator<Piece> => this.#lender.pieces(bytes)

  /** A new reader, which is told of all that is new from now on. */
  attach(onMail: (mail: ContentMail) => void): Attachment {
    const holds = this.#store.addReader()
    this.#readers.set(holds, onMail)
    const { region, images } = this.#store
    const shared = {
      region: region.memory,
      contentBytes: this.contentBytes,
      images: images.buffer,
      holds,
      hits: { records: this.hits.records, used: this.hits.used, number: this.hits.number },
      generation: this.#loaded.generation,
    }
    const detach = (): void => {
      this.#readers.delete(holds)
      this.#store.removeReader(holds)
    }
    return { shared, detach }
  }

  /**
   * Looks at the folders again, those of `sites` from now on if they are given. A change to which
   * more may belong waits for it, for a while; not so if `sites` are given: then what is there is
   * taken at once. Rejects with one clear line, and goes on with what is served, if that cannot be.
   */
  reload(sites?: readonly Site[]): Promise<Reloaded> {
    const reloaded = this.#queue.then(() => this.#reload(sites))
    this.#queue = reloaded.catch(() => this.#failedReloads++)
    return reloaded
  }

  /** Settles when no reload is under way; nothing is freed afterwards. */
  async close(): Promise<void> {
    await this.#queue
    clearInterval(this.#reclaiming)
    this.#pager.close()
  }

  async #reload(given: readonly Site[] | undefined): Promise<Reloaded> {
    const sites = given ?? this.#sites
    const nowMs = this.#options.nowMs ?? Date.now
    const sinceMs = this.#waitsSinceMs ?? nowMs()
    const old = this.#loaded
    const number = old.generation.number + 1
    const said = new Set<string>()
    const loaded = await load({
      sites,
      onProgress: old.isEarly ? this.#options.onProgress : undefined,
      store: this.#store,
      pager: this.#pager,
      reservedBytes: this.#reservedBytes,
      old: old.catalog,
      number,
      mayWait: given === undefined && nowMs() - sinceMs < WAIT_MS,
      fs: this.#options.fs ?? REAL_FS,
      readerFor: old.isEarly ? (this.#options.readerFor ?? readerFor) : plainReader,
      nowMs,
      onWarning: line => {
        if (!this.#said.has(line) && !said.has(line)) this.#options.onWarning(line)
        said.add(line)
      },
    })
    this.#waitsSinceMs = loaded === undefined ? sinceMs : undefined
    if (loaded === undefined) return { added: 0, retired: 0 }
    this.#said = said
    this.#sites = sites
    this.#loaded = loaded
    this.#pager.openFiles()
    const { generation } = loaded
    for (const tell of this.#readers.values()) tell({ kind: 'generation', generation })
    const counts = this.#retire(old.catalog, loaded.catalog, number)
    this.#imageCount += counts.added - counts.retired
    return counts
  }

  #retire(old: Catalog, now: Catalog, number: number): { added: number; retired: number } {
    const at = (image: number): number => image / IMAGE_STRIDE
    for (const image of old.images()) this.#lastSeen[at(image)] = number - 1
    let added = 0
    for (const image of now.images()) {
      if (this.#lastSeen[at(image)] < number - 1) added++
      this.#lastSeen[at(image)] = number
    }
    let retired = 0
    for (const image of old.images()) {
      if (this.#lastSeen[at(image)] !== number - 1) continue
      // Not `number`: the next generation may have another image in this record.
      this.#lastSeen[at(image)] = NEVER
      this.#store.retire(image, number)
      retired++
    }
    if (retired > 0) this.#reclaim()
    return { added, retired }
  }

  /** Frees what it can; from time to time until nothing is left. */
  #reclaim(): void {
    this.#store.reclaim()
    this.#lender.reclaim()
    if (this.#store.retiredCount + this.#lender.lentCount > 0) return
    clearInterval(this.#reclaiming)
    this.#reclaiming = undefined
  }

  #reclaimSoon(): void {
    this.#reclaiming ??= setInterval(() => this.#reclaim(), RECLAIM_MS).unref()
  }
}

/**
 * What is left to content that is still to come: extents and hits, the files that are on disk for
 * now, and later versions of all.
 */
function spareBytes(
  store: ImageStore,
  reservedBytes: number,
  { isEarly, fileBytes }: Loaded,
): number {
  const { freeBytes } = store
  const soonBytes = Math.min(freeBytes, reservedBytes + (isEarly ? fileBytes : 0))
  const laterBytes = Math.min((freeBytes - soonBytes) / 2, Math.max(fileBytes, SPARE_MIN_BYTES))
  return Math.floor(soonBytes + laterBytes)
}

/** Content that stays as it is, for one reader. Rejects as `LiveContent.open` does. */
export async function loadContent(
  sites: readonly Site[],
  options: LoadOptions,
): Promise<ContentShared> {
  const live = await LiveContent.open(sites, options)
  return live.attach(() => {}).shared
}
