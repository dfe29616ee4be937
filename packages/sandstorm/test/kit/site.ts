/** Content for tests, made in memory by the real builder: paths and bodies in, a store out. */
import { ContentBuilder } from '../../src/content/builder.ts'
import type { Content } from '../../src/content/content.ts'
import { fileHead, notModifiedHead, type Representation } from '../../src/content/head.ts'
import { contentType } from '../../src/content/mediaType.ts'
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
  const builder = new ContentBuilder([
    { hosts: [], serverName: 'sandstorm', allowOrigin: '', pages: new Map() },
  ])
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
    const image = builder.addImage(fileHead(of), bytes)
    const notModified = builder.addImage(notModifiedHead(of), 0)
    const variant = builder.addVariant(image, notModified, MODIFIED_SEC)
    builder.addPath(0, path, [variant])
    const etag = `${'e'.repeat(16)}${String(i).padStart(6, '0')}`
    return { path, bytes, image, variant, etag }
  })
  builder.allocate(regionBytes)
  for (const { variant, etag } of planned) builder.setEtag(variant, etag)
  const content = attachContent(builder.finish())
  const byPath = new Map(planned.map(p => [p.path, p]))
  return {
    content,
    bodies: new Map(planned.map(p => [p.path, p.bytes])),
    imageOf: path => byPath.get(path)!.image,
    etagOf: path => `"${byPath.get(path)!.etag}"`,
  }
}
