/** Content for measurements: made-up objects, written to a folder and loaded as any other. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { attachContent, type Content, LiveContent, plainSite } from 'sandstorm'

/** Content with an object of the given length for each name, in a region of `regionBytes`. */
export const loadObjects = async (
  lengths: Readonly<Record<string, number>>,
  regionBytes: number,
): Promise<Content> => {
  const live = await loadLive(lengths, regionBytes)
  return attachContent(live.attach(() => {}).shared)
}

/** The same, for several readers. */
export async function loadLive(
  lengths: Readonly<Record<string, number>>,
  regionBytes: number,
): Promise<LiveContent> {
  const dir = mkdtempSync(join(tmpdir(), 'sand-objects-'))
  try {
    for (const [name, len] of Object.entries(lengths))
      writeFileSync(join(dir, name), objectBytes(len))
    const onWarning = (line: string): void => {
      throw new Error(line)
    }
    const memory = { memoryBytes: regionBytes, stackBytes: regionBytes / 2, onWarning }
    return await LiveContent.open([plainSite(dir)], memory)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

/** Bytes of the answer to a GET of an object, head and body. */
export function answerLen(content: Content, name: string): number {
  const path = new TextEncoder().encode(`/${name}`)
  const image = content.imageOf(content.variantOf(content.find(0, path, 0, path.length), 0)) // identity
  return imageLen(content, image)
}

/** Bytes of an image, head and body (sandstorm: image.ts, HEAD_LEN and BODY_LEN). */
export const imageLen = ({ images }: Content, image: number): number =>
  images[image + 1] + images[image + 2]

/** A request for an object. */
export function requestFor(name: string, connection: 'close' | 'keep-alive'): Uint8Array {
  return new TextEncoder().encode(
    `GET /${name} HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: ${connection}\r\n\r\n`,
  )
}

/** Byte `i` of every object. */
export const objectByte = (i: number): number => (Math.imul(i + 1, 2654435761) >> 13) & 255

/** The bytes of an object: they do not compress, and are the same every time. */
export const objectBytes = (len: number): Uint8Array =>
  Uint8Array.from({ length: len }, (_, i) => objectByte(i))
