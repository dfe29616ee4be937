/**
 * Files of any size that take no room on disk: nothing but zeros, and marks that say where they
 * lie.
 */
import { createHash } from 'node:crypto'
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'

const MARK_BYTES = 32
/** Where the server's reading begins anew (content/pager.ts: EXTENT_BYTES). */
const EXTENT_BYTES = 256 << 10

/**
 * Makes a file of `size` bytes with marks at its ends, across extents, and where numbers grow
 * longer.
 */
export function makeSparse(path: string, size: number): void {
  const fd = openSync(path, 'w')
  ftruncateSync(fd, size)
  const last = size - MARK_BYTES
  const places = [0, last]
  for (let n = 1; n < size / EXTENT_BYTES; n *= 3) places.push(n * EXTENT_BYTES - MARK_BYTES / 2)
  for (const edge of [2 ** 31, 2 ** 32]) places.push(edge - MARK_BYTES / 2)
  for (const at of places) {
    if (at <= last) writeSync(fd, `<mark at ${at}>`.padEnd(MARK_BYTES, '.'), at)
  }
  closeSync(fd)
}

/** SHA-256 of bytes [from, end) of a file, in hexadecimal. */
export function hashOf(path: string, from: number, end: number): string {
  const hash = createHash('sha256')
  const piece = Buffer.alloc(1 << 20)
  const fd = openSync(path, 'r')
  for (let at = from; at < end; ) {
    const count = readSync(fd, piece, 0, Math.min(piece.length, end - at), at)
    hash.update(piece.subarray(0, count))
    at += count
  }
  closeSync(fd)
  return hash.digest('hex')
}
