/**
 * Turns folders into a generation of content (paper §2.1: content is loaded ahead of time): scan,
 * keep what the last generation has already, read every other file straight into its place, then
 * write the tables that lead there. Nobody sees any of it before it is whole.
 */
import type { Site } from '../site/site.ts'
import { StartError } from '../startError.ts'
import { type Catalog, fileKey } from './catalog.ts'
import { Draft } from './draft.ts'
import type { ReaderChoice } from './fileReader.ts'
import type { ContentFs } from './fileSystem.ts'
import type { FoundFile, FoundTree } from './found.ts'
import { GenerationBuilder } from './generation.ts'
import { STATUSES } from './head.ts'
import { NO_IMAGE } from './image.ts'
import type { ImageStore } from './imageStore.ts'
import { memoryFor, type Needed } from './memory.ts'
import { type OpenSite, openSite } from './openSite.ts'
import type { Pager } from './pager.ts'
import { forEachBounded } from './parallel.ts'
import { modifiedSec } from './place.ts'
import { realRoot, scanTree } from './scan.ts'
import { type FileOutcome, storeFile } from './storeFile.ts'
import type { GenerationShared } from './table.ts'

export interface LoadJob {
  readonly sites: readonly Site[]
  readonly store: ImageStore
  /** Has what does not fit there. */
  readonly pager: Pager
  /** Of the store, what is kept for others than files in memory. */
  readonly reservedBytes: () => number
  /** Of the generation before; an empty one if there is none. */
  readonly old: Catalog
  /** Of the generation to be. */
  readonly number: number
  /** Nothing is made while something that changed is so young that more may follow. */
  readonly mayWait: boolean
  readonly fs: ContentFs
  /** Chooses who reads the files. */
  readonly readerFor: ReaderChoice
  /** Since 1970. */
  readonly nowMs: () => number
  /** Told, in one line each, what is left out or cannot be read. */
  readonly onWarning: (line: string) => void
  readonly onProgress?: ProgressListener | undefined
  /** Would reading so many bytes take too long? Then all files stay on disk for now. */
  readonly isEarly?: ((fileBytes: number) => boolean) | undefined
  /** Looks at how much is needed before anything is read; throws if it is too much. */
  readonly checkNeeded?: ((needed: Needed) => void) | undefined
}

/** Told now and then how far loading has come. */
export type ProgressListener = (
  loadedFiles: number,
  totalFiles: number,
  loadedBytes: number,
  totalBytes: number,
) => void

export interface Loaded {
  readonly generation: GenerationShared
  readonly catalog: Catalog
  /** Real paths of the folders that it was made of. */
  readonly dirs: ReadonlySet<string>
  /** Some file is not what it will be: look again soon. */
  readonly isUnsettled: boolean
  /** Nothing was read: all files are still on disk. */
  readonly isEarly: boolean
  /** Of all files that were found. */
  readonly fileBytes: number
}

/** Of a site that has an origin and no folder. */
const NO_TREE: FoundTree = { root: '', files: [], redirects: [], listings: [], dirs: [] }
/** Loadings that came to nothing since a root leads elsewhere by then, before that is given up. */
const MOVES_MAX = 5

/**
 * Makes a generation, all of one look at the folders; undefined: it waits. Rejects with one clear
 * line, the store as it was, if a root is no folder or a site names what is not there.
 */
export async function load(job: LoadJob): Promise<Loaded | undefined> {
  for (let i = 0; i < MOVES_MAX; i++) {
    const result = await tryLoad(job)
    if (result !== 'moved') return result === 'unripe' ? undefined : result
  }
  throw new StartError('a folder is exchanged for others faster than it can be loaded')
}

/** What was to be told of a look that came to nothing is not told. */
async function tryLoad(job: LoadJob): Promise<Loaded | 'unripe' | 'moved'> {
  const { fs, sites } = job
  const warnings: string[] = []
  const onWarning = (line: string): void => void warnings.push(line)
  const trees: FoundTree[] = []
  for (const site of sites) {
    trees.push(site.root === '' ? NO_TREE : await scanTree({ fs, site, onWarning }))
  }
  const draft = new Draft(job)
  draft.isEarly = job.isEarly?.(bytesOf(trees)) ?? false
  if (job.mayWait && trees.some((tree, i) => isUnripe(tree, i, draft))) return 'unripe'
  try {
    const loaded = await makeGeneration(trees, draft, { ...job, onWarning })
    if (await hasMoved(sites, trees, fs)) {
      draft.discard()
      return 'moved'
    }
    warnings.forEach(job.onWarning)
    return loaded
  } catch (error) {
    draft.discard()
    throw error
  }
}

function bytesOf(trees: readonly FoundTree[]): number {
  let bytes = 0
  for (const { files } of trees) for (const { state } of files) bytes += state.size
  return bytes
}

/** May something in a site's folder still be written to? */
function isUnripe({ files }: FoundTree, site: number, draft: Draft): boolean {
  return files.some(
    ({ paths, state, codings }) =>
      draft.isUnripe(fileKey(site, paths[0], ''), state) ||
      codings.some(of => draft.isUnripe(fileKey(site, paths[0], of.coding), of.state)),
  )
}

