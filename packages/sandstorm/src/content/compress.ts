/**
 * Codings that are made at load (site.ts: compress), before memory is laid out, since the layout needs
 * their sizes. The file is read for that, and again to its place later; entity tags tell if both were
 * the same bytes (load.ts), so a variant is never of another version than identity.
 *
 * Memory: coded bytes stay until they are copied to their places; of files under way, at most
 * PARALLEL_FILES of at most FILE_MAX_BYTES.
 */
import { encode } from '../site/codings.ts'
import type { CodingName } from '../site/site.ts'
import type { ContentFs } from './fileSystem.ts'
import type { FoundFile } from './found.ts'
import { isCompressible } from './mediaType.ts'
import { forEachBounded } from './parallel.ts'
import { etagOf, readWhole } from './read.ts'

/** Below this the head is most of the answer, and all of it is one packet anyway. */
const FILE_MIN_BYTES = 256
/** Compressing more than this takes seconds; such files are better compressed beside the server. */
const FILE_MAX_BYTES = 32 << 20
/** As many as the thread pool has threads. */
const PARALLEL_FILES = 4

/** Gives each file that is worth it the codings that it has no sibling for. Never rejects. */
export async function compressFiles(
  files: readonly FoundFile[],
  codings: readonly CodingName[],
  fs: ContentFs,
): Promise<void> {
  if (codings.length === 0) return
  const worthIt = files.filter(({ name, status, state: { size } }) => {
    const fits = size >= FILE_MIN_BYTES && size <= FILE_MAX_BYTES
    return fits && status === 200 && isCompressible(name)
  })
  await forEachBounded(worthIt, PARALLEL_FILES, found => compressFile(found, codings, fs))
}

async function compressFile(
  found: FoundFile,
  codings: readonly CodingName[],
  fs: ContentFs,
): Promise<void> {
  const missing = codings.filter(name => found.codings.every(({ coding }) => coding !== name))
  if (missing.length === 0) return
  const read = await readWhole(found.file, found.state, fs)
  // Whatever is wrong with it shows again, and is told, when it is read to its place.
  if (read.kind === 'failed') return
  found.state = read.state
  for (const coding of missing) {
    const body = await encode(read.bytes, coding)
    if (body.length >= read.bytes.length) continue
    const source = { body, etag: etagOf(body), identity: read.etag }
    found.codings.push({ coding, source, state: { ...read.state, size: body.length } })
  }
}
