/**
 * The access log's file: lines are gathered, written a block at a time and never waited for. What
 * the disk cannot take stays in memory up to a limit, beyond which lines are dropped and counted; a
 * write that failed goes on where it stopped, so no line is torn.
 *
 * Rotation (`reopen`): whoever rotates renames the file first. Lines from before go to the old
 * file, later ones to the new; if that cannot be opened the old one is kept and opening is tried
 * again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { StartError } from '../startError.ts'
import { type AccessSink, openSink } from './accessSink.ts'
import type { LimitedLog } from './operatorLog.ts'

export interface AccessFileOptions {
  /** '-': standard output. */
  readonly path: string
  /** Told of errors and of dropped lines, once a minute at most. */
  readonly log: LimitedLog
  /** Lines that wait for the disk; default 16 MiB. */
  readonly waitingMaxBytes?: number
  /** Lines wait for so long for others to be written with; default 200. */
  readonly flushMs?: number
  /** After an error; default 1000. */
  readonly retryMs?: number
  /** For tests of disks that fail. */
  readonly open?: (path: string) => Promise<AccessSink>
}

/** Read from outside, never reset. */
export interface AccessFileStats {
  /** Lines written, or that wait to be. */
  lines: number
  /** Lines that found too many waiting, or were left at the end. */
  dropped: number
  /** Writes that failed, and reopenings. */
  errors: number
}

const WAITING_MAX_BYTES = 16 << 20
const FLUSH_BYTES = 65536
const FLUSH_MS = 200
const RETRY_MS = 1000
/** A full pipe is tried again so soon: its reader empties it in less. */
const FULL_MS = 5
/** Of what goes wrong the operator is told so often. */
const TELL_MS = 60_000
/** For the last lines, when the server ends. */
const CLOSE_LIMIT_MS = 2000
const LF = 10

/** In the queue: open the file again. */
interface Reopen {
  readonly settle: () => void
}

export class AccessFile {
  readonly stats: AccessFileStats = { lines: 0, dropped: 0, errors: 0 }
  readonly #options: Required<AccessFileOptions>
  #sink: AccessSink
  /** The newest lines, to become one block. */
  #lines: string[] = []
  #linesBytes = 0
  /** Blocks and changes of file, in order; of the first block some may be written already. */
  #queue: (Buffer | Reopen)[] = []
  #queueBytes = 0
  /** The last byte in the file is not a line's last. */
  #isMidLine = false
  /** The last write found no room, which is no error: who reads has to read first. */
  #isFull = false
  #pumping: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #retry: NodeJS.Timeout | undefined
  #isClosed = false

  /** Opens the file, to append. Rejects with one clear line if that cannot be. */
  static async open(options: AccessFileOptions): Promise<AccessFile> {
    const open = options.open ?? openSink
    try {
      return new AccessFile({ ...DEFAULTS, ...options, open }, await open(options.path))
    } catch (error) {
      throw new StartError(openFailure(error as NodeJS.ErrnoException, options.path))
    }
  }

  private constructor(options: Required<AccessFileOptions>, sink: AccessSink) {
    this.#options = options
    this.#sink = sink
  }

