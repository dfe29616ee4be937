/**
 * Character classes of HTTP (RFC 9110 §5.6.2, §5.5; RFC 3986 §3.2.2), one table lookup a byte.
 */
export const TAB = 9
export const LF = 10
export const CR = 13
export const SP = 32
export const QUOTE = 34
export const PERCENT = 37
export const STAR = 42
export const COMMA = 44
export const MINUS = 45
export const DOT = 46
export const SLASH = 47
export const DIGIT_0 = 48
export const COLON = 58
export const SEMICOLON = 59
export const EQUALS = 61
export const QUESTION = 63
export const LEFT_BRACKET = 91
export const BACKSLASH = 92
export const RIGHT_BRACKET = 93
export const DELETE = 127

/** tchar: methods and field names. */
export const TOKEN = 1
/**
 * What may stand in a request target: visible characters but "#". Wider than RFC 3986: browsers
 * send a raw "|" or "^", and curl what was typed, UTF-8 included. Path mapping judges those bytes.
 */
export const TARGET = 2
/** reg-name without pct-encoded. */
export const REG_NAME = 4
/** Inside the brackets of an IP literal. */
export const IP_LITERAL = 8
export const DIGIT = 16
/** What makes a path more than bytes to look up: what is encoded, ends it, or may be refused. */
export const SPECIAL_IN_PATH = 32

/** Bit set of classes by byte. */
export const CLASS: Uint8Array = makeClasses()

function makeClasses(): Uint8Array {
  const classes = new Uint8Array(256)
  const mark = (bit: number, chars: string): void => {
    for (const c of chars) classes[c.charCodeAt(0)] |= bit
  }
  const digits = '0123456789'
  const alphanumeric = `${digits}abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ`
  mark(TOKEN, `!#$%&'*+-.^_\`|~${alphanumeric}`)
  mark(REG_NAME, `-._~!$&'()*+,;=${alphanumeric}`)
  mark(IP_LITERAL, `:.${digits}abcdefABCDEF`)
  mark(DIGIT, digits)
  mark(SPECIAL_IN_PATH, '%?\\.')
  for (let c = 0; c < 256; c++) {
    if (c > SP && c !== DELETE && c !== 35) classes[c] |= TARGET
    if (c >= 0x80) classes[c] |= SPECIAL_IN_PATH
  }
  return classes
}

export const isDigit = (c: number): boolean => c >= DIGIT_0 && c <= 57

/** 0 … 15, or -1. */
export function hexDigit(c: number): number {
  if (c >= DIGIT_0 && c <= 57) return c - DIGIT_0
  const lower = c | 0x20
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

/** Does bytes[off, end) equal `word`, which is in lower case? Letters compare without case. */
export function isWord(bytes: Uint8Array, off: number, end: number, word: Uint8Array): boolean {
  if (end - off !== word.length) return false
  for (let i = 0; i < word.length; i++) {
    const c = bytes[off + i]
    if ((c >= 65 && c <= 90 ? c | 0x20 : c) !== word[i]) return false
  }
  return true
}

/** The bytes of an ASCII text, for comparisons. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, c => c.charCodeAt(0))
}
