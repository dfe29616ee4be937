/**
 * Reads one file straight into the content region, hashing on the way: the bytes are touched once
 * more for their entity tag and never copied (paper §2: zero-copy for all data).
 *
 * Invariants: 'loaded' means that the region holds exactly the file as it was at one moment: size,
 * modification time and inode were the same when it was looked at first (`expected`) and after its
 * last byte was read; a file that is being written over may look so all the same (storeFile.ts:
 * confirm). And the file lay in the folder that `file` names, a real path: O_NOFOLLOW holds for its
 * last name only, and a folder above may have become a link to elsewhere since it was walked.
 */
import { createHash, hash } from 'node:crypto'
import type { Stats } from 'node:fs'
import { dirname } from 'node:path'
import { type ContentFs, codeOf, OPEN_FLAGS, statusOf } from './fileSystem.ts'
import { ETAG_CHARS } from './head.ts'

/**
 * Bytes read and hashed at once: the hash finds them in the cache, and other work gets its turn.
 */
const PIECE_BYTES = 1 << 20

/**
 * Files up to this size are read in one call that does not go through the thread pool. 10,000 files
 * of 22 KB in the page cache load in 0.55 to 0.8 s, hashing included, at best at 409 MB/s; with a
 * hop to the pool for each stat, open and read it is 0.75 to 1.1 s, at best 300 MB/s, and twice the
 * CPU time (2 virtual cores with other work on them, Node 20, 2026-11-28).
 */
const SMALL_BYTES = 65536

/** Readings of a file that keeps changing before it is given up. */
export const READS_MAX = 3

/** A version of a file. */
export interface FileState {
  readonly size: number
  /** Modification time since 1970. */
  readonly mtimeMs: number
  /** Nobody can set this one back. */
  readonly ctimeMs: number
  readonly ino: number
}

export type ReadResult =
  | { readonly kind: 'loaded'; readonly etag: string; readonly state: FileState }
  /** The file is not what, or where, was expected any more, or was written while it was read. */
  | { readonly kind: 'changed'; readonly state: FileState }
  | { readonly kind: 'failed'; readonly status: 403 | 404; readonly code: string }

export function stateOf(stats: Stats): FileState {
  const { size, mtimeMs, ctimeMs, ino } = stats
  return { size, mtimeMs, ctimeMs, ino }
}

/** Was it not written to? A rename or a new link changes `ctimeMs` alone. */
export function hasSameBytes(a: FileState, b: FileState): boolean {
  return a.mtimeMs === b.mtimeMs && a.size === b.size && a.ino === b.ino
}

export function isSameState(a: FileState, b: FileState): boolean {
  const isSameTime = a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs
  return isSameTime && a.size === b.size && a.ino === b.ino
}

/** The entity tag's characters of bytes that are there. */
export function etagOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'base64url').slice(0, ETAG_CHARS)
}

/** A whole file in memory of its own. */
export type WholeFile =
  | {
      readonly kind: 'loaded'
      readonly bytes: Uint8Array
      readonly etag: string
      readonly state: FileState
    }
  | { readonly kind: 'failed'; readonly code: string }

/** Reads a file that is to be worked on; `expected` saves a look if it is right. Never rejects. */
export async function readWhole(
  file: string,
  expected: FileState,
  fs: ContentFs,
): Promise<WholeFile> {
  let state = expected
  for (let reads = 0; reads < READS_MAX; reads++) {
    const bytes = Buffer.allocUnsafeSlow(state.size)
    const result = await readInto(bytes, 0, state, file, fs)
    if (result.kind === 'loaded') return { kind: 'loaded', bytes, etag: result.etag, state }
    if (result.kind === 'failed') return { kind: 'failed', code: result.code }
    state = result.state
  }
  return { kind: 'failed', code: 'it changes faster than it can be read' }
}

/** Reads `file` to bytes[off, off + expected.size), if it is still that version. Never rejects. */
export async function readInto(
  bytes: Uint8Array,
  off: number,
  expected: FileState,
  file: string,
  fs: ContentFs,
): Promise<ReadResult> {
  let fd: number | undefined
  try {
    fd = fs.open(file, OPEN_FLAGS)
    const { size } = expected
    const etag =
      size <= SMALL_BYTES
        ? readSmall(fs, fd, bytes, off, size)
        : await readAndHash(fs, fd, bytes, off, size)
    const after = fs.fstat(fd)
    if (!after.isFile()) return { kind: 'failed', status: 403, code: 'not a file' }
    const state = stateOf(after)
    if (etag === undefined || !isInFolder(fs, fd, file) || !isSameState(state, expected)) {
      return { kind: 'changed', state }
    }
    return { kind: 'loaded', etag, state }
  } catch (error) {
    return { kind: 'failed', status: statusOf(error), code: codeOf(error) }
  } finally {
    if (fd !== undefined) fs.close(fd)
  }
}

/**
 * Does the open file lie where it was found, by its real path? A folder on the way may have been
 * exchanged for a link that leads outside. 4 µs of CPU time beside 60 for a file of 22 KB
 * (2026-11-28, 2 virtual cores of a busy machine).
 */
export function isInFolder(fs: ContentFs, fd: number, file: string): boolean {
  // Not the whole path: of a file that was replaced by now the system says "(deleted)" behind its
  // name.
  return dirname(fs.pathOf(fd, file)) === dirname(file)
}

/** The entity tag's characters, or undefined if the file ends early. Does not wait. */
function readSmall(
  fs: ContentFs,
  fd: number,
  bytes: Uint8Array,
  off: number,
  size: number,
): string | undefined {
  for (let done = 0; done < size; ) {
    const bytesRead = fs.readSync(fd, bytes, off + done, size - done, done)
    if (bytesRead === 0) return undefined
    done += bytesRead
  }
  return etagOf(bytes.subarray(off, off + size))
}

/** The same, of a file that other work should not wait for. */
async function readAndHash(
  fs: ContentFs,
  fd: number,
  bytes: Uint8Array,
  off: number,
  size: number,
): Promise<string | undefined> {
  const digest = createHash('sha256')
  for (let done = 0; done < size; ) {
    const want = Math.min(PIECE_BYTES, size - done)
    const bytesRead = await fs.read(fd, bytes, off + done, want, done)
    if (bytesRead === 0) return undefined
    digest.update(bytes.subarray(off + done, off + done + bytesRead))
    done += bytesRead
  }
  return digest.digest('base64url').slice(0, ETAG_CHARS)
}
