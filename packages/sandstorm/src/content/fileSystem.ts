/**
 * The few file system calls that loading makes, as an argument, so that tests can pass a disk that
 * fails, and the meaning of its errors for a client.
 */
import fs, { constants, type Dirent, type Stats } from 'node:fs'
import { readdir, realpath } from 'node:fs/promises'
import { promisify } from 'node:util'
import { StartError } from '../startError.ts'

/**
 * What is read in one call, or not read at all, is synchronous: a hop to the thread pool costs more
 * than it does, if the system has the file in memory. Whoever calls many of these lets other work
 * have its turn between them (parallel.ts).
 */
export interface ContentFs {
  readdir(dir: string): Promise<Dirent[]>
  realpath(path: string): Promise<string>
  stat(path: string): Stats
  open(file: string, flags: number): number
  /** Reads `len` bytes from `position` of the file to bytes[off]; returns how many came. */
  readSync(fd: number, bytes: Uint8Array, off: number, len: number, position: number): number
  read(fd: number, bytes: Uint8Array, off: number, len: number, position: number): Promise<number>
  fstat(fd: number): Stats
  /**
   * Where an open file lies: its real path. Where the system does not tell, where its name leads by
   * now; throws if that is nowhere.
   */
  pathOf(fd: number, file: string): string
  /** Never throws: the bytes are read, and what closing says changes nothing. */
  close(fd: number): void
}

const read = promisify(fs.read)

export const REAL_FS: ContentFs = {
  readdir: dir => readdir(dir, { withFileTypes: true }),
  realpath: path => realpath(path),
  stat: path => fs.statSync(path),
  open: (file, flags) => fs.openSync(file, flags),
  readSync: (...args) => fs.readSync(...args),
  read: async (...args) => (await read(...args)).bytesRead,
  fstat: fs.fstatSync,
  pathOf: (fd, file) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return fs.realpathSync(file)
    }
  },
  close: fd => {
    try {
      fs.closeSync(fd)
    } catch {}
  },
}

/**
 * Opening flags: a link or a pipe that took a file's place since the scan is refused, not followed.
 */
export const OPEN_FLAGS: number =
  constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/** How many file system calls are under way at once while loading. */
export const PARALLEL_CALLS = 16

const OPEN_FILES_LEAST = 256

/**
 * How many files the process may have open: Node raises its soft limit to the hard one. Where the
 * system does not tell, `unknown`: as many as POSIX systems allow at the least.
 */
export function openFilesMax(unknown: number = OPEN_FILES_LEAST): number {
  try {
    const limits = fs.readFileSync('/proc/self/limits', 'latin1')
    return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? unknown)
  } catch {
    return unknown
  }
}

/** The system's name of an error, such as EACCES, or its message. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error)
}

/**
 * Throws one clear line for an error that says nothing of the file: too many others are open, those
 * of clients too. What is looked at then is not what is there.
 */
export function refuseWithoutDescriptors(code: string): void {
  if (code !== 'EMFILE' && code !== 'ENFILE') return
  throw new StartError(`no more files can be opened (${code}); raise the limit of open files`)
}

/** The status a client gets for a file that could not be read: gone, or refused. */
export function statusOf(error: unknown): 403 | 404 {
  const code = codeOf(error)
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' ? 404 : 403
}

/**
 * Is it gone since it was found? Then nobody needs to be told: the next look finds it so, and of a
 * tree that is just being removed there would be a line for each file.
 */
export const isGone = (error: unknown): boolean => statusOf(error) === 404
