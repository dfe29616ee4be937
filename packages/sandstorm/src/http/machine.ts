/**
 * HTTP as a pure state machine: request bytes go in, the handle of a ready answer comes out. No
 * I/O, no clock, no allocation; it is mounted on our own TCP and on node:net alike. It keeps
 * nothing between two calls, so one machine serves every connection of a thread.
 *
 * Read RFC 9112 §2, §3, §6, §9 and RFC 9110 §9, §13, §14. The choices that they leave open:
 * - a request whose body's end is doubtful is refused, or answered and the connection closed;
 * - for files a body is never wanted: a short one is skipped, a long one closes; one in chunks is
 *   part of the request, whose whole then has to stay within the limit of a head;
 * - after every 400, 408, 413, 414, 431 and 505 the connection closes;
 * - what a site's folder does not have, its origin is asked for, if it has one: `forward`;
 * - a Range counts for GET alone (§14.2), and for files, not for what tells of an error.
 *
 * Invariant: the same bytes get the same answers, however they are cut into calls.
 */
import {
  CODING_COUNT,
  type Content,
  DEFAULT_SITE,
  IDENTITY,
  NO_VARIANT,
} from '../content/content.ts'
import { NO_HIT } from '../content/hitTable.ts'
import { bodyLen, PAGED, STATUS } from '../content/image.ts'
import { NO_BYTES, type Slice } from '../content/slices.ts'
import { ascii, CR, LF, QUESTION } from './chars.ts'
import { ChunkDecoder, chunkedEnd } from './chunkDecoder.ts'
import { Codings } from './codings.ts'
import { isRangeValid, judgeConditions, NOT_MODIFIED, PRECONDITION_FAILED } from './conditions.ts'
import { ACCEPT_ENCODING, Fields, NO_CODING, NO_LENGTH, RANGE } from './fields.ts'
import { CODING_CHUNKED, CODING_UNKNOWN } from './fieldValues.ts'
import { CHUNK_MAX_BYTES, checkLimits, EMPTY_LINES_MAX, type HttpLimits } from './limits.ts'
import { MoreBytes } from './moreBytes.ts'
import { OriginPaths } from './originPaths.ts'
import { Parts } from './parts.ts'
import { BAD_PATH, PathFinder } from './path.ts'
import { RANGE_NONE, RANGE_UNSATISFIABLE, Ranges } from './ranges.ts'
import {
  INCOMPLETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_OF_PROXY,
  METHOD_OPTIONS,
  METHOD_OTHER,
  METHOD_UNKNOWN,
  RequestLine,
} from './requestLine.ts'
import { authorityOff, BAD_TARGET, hasPath, isAsterisk, pathOff } from './target.ts'
import { Words } from './words.ts'

const ROOT = ascii('/')
const OK = 0
/** Beside the statuses of #judge: the origin answers, or what is stored of it. */
const FORWARD = 1
const HIT = 2
const NO_PATHS = new OriginPaths([])
/** Where nobody passes another. */
const BOUNDARY = 'sandstorm-part'

export class HttpMachine {
  /** Seconds since 1970, set by the mount; for dates with two digits of a year only. */
  epochSec = 0
  /** Set by the mount: whatever is asked next is the last that this connection may ask. */
  isLast = false
  /** The answer: handle of a response image … */
  image = 0
  /** … unless this says that it is made of parts; they can be written until the next call. */
  readonly parts: Parts
  /** Send the image's head alone. */
  headOnly = false
  /** Say `Connection: close`, and read no further request: bytes that follow are to be dropped. */
  close = false
  /** Bytes of body that follow the taken bytes, to be dropped before the next head. */
  skip = 0
  /** The site that was asked. */
  site: number = DEFAULT_SITE
  /**
   * The site's origin is to answer, not `image`. The bytes taken are the request's head, which is
   * well-formed; `skip` bytes of body follow, or, if `isChunked`, chunks (chunkDecoder.ts).
   */
  forward = false
  isChunked = false
  /** `image` is a stored answer of the site's origin. */
  isHit = false
  /** With `forward`: the client waits for "100 Continue". */
  wantsContinue = false

  readonly limits: HttpLimits
  readonly #content: Content
  readonly #words: Words = new Words()
  readonly #line: RequestLine = new RequestLine()
  readonly #fields: Fields = new Fields()
  readonly #codings: Codings = new Codings()
  readonly #ranges: Ranges = new Ranges()
  readonly #paths: PathFinder
  readonly #originPaths: OriginPaths
  readonly #canForward: boolean
  #resource = 0
  readonly #moreBytes: MoreBytes
  readonly #chunks: ChunkDecoder

