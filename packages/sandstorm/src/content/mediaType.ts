/** Media types by file name (RFC 9110 §8.3), and which of them are worth compressing. */
import { lookup } from 'mrmime'

/** Text, and formats that are text or bare numbers inside. */
const COMPRESSIBLE = /^text\/|[/+](?:json|xml)$|\/(?:javascript|wasm|x-icon|ttf|otf|bmp)$/

/** Types that mrmime does not have; without one a browser would not show the icon (nosniff). */
const MORE_TYPES: Readonly<Record<string, string>> = { ico: 'image/x-icon' }

/** Media type by extension, with a charset where text is sent. */
export function contentType(name: string): string {
  const type = mediaType(name)
  const isText = /^text\/|[/+](?:json|xml)$|\/javascript$/.test(type)
  return isText ? `${type}; charset=utf-8` : type
}

/** Is a file of this name likely to become smaller? */
export function isCompressible(name: string): boolean {
  return COMPRESSIBLE.test(mediaType(name))
}

function mediaType(name: string): string {
  const extension = /\.([^.]*)$/.exec(name.toLowerCase())?.[1] ?? ''
  const ours = Object.hasOwn(MORE_TYPES, extension) ? MORE_TYPES[extension] : undefined
  return lookup(name) ?? ours ?? 'application/octet-stream'
}