  /** Takes a line: ASCII, with its LF. */
  write(line: string): void {
    const waiting = this.#linesBytes + this.#queueBytes
    if (this.#isClosed || waiting + line.length > this.#options.waitingMaxBytes) {
      this.#drop(1)
      return
    }
    this.stats.lines++
    this.#lines.push(line)
    this.#linesBytes += line.length
    if (this.#timer === undefined) this.#startTimer(this.#options.flushMs)
    // After an error the timer decides.
    if (this.#linesBytes >= FLUSH_BYTES && this.#queue.length === 0) void this.#pump()
  }

  /** Ends the file and begins a new one under the same name; settles when that was tried. */
  reopen(): Promise<void> {
    if (this.#isClosed || this.#options.path === '-') return Promise.resolve()
    return new Promise(resolve => {
      this.#seal()
      this.#queue.push({ settle: resolve })
      void this.#pump()
    })
  }

  /** Writes what waits, as far as that can be done soon, and closes the file. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    let timer: NodeJS.Timeout | undefined
    const limit = new Promise(resolve => {
      timer = setTimeout(resolve, CLOSE_LIMIT_MS)
    })
    await Promise.race([this.#pumpAll(), limit])
    clearTimeout(this.#timer)
    clearTimeout(this.#retry)
    this.#seal()
    for (const job of this.#queue.splice(0)) {
      if (Buffer.isBuffer(job)) this.#lose(countLines(job))
      else job.settle()
    }
    await Promise.race([this.#sink.close(), limit])
    clearTimeout(timer)
  }

  /** Until nothing is left, or an error tells to wait. */
  async #pumpAll(): Promise<void> {
    await this.#pump() // one under way may be past the last lines
    await this.#pump()
    while (this.#isFull && this.#queue.length > 0) {
      await sleep(FULL_MS)
      await this.#pump()
    }
  }

  /** Works through the queue until it is empty or an error tells to wait; one at a time. */
  #pump(): Promise<void> {
    this.#pumping ??= this.#work().finally(() => {
      this.#pumping = undefined
    })
    return this.#pumping
  }

  async #work(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (;;) {
      if (this.#queue.length === 0) this.#seal()
      const [job] = this.#queue
      if (job === undefined) return
      const goesOn = Buffer.isBuffer(job) ? await this.#writeSome(job) : await this.#switch(job)
      if (goesOn) continue
      this.#startTimer(this.#isFull ? FULL_MS : this.#options.retryMs)
      return
    }
  }

  /** Makes one block of the newest lines. */
  #seal(): void {
    if (this.#lines.length === 0) return
    this.#queue.push(Buffer.from(this.#lines.join(''), 'latin1'))
    this.#queueBytes += this.#linesBytes
    this.#lines = []
    this.#linesBytes = 0
  }

  /** Writes of the block at the head of the queue; false: later. */
  async #writeSome(block: Buffer): Promise<boolean> {
    try {
      const len = await this.#sink.write(block)
      this.#isFull = len === 0
      if (this.#isFull) return this.#bringForward()
      this.#advance(block, len)
      return true
    } catch (error) {
      this.#isFull = false
      this.#complain(`cannot write to the access log: ${(error as Error).message}`)
      return this.#bringForward()
    }
  }

  #advance(block: Buffer, len: number): void {
    this.#queueBytes -= len
    this.#isMidLine = block[len - 1] !== LF
    if (len === block.length) this.#queue.shift()
    else this.#queue[0] = block.subarray(len)
  }

  /** Whoever wants a new file need not wait for the old one. */
  #bringForward(): boolean {
    const i = this.#queue.findIndex(job => !Buffer.isBuffer(job))
    if (i < 0) return false
    this.#queue.unshift(...this.#queue.splice(i, 1))
    return true
  }

  /** A line that is half in the old file ends there; its rest is no line of the new one. */
  #abandonTornLine(): void {
    const [rest] = this.#queue
    if (!this.#isMidLine || !Buffer.isBuffer(rest)) return
    this.#advance(rest, rest.indexOf(LF) + 1)
    this.#lose(1)
  }

  /** Opens the file anew; if that fails the old one goes on, and it is tried again. */
  async #switch(job: Reopen): Promise<boolean> {
    const { open, path, retryMs } = this.#options
    this.#queue.shift()
    try {
      const old = this.#sink
      this.#sink = await open(path)
      this.#abandonTornLine()
      await old.close()
    } catch (error) {
      const why = (error as Error).message
      this.#complain(`cannot reopen the access log, so the old file goes on: ${why}`)
      clearTimeout(this.#retry)
      this.#retry = setTimeout(() => void this.reopen(), retryMs).unref()
    }
    job.settle()
    return true
  }

  #startTimer(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#pump()
    }, ms).unref()
  }

  /** Of lines that had been taken. */
  #lose(count: number): void {
    this.stats.lines -= count
    this.#drop(count)
  }

  #drop(count: number): void {
    if (count === 0) return
    this.stats.dropped += count
    const line = 'lines of the access log are lost: its disk or its reader is too slow'
    this.#options.log.limited('access log: dropped', line, TELL_MS)
  }

  #complain(line: string): void {
    this.stats.errors++
    this.#options.log.limited('access log: errors', line, TELL_MS)
  }
}

const DEFAULTS = {
  waitingMaxBytes: WAITING_MAX_BYTES,
  flushMs: FLUSH_MS,
  retryMs: RETRY_MS,
}

/** Lines in a block, one that is half written included. */
function countLines(block: Buffer): number {
  let count = 0
  for (const byte of block) if (byte === LF) count++
  return count
}

/** What, why, and what to do, in one line. */
function openFailure({ code, message }: NodeJS.ErrnoException, path: string): string {
  const what = `--access-log ${path}`
  switch (code) {
    case 'ENOENT':
      return `${what}: there is no such folder. Make it, or name another file`
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return `${what}: this user may not write there. Change the rights, or name another file`
    case 'ENXIO':
      // Also /dev/stdout where that is a socket, as journald's is.
      return `${what}: nobody reads that pipe. Start its reader, or give - for standard output`
    case 'EISDIR':
      return `${what}: that is a folder. Name a file in it`
    default:
      return `${what}: ${message}. Name another file, or - for standard output`
  }
}
