/**
 * Answers that no image holds as a whole: a range, several (multipart/byteranges), a refused range,
 * a redirect that keeps the query. Each is a row of *parts*, and a part is a few bytes that are
 * made for this request and, behind them, a slice of the body of a ready image. So the stored bytes
 * are sent from where they lie, and only heads are made.
 *
 * A head is made from that of the image by exchanging the lines of which image.ts knows the places.
 *
 * Read RFC 9110 §14.2 to §14.6, §15.3.7, §15.5.17. Invariant: no part's made bytes are more than
 * PART_HEAD_MAX, and a multipart body is as long as its Content-Length says.
 */
import type { Content } from '../content/content.ts'
import { CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE, writeDate } from '../content/date.ts'
import {
  bodyLen,
  CONNECTION_LEN,
  CONNECTION_OFF,
  DATE_OFF,
  HEAD_LEN,
  HEAD_LEN_MAX,
  IMAGE_OFF,
  REST_OFF,
  STATUS,
  TYPE_OFF,
} from '../content/image.ts'
import type { Slice } from '../content/slices.ts'
import { ascii, CR, LF } from './chars.ts'
import { RANGES_MAX } from './limits.ts'
import type { Ranges } from './ranges.ts'

/**
 * Bytes made for one part at most: an image's head (HEAD_LEN_MAX), and what several ranges add to
 * it.
 */
export const PART_HEAD_MAX: number = HEAD_LEN_MAX + 256
/** The ranges and the end of the last. */
const PARTS_MAX: number = RANGES_MAX + 1

const STATUS_206 = ascii('HTTP/1.1 206 Partial Content\r\n')
const CONTENT_RANGE = ascii('Content-Range: bytes ')
const CONTENT_LENGTH = ascii('Content-Length: ')
const MULTIPART = ascii('Content-Type: multipart/byteranges; boundary=')
const DELIMITER = ascii('\r\n--')
const END = ascii('--\r\n')
const CRLF = ascii('\r\n')
const MINUS = ascii('-')
const SLASH = ascii('/')
const UNSATISFIED = ascii('*/')

const RANGE = 1
const MULTI = 2
const REFUSAL = 3
const REDIRECT = 4

export class Parts {
  /** 0: the answer is an image as it stands. */
  count = 0
  /** Of each part, the slice [from, end) of the body. */
  readonly from: Float64Array = new Float64Array(PARTS_MAX)
  readonly end: Float64Array = new Float64Array(PARTS_MAX)
  readonly #content: Content
  readonly #source: Uint8Array
  readonly #boundary: Uint8Array
  #kind = RANGE
  #image = 0
  #close = false
  /** REFUSAL: the length that was exceeded. */
  #refusedLen = 0
  // REDIRECT: the query, in the request
  #request: Uint8Array = new Uint8Array()
  #queryOff = 0
  #queryEnd = 0
  // Where `write` is
  #to: Uint8Array = new Uint8Array()
  #at = 0

  /** `boundary`: ASCII that no body holds. */
  constructor(content: Content, boundary: string) {
    this.#content = content
    this.#source = content.region.bytes
    this.#boundary = ascii(boundary)
  }

  /** `ranges` of the body of `image`. */
  ofRanges(image: number, ranges: Ranges, close: boolean): void {
    this.#begin(ranges.count === 1 ? RANGE : MULTI, image, close)
    this.count = ranges.count === 1 ? 1 : ranges.count + 1
    for (let i = 0; i < ranges.count; i++) {
      this.from[i] = ranges.from[i]
      this.end[i] = ranges.end[i]
    }
    if (ranges.count === 1) return
    this.from[ranges.count] = 0
    this.end[ranges.count] = 0
  }

  /** None of the ranges lies in a body of `len` bytes: `image` says so. */
  ofRefusedRange(image: number, len: number, close: boolean): void {
    this.#begin(REFUSAL, image, close)
    this.#refusedLen = len
    this.#whole(image)
  }

