/**
 * An incomplete head came back with more bytes: can they change the verdict? Reads the new bytes
 * alone, so that a head that comes byte by byte costs no more than one that comes at once
 * (machine.ts: `next`).
 *
 * Invariant: false only if parsing all again would say that the request is still incomplete.
 */
import { CR, LF } from './chars.ts'
import { EMPTY_LINES_MAX, type HttpLimits, METHOD_MAX_BYTES } from './limits.ts'

export class MoreBytes {
  readonly #headBytes: number
  /** If a head's first bytes, this many, hold no whole target, it is too long. */
  readonly #targetMustEnd: number

  constructor({ headBytes, targetBytes }: HttpLimits) {
    this.#headBytes = headBytes
    this.#targetMustEnd = 2 * EMPTY_LINES_MAX + METHOD_MAX_BYTES + 1 + targetBytes + 1
  }

  /**
   * Of bytes[start, end) the first `scanned` were seen. True at an end of the head, at the end of
   * its first line (an HTTP/0.9 client sends no other), at a CR or LF out of place, at a line of a
   * body in chunks, and where a limit is reached.
   */
  areWorthParsing(bytes: Uint8Array, start: number, end: number, scanned: number): boolean {
    const len = end - start
    if (len >= this.#headBytes) return true
    if (scanned < this.#targetMustEnd && len >= this.#targetMustEnd) return true
    let hasLine = false
    for (let at = start + scanned; at < end; at++) {
      const follows = bytes[at - 1] === CR
      if (bytes[at] !== LF) {
        if (follows) return true
        continue
      }
      const isEmptyLine = at - 2 >= start && bytes[at - 2] === LF
      if (!follows || isEmptyLine || isFirstLine(bytes, start, at)) return true
      hasLine = true
    }
    // A line behind the head's empty one is one of its body.
    return hasLine && hasEmptyLine(bytes, start, start + scanned)
  }
}

/** Is there an empty line in bytes[start, end), behind another? */
function hasEmptyLine(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start + 2; at < end; at++) {
    if (bytes[at] === LF && bytes[at - 1] === CR && bytes[at - 2] === LF) return true
  }
  return false
}

/** Does the LF at `at` end the request line? Empty lines before it do not count. */
function isFirstLine(bytes: Uint8Array, start: number, at: number): boolean {
  let line = start
  while (line < at && (bytes[line] === CR || bytes[line] === LF)) line++
  return bytes.indexOf(LF, line) === at
}
