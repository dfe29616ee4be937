/**
 * HTTP as a pure state machine: request bytes go in, the handle of a ready answer comes out. No I/O,
 * no clock, no allocation; it is mounted on our own TCP and on node:net alike. It keeps nothing
 * between two calls, so one machine serves every connection of a thread.
 *
 * Read RFC 9112 §2, §3, §6, §9 and RFC 9110 §9, §13. The choices that they leave open:
 * - a request whose body's end is doubtful is refused, or answered and the connection closed;
 * - a body is never wanted: a short one is skipped, a long one closes;
 * - after every 400, 408, 413, 414, 431 and 505 the connection closes;
 * - OPTIONS, for a path or for "*", is answered 405 with Allow, like every known method but two.
 *
 * Invariant: the same bytes get the same answers, however they are cut into calls.
 */
import type { Content } from '../content/content.ts'
import { ascii, CR, LF } from './chars.ts'
import { Fields, NO_CODING, NO_LENGTH } from './fields.ts'
import { CODING_UNKNOWN } from './fieldValues.ts'
import { checkLimits, EMPTY_LINES_MAX, type HttpLimits, METHOD_MAX_BYTES } from './limits.ts'
import { BAD_PATH, NOT_FOUND, PathFinder } from './path.ts'
import {
  INCOMPLETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_OPTIONS,
  METHOD_UNKNOWN,
  RequestLine,
} from './requestLine.ts'
import { BAD_TARGET, hasPath, isAsterisk, pathOff } from './target.ts'

const ROOT = ascii('/')
const OK = 0

export class HttpMachine {
  /** The answer: handle of a response image. */
  image = 0
  /** Send the image's head alone. */
  headOnly = false
  /** Say `Connection: close`, and read no further request: bytes that follow are to be dropped. */
  close = false
  /** Bytes of body that follow the taken bytes, to be dropped before the next head. */
  skip = 0

  readonly limits: HttpLimits
  readonly #content: Content
  readonly #line: RequestLine = new RequestLine()
  readonly #fields: Fields = new Fields()
  readonly #paths: PathFinder
  #resource = NOT_FOUND
  /** If a head's first bytes, this many, hold no whole target, it is too long. */
  readonly #targetMustEnd: number

  constructor(content: Content, limits: Partial<HttpLimits> = {}) {
    this.limits = checkLimits(limits)
    this.#content = content
    this.#paths = new PathFinder(content, this.limits.targetBytes)
    this.#targetMustEnd = 2 * EMPTY_LINES_MAX + METHOD_MAX_BYTES + 1 + this.limits.targetBytes + 1
  }

  /**
   * Reads one request head from bytes[start, end). Returns how many bytes it took: then `image`,
   * `headOnly`, `close` and `skip` tell the answer; or 0 if the head is incomplete: then call again
   * with the same bytes and more. `scanned`: how many of the bytes an earlier call has seen.
   * A refused head takes all bytes. No more than `limits.headBytes` need ever be kept.
   */
  next(bytes: Uint8Array, start: number, end: number, scanned: number): number {
    if (scanned > 0 && !this.#isWorthParsing(bytes, start, end, scanned)) return 0
    const { headBytes } = this.limits
    const line = this.#line
    const fields = this.#fields
    line.reset()
    fields.reset()
    const headEnd = this.#parse(bytes, start, Math.min(end, start + headBytes))
    if (headEnd === INCOMPLETE && end - start < headBytes) return 0

    const status = headEnd > 0 ? this.#judge(bytes) : headEnd === INCOMPLETE ? 431 : -headEnd
    const isFramed = headEnd > 0 && !isLast(status) && !this.#isBodyDoubtful()
    this.image = status === OK ? this.#imageOf(bytes) : this.#content.statusImage(status)
    this.headOnly = line.method === METHOD_HEAD
    this.close = !isFramed || fields.wantsClose || (line.minor === 0 && !fields.wantsKeepAlive)
    this.skip = this.close || fields.length === NO_LENGTH ? 0 : fields.length
    return isFramed ? headEnd - start : end - start
  }

  /** The offset behind the head, INCOMPLETE, or a negated status (requestLine.ts). */
  #parse(bytes: Uint8Array, start: number, end: number): number {
    let at = start
    for (let lines = 0; at < end && bytes[at] === CR; lines++, at += 2) {
      if (at + 1 === end) return INCOMPLETE
      if (bytes[at + 1] !== LF || lines === EMPTY_LINES_MAX) return -400
    }
    if (at === end) return INCOMPLETE
    at = this.#line.parse(bytes, at, end, this.limits.targetBytes)
    return at <= 0 ? at : this.#fields.parse(bytes, at, end, this.limits.fields)
  }

