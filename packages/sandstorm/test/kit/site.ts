/** Content for tests, made in memory by the real builder: paths and bodies in, a store out. */
import { ContentBuilder } from '../../src/content/builder.ts'
import type { Content } from '../../src/content/content.ts'
import { fileHead, notModifiedHead } from '../../src/content/head.ts'
import { attachContent } from '../../src/content/table.ts'

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
  const builder = new ContentBuilder()
  const planned = Object.entries(files).map(([path, file], i) => {
    const bytes = typeof file === 'number' ? body(file, i + 1) : file
    const image = builder.addImage(fileHead(path, bytes.length), bytes.length)
    const notModified = builder.addImage(notModifiedHead(), 0)
    const etag = `${'e'.repeat(16)}${String(i).padStart(6, '0')}`
    return {
      path,
      bytes,
      image,
      notModified,
      etag,
      resource: builder.addPath(path, image, notModified),
    }
  })
  builder.allocate(regionBytes)
  for (const { image, notModified, resource, bytes, etag } of planned) {
    builder.bytes.set(bytes, builder.bodyOff(image))
    builder.setEtag(etag, [image, notModified], [resource])
  }
  const content = attachContent(builder.finish())
  const byPath = new Map(planned.map(p => [p.path, p]))
  return {
    content,
    bodies: new Map(planned.map(p => [p.path, p.bytes])),
    imageOf: path => byPath.get(path)!.image,
    etagOf: path => `"${byPath.get(path)!.etag}"`,
  }
}