  /** The redirect `image`, with the query bytes[off, end) behind its Location; false: too long. */
  ofRedirect(image: number, bytes: Uint8Array, off: number, end: number, close: boolean): boolean {
    if (this.#content.images[image + HEAD_LEN] + end - off > PART_HEAD_MAX) return false
    this.#begin(REDIRECT, image, close)
    this.#request = bytes
    this.#queryOff = off
    this.#queryEnd = end
    this.#whole(image)
    return true
  }

  /**
   * Writes what is made of part `i` to bytes[off…], which has room for PART_HEAD_MAX; returns its
   * length. While the request's bytes are still there.
   */
  write(i: number, bytes: Uint8Array, off: number, epochSec: number): number {
    this.#to = bytes
    this.#at = off
    if (i > 0) this.#delimiter(i)
    else if (this.#kind === RANGE || this.#kind === MULTI) this.#partialHead(epochSec)
    else this.#extendedHead(epochSec)
    return this.#at - off
  }

  /** The parts of a body that is not in memory, without what `write` makes of the first. */
  slices(): Slice[] {
    const slices: Slice[] = []
    for (let i = 0; i < this.count; i++) {
      const made = new Uint8Array(i === 0 ? 0 : PART_HEAD_MAX)
      const len = i === 0 ? 0 : this.write(i, made, 0, 0)
      slices.push({ made: made.slice(0, len), from: this.from[i], end: this.end[i] })
    }
    return slices
  }

  /** The status of the answer. */
  get status(): number {
    if (this.#kind === RANGE || this.#kind === MULTI) return 206
    return this.#content.images[this.#image + STATUS]
  }

  /** Bytes of its content. */
  get bodyBytes(): number {
    return this.#kind === MULTI ? this.#multipartLen() : this.end[0] - this.from[0]
  }

  #begin(kind: number, image: number, close: boolean): void {
    this.#kind = kind
    this.#image = image
    this.#close = close
  }

  #whole(image: number): void {
    this.count = 1
    this.from[0] = 0
    this.end[0] = bodyLen(this.#content.images, image)
  }

  /** The image's head under another status, the lines about type and length exchanged. */
  #partialHead(epochSec: number): void {
    const { images } = this.#content
    const image = this.#image
    const start = this.#at
    const statusLen = this.#statusLineLen()
    this.#put(STATUS_206, 0, STATUS_206.length)
    this.#putHead(statusLen, images[image + TYPE_OFF])
    this.#patch(start + STATUS_206.length - statusLen, epochSec)
    if (this.#kind === RANGE) {
      this.#putHead(images[image + TYPE_OFF], this.#typeEnd())
      this.#contentRange(0)
      this.#contentLength(this.end[0] - this.from[0])
    } else {
      this.#put(MULTIPART, 0, MULTIPART.length)
      this.#put(this.#boundary, 0, this.#boundary.length)
      this.#put(CRLF, 0, 2)
      this.#contentLength(this.#multipartLen())
    }
    this.#putHead(images[image + REST_OFF], images[image + HEAD_LEN])
    if (this.#kind === MULTI) this.#delimiter(0)
  }

  /** The image's head with one thing more in it. */
  #extendedHead(epochSec: number): void {
    const { images } = this.#content
    const image = this.#image
    const start = this.#at
    const typeOff = images[image + TYPE_OFF]
    const cut = this.#kind === REDIRECT ? this.#typeEnd() - CRLF.length : typeOff
    this.#putHead(0, cut)
    this.#patch(start, epochSec)
    if (this.#kind === REDIRECT) {
      this.#put(this.#request, this.#queryOff, this.#queryEnd)
    } else {
      this.#put(CONTENT_RANGE, 0, CONTENT_RANGE.length)
      this.#put(UNSATISFIED, 0, UNSATISFIED.length)
      this.#number(this.#refusedLen)
      this.#put(CRLF, 0, 2)
    }
    this.#putHead(cut, images[image + HEAD_LEN])
  }

  /** What stands before range `i` of several, or behind the last. */
  #delimiter(i: number): void {
    this.#put(DELIMITER, 0, DELIMITER.length)
    this.#put(this.#boundary, 0, this.#boundary.length)
    if (i === this.count - 1) {
      this.#put(END, 0, END.length)
      return
    }
    this.#put(CRLF, 0, 2)
    this.#putHead(this.#content.images[this.#image + TYPE_OFF], this.#typeEnd())
    this.#contentRange(i)
    this.#put(CRLF, 0, 2)
  }

