/**
 * From the bytes of a request that the HTTP machine has found well-formed (machine.ts: `forward`)
 * to the text that the cache reads. Here nothing is checked any more, and nothing is refused: lines
 * end in CR LF, names are tokens, the target is in origin-form or absolute-form (RFC 9112 §3.2,
 * §5).
 *
 * Fields of the client's connection end here: what the origin does not get must not choose among
 * stored answers either, or a client could have the answer to a request without X stored as that to
 * one with it.
 *
 * Text is latin1, a character for each byte, so what the origin gets are the bytes that came.
 */
import { endToEnd } from '../cache/hopByHop.ts'
import type { CacheRequest, Field } from '../cache/message.ts'

export type RequestText = Pick<CacheRequest, 'method' | 'target' | 'authority' | 'fields'>

const ABSOLUTE = /^http:\/\/([^/?]*)(.*)$/is

/** The head in bytes[start, end), its empty line included. Without any Host, `authority` is ''. */
export function requestText(bytes: Uint8Array, start: number, end: number): RequestText {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
  const [line, ...lines] = text.replace(/^[\r\n]+/, '').split('\r\n')
  const [method, target] = line.split(' ')
  const absolute = ABSOLUTE.exec(target)
  const sent: Field[] = []
  let host = ''
  let length = ''
  for (const text of lines) {
    const colon = text.indexOf(':')
    if (colon < 0) break // the empty line
    const name = text.slice(0, colon)
    const value = text.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')
    if (name.length === 4 && name.toLowerCase() === 'host') host = value
    // Said again it is the same, and goes on once (RFC 9112 §6.3).
    else if (name.toLowerCase() === 'content-length') length = value.split(/[ \t,]/)[0]
    else sent.push([name, value])
  }
  if (length !== '') sent.push(['Content-Length', length])
  const fields = endToEnd(sent)
  if (absolute === null) return { method, target, authority: host, fields }
  const [, authority, rest] = absolute
  return { method, target: rest.startsWith('/') ? rest : `/${rest}`, authority, fields }
}
