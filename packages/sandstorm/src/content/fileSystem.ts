/**
 * The few file system calls that loading makes, as an argument, so that tests can pass a disk that
 * fails, and the meaning of its errors for a client.
 */
import { constants } from 'node:fs'
import fsPromises from 'node:fs/promises'

export type ContentFs = Pick<typeof fsPromises, 'open' | 'readdir' | 'realpath' | 'stat'>
export const REAL_FS: ContentFs = fsPromises

/** Opening flags: a link or a pipe that took a file's place since the scan is refused, not followed. */
export const OPEN_FLAGS: number =
  constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/** How many file system calls are under way at once while loading. */
export const PARALLEL_CALLS = 16

/** The system's name of an error, such as EACCES, or its message. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error)
}

/** The status a client gets for a file that could not be read: gone, or refused. */
export function statusOf(error: unknown): 403 | 404 {
  const code = codeOf(error)
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' ? 404 : 403
}
