/**
 * Reads and hashes files on several threads, into the region that they share (paper §2.1: content
 * is loaded ahead of time). The main thread, which has the rest of loading to do, sends lists of
 * files and gets lists of results; while all threads have enough to do it reads files itself.
 *
 * Invariant: every reading settles. What a thread that dies had before it is read by the main
 * thread, as soon as the dead one can write no more.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Region } from '@sandstorm/libnmio'
import { type FileReader, plainReader, type ReaderChoice } from './fileReader.ts'
import { PARALLEL_CALLS, REAL_FS } from './fileSystem.ts'
import { type FileState, type ReadResult, readInto } from './read.ts'
import { packList, type ReadOrder } from './readList.ts'

/**
 * A thread costs 50 ms of CPU time before it is up to speed. One beside the main thread, on 2
 * virtual cores: 10,000 files of 22 KB load 7 to 20 % faster, 2,000 10 % slower; large files are
 * read by the thread pool anyway (docs/decisions.md, "Threads that read").
 */
const FILES_PER_THREAD = 5000
/** More have nothing to do: the main thread cannot follow. */
const THREADS_MAX = 4
/** Files in a message, each of which costs 10 to 20 µs. */
const LIST_FILES = 64
const LIST_BYTES = 4 << 20
/** For each thread: while it reads one, the next is there already. */
const LISTS = 2
/** So long the main thread reads before it looks for results: less than a list takes. */
const SLICE_MS = 1

interface Reading {
  readonly order: ReadOrder
  readonly settle: (result: ReadResult) => void
}

interface Thread {
  readonly worker: Worker
  /** Under way, the oldest first. */
  readonly lists: Reading[][]
}

/** A team if that pays, on this machine and for so many. */
export const readerFor: ReaderChoice = (region, files, fs) => {
  const spare = fs === REAL_FS ? Math.min(availableParallelism() - 1, THREADS_MAX) : 0
  const threads = Math.min(spare, Math.floor(files / FILES_PER_THREAD))
  return threads > 0 ? new ReadTeam(region, threads) : plainReader(region, files, fs)
}

export class ReadTeam implements FileReader {
  readonly callsMax: number
  readonly #region: Region
  readonly #threads: Thread[]
  #queue: Reading[] = []
  /** Readings of the main thread that wait for the disk. */
  #own = 0
  #hasTurn = false
  /** Files that threads have read. */
  readByThreads = 0

  /** Starts as many threads beside the calling one. They read the real file system. */
  constructor(region: Region, threads: number) {
    this.callsMax = (threads * LISTS + 2) * LIST_FILES
    this.#region = region
    this.#threads = Array.from({ length: threads }, () => this.#start())
  }

  read(file: string, off: number, expected: FileState): Promise<ReadResult> {
    return new Promise(settle => {
      this.#queue.push({ order: { file, off, expected }, settle })
      this.#goOn()
    })
  }

  /** Those that live. */
  get threads(): readonly Worker[] {
    return this.#threads.map(({ worker }) => worker)
  }

  /** Files that threads are at. */
  get underWay(): number {
    return this.#threads.reduce((sum, { lists }) => sum + lists.flat().length, 0)
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.map(worker => worker.terminate()))
  }

  #start(): Thread {
    const worker = new Worker(new URL('./readThread.js', import.meta.url), {
      workerData: this.#region.memory,
    })
    const thread: Thread = { worker, lists: [] }
    worker.on('message', (results: readonly ReadResult[]) => {
      const list = thread.lists.shift()!
      this.readByThreads += list.length
      for (const [i, { settle }] of list.entries()) settle(results[i])
      this.#goOn()
    })
    // It exits next, and what it had is read all the same.
    worker.on('error', () => {})
    worker.on('exit', () => {
      this.#threads.splice(this.#threads.indexOf(thread), 1)
      this.#queue.unshift(...thread.lists.flat())
      this.#goOn()
    })
    return thread
  }

  /** Takes a turn as soon as what else there is to do is done. */
  #goOn(): void {
    if (this.#hasTurn || this.#queue.length === 0) return
    this.#hasTurn = true
    setImmediate(() => {
      this.#hasTurn = false
      this.#turn()
    })
  }

  #turn(): void {
    const endMs = performance.now() + SLICE_MS
    this.#feed()
    while (this.#queue.length > 0 && this.#own < PARALLEL_CALLS) {
      this.#readOne(this.#queue.shift()!)
      if (performance.now() < endMs) continue
      this.#goOn()
      return
    }
  }

  /** Sends the next lists, full ones unless a thread has nothing to do. */
  #feed(): void {
    for (const { worker, lists } of this.#threads) {
      while (lists.length < LISTS && this.#queue.length > 0) {
        if (lists.length > 0 && this.#queue.length < LIST_FILES) break
        const list = this.#takeList()
        lists.push(list)
        worker.postMessage(packList(list.map(({ order }) => order)))
      }
    }
  }

  #takeList(): Reading[] {
    let count = 0
    let bytes = 0
    while (count < LIST_FILES && count < this.#queue.length && bytes < LIST_BYTES) {
      bytes += this.#queue[count++].order.expected.size
    }
    return this.#queue.splice(0, count)
  }

  /** Done when it returns if the file is small; otherwise the disk works meanwhile. */
  #readOne({ order: { file, off, expected }, settle }: Reading): void {
    this.#own++
    void readInto(this.#region.bytes, off, expected, file, REAL_FS).then(result => {
      this.#own--
      settle(result)
      this.#goOn()
    })
  }
}