  /**
   * An incomplete head came back with more bytes: can they change the verdict? Reads the new bytes
   * alone, so that a head that comes byte by byte costs no more than one that comes at once. True at
   * an end of the head, at the end of its first line (an HTTP/0.9 client sends no other), at a CR or
   * LF out of place, and where a limit is reached.
   */
  #isWorthParsing(bytes: Uint8Array, start: number, end: number, scanned: number): boolean {
    const len = end - start
    if (len >= this.limits.headBytes) return true
    if (scanned < this.#targetMustEnd && len >= this.#targetMustEnd) return true
    for (let at = start + scanned; at < end; at++) {
      const follows = bytes[at - 1] === CR
      if (bytes[at] !== LF) {
        if (follows) return true
        continue
      }
      const isEmptyLine = at - 2 >= start && bytes[at - 2] === LF
      if (!follows || isEmptyLine || isFirstLine(bytes, start, at)) return true
    }
    return false
  }

  /** OK with #resource set, for a GET or HEAD of something we have; else the status of the refusal. */
  #judge(bytes: Uint8Array): number {
    const { method, minor, targetOff, targetEnd } = this.#line
    const { hasHost, coding, length } = this.#fields
    if (!hasHost && minor > 0) return 400 // RFC 9112 §3.2
    if (coding !== NO_CODING && length !== NO_LENGTH) return 400 // §6.3 rule 3
    if (coding === CODING_UNKNOWN) return 501 // §6.1
    const path = pathOff(bytes, targetOff, targetEnd)
    if (path === BAD_TARGET) {
      const isForServer = method === METHOD_OPTIONS && isAsterisk(bytes, targetOff, targetEnd)
      return isForServer ? 405 : 400
    }
    if (length > this.limits.bodyBytes) return 413
    if (method === METHOD_UNKNOWN) return 501
    if (method !== METHOD_GET && method !== METHOD_HEAD) return 405
    this.#resource = hasPath(bytes, path, targetEnd)
      ? this.#paths.find(bytes, path, targetEnd)
      : this.#paths.find(ROOT, 0, ROOT.length)
    return this.#resource === NOT_FOUND ? 404 : this.#resource === BAD_PATH ? 400 : OK
  }

  /**
   * A Transfer-Encoding is not read, and a client that waits for "100 Continue" may or may not send
   * its body after a final status (RFC 9110 §10.1.1): where the next request begins is unknown.
   */
  #isBodyDoubtful(): boolean {
    const { coding, expectsContinue, length } = this.#fields
    return coding !== NO_CODING || (expectsContinue && this.#line.minor > 0 && length > 0)
  }

  /** The image of #resource: its 304 if the client names its entity tag (RFC 9110 §13.1.2). */
  #imageOf(bytes: Uint8Array): number {
    const { noneMatch, noneMatchCount } = this.#fields
    for (let i = 0; i < noneMatchCount; i++) {
      if (
        this.#content.etagMatches(this.#resource, bytes, noneMatch[2 * i], noneMatch[2 * i + 1])
      ) {
        return this.#content.notModifiedOf(this.#resource)
      }
    }
    return this.#content.imageOf(this.#resource)
  }
}

/** Statuses after which the connection closes, since the two ends disagree about what was sent. */
function isLast(status: number): boolean {
  return status === 400 || status === 413 || status === 414 || status === 431 || status === 505
}

/** Does the LF at `at` end the request line? Empty lines before it do not count. */
function isFirstLine(bytes: Uint8Array, start: number, at: number): boolean {
  let line = start
  while (line < at && (bytes[line] === CR || bytes[line] === LF)) line++
  return bytes.indexOf(LF, line) === at
}
