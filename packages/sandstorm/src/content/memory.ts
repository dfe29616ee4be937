/** What content needs of memory: known once it was scanned, before anything is read. */
import { preferHugePages, REGION_MAX_BYTES } from '@sandstorm/libnmio'
import type { Site } from '../site/site.ts'
import { StartError } from '../startError.ts'
import { HOST_STRIDE } from './hosts.ts'
import { IMAGE_STRIDE } from './image.ts'
import { ImageStore } from './imageStore.ts'
import { SLOT_STRIDE, slotCount } from './names.ts'
import type { OpenSite } from './openSite.ts'
import { RESOURCE_STRIDE, SITE_STRIDE, VARIANT_STRIDE } from './table.ts'

/** What extents may take: this share of the content's room, and this much. */
const PAGED_SHARE = 1 / 8
const PAGED_MAX_BYTES = 64 << 20
/** Records of images for those, for hits, and for later versions. */
const SPARE_RECORDS = 1024

/** What extents may take of `roomBytes` for all content. */
export const pagedBytesOf = (roomBytes: number): number =>
  Math.min(PAGED_MAX_BYTES, roomBytes * PAGED_SHARE)

/** What must be in memory. */
export interface Needed {
  /** Of heads, of what is not a file, and of tables. */
  readonly bytes: number
  readonly images: number
}

/** What content of `sites` needs even if its files stay on disk. */
export function memoryFor(sites: readonly OpenSite[]): Needed {
  let bytes = 0
  let [images, variants, paths, hosts] = [0, 0, 0, 0]
  const add = (head: Parameters<typeof ImageStore.bytesOf>[0], bodyLen: number): void => {
    bytes += ImageStore.bytesOf(head, bodyLen)
    images++
  }
  const addPath = (path: string): void => {
    bytes += Buffer.byteLength(path)
    paths++
  }
  for (const { site, statuses, files, pages } of sites) {
    for (const { head, body } of statuses) add(head, body.length)
    for (const { found, variants: all } of files.values()) {
      for (const { answer, revalidated } of all) {
        add(answer, 0)
        add(revalidated, 0)
        variants++
      }
      for (const path of found.paths) addPath(path)
    }
    for (const { path, answer, body, revalidated } of pages) {
      add(answer, body.length)
      if (revalidated !== undefined) add(revalidated, 0)
      variants++
      addPath(path)
    }
    hosts += site.hosts.length
  }
  const words =
    images * IMAGE_STRIDE +
    variants * VARIANT_STRIDE +
    paths * RESOURCE_STRIDE +
    hosts * HOST_STRIDE +
    (slotCount(paths) + slotCount(hosts)) * SLOT_STRIDE +
    sites.length * SITE_STRIDE
  return { bytes: bytes + 4 * words, images }
}

/** The least room for content in which so much is needed: extents take their share of it. */
function roomFor({ bytes, images }: Needed): number {
  const pagedBytes = Math.min(PAGED_MAX_BYTES, (bytes * PAGED_SHARE) / (1 - PAGED_SHARE))
  return Math.max(bytes + pagedBytes, ImageStore.bytesForRecords(images + SPARE_RECORDS))
}

/** Throws one clear line if content of `sites` and `stackBytes` need more than `memoryBytes`. */
export function checkMemory(
  sites: readonly Site[],
  content: Needed,
  stackBytes: number,
  memoryBytes: number,
): void {
  const needed = roomFor(content) + stackBytes
  if (needed > REGION_MAX_BYTES) {
    throw new StartError(
      `cannot serve ${rootsOf(sites)}: it needs ${mebibytes(needed)} even if its files stay on disk, ` +
        'and no more than 2047MiB can be had; serve a smaller folder',
    )
  }
  if (needed > memoryBytes) {
    throw new StartError(
      `cannot serve ${rootsOf(sites)}: it needs ${mebibytes(needed)} of memory even if its files ` +
        `stay on disk, the limit is ${mebibytes(memoryBytes, Math.floor)}; raise it: --memory ${mebibytes(needed)}`,
    )
  }
}

/** A store of `regionBytes`. Throws one clear line if the system has no room for it. */
export function newStore(regionBytes: number, roomBytes: number): ImageStore {
  try {
    const store = new ImageStore(regionBytes, roomBytes)
    preferHugePages(store.region)
    return store
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new StartError(
      `there are no ${mebibytes(regionBytes)} of memory to be had; ask for less (--memory), or allow more ` +
        'address space, of which it takes 10 GB, used or not: ulimit -v unlimited',
    )
  }
}

function rootsOf([first, ...more]: readonly Site[]): string {
  return more.length === 0 ? first.root : `${first.root} and ${more.length} more`
}

/** In the form that --memory takes; rounded up, so that what is suggested is enough. */
function mebibytes(bytes: number, round: (n: number) => number = Math.ceil): string {
  return `${round(bytes / 2 ** 20)}MiB`
}
