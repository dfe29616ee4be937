/**
 * Codings that are made at load (site.ts: compress), before files are read to their places, so that
 * what all need is known. The file is read for that, and again to its place later; entity tags tell
 * if both were the same bytes (load.ts), so a variant is never of another version than identity.
 * What is stored of this version already is not made again.
 *
 * Memory: coded bytes stay until they are copied to their places; of files under way, at most
 * PARALLEL_FILES of at most FILE_MAX_BYTES.
 */
import { encode } from '../site/codings.ts'
import type { CodingName } from '../site/site.ts'
import { fileKey } from './catalog.ts'
import type { Draft } from './draft.ts'
import { type ContentFs, refuseWithoutDescriptors } from './fileSystem.ts'
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

/**
 * Gives each file of a site that is worth it the codings that it has no sibling for. Rejects with
 * one clear line if no file can be opened.
 */
export async function compressFiles(
  files: readonly FoundFile[],
  site: number,
  codings: readonly CodingName[],
  fs: ContentFs,
  draft: Draft,
): Promise<void> {
  if (codings.length === 0) return
  const worthIt = files.filter(({ name, status, state: { size } }) => {
    const fits = size >= FILE_MIN_BYTES && size <= FILE_MAX_BYTES
    return fits && status === 200 && isCompressible(name)
  })
  await forEachBounded(worthIt, PARALLEL_FILES, found =>
    compressFile(found, site, codings, fs, draft),
  )
}

async function compressFile(
  found: FoundFile,
  site: number,
  codings: readonly CodingName[],
  fs: ContentFs,
  draft: Draft,
): Promise<void> {
  const identity = fileKey(site, found.paths[0], '')
  const missing = codings.filter(name => found.codings.every(({ coding }) => coding !== name))
  const made: CodingName[] = []
  const inVain: CodingName[] = []
  for (const coding of missing) {
    if (draft.isInVain(identity, coding, found.state)) inVain.push(coding)
    else if (draft.isStored(fileKey(site, found.paths[0], coding), found.state)) {
      const state = draft.last(fileKey(site, found.paths[0], coding))!.state
      found.codings.push({ coding, source: 'stored', state })
    } else made.push(coding)
  }
  if (made.length > 0) inVain.push(...(await makeCodings(found, made, fs)))
  if (inVain.length > 0) draft.catalog.inVain.set(identity, inVain)
}

/** Makes the codings; returns those that would make the file no smaller. */
async function makeCodings(
  found: FoundFile,
  codings: readonly CodingName[],
  fs: ContentFs,
): Promise<CodingName[]> {
  const read = await readWhole(found.file, found.state, fs)
  if (read.kind === 'failed') {
    refuseWithoutDescriptors(read.code)
    // Whatever is wrong with it shows again, and is told, when it is read to its place.
    return []
  }
  found.state = read.state
  const inVain: CodingName[] = []
  for (const coding of codings) {
    const body = await encode(read.bytes, coding)
    if (body.length >= read.bytes.length) {
      inVain.push(coding)
      continue
    }
    const source = { body, etag: etagOf(body), identity: read.etag }
    found.codings.push({ coding, source, state: { ...read.state, size: body.length } })
  }
  return inVain
}