  /**
   * `boundary`: what separates the parts of an answer with several ranges; no body holds it.
   * `originPaths`: of a mount that can ask origins; without it sites have none.
   */
  constructor(
    content: Content,
    limits: Partial<HttpLimits> = {},
    boundary: string = BOUNDARY,
    originPaths?: OriginPaths,
  ) {
    this.limits = checkLimits(limits)
    this.#content = content
    this.parts = new Parts(content, boundary)
    this.#paths = new PathFinder(content, this.limits.targetBytes)
    this.#originPaths = originPaths ?? NO_PATHS
    this.#canForward = originPaths !== undefined
    this.#moreBytes = new MoreBytes(this.limits)
    this.#chunks = new ChunkDecoder(CHUNK_MAX_BYTES, this.limits.headBytes)
  }

  /**
   * Reads one request head from bytes[start, end). Returns how many bytes it took: then `image`,
   * `parts`, `headOnly`, `close` and `skip` tell the answer; or 0 if the head is incomplete: then
   * call again with the same bytes and more. `scanned`: how many of the bytes an earlier call has
   * seen. A refused head takes all bytes. No more than `limits.headBytes` need ever be kept.
   */
  next(bytes: Uint8Array, start: number, end: number, scanned: number): number {
    if (scanned > 0 && !this.#moreBytes.areWorthParsing(bytes, start, end, scanned)) return 0
    const { headBytes } = this.limits
    const line = this.#line
    const fields = this.#fields
    line.reset()
    fields.reset()
    this.site = DEFAULT_SITE
    const limit = Math.min(end, start + headBytes)
    const headEnd = this.#parse(bytes, start, limit)
    if (headEnd === INCOMPLETE && end - start < headBytes) return 0

    this.isHit = false
    let status = headEnd > 0 ? this.#judge(bytes) : headEnd === INCOMPLETE ? 431 : -headEnd
    let requestEnd = headEnd
    if (headEnd > 0 && !endsConnection(status) && this.#hasChunks(status)) {
      requestEnd = chunkedEnd(this.#chunks, bytes, headEnd, limit)
      if (requestEnd === INCOMPLETE && end - start < headBytes) return 0
      if (requestEnd <= 0) status = requestEnd === INCOMPLETE ? 413 : -requestEnd
    }
    this.forward = status === FORWARD
    this.isChunked = this.forward && fields.coding === CODING_CHUNKED
    this.wantsContinue = this.forward && this.#mayWait() && this.#hasBody()
    const isDoubtful = !this.forward && this.#isBodyDoubtful()
    const isFramed = requestEnd > 0 && !endsConnection(status) && !isDoubtful
    this.headOnly = line.method === METHOD_HEAD
    const isOldClient = line.minor === 0 && !fields.wantsKeepAlive
    this.close = !isFramed || this.isLast || fields.wantsClose || isOldClient
    const isDropped = this.close && !this.forward
    this.skip = isDropped || fields.length === NO_LENGTH ? 0 : fields.length
    this.parts.count = 0
    if (status === OK) this.#answer(bytes)
    else if (!this.isHit)
      this.image = this.#content.statusImage(this.site, this.forward ? 502 : status)
    return isFramed ? requestEnd - start : end - start
  }

  /** The minor version of the request, 0 or 1. */
  get minor(): number {
    return this.#line.minor
  }

  /** The status of the answer, for who notes it. */
  get status(): number {
    return this.parts.count > 0 ? this.parts.status : this.#content.images[this.image + STATUS]
  }

  /** The bytes of its body are not in memory. */
  get isPaged(): boolean {
    return this.#content.images[this.image + PAGED] !== 0
  }

  /** What is sent of a body that is not in memory, behind the head of image or first part. */
  slices(): readonly Slice[] {
    if (this.parts.count > 0) return this.parts.slices()
    return [{ made: NO_BYTES, from: 0, end: bodyLen(this.#content.images, this.image) }]
  }

  /** Answers with another status instead: the mount has no means for the answer's body. */
  refuse(status: number): void {
    this.image = this.#content.statusImage(this.site, status)
    this.parts.count = 0
    this.close ||= this.isChunked || this.wantsContinue
    this.forward = false
    this.isHit = false
  }

  /** Bytes of its content. */
  get bodyBytes(): number {
    if (this.headOnly) return 0
    return this.parts.count > 0 ? this.parts.bodyBytes : bodyLen(this.#content.images, this.image)
  }

  /** The offset behind the head, INCOMPLETE, or a negated status (requestLine.ts). */
  #parse(bytes: Uint8Array, start: number, end: number): number {
    let at = start
    for (let lines = 0; at < end && bytes[at] === CR; lines++, at += 2) {
      if (at + 1 === end) return INCOMPLETE
      if (bytes[at + 1] !== LF || lines === EMPTY_LINES_MAX) return -400
    }
    if (at === end) return INCOMPLETE
    const view = this.#words.viewOf(bytes)
    at = this.#line.parse(bytes, view, at, end, this.limits.targetBytes)
    return at <= 0 ? at : this.#fields.parse(bytes, view, at, end, this.limits.fields)
  }

  /**
   * OK with #resource set, for a GET or HEAD of something we have; HIT with `image` set; FORWARD;
   * else the status of the answer.
   */
  #judge(bytes: Uint8Array): number {
    const { method, minor, targetOff, targetEnd } = this.#line
    const { hasHost, coding, length } = this.#fields
    if (!hasHost && minor > 0) return 400 // RFC 9112 §3.2
    if (coding !== NO_CODING && length !== NO_LENGTH) return 400 // §6.3 rule 3
    if (coding === CODING_UNKNOWN) return 501 // §6.1
    const path = pathOff(bytes, targetOff, targetEnd)
    if (path === BAD_TARGET) {
      const isForServer = method === METHOD_OPTIONS && isAsterisk(bytes, targetOff, targetEnd)
      return isForServer ? 204 : 400
    }
    this.#chooseSite(bytes, path)
    const hasOrigin = this.#canForward && this.#content.hasOrigin(this.site)
    if (hasOrigin) this.#find(bytes, path)
    const isForOrigin = hasOrigin && this.#isForOrigin()
    if (method === METHOD_UNKNOWN && !isForOrigin) return 501
    if (method === METHOD_OF_PROXY) return 405
    if (method === METHOD_OTHER && !isForOrigin) return 405
    if (length > this.limits.bodyBytes) return 413
    if (isForOrigin && coding !== NO_CODING && minor === 0) return 400
    if (isForOrigin) return this.#findHit(bytes, path) ? HIT : FORWARD
    if (method === METHOD_OPTIONS) return 204
    if (!hasOrigin) this.#find(bytes, path)
    return this.#resource >= 0 ? OK : this.#resource === BAD_PATH ? 400 : 404
  }

  /** Sets `image` to a stored answer, if there is one and nothing needs to be decided. */
  #findHit(bytes: Uint8Array, path: number): boolean {
    const { method, targetOff, targetEnd } = this.#line
    const { hasHost, hostOff, hostEnd, isConditional, concernsCaches } = this.#fields
    const isRead = method === METHOD_GET || method === METHOD_HEAD
    const isPlain = hasHost && path === targetOff && !isConditional && !concernsCaches
    if (!isRead || !isPlain || this.#hasBody()) return false
    const { hits } = this.#content
    const { site, epochSec } = this
    this.image = hits.find(site, bytes, hostOff, hostEnd, targetOff, targetEnd, epochSec)
    this.isHit = this.image !== NO_HIT
    return this.isHit
  }

  /** Sets #resource to what the target names. */
  #find(bytes: Uint8Array, path: number): void {
    const { targetEnd } = this.#line
    this.#resource = hasPath(bytes, path, targetEnd)
      ? this.#paths.find(this.site, bytes, path, targetEnd)
      : this.#paths.find(this.site, ROOT, 0, ROOT.length)
  }

  /** Is the origin to answer? Not a refused path, a file that is to be read, our last hop. */
  #isForOrigin(): boolean {
    if (this.#resource === BAD_PATH) return false
    if (this.#line.method === METHOD_OPTIONS && this.#fields.isLastHop) return false
    if (this.#originPaths.areNamed(this.site)) {
      return this.#originPaths.has(this.site, this.#paths.bytes, this.#paths.off, this.#paths.end)
    }
    const { method } = this.#line
    const isRead = method === METHOD_GET || method === METHOD_HEAD || method === METHOD_OPTIONS
    return this.#resource < 0 || !isRead
  }

  /** The authority of the target counts for more than Host (RFC 9112 §3.2.2). */
  #chooseSite(bytes: Uint8Array, path: number): void {
    const { targetOff } = this.#line
    const { hasHost, hostOff, hostEnd } = this.#fields
    if (path !== targetOff) this.site = this.#content.siteOf(bytes, authorityOff(targetOff), path)
    else if (hasHost) this.site = this.#content.siteOf(bytes, hostOff, hostEnd)
  }

  /** Is a body in chunks part of the request? It is, if nobody wants it and it follows at once. */
  #hasChunks(status: number): boolean {
    const isOurs = status !== FORWARD && !this.#mayWait()
    return this.#fields.coding === CODING_CHUNKED && this.#line.minor > 0 && isOurs
  }

  /** Does the client wait for "100 Continue"? It gets it from who forwards its body. */
  #mayWait(): boolean {
    return this.#fields.expectsContinue && this.#line.minor > 0
  }

  #hasBody(): boolean {
    return this.#fields.length > 0 || this.#fields.coding !== NO_CODING
  }

