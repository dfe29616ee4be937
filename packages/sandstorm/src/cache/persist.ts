/**
 * The store on disk, so that a restart does not begin with an empty cache: one file for each entry,
 * written under another name, flushed, and renamed. The disk follows the memory: what is dropped
 * there is removed here, so one bound holds for both.
 *
 * Writing never holds up an answer: changes wait in line, and of several to one file only the last
 * is carried out. Removals do not wait for what is to be written, which may take minutes on a slow
 * disk: a purge is there a moment later. What a crash loses is a fetch; what it leaves half done is
 * not read (entryFile.ts). A purge is complete on disk when `settled` resolves.
 */
import type { PolicyConfig } from './config.ts'
import type { Entry } from './entry.ts'
import { fileName, fromFile, toFile } from './entryFile.ts'
import type { Store } from './store.ts'

/** The part of node:fs/promises that is needed. */
export interface Disk {
  mkdir(path: string, options: { recursive: true }): Promise<unknown>
  readdir(path: string): Promise<string[]>
  readFile(path: string): Promise<Uint8Array>
  stat(path: string): Promise<{ size: number }>
  open(path: string, flags: 'w'): Promise<DiskFile>
  rename(from: string, to: string): Promise<void>
  rm(path: string, options: { force: true }): Promise<void>
}

export interface DiskFile {
  writeFile(bytes: Uint8Array): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

const ENTRY_NAME = /^[0-9a-f]{64}$/
const TEMPORARY = '.tmp'
const TEMPORARY_NAME = /^[0-9a-f]{64}\.tmp$/

export class Persistence {
  readonly stats = { written: 0, removed: 0, loaded: 0, refused: 0, errors: 0 }
  readonly #disk: Disk
  readonly #folder: string
  /** Names of files that are to go, and then … */
  readonly #leaving = new Set<string>()
  /** … by name, what files are to hold. */
  readonly #waiting = new Map<string, Entry>()
  #worker: Promise<void> | undefined

  /** `folder` is an absolute path, and nobody else's. */
  constructor(disk: Disk, folder: string) {
    this.#disk = disk
    this.#folder = folder
  }

  /**
   * Puts what lies on disk into the store, oldest first, and follows the store from then on. Files
   * of ours that are larger than `fileBytesMax`, or not whole, are removed. Rejects if there is no
   * folder.
   */
  async attach(store: Store, config: PolicyConfig, fileBytesMax: number): Promise<void> {
    await this.#disk.mkdir(this.#folder, { recursive: true })
    const entries: Entry[] = []
    for (const name of await this.#disk.readdir(this.#folder)) {
      const entry = await this.#read(name, config, fileBytesMax)
      if (entry !== undefined) entries.push(entry)
    }
    entries.sort((a, b) => a.responseMs - b.responseMs)
    store.watchers.push({
      onPut: entry => this.#put(entry),
      onDrop: entry => this.#drop(entry),
    })
    for (const entry of entries) if (!store.put(entry)) this.#drop(entry)
    for (const entry of store.entries()) this.#waiting.delete(fileName(entry)) // as it lies there
    this.stats.loaded += store.stats.entries
  }

  /** Resolves when the disk says what the store says. */
  async settled(): Promise<void> {
    while (this.#worker !== undefined) await this.#worker
  }

  /** The entry in a file; ours that is damaged, or half written, is removed, others are let be. */
  async #read(name: string, config: PolicyConfig, bytesMax: number): Promise<Entry | undefined> {
    const path = `${this.#folder}/${name}`
    const isOurs = ENTRY_NAME.test(name)
    if (!isOurs && !TEMPORARY_NAME.test(name)) return undefined
    try {
      if (isOurs && (await this.#disk.stat(path)).size <= bytesMax) {
        const entry = fromFile(await this.#disk.readFile(path), config)
        if (entry !== undefined && fileName(entry) === name) return entry
      }
      this.stats.refused++
      await this.#disk.rm(path, { force: true })
    } catch {
      this.stats.errors++
    }
    return undefined
  }

  #put(entry: Entry): void {
    this.#waiting.set(fileName(entry), entry)
    this.#worker ??= this.#work()
  }

  #drop(entry: Entry): void {
    const name = fileName(entry)
    this.#waiting.delete(name)
    this.#leaving.add(name)
    this.#worker ??= this.#work()
  }

  async #work(): Promise<void> {
    await Promise.resolve() // so that changes of one turn come together
    for (;;) {
      const [leaving] = this.#leaving
      const [next] = this.#waiting
      if (leaving !== undefined) await this.#remove(leaving)
      else if (next !== undefined) await this.#write(...next)
      else break
    }
    this.#worker = undefined
  }

  async #remove(name: string): Promise<void> {
    this.#leaving.delete(name)
    try {
      await this.#disk.rm(`${this.#folder}/${name}`, { force: true })
      this.stats.removed++
    } catch {
      this.stats.errors++
    }
  }

  async #write(name: string, entry: Entry): Promise<void> {
    this.#waiting.delete(name)
    const path = `${this.#folder}/${name}`
    try {
      const file = await this.#disk.open(path + TEMPORARY, 'w')
      try {
        await file.writeFile(toFile(entry))
        await file.sync()
      } finally {
        await file.close()
      }
      await this.#disk.rename(path + TEMPORARY, path)
      this.stats.written++
    } catch {
      this.stats.errors++ // a full disk is no reason to stop serving
      await this.#clear(name)
    }
  }

  /** After a write that failed: half a file is none, and what lies there may have been purged. */
  async #clear(name: string): Promise<void> {
    const paths = [name, name + TEMPORARY].map(each => `${this.#folder}/${each}`)
    await Promise.allSettled(paths.map(path => this.#disk.rm(path, { force: true })))
  }
}