  /** Bytes of a multipart body: what `delimiter` writes, and the slices between. */
  #multipartLen(): number {
    const images = this.#content.images
    const typeLen = this.#typeEnd() - images[this.#image + TYPE_OFF]
    const total = digits(bodyLen(images, this.#image))
    const mark = DELIMITER.length + this.#boundary.length
    let len = mark + END.length
    for (let i = 0; i < this.count - 1; i++) {
      // "Content-Range: bytes F-L/T", its CRLF, the delimiter's, and the empty line
      const range =
        CONTENT_RANGE.length + digits(this.from[i]) + digits(this.end[i] - 1) + 2 + total
      len += mark + typeLen + range + 3 * CRLF.length + this.end[i] - this.from[i]
    }
    return len
  }

  #contentRange(i: number): void {
    this.#put(CONTENT_RANGE, 0, CONTENT_RANGE.length)
    this.#number(this.from[i])
    this.#put(MINUS, 0, 1)
    this.#number(this.end[i] - 1)
    this.#put(SLASH, 0, 1)
    this.#number(bodyLen(this.#content.images, this.#image))
    this.#put(CRLF, 0, 2)
  }

  #contentLength(len: number): void {
    this.#put(CONTENT_LENGTH, 0, CONTENT_LENGTH.length)
    this.#number(len)
    this.#put(CRLF, 0, 2)
  }

  #number(value: number): void {
    const end = this.#at + digits(value)
    let rest = value
    for (let at = end - 1; at >= this.#at; at--) {
      this.#to[at] = 48 + (rest % 10)
      rest = Math.floor(rest / 10)
    }
    this.#at = end
  }

  /** Date and Connection of a head of which byte 0 of the image's would lie at `off`. */
  #patch(off: number, epochSec: number): void {
    const { images } = this.#content
    writeDate(this.#to, off + images[this.#image + DATE_OFF], epochSec)
    const value = this.#close ? CONNECTION_CLOSE : CONNECTION_KEEP_ALIVE
    const at = off + images[this.#image + CONNECTION_OFF]
    for (let i = 0; i < CONNECTION_LEN; i++) this.#to[at + i] = value[i]
  }

  /** Bytes [off, end) of the image's head. */
  #putHead(off: number, end: number): void {
    const head = this.#content.images[this.#image + IMAGE_OFF]
    this.#put(this.#source, head + off, head + end)
  }

  /** A few hundred bytes: a loop costs less than the two views that `set` would want. */
  #put(bytes: Uint8Array, off: number, end: number): void {
    const to = this.#to
    let at = this.#at
    for (let i = off; i < end; i++) to[at++] = bytes[i]
    this.#at = at
  }

  #statusLineLen(): number {
    const head = this.#content.images[this.#image + IMAGE_OFF]
    let len = 0
    while (this.#source[head + len] !== LF) len++
    return len + 1
  }

  /** The end of the line at TYPE_OFF. */
  #typeEnd(): number {
    const head = this.#content.images[this.#image + IMAGE_OFF]
    let at = this.#content.images[this.#image + TYPE_OFF]
    while (this.#source[head + at] !== CR) at++
    return at + CRLF.length
  }
}

function digits(value: number): number {
  let count = 1
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) count++
  return count
}