/**
 * Does a root lead elsewhere by now? Then what it led to may have been deleted since, and be
 * missing here although at no moment anything was missing there.
 */
async function hasMoved(
  sites: readonly Site[],
  trees: readonly FoundTree[],
  fs: ContentFs,
): Promise<boolean> {
  for (const [i, { root }] of sites.entries()) {
    if (root !== '' && (await realRoot(root, fs)) !== trees[i].root) return true
  }
  return false
}

async function makeGeneration(
  trees: readonly FoundTree[],
  draft: Draft,
  job: LoadJob,
): Promise<Loaded> {
  const sites: OpenSite[] = []
  for (const [i, site] of job.sites.entries()) {
    sites.push(await openSite(site, i, trees[i], job.fs, draft, job.onWarning))
  }
  job.checkNeeded?.(memoryFor(sites))
  const builder = new GenerationBuilder(job.number)
  for (const [i, site] of sites.entries()) addStatuses(i, site, builder, draft)
  const outcomes = await readFiles(sites, draft, job)
  for (const [i, site] of sites.entries()) {
    addFiles(i, site, outcomes, builder, draft)
    addPages(i, site, builder, draft)
  }
  return {
    generation: builder.finish(),
    catalog: draft.catalog,
    dirs: new Set(sites.flatMap(({ tree }) => tree.dirs)),
    isUnsettled: draft.isUnsettled,
    isEarly: draft.isEarly,
    fileBytes: bytesOf(trees),
  }
}

async function readFiles(
  sites: readonly OpenSite[],
  draft: Draft,
  { fs, readerFor, onProgress }: LoadJob,
): Promise<Map<FoundFile, FileOutcome>> {
  const files = sites.flatMap(site => [...site.files.values()].map(file => ({ site, file })))
  // What does not fit should be few and large files rather than many small ones.
  files.sort((a, b) => a.file.found.state.size - b.file.found.state.size)
  const sizes = files.map(({ file }) =>
    file.variants.reduce((sum, { state }) => sum + state.size, 0),
  )
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0)
  const outcomes = new Map<FoundFile, FileOutcome>()
  let loadedBytes = 0
  const reader = readerFor(draft.store.region, files.length, fs)
  try {
    await forEachBounded([...files.entries()], reader.callsMax, async ([i, { site, file }]) => {
      outcomes.set(file.found, await storeFile(file, site.heads, draft, reader))
      loadedBytes += sizes[i]
      if (!draft.isEarly) onProgress?.(outcomes.size, files.length, loadedBytes, totalBytes)
    })
  } finally {
    await reader.close()
  }
  return outcomes
}

function addStatuses(i: number, site: OpenSite, builder: GenerationBuilder, draft: Draft): void {
  const images = site.statuses.map(({ head, body }, status) =>
    demandRoom(draft.page(`${i} status ${STATUSES[status]}`, head, body)),
  )
  builder.addSite(site.site.hosts, images, site.site.origin !== undefined)
}

function addFiles(
  i: number,
  site: OpenSite,
  outcomes: ReadonlyMap<FoundFile, FileOutcome>,
  builder: GenerationBuilder,
  { catalog }: Draft,
): void {
  for (const found of site.tree.files) {
    const outcome = outcomes.get(found) ?? { kind: 'status', status: found.status }
    const variants =
      outcome.kind === 'status'
        ? [statusVariant(i, outcome.status, builder, catalog)]
        : outcome.byCoding.map(({ image, notModified, state, etagOff }) =>
            builder.addVariant(image, notModified, modifiedSec(state, site.heads), etagOff),
          )
    for (const path of found.paths) {
      const resource = builder.addPath(i, path, variants)
      if (path === site.fallback) builder.setFallback(i, resource)
    }
  }
}

/** Answers with the ready image of a status, whatever is asked of it. */
function statusVariant(
  site: number,
  status: number,
  builder: GenerationBuilder,
  { pages }: Catalog,
): number {
  const image = pages.get(`${site} status ${status}`)!
  return builder.addVariant(image, image)
}

function addPages(i: number, site: OpenSite, builder: GenerationBuilder, draft: Draft): void {
  for (const { path, answer, body, revalidated, etag } of site.pages) {
    const image = demandRoom(draft.page(`${i} page ${path}`, answer, body, etag))
    if (revalidated === undefined) {
      builder.addPath(i, path, [builder.addVariant(image, image)])
      continue
    }
    const name = `${i} revalidated ${path}`
    const notModified = demandRoom(draft.page(name, revalidated, NO_BODY, etag))
    const etagOff = draft.store.etagOff(image, answer)
    builder.addPath(i, path, [builder.addVariant(image, notModified, 0, etagOff)])
  }
}

const NO_BODY = new Uint8Array()

function demandRoom(image: number): number {
  if (image !== NO_IMAGE) return image
  throw new StartError('no memory is left for new content; raise --memory')
}
