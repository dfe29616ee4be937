/**
 * Targeted Cache-Control fields, CDN-Cache-Control first of all (RFC 9213): a Dictionary of
 * structured fields (RFC 9651 §3.2). Unlike Cache-Control it is strict: a field that is empty, does
 * not parse, or gives a directive a value of the wrong kind is ignored as a whole (RFC 9213 §2.1),
 * and the response is judged by its other fields.
 */
import { type Directives, SECONDS_MAX } from './directives.ts'

const KEY = /[a-z*][a-z0-9_\-.*]*/y
const INTEGER_OR_DECIMAL = /-?(?:\d{1,12}\.\d{1,3}(?!\d)|\d{1,15}(?![\d.]))/y
const STRING = /"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"/y
const TOKEN = /[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*/y
const BINARY = /:[A-Za-z0-9+/=]*:/y
const BOOLEAN = /\?[01]/y
const DATE = /@-?\d{1,15}/y
const DISPLAY_STRING = /%"(?:[\x20-\x21\x23-\x24\x26-\x7e]|%[0-9a-f]{2})*"/y
const ITEMS = [INTEGER_OR_DECIMAL, STRING, TOKEN, BINARY, BOOLEAN, DATE, DISPLAY_STRING]

const SPACES = / */y
const OPTIONAL_WHITE = /[ \t]*/y
/** Directives whose value is a number of seconds. */
const SECONDS: ReadonlySet<string> = new Set([
  'max-age',
  's-maxage',
  'stale-while-revalidate',
  'stale-if-error',
])

/** The directives of a targeted field's joined lines; undefined if it is to be ignored. */
export function parseTargeted(value: string | undefined): Directives | undefined {
  if (value === undefined) return undefined
  const directives = new Map<string, string>()
  const scan = new Scanner(value.replace(/^ +| +$/g, ''))
  while (!scan.isAtEnd) {
    const member = dictionaryMember(scan)
    if (member === undefined) return undefined
    const [name, text] = member
    if (text !== '?0') {
      const seconds = SECONDS.has(name) ? wholeSeconds(text) : ''
      if (seconds === undefined) return undefined
      directives.set(name, SECONDS.has(name) ? seconds : fieldListOf(text))
    } else directives.delete(name)
    scan.take(OPTIONAL_WHITE)
    if (scan.isAtEnd) break
    if (!scan.skip(',')) return undefined
    scan.take(OPTIONAL_WHITE)
    if (scan.isAtEnd) return undefined // a trailing comma
  }
  return directives.size === 0 ? undefined : directives
}

/** RFC 9213 §2.1: what has a list of fields in Cache-Control has it as a String here. */
function fieldListOf(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replace(/\\(.)/g, '$1') : ''
}

function wholeSeconds(text: string): string | undefined {
  return /^\d+$/.test(text) ? String(Math.min(Number(text), SECONDS_MAX)) : undefined
}

/** key [ "=" value ] parameters; the value is its text, "?1" if there is none. */
function dictionaryMember(scan: Scanner): [string, string] | undefined {
  const name = scan.take(KEY)
  if (name === undefined) return undefined
  let text: string | undefined = '?1'
  if (scan.skip('=')) text = scan.skip('(') ? innerList(scan) : item(scan)
  return text !== undefined && hasParameters(scan) ? [name, text] : undefined
}

function item(scan: Scanner): string | undefined {
  for (const kind of ITEMS) {
    const text = scan.take(kind)
    if (text !== undefined) return text
  }
  return undefined
}

function innerList(scan: Scanner): string | undefined {
  for (let count = 0; ; count++) {
    const spaces = scan.take(SPACES)
    if (scan.skip(')')) return '('
    if (count > 0 && spaces === '') return undefined
    if (item(scan) === undefined || !hasParameters(scan)) return undefined
  }
}

/** Skips parameters, none of which means anything here; false if one is malformed. */
function hasParameters(scan: Scanner): boolean {
  while (scan.skip(';')) {
    scan.take(SPACES)
    if (scan.take(KEY) === undefined) return false
    if (scan.skip('=') && item(scan) === undefined) return false
  }
  return true
}

/** A text and how far it has been read. */
class Scanner {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length
  }

  /** What a sticky pattern matches here, or undefined. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match === null) return undefined
    this.#at += match[0].length
    return match[0]
  }

  skip(char: string): boolean {
    if (this.#text[this.#at] !== char) return false
    this.#at++
    return true
  }
}
