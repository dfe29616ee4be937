/** Content for tests, made in memory by the real store: paths and bodies in, content out. */
import type { Content } from '../../src/content/content.ts'
import { GenerationBuilder } from '../../src/content/generation.ts'
import { fileHead, notModifiedHead, type Representation, STATUSES } from '../../src/content/head.ts'
import { HITS_MAX } from '../../src/content/hitTable.ts'
import { ImageStore } from '../../src/content/imageStore.ts'
import { contentType } from '../../src/content/mediaType.ts'
import { statusAnswer } from '../../src/content/statuses.ts'
import { attachContent } from '../../src/content/table.ts'
import { NO_FIELDS } from '../../src/site/rules.ts'

/** When all of its files were modified: Sun, 06 Nov 1994 08:49:37 GMT, in seconds since 1970. */
export const MODIFIED_SEC = 784111777

export interface Site {
  readonly content: Content
  readonly bodies: ReadonlyMap<string, Uint8Array>
  /** Image handle of a path's 200 answer. */
  imageOf(path: string): number
  /** Entity tag of a path, with its quotes. */
  etagOf(path: string): string
}

/** Bytes that tell every place from every other, and one body from another. */
export function body(len: number, salt = 0): Uint8Array {
  const bytes = new Uint8Array(len)
  let x = (salt * 2654435761) | 1
  for (let i = 0; i < len; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0
    bytes[i] = x >>> 24
  }
  return bytes
}

/** A site of `files` (path → body, or a length of made-up bytes) in a region of `regionBytes`. */
export function makeSite(
  files: Record<string, Uint8Array | number>,
  regionBytes: number = 64 << 20,
): Site {
  const store = new ImageStore(regionBytes, regionBytes)
  const builder = new GenerationBuilder(1)
  const plain = { serverName: 'sandstorm', allowOrigin: '', pages: new Map() }
  const statuses = STATUSES.map(status => statusAnswer(status, plain))
  builder.addSite(
    [],
    statuses.map(({ head, body }) => store.addWhole(head, body)),
  )
  const planned = Object.entries(files).map(([path, file], i) => {
    const bytes = typeof file === 'number' ? body(file, i + 1) : file
    const of: Representation = {
      type: contentType(path),
      size: bytes.length,
      lastModified: MODIFIED_SEC,
      coding: undefined,
      varies: false,
      serverName: 'sandstorm',
      fields: NO_FIELDS,
    }
    const [answer, revalidated] = [fileHead(of), notModifiedHead(of)]
    const image = store.addWhole(answer, bytes)
    const notModified = store.add(revalidated, 0)
    const etag = `${'e'.repeat(16)}${String(i).padStart(6, '0')}`
    store.setEtag(image, answer, etag)
    store.setEtag(notModified, revalidated, etag)
    const etagOff = store.etagOff(image, answer)
    builder.addPath(0, path, [builder.addVariant(image, notModified, MODIFIED_SEC, etagOff)])
    return { path, bytes, image, etag }
  })
  const content = attachContent({
    region: store.region.memory,
    contentBytes: store.cut(0),
    images: store.images.buffer,
    holds: store.addReader(),
    hits: { records: [], used: new SharedArrayBuffer(HITS_MAX), number: 0 },
    generation: builder.finish(),
  })
  const byPath = new Map(planned.map(p => [p.path, p]))
  return {
    content,
    bodies: new Map(planned.map(p => [p.path, p.bytes])),
    imageOf: path => byPath.get(path)!.image,
    etagOf: path => `"${byPath.get(path)!.etag}"`,
  }
}
