/**
 * Reads one file straight into the content region, hashing on the way: the bytes are touched once
 * more for their entity tag and never copied (paper §2: zero-copy for all data).
 *
 * Invariant: 'loaded' means that the region holds exactly the file as it was at one moment: size,
 * modification time and inode were the same before the first and after the last byte.
 */
import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import { type ContentFs, codeOf, OPEN_FLAGS, statusOf } from './fileSystem.ts'
import { ETAG_CHARS } from './head.ts'

/** Bytes read and hashed at once: the hash finds them in the cache, and other work gets its turn. */
const PIECE_BYTES = 1 << 20

export type ReadResult =
  | { readonly kind: 'loaded'; readonly etag: string }
  /** The file is not `size` bytes long any more, or was written while it was read. */
  | { readonly kind: 'changed'; readonly size: number }
  | { readonly kind: 'failed'; readonly status: 403 | 404; readonly code: string }

/** Reads `file`, expected to be `size` bytes long, to bytes[off, off + size). Never rejects. */
export async function readInto(
  bytes: Uint8Array,
  off: number,
  size: number,
  file: string,
  fs: ContentFs,
): Promise<ReadResult> {
  let fd: number | undefined
  try {
    fd = await fs.open(file, OPEN_FLAGS)
    const before = fs.fstat(fd)
    if (!before.isFile()) return { kind: 'failed', status: 403, code: 'not a file' }
    if (before.size !== size) return { kind: 'changed', size: before.size }
    const etag = await readAndHash(fs, fd, bytes, off, size)
    const after = fs.fstat(fd)
    if (etag === undefined || !sameVersion(before, after)) {
      return { kind: 'changed', size: after.size }
    }
    return { kind: 'loaded', etag }
  } catch (error) {
    return { kind: 'failed', status: statusOf(error), code: codeOf(error) }
  } finally {
    if (fd !== undefined) fs.close(fd)
  }
}

/** The entity tag's characters, or undefined if the file ends early. */
async function readAndHash(
  fs: ContentFs,
  fd: number,
  bytes: Uint8Array,
  off: number,
  size: number,
): Promise<string | undefined> {
  const hash = createHash('sha256')
  for (let done = 0; done < size; ) {
    const want = Math.min(PIECE_BYTES, size - done)
    const bytesRead = await fs.read(fd, bytes, off + done, want, done)
    if (bytesRead === 0) return undefined
    hash.update(bytes.subarray(off + done, off + done + bytesRead))
    done += bytesRead
  }
  return hash.digest('base64url').slice(0, ETAG_CHARS)
}

const sameVersion = (a: Stats, b: Stats): boolean =>
  a.size === b.size && a.mtimeMs === b.mtimeMs && a.ino === b.ino
