/**
 * Notices that something below the folders of the sites changed. What changed is not told: whoever
 * is called looks at all of it, so that no event, lost or doubled by the kernel, can mislead.
 *
 * Invariant: after every change that the kernel tells of, `onChange` begins once more, and no call
 * of it overlaps another. Before a call every folder that is missing a watch is tried again, and a
 * folder watched for the first time counts as changed: what was made in it before the watch was is
 * seen too.
 *
 * A call waits `delayMs` from the first event, not the last, so that a file that is replaced all
 * the time is seen; and after a call twice as long as it took, so that a third of a thread is the
 * most that a site in motion costs.
 *
 * 10,000 folders on ext4: 130 ms to watch them, 30 to 50 ms to follow the same again (a stat each),
 * 22 MiB of memory, 10 of them heap, beside the inodes that the kernel holds; a file is told of
 * after 101 ms (node --expose-gc packages/sandstorm/dist/test/measureWatch.js, 2026-11-28, 2
 * virtual cores of a busy machine, Linux 6.18, Node 20.20).
 */
import { type FolderWatch, type WatchFolder, watchFolder } from './folderWatch.ts'
import { warning } from './scan.ts'

export interface WatchOptions {
  /**
   * Something in one of the folders changed, was made or is gone, or may have; called at most once
   * per quiet period, and never again before the promise settles. A rejection is a warning.
   */
  readonly onChange: () => Promise<void>
  /** Takes a single line. */
  readonly onWarning: (line: string) => void
  /** Watches one folder; default: inotify. */
  readonly watch?: WatchFolder
  /** From the first event to the call; default 100. */
  readonly delayMs?: number
  /** Where a folder cannot be watched, it is looked at so often; default 2000. */
  readonly pollMs?: number
  /** A clock that never goes back. */
  readonly nowMs?: () => number
}

const DELAY_MS = 100
const POLL_MS = 2000
/** A call is followed by a rest of so many times what it took. */
const REST_SHARE = 2

/** Why a folder has no watch: not tried yet, or not there; else the system's name of the error. */
const NEW = ''
const GONE = 'ENOENT'
/** What has run out, for every other folder too, and what to do. */
const LIMITS: Readonly<Record<string, string>> = {
  ENOSPC: 'raise fs.inotify.max_user_watches',
  EMFILE: 'raise fs.inotify.max_user_instances, or the limit of open files',
  ENFILE: 'raise fs.file-max',
  ENOMEM: 'raise the limit of memory',
}
const ADVICE = 'let this user read it'

export class FolderWatcher {
  readonly #onChange: () => Promise<void>
  readonly #onWarning: (line: string) => void
  readonly #watch: WatchFolder
  readonly #delayMs: number
  readonly #pollMs: number
  readonly #nowMs: () => number
  readonly #watches: Map<string, FolderWatch> = new Map()
  /** Folders to be watched that are not, and why. */
  #missing: Map<string, string> = new Map()
  #callTimer: NodeJS.Timeout | undefined
  #pollTimer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  /** Since the last call began. */
  #isChanged = false
  #restUntilMs = 0
  /** The refusal that was last told; '': none since all could be watched. */
  #told = ''
  #isClosed = false

  constructor(options: WatchOptions) {
    this.#onChange = options.onChange
    this.#onWarning = options.onWarning
    this.#watch = options.watch ?? watchFolder
    this.#delayMs = options.delayMs ?? DELAY_MS
    this.#pollMs = options.pollMs ?? POLL_MS
    this.#nowMs = options.nowMs ?? (() => performance.now())
  }

