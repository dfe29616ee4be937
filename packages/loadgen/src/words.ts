/**
 * The few words of a response head that matter to a reader: names of fields, and tokens of their
 * values (RFC 9110 §5.1, §7.6.1). A word is recognised byte by byte, so that it may be cut
 * anywhere: a *match* is an int32 that says how much of which word was seen, and NO_WORD that it is
 * none of them.
 */

export const CONTENT_LENGTH = 0
export const CONNECTION = 1
export const TRANSFER_ENCODING = 2
export const CLOSE = 3
export const KEEP_ALIVE = 4
export const CHUNKED = 5

const TEXTS = [
  'content-length',
  'connection',
  'transfer-encoding',
  'close',
  'keep-alive',
  'chunked',
] as const

/** A match at the beginning of a field name, and of a token. */
export const NAME_START = 0
export const TOKEN_START: number = CLOSE << 6
export const NO_WORD = -1

/** Bytes of a word's place in the table; behind its last one are zeros, which no name has. */
const STRIDE = 32
const BYTES: Uint8Array = new Uint8Array(TEXTS.length * STRIDE)
for (const [word, text] of TEXTS.entries()) BYTES.set(new TextEncoder().encode(text), word * STRIDE)
const LENGTHS: Int32Array = Int32Array.from(TEXTS, text => text.length)

/** The match after one more byte, printable and not a space, whatever its case. */
export function advance(match: number, byte: number): number {
  if (match === NO_WORD) return NO_WORD
  const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
  const first = match >> 6
  const pos = match & 63
  if (BYTES[first * STRIDE + pos] === lower) return match + 1
  return other(first, pos, lower)
}

/** Another word that begins like `first` and goes on with `lower`. */
function other(first: number, pos: number, lower: number): number {
  const end = first < CLOSE ? CLOSE : TEXTS.length
  for (let word = first + 1; word < end; word++) {
    if (BYTES[word * STRIDE + pos] === lower && hasPrefix(word, first, pos)) {
      return (word << 6) | (pos + 1)
    }
  }
  return NO_WORD
}

function hasPrefix(word: number, of: number, len: number): boolean {
  for (let i = 0; i < len; i++)
    if (BYTES[word * STRIDE + i] !== BYTES[of * STRIDE + i]) return false
  return true
}

/** The word that the match has seen to its end, or NO_WORD. */
export function wordOf(match: number): number {
  if (match === NO_WORD) return NO_WORD
  const word = match >> 6
  return (match & 63) === LENGTHS[word] ? word : NO_WORD
}
