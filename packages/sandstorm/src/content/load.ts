/**
 * Loads a folder into memory ahead of time (paper §2.1): scan, plan, allocate once, then read every
 * file straight into its place. The result is shared memory that no one writes any more.
 *
 * Invariant: nothing half-read is ever served. A file that cannot be read, or that does not hold
 * still, is answered with a status of its own, and a warning names it; the rest is served.
 */
import { REGION_MAX_BYTES } from '@sandstorm/libnmio'
import { StartError } from '../startError.ts'
import { ContentBuilder } from './builder.ts'
import { type ContentFs, PARALLEL_CALLS, REAL_FS } from './fileSystem.ts'
import { fileHead, notModifiedHead, redirectHead } from './head.ts'
import { forEachBounded } from './parallel.ts'
import { type ReadResult, readInto } from './read.ts'
import { type FoundFile, type FoundTree, scanTree, warning } from './scan.ts'
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
  readonly onProgress?: (loadedBytes: number, totalBytes: number) => void
  /** Names that answer for their directory, best first; default index.html. */
  readonly indexNames?: readonly string[]
  /** For tests: another file system. */
  readonly fs?: ContentFs
}

/** Readings of a file that keeps changing before it is given up. */
const READS_MAX = 3

/** A file with its place in the region. */
interface PlacedFile {
  readonly found: FoundFile
  readonly image: number
  readonly notModified: number
  readonly resources: readonly number[]
}

/**
 * Reads the folder `root`. Throws an Error with one clear line if the root is no folder or if its
 * files need more than `memoryBytes`.
 */
export async function loadContent(root: string, options: LoadOptions): Promise<ContentShared> {
  const fs = options.fs ?? REAL_FS
  const { onWarning, indexNames = ['index.html'] } = options
  const tree = await scanTree(root, { fs, indexNames, onWarning })
  const builder = new ContentBuilder()
  const files = place(tree, builder, onWarning)
  const { memoryBytes, stackBytes = 0 } = options
  checkMemory(root, builder, stackBytes, memoryBytes)
  builder.allocate(stackBytes > 0 ? memoryBytes : 0)

  const totalBytes = tree.files.reduce((sum, file) => sum + file.size, 0)
  let loadedBytes = 0
  await forEachBounded(files, PARALLEL_CALLS, async file => {
    await loadFile(file, builder, fs, onWarning)
    loadedBytes += file.found.size
    options.onProgress?.(loadedBytes, totalBytes)
  })
  return builder.finish()
}

/** Plans an image and paths for all that was found; returns the files that are to be read. */
function place(
  tree: FoundTree,
  builder: ContentBuilder,
  onWarning: (line: string) => void,
): PlacedFile[] {
  const files: PlacedFile[] = []
  for (const found of tree.files) {
    if (found.status !== 200) {
      const image = builder.statusImage(found.status)
      for (const path of found.paths) builder.addPath(path, image, image)
      continue
    }
    const image = builder.addImage(fileHead(found.name, found.size), found.size)
    const notModified = builder.addImage(notModifiedHead(), 0)
    const resources = found.paths.map(path => builder.addPath(path, image, notModified))
    files.push({ found, image, notModified, resources })
  }
  for (const { path, name } of tree.redirects) {
    const head = redirectHead(name)
    if (head === undefined) {
      onWarning(warning(path, 'a name too long to redirect to; only its form with "/" is served'))
      continue
    }
    const image = builder.addImage(head, 0)
    builder.addPath(path, image, image)
  }
  return files
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

async function loadFile(
  file: PlacedFile,
  builder: ContentBuilder,
  fs: ContentFs,
  onWarning: (line: string) => void,
): Promise<void> {
  const { found } = file
  const giveUp = (status: number, why: string): void => {
    for (const resource of file.resources) builder.setStatus(resource, status)
    onWarning(warning(found.paths[0], `${why}; answered ${status}`))
  }
  for (let reads = 0; reads < READS_MAX; reads++) {
    const result: ReadResult = await readInto(
      builder.bytes,
      builder.bodyOff(file.image),
      builder.bodyLen(file.image),
      found.file,
      fs,
    )
    if (result.kind === 'loaded') {
      builder.setEtag(result.etag, [file.image, file.notModified], file.resources)
      return
    }
    if (result.kind === 'failed') return giveUp(result.status, `cannot be read (${result.code})`)
    const head = fileHead(found.name, result.size)
    if (!builder.resize(file.image, head, result.size)) {
      return giveUp(503, 'grew while it was loaded, and there is no room left; restart to serve it')
    }
  }
  giveUp(503, 'changes faster than it can be loaded; restart to serve it')
}