  /**
   * A coding that we do not have is not read, nor is one of HTTP/1.0, where there was none (RFC
   * 9112 §6.1), nor a body that is too long; and a client that waits for "100 Continue" may or may
   * not send its body after a final status (RFC 9110 §10.1.1): where the next request begins is
   * unknown.
   */
  #isBodyDoubtful(): boolean {
    const { coding, length } = this.#fields
    if (coding === CODING_UNKNOWN || (coding !== NO_CODING && this.#line.minor === 0)) return true
    if (length > this.limits.bodyBytes) return true
    return this.#mayWait() && this.#hasBody()
  }

  /** The answer to a GET or HEAD of #resource: in the coding that the client likes best. */
  #answer(bytes: Uint8Array): void {
    const content = this.#content
    const variant = this.#variant(bytes)
    this.image = content.imageOf(variant)
    const status = content.images[this.image + STATUS]
    if (status === 308) this.#keepQuery(bytes)
    if (!this.#fields.isConditional || status !== 200 || content.etagOff(variant) === 0) return
    const verdict = judgeConditions(this.#fields, bytes, content, variant, this.epochSec)
    if (verdict === NOT_MODIFIED) this.image = content.notModifiedOf(variant)
    else if (verdict === PRECONDITION_FAILED) this.image = content.statusImage(this.site, verdict)
    else this.#takeRanges(bytes, variant)
  }

  /** The best liked; of those liked alike the smallest. */
  #variant(bytes: Uint8Array): number {
    const content = this.#content
    const plain = content.variantOf(this.#resource, IDENTITY)
    const lines = this.#fields.lines[ACCEPT_ENCODING]
    if (lines === 0 || !this.#hasChoice()) return plain
    const codings = this.#codings
    codings.reset()
    for (let n = 0; n < lines; n++) {
      codings.add(
        bytes,
        this.#fields.startOf(ACCEPT_ENCODING, n),
        this.#fields.endOf(ACCEPT_ENCODING, n),
      )
    }
    codings.finish()
    const { weight } = codings
    let best = plain
    let bestWeight = weight[IDENTITY]
    for (let coding = 0; coding < CODING_COUNT; coding++) {
      const variant = content.variantOf(this.#resource, coding)
      if (variant === NO_VARIANT || weight[coding] < bestWeight || weight[coding] === 0) continue
      if (weight[coding] === bestWeight && this.#len(variant) >= this.#len(best)) continue
      best = variant
      bestWeight = weight[coding]
    }
    return best
  }

  /** Most resources come in one coding: then what the client likes need not be read (half a µs). */
  #hasChoice(): boolean {
    for (let coding = 0; coding < CODING_COUNT; coding++) {
      if (coding === IDENTITY) continue
      if (this.#content.variantOf(this.#resource, coding) !== NO_VARIANT) return true
    }
    return false
  }

  #len(variant: number): number {
    return bodyLen(this.#content.images, this.#content.imageOf(variant))
  }

  /** A redirect to /dir/ keeps what the client asked of /dir. */
  #keepQuery(bytes: Uint8Array): void {
    const { targetOff, targetEnd } = this.#line
    let query = targetOff
    while (query < targetEnd && bytes[query] !== QUESTION) query++
    if (query === targetEnd) return
    if (this.parts.ofRedirect(this.image, bytes, query, targetEnd, this.close)) return
    this.image = this.#content.statusImage(this.site, 414)
  }

  #takeRanges(bytes: Uint8Array, variant: number): void {
    const fields = this.#fields
    if (this.#line.method !== METHOD_GET || !fields.isOnce(RANGE)) return
    if (!isRangeValid(fields, bytes, this.#content, variant, this.epochSec)) return
    const len = this.#len(variant)
    const start = fields.startOf(RANGE, 0)
    const verdict = this.#ranges.parse(bytes, start, fields.endOf(RANGE, 0), len)
    if (verdict === RANGE_NONE) return
    if (verdict === RANGE_UNSATISFIABLE) {
      this.image = this.#content.statusImage(this.site, 416)
      this.parts.ofRefusedRange(this.image, len, this.close)
    } else {
      this.parts.ofRanges(this.image, this.#ranges, this.close)
    }
  }
}

/** Statuses after which the connection closes, since the two ends disagree about what was sent. */
function endsConnection(status: number): boolean {
  return status === 400 || status === 413 || status === 414 || status === 431 || status === 505
}
