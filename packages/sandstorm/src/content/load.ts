/**
 * Loads folders into memory ahead of time (paper §2.1): scan, plan, allocate once, then read every
 * file straight into its place. The result is shared memory that no one writes any more.
 *
 * Invariant: nothing half-read is ever served. A file that cannot be read, or that does not hold
 * still, is answered with a status of its own, and a warning names it; the rest is served.
 */
import { REGION_MAX_BYTES } from '@sandstorm/libnmio'
import type { Site } from '../site/site.ts'
import { StartError } from '../startError.ts'
import { ContentBuilder } from './builder.ts'
import { type ContentFs, PARALLEL_CALLS, REAL_FS } from './fileSystem.ts'
import { type OpenSite, openSite, placeSite } from './openSite.ts'
import { forEachBounded } from './parallel.ts'
import { CODING_INDEX, headsOf, modifiedSec, type PlacedFile, type PlacedVariant } from './place.ts'
import { READS_MAX, type ReadResult, readInto } from './read.ts'
import { warning } from './scan.ts'
import type { ContentShared } from './table.ts'

export interface LoadOptions {
  /** The budget for content, its tables, and `stackBytes`. */
  readonly memoryBytes: number
  /**
   * What a stack needs for its frames at least. With it the region takes up the whole budget, so that
   * frames can be sent from where the content lies; without it, just the content.
   */
  readonly stackBytes?: number
  /** Told, in one line each, what is left out or cannot be read. */
  readonly onWarning: (line: string) => void
  /** Told now and then how far loading has come. */
  readonly onProgress?:
    | ((loadedFiles: number, totalFiles: number, loadedBytes: number, totalBytes: number) => void)
    | undefined
  /** For tests: another file system. */
  readonly fs?: ContentFs
}

/**
 * Reads the folders of all `sites`. Throws an Error with one clear line if a root is no folder or if
 * the files need more than `memoryBytes`.
 */
export async function loadContent(
  sites: readonly Site[],
  options: LoadOptions,
): Promise<ContentShared> {
  const fs = options.fs ?? REAL_FS
  const { onWarning, memoryBytes, stackBytes = 0 } = options
  const found: OpenSite[] = []
  for (const [i, site] of sites.entries()) found.push(await openSite(site, i, fs, onWarning))
  const builder = new ContentBuilder(found.map(({ plan }) => plan))
  const files = found.flatMap(site => placeSite(site, builder))
  checkMemory(rootsOf(sites), builder, stackBytes, memoryBytes)
  builder.allocate(stackBytes > 0 ? memoryBytes : 0)

  const sizeOf = ({ variants }: PlacedFile): number =>
    variants.reduce((sum, { state }) => sum + state.size, 0)
  const totalBytes = files.reduce((sum, file) => sum + sizeOf(file), 0)
  let loadedFiles = 0
  let loadedBytes = 0
  await forEachBounded(files, PARALLEL_CALLS, async file => {
    const planned = sizeOf(file)
    await loadFile(file, builder, fs)
    loadedBytes += planned
    options.onProgress?.(++loadedFiles, files.length, loadedBytes, totalBytes)
  })
  return builder.finish()
}

function rootsOf([first, ...more]: readonly Site[]): string {
  return more.length === 0 ? first.root : `${first.root} and ${more.length} more`
}

function checkMemory(
  root: string,
  builder: ContentBuilder,
  stackBytes: number,
  memoryBytes: number,
): void {
  const needed = builder.neededBytes + stackBytes
  if (!builder.fitsRegion || needed > REGION_MAX_BYTES) {
    throw new StartError(
      `cannot serve ${root}: its files need ${mebibytes(needed)}, and no more than ` +
        '2047MiB can be held in memory; serve a smaller folder',
    )
  }
  if (needed > memoryBytes) {
    throw new StartError(
      `cannot serve ${root}: its files need ${mebibytes(needed)} of memory, the limit ` +
        `is ${mebibytes(memoryBytes, Math.floor)}; raise it: --memory ${mebibytes(needed)}`,
    )
  }
}

/** In the form that --memory takes; rounded up, so that what is suggested is enough. */
function mebibytes(bytes: number, round: (n: number) => number = Math.ceil): string {
  return `${round(bytes / 2 ** 20)}MiB`
}

/** Reads what a file has in its places: its own bytes, then those of its other codings. */
async function loadFile(file: PlacedFile, builder: ContentBuilder, fs: ContentFs): Promise<void> {
  const { found, heads, resources } = file
  const [identity, ...coded] = file.variants
  const drop = ({ coding }: PlacedVariant): void => {
    for (const resource of resources) builder.dropVariant(resource, CODING_INDEX[coding!])
  }
  const result = await loadVariant(file, identity, identity.source as FileSource, builder, fs)
  if ('status' in result) {
    builder.setStatus(identity.variant, heads.site, result.status)
    coded.forEach(drop)
    heads.onWarning(warning(found.paths[0], `${result.why}; answered ${result.status}`))
    return
  }
  for (const variant of coded) {
    const { source } = variant
    if ('etag' in source) {
      // Made of bytes that are no more.
      if (source.identity !== result.etag) drop(variant)
      continue
    }
    const codedResult = await loadVariant(file, variant, source, builder, fs)
    if (!('status' in codedResult)) continue
    drop(variant)
    heads.onWarning(
      warning(found.paths[0], `in ${variant.coding} it ${codedResult.why}; not offered in it`),
    )
  }
}

type FileSource = { readonly file: string }
type Loaded = { readonly etag: string } | { readonly status: number; readonly why: string }

/** Reads a variant's file to its place until it holds still. */
async function loadVariant(
  file: PlacedFile,
  placed: PlacedVariant,
  source: FileSource,
  builder: ContentBuilder,
  fs: ContentFs,
): Promise<Loaded> {
  const { image, notModified, variant, coding } = placed
  for (let reads = 0; reads < READS_MAX; reads++) {
    const off = builder.bodyOff(image)
    const result: ReadResult = await readInto(builder.bytes, off, placed.state, source.file, fs)
    if (result.kind === 'loaded') {
      builder.setEtag(variant, result.etag)
      return result
    }
    if (result.kind === 'failed') {
      return { status: result.status, why: `cannot be read (${result.code})` }
    }
    placed.state = result.state
    const { answer, revalidated } = headsOf(
      file.found,
      file.fields,
      file.heads,
      coding,
      result.state,
    )
    const isPlaced =
      builder.resize(image, answer, result.state.size) &&
      builder.resize(notModified, revalidated, 0)
    if (!isPlaced) {
      const why = 'grew while it was loaded, and there is no room left'
      return { status: 503, why: `${why}; restart to serve it` }
    }
    builder.setLastModified(variant, modifiedSec(result.state, file.heads))
  }
  return { status: 503, why: 'changes faster than it can be loaded; restart to serve it' }
}
