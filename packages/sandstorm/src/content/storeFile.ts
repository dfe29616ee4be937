/**
 * Brings one file into the store, in each of its codings, or finds that it is there already.
 *
 * Invariant: nothing half-read is ever served. A file that does not hold still keeps its last
 * version if there is one; else it is answered with a status of its own, and a warning names it.
 * One that has no room in memory stays on disk, and is read as it is asked for (pager.ts).
 */
import type { StoredFile } from './catalog.ts'
import { IDENTITY } from './content.ts'
import type { Draft } from './draft.ts'
import type { FileReader } from './fileReader.ts'
import { refuseWithoutDescriptors } from './fileSystem.ts'
import { NO_IMAGE } from './image.ts'
import {
  CODING_INDEX,
  type FileHeads,
  headsOf,
  type PlacedFile,
  type PlacedVariant,
  type SiteHeads,
} from './place.ts'
import { READS_MAX, type ReadResult } from './read.ts'
import { warning } from './scan.ts'

export type FileOutcome =
  /** By the codings' indices; identity is there. */
  | { readonly kind: 'stored'; readonly byCoding: readonly StoredFile[] }
  | { readonly kind: 'status'; readonly status: number }

/** Gone since it was found (fileSystem.ts: isGone). */
const GONE = 404

/** Rejects with one clear line if no file can be opened. */
export async function storeFile(
  file: PlacedFile,
  heads: SiteHeads,
  draft: Draft,
  reader: FileReader,
): Promise<FileOutcome> {
  const [identity, ...coded] = file.variants
  const result = await storeVariant(file, identity, draft, reader)
  if ('why' in result) {
    const last = result.isPassing ? lastOf(file, draft) : undefined
    if (last !== undefined) return last
    const { status, why } = result
    if (status !== GONE) {
      heads.onWarning(warning(file.found.paths[0], `${why}; answered ${status}`))
    }
    return { kind: 'status', status }
  }
  const byCoding: StoredFile[] = []
  byCoding[IDENTITY] = result
  for (const variant of coded) {
    const stored = await storeCoded(file, variant, result, heads, draft, reader)
    if (stored !== undefined) byCoding[CODING_INDEX[variant.coding!]] = stored
  }
  return { kind: 'stored', byCoding }
}

/** The last version, whole: its codings are of its bytes. undefined: there is none. */
function lastOf({ variants }: PlacedFile, draft: Draft): FileOutcome | undefined {
  const byCoding: StoredFile[] = []
  for (const { key, coding } of variants) {
    const last = draft.keepLast(key)
    if (last !== undefined) byCoding[coding === undefined ? IDENTITY : CODING_INDEX[coding]] = last
    else if (coding === undefined) return undefined
  }
  return { kind: 'stored', byCoding }
}

/** A variant beside identity; undefined: it is not offered. */
async function storeCoded(
  file: PlacedFile,
  variant: PlacedVariant,
  identity: StoredFile,
  heads: SiteHeads,
  draft: Draft,
  reader: FileReader,
): Promise<StoredFile | undefined> {
  const { source } = variant
  // Made of bytes that are no more.
  if (typeof source === 'object' && 'identity' in source) {
    if (source.identity !== draft.store.etagAt(identity.etagOff)) return undefined
  }
  const result = await storeVariant(file, variant, draft, reader)
  if (!('why' in result)) return result
  if (result.status === GONE) return undefined
  const why = `in ${variant.coding} it ${result.why}; not offered in it`
  heads.onWarning(warning(file.found.paths[0], why))
  return undefined
}

interface Failure {
  readonly status: number
  readonly why: string
  /** It may be had later. */
  readonly isPassing: boolean
}

const CHANGING: Failure = {
  status: 503,
  why: 'changes faster than it can be loaded',
  isPassing: true,
}

const NO_ROOM: Failure = { status: 503, why: 'has no room in memory', isPassing: true }

async function storeVariant(
  file: PlacedFile,
  placed: PlacedVariant,
  draft: Draft,
  reader: FileReader,
): Promise<StoredFile | Failure> {
  const { key, source, state } = placed
  const kept = draft.keep(key, state, placed, file.found.isSibling)
  if (kept === NO_IMAGE) return NO_ROOM
  if (kept !== undefined) return kept
  if (source === 'stored') return CHANGING
  if ('file' in source) return readFile(file, placed, source.file, draft, reader)
  const image = draft.store.addWhole(placed.answer, source.body)
  if (image === NO_IMAGE) return NO_ROOM
  return draft.storeFile(key, state, placed, image, source.etag) ?? NO_ROOM
}

/** Reads a variant's file to its place until it holds still. */
async function readFile(
  placedFile: PlacedFile,
  placed: PlacedVariant,
  file: string,
  draft: Draft,
  reader: FileReader,
): Promise<StoredFile | Failure> {
  const { store } = draft
  const { key, coding } = placed
  let of: FileHeads & Pick<PlacedVariant, 'state'> = placed
  for (let reads = 0; reads < READS_MAX; reads++) {
    const mayLoad = !placedFile.found.isSibling && draft.hasRoom(of.answer, of.state.size)
    const image = mayLoad ? store.add(of.answer, of.state.size) : NO_IMAGE
    if (image === NO_IMAGE) {
      return draft.storePaged(key, of.state, of, file) ?? NO_ROOM
    }
    const read = (): Promise<ReadResult> => reader.read(file, store.bodyOff(image), of.state)
    let result = await read()
    if (result.kind === 'loaded' && draft.isYoung(of.state)) result = confirm(result, await read())
    if (result.kind === 'loaded') {
      return draft.storeFile(key, of.state, of, image, result.etag) ?? NO_ROOM
    }
    store.discard(image)
    if (result.kind === 'failed') {
      const { status, code } = result
      refuseWithoutDescriptors(code)
      return { status, why: `cannot be read (${code})`, isPassing: false }
    }
    const { state } = result
    of = { state, ...headsOf(placedFile, coding, state) }
  }
  draft.isUnsettled = true
  return CHANGING
}

/**
 * A write(2) sets the times first and copies then, so a file that is written over in place can look
 * the same before and after a reading that saw half of a write (7 of 8510 readings, while 32 KB
 * were written all the time; ext4, Linux 6.18, 2026-11-28). Two readings that say the same saw
 * none.
 */
function confirm(first: ReadResult & { kind: 'loaded' }, second: ReadResult): ReadResult {
  const isOther = second.kind === 'loaded' && second.etag !== first.etag
  return isOther ? { kind: 'changed', state: second.state } : second
}
