/**
 * Keeps content as its folders are: whatever changes in one is served soon (docs/operations.md), as
 * a whole generation. What is not as it will be (a file still being written, a root that is just
 * being exchanged, a file without room) is looked at again until it is.
 */
import { basename, dirname, join, resolve } from 'node:path'
import type { Site } from '../site/site.ts'
import { type ContentFs, REAL_FS } from './fileSystem.ts'
import type { LiveContent } from './live.ts'
import { FolderWatcher, type WatchOptions } from './watch.ts'

export interface FollowOptions {
  readonly sites: readonly Site[]
  /** Told, in one line, what keeps content from being followed; not twice in a row. */
  readonly onWarning: (line: string) => void
  readonly fs?: ContentFs
  readonly watch?: WatchOptions['watch']
}

/** After a failure. */
const RETRY_MS = 500

export class ContentFollower {
  readonly #live: LiveContent
  readonly #options: FollowOptions
  readonly #watcher: FolderWatcher
  #sites: readonly Site[]
  #lastFailure = ''
  #retry: NodeJS.Timeout | undefined

  /** Follows from now on; begins with a look at all that may have changed since it was loaded. */
  constructor(live: LiveContent, options: FollowOptions) {
    this.#live = live
    this.#options = options
    this.#sites = options.sites
    const { onWarning, watch } = options
    this.#watcher = new FolderWatcher({
      onChange: () => this.#onChange(),
      onWarning,
      ...(watch === undefined ? {} : { watch }),
    })
    void this.#follow()
  }

  /**
   * Serves these sites from now on. Rejects with one clear line, and goes on as before, if it
   * cannot.
   */
  async reload(sites: readonly Site[]): Promise<void> {
    await this.#live.reload(sites)
    this.#sites = sites
    await this.#follow()
  }

  /** Settles when nothing is looked at any more. */
  async close(): Promise<void> {
    clearTimeout(this.#retry)
    await this.#watcher.close()
    clearTimeout(this.#retry)
  }

  async #onChange(): Promise<void> {
    try {
      await this.#live.reload()
      this.#lastFailure = ''
    } catch (error) {
      const { message } = error as Error
      if (message !== this.#lastFailure) {
        this.#options.onWarning(`${message}; serving goes on with what was loaded`)
      }
      this.#lastFailure = message
      this.#retry = setTimeout(() => this.#watcher.look(), RETRY_MS).unref()
    }
    await this.#follow()
  }

  async #follow(): Promise<void> {
    const dirs = new Set(this.#live.dirs)
    for (const { root } of this.#sites) {
      if (root === '') continue
      for (const dir of await linkFolders(resolve(root), this.#options.fs ?? REAL_FS)) dirs.add(dir)
    }
    this.#watcher.follow(dirs)
    if (this.#live.isUnsettled) this.#watcher.look()
  }
}

/** The folders that hold the symbolic links on the way to `path`, by their real paths. */
async function linkFolders(path: string, fs: ContentFs): Promise<string[]> {
  const folders: string[] = []
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    // '': it leads nowhere just now, and its folder tells when it does.
    const real = await fs.realpath(at).catch(() => '')
    const folder = await fs.realpath(dirname(at)).catch(() => '')
    if (folder !== '' && real !== join(folder, basename(at))) folders.push(folder)
  }
  return folders
}
