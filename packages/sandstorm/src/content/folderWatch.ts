/**
 * One folder under inotify(7), through Node: something directly in it changed, or it is no longer
 * what its name leads to. Read inotify(7), and libuv's uv_fs_event for what Node makes of it.
 *
 * The kernel watches an inode, not a name. Told is therefore also when the folder itself is removed
 * or renamed, and `isStale` finds what no event tells: that a folder above was moved and another
 * stands there.
 */
import { statSync, watch } from 'node:fs'
import { basename } from 'node:path'

/** A folder that is watched. */
export interface FolderWatch {
  /** Nothing is called afterwards. */
  close(): void
  /** Whether its name leads to another folder by now, or nowhere; left out: it never does. */
  isStale?(): boolean
}

/**
 * Begins to watch a folder, or throws an error with a `code`. `onEvent`: something in it changed,
 * was made or is gone. `onError`: it was removed or renamed, or the watch failed; of no use from
 * then on, but to be closed.
 */
export type WatchFolder = (dir: string, onEvent: () => void, onError: () => void) => FolderWatch

/** By inotify. Keeps no process alive. */
export const watchFolder: WatchFolder = (dir, onEvent, onError) => {
  const { dev, ino } = statSync(dir) // before the watch: what takes its place in between is stale
  const name = basename(dir)
  const watcher = watch(dir, { persistent: false }, (type, file) => {
    // IN_DELETE_SELF and IN_MOVE_SELF come without a name, and libuv puts the folder's own there.
    // An entry that has the same name is taken for it: then the watch is dropped for nothing, and
    // had anew.
    if (type === 'rename' && file === name) onError()
    else onEvent()
  })
  watcher.on('error', onError)
  return {
    close: () => watcher.close(),
    isStale: () => {
      try {
        const now = statSync(dir)
        return now.ino !== ino || now.dev !== dev
      } catch {
        // Gone, or out of reach: a loop of links, a folder above that may not be entered.
        return true
      }
    },
  }
}
