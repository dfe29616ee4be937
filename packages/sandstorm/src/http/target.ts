/**
 * Request targets (RFC 9112 §3.2). A server of files knows two forms: origin-form, which every
 * client sends, and absolute-form, which every server must take (§3.2.2) and whose authority counts
 * for more than Host. Asterisk-form belongs to OPTIONS, authority-form to proxies.
 */
import { ascii, isWord, QUESTION, SLASH, STAR } from './chars.ts'
import { isAuthority } from './fieldValues.ts'

/** pathOff: a target that names nothing here. */
export const BAD_TARGET = -1

const HTTP_SCHEME = ascii('http://')

/** Is the target "*"? */
export function isAsterisk(bytes: Uint8Array, off: number, end: number): boolean {
  return end - off === 1 && bytes[off] === STAR
}

/**
 * Where the path begins in the target bytes[off, end), or BAD_TARGET. After an authority without a
 * path that is where the query begins, or `end`: hasPath tells.
 */
export function pathOff(bytes: Uint8Array, off: number, end: number): number {
  if (bytes[off] === SLASH) return off
  const authority = authorityOff(off)
  if (authority > end || !isWord(bytes, off, authority, HTTP_SCHEME)) return BAD_TARGET
  let at = authority
  while (at < end && bytes[at] !== SLASH && bytes[at] !== QUESTION) at++
  return isAuthority(bytes, authority, at) ? at : BAD_TARGET
}

/**
 * Where the authority of an absolute-form target at `off` begins; it ends where the path begins.
 */
export const authorityOff = (off: number): number => off + HTTP_SCHEME.length

/** Is there a path at `at`, which pathOff returned? If not, it stands for "/" (RFC 9110 §4.2.3). */
export function hasPath(bytes: Uint8Array, at: number, end: number): boolean {
  return at < end && bytes[at] === SLASH
}
