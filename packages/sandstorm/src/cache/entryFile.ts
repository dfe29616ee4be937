/**
 * A stored response as the bytes of a file: a line that names the format, a line with the SHA-256
 * of all that follows, a line of JSON, the body. A file that is torn, cut, or of another format
 * reads as undefined: what is not exactly what was written is never served.
 */
import { createHash } from 'node:crypto'
import type { PolicyConfig } from './config.ts'
import { type Entry, type EntryIdentity, makeEntry } from './entry.ts'
import type { Field } from './message.ts'

const FORMAT = 'sandstorm-cache 1\n'
const DIGEST_LEN = 64
const HEAD_LEN = FORMAT.length + DIGEST_LEN + 1
const LINE_END = 10

/** What cannot be worked out again from the fields. */
interface Facts {
  readonly key: string
  readonly varyNames: readonly string[]
  readonly secondary: string
  readonly status: number
  readonly fields: readonly Field[]
  readonly requestMs: number
  readonly responseMs: number
  /** null: Infinity, which JSON has not. */
  readonly staleFromMs: number | null
}

/** The same for the same URL and variant, and a plain file name. */
export function fileName(entry: Pick<EntryIdentity, 'key' | 'varyNames' | 'secondary'>): string {
  const { key, varyNames, secondary } = entry
  return sha256(Buffer.from(JSON.stringify([key, varyNames, secondary])))
}

export function toFile(entry: Entry): Uint8Array {
  const { key, varyNames, secondary, status, fields, requestMs, responseMs } = entry
  const staleFromMs = Number.isFinite(entry.staleFromMs) ? entry.staleFromMs : null
  const times = { requestMs, responseMs, staleFromMs }
  const facts: Facts = { key, varyNames, secondary, status, fields, ...times }
  const rest = Buffer.concat([Buffer.from(`${JSON.stringify(facts)}\n`), entry.body])
  return Buffer.concat([Buffer.from(`${FORMAT}${sha256(rest)}\n`), rest])
}

/** The entry, judged by today's config; undefined if the bytes are not what `toFile` wrote. */
export function fromFile(bytes: Uint8Array, config: PolicyConfig): Entry | undefined {
  const rest = bytes.subarray(HEAD_LEN)
  const head = Buffer.from(bytes.subarray(0, HEAD_LEN)).toString('latin1')
  if (head !== `${FORMAT}${sha256(rest)}\n`) return undefined
  const lineEnd = rest.indexOf(LINE_END)
  const facts: Facts = JSON.parse(Buffer.from(rest.subarray(0, lineEnd)).toString())
  const identity = { ...facts, body: rest.slice(lineEnd + 1) }
  const entry = makeEntry(identity, facts, facts, config)
  return { ...entry, staleFromMs: facts.staleFromMs ?? Number.POSITIVE_INFINITY }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