  /**
   * Watches exactly these folders (real paths; what is in them, not below) from now on; keeps the
   * watches that it has. If any is new there is a call of `onChange`, also after the first time.
   */
  follow(dirs: Iterable<string>): void {
    if (this.#isClosed) return
    const wanted = new Set(dirs)
    for (const [dir, watch] of this.#watches)
      if (!wanted.has(dir) || watch.isStale?.() === true) this.#drop(dir)
    const missing = new Map<string, string>()
    for (const dir of wanted)
      if (!this.#watches.has(dir)) missing.set(dir, this.#missing.get(dir) ?? NEW)
    this.#missing = missing
    if (this.#watchMissing()) this.#changed()
  }

  /** Something may have changed, or will have by the next call: as if a folder had told of it. */
  look(): void {
    if (!this.#isClosed) this.#changed()
  }

  /** Settles when a call of `onChange` under way has ended; nothing is called afterwards. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#callTimer)
    clearTimeout(this.#pollTimer)
    for (const dir of this.#watches.keys()) this.#drop(dir)
    this.#missing.clear()
    await this.#running
  }

  #drop(dir: string): void {
    this.#watches.get(dir)?.close()
    this.#watches.delete(dir)
  }

  /** Tries every folder without a watch; says whether something in one may have changed unseen. */
  #watchMissing(): boolean {
    let isNews = false
    let limit = ''
    for (const [dir, before] of this.#missing) {
      const why = limit === '' ? this.#tryWatch(dir) : limit
      if (why === '') this.#missing.delete(dir)
      else this.#missing.set(dir, why)
      if (why === '' || (why === GONE && before !== GONE)) isNews = true
      if (LIMITS[why] !== undefined) limit = why
    }
    this.#tellRefusals(limit)
    this.#pollIfMissing()
    return isNews
  }

  /** Returns '', or why there is no watch. */
  #tryWatch(dir: string): string {
    const onError = (): void => {
      this.#drop(dir)
      this.#missing.set(dir, GONE)
      this.#changed()
    }
    try {
      this.#watches.set(
        dir,
        this.#watch(dir, () => this.#changed(), onError),
      )
      return ''
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error)
      return code === 'ENOTDIR' || code === 'ELOOP' ? GONE : code
    }
  }

  /** Folders that are there and cannot be watched. */
  #refused(): [dir: string, why: string][] {
    return [...this.#missing].filter(([, why]) => why !== GONE)
  }

  #tellRefusals(limit: string): void {
    const refused = this.#refused()
    const [dir, why] = refused.find(one => limit === '' || one[1] === limit) ?? ['', '']
    if (why !== '' && why !== this.#told) {
      const others = refused.length === 1 ? '' : `, nor can ${refused.length - 1} more`
      const every = `changes are looked for every ${this.#pollMs / 1000} s`
      const what = `cannot be watched (${why})${others}, so ${every}; ${LIMITS[why] ?? ADVICE}`
      this.#onWarning(warning(dir, what))
    }
    this.#told = why
  }

  /** Who is gone may come back where no watched folder tells; who is refused must be looked at. */
  #pollIfMissing(): void {
    if (this.#missing.size === 0 || this.#pollTimer !== undefined) return
    this.#pollTimer = setTimeout(() => {
      this.#pollTimer = undefined
      const isRefused = this.#refused().length > 0
      if (this.#watchMissing() || isRefused) this.#changed()
    }, this.#pollMs)
    this.#pollTimer.unref()
  }

  #changed(): void {
    this.#isChanged = true
    if (this.#isClosed || this.#running !== undefined || this.#callTimer !== undefined) return
    const waitMs = Math.max(this.#delayMs, this.#restUntilMs - this.#nowMs())
    this.#callTimer = setTimeout(() => {
      this.#callTimer = undefined
      this.#running = this.#call()
    }, waitMs)
    this.#callTimer.unref()
  }

  async #call(): Promise<void> {
    this.#isChanged = false
    this.#watchMissing() // before it looks, so that nothing falls between looking and watching
    const beginMs = this.#nowMs()
    try {
      await this.#onChange()
    } catch (error) {
      if (!this.#isClosed) this.#onWarning(error instanceof Error ? error.message : String(error))
    }
    const endMs = this.#nowMs()
    this.#restUntilMs = endMs + REST_SHARE * (endMs - beginMs)
    this.#running = undefined
    if (this.#isChanged) this.#changed()
  }
}
