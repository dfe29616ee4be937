/**
 * Which site a Host value names (RFC 9110 §7.2, RFC 3986 §3.2.2): by its exact name, else by the
 * longest `*.suffix` that it lies below, else the default site.
 *
 * Invariant: `find` allocates nothing; a value longer than a host name can be names no site.
 */
import { DEFAULT_SITE } from './content.ts'
import { NAME_LEN, NAME_OFF, type NameTable, NO_RECORD } from './names.ts'

/** A record of the host table: scope, offset and length of the name, and the site. */
const HOST_SITE: number = Math.max(NAME_OFF, NAME_LEN) + 1
export const HOST_STRIDE: number = HOST_SITE + 1

/** Scopes of the host table. */
const EXACT = 0
/** Names below this one; it stands in the table without the "*.". */
const BELOW = 1

/** RFC 1035 §2.3.4 */
const HOST_MAX_BYTES = 255

const DOT = 46
const COLON = 58
const UPPER_A = 65
const UPPER_Z = 90
const OPEN = 91
const CLOSE = 93

/** A host name of a site, as the table keeps it. */
export function hostEntry(host: string): { scope: number; name: string } {
  const name = host.toLowerCase().replace(/\.$/, '')
  if (name.startsWith('*.')) return { scope: BELOW, name: name.slice(2) }
  const isBareIpv6 = name.includes(':') && !name.startsWith('[')
  return { scope: EXACT, name: isBareIpv6 ? `[${name}]` : name }
}

export class HostFinder {
  readonly #table: NameTable
  readonly #records: Int32Array
  /** A name in lower case. */
  readonly #name: Uint8Array = new Uint8Array(HOST_MAX_BYTES)

  constructor(table: NameTable, records: Int32Array) {
    this.#table = table
    this.#records = records
  }

  /** The site that the Host value bytes[start, end) names. */
  find(bytes: Uint8Array, start: number, end: number): number {
    if (this.#records.length === 0) return DEFAULT_SITE
    const name = this.#name
    const len = this.#copyName(bytes, start, end)
    if (len === 0) return DEFAULT_SITE
    let record = this.#table.find(EXACT, name, 0, len)
    if (name[0] === OPEN) return this.#siteOf(record)
    for (let at = 1; record === NO_RECORD && at < len; at++) {
      if (name[at - 1] === DOT) record = this.#table.find(BELOW, name, at, len)
    }
    return this.#siteOf(record)
  }

  #siteOf(record: number): number {
    return record === NO_RECORD ? DEFAULT_SITE : this.#records[record + HOST_SITE]
  }

  /**
   * Copies the name without port and last dot, in lower case; returns its length, 0 if it is none.
   */
  #copyName(bytes: Uint8Array, start: number, end: number): number {
    const isLiteral = start < end && bytes[start] === OPEN
    let len = 0
    for (let at = start; at < end; at++) {
      const c = bytes[at]
      if (c === COLON && !isLiteral) break
      if (len === HOST_MAX_BYTES) return 0
      this.#name[len++] = c >= UPPER_A && c <= UPPER_Z ? c + 32 : c
      if (c === CLOSE && isLiteral) break
    }
    return len > 0 && this.#name[len - 1] === DOT ? len - 1 : len
  }
}
