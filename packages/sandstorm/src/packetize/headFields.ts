/**
 * The two head fields that differ between answers, Date (or Age) and Connection (image.ts): patched
 * into ready frames like port numbers, their checksum shares known beforehand. One second's Date is
 * written once and copied from then on. An image without a head has neither.
 */
import type { Region } from '@sandstorm/libnmio'
import { checksum } from '@sandstorm/libtcpip'
import { CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE, writeTime } from '../content/date.ts'
import {
  AGE_SINCE,
  CONNECTION_LEN,
  CONNECTION_OFF,
  DATE_LEN,
  DATE_OFF,
  HEAD_LEN,
  IMAGE_OFF,
} from '../content/image.ts'
import { type Answers, DATE_SEC } from './answers.ts'
import { NO_HEAD } from './madeHeads.ts'

export class HeadFields {
  readonly #region: Region
  readonly #images: Int32Array
  readonly #answers: Answers
  readonly #timeOff: number
  readonly #connectionOff: number
  readonly #connectionSum: Int32Array
  /**
   * What is at hand: the Date of this second, any int32, or the Age in it (image.ts: AGE_SINCE).
   */
  #second = 0
  #since = 0
  #timeSum = 0

  constructor(region: Region, images: Int32Array, answers: Answers) {
    this.#region = region
    this.#images = images
    this.#answers = answers
    this.#timeOff = region.reserve(DATE_LEN)
    this.#connectionOff = region.reserve(2 * CONNECTION_LEN)
    region.bytes.set(CONNECTION_KEEP_ALIVE, this.#connectionOff)
    region.bytes.set(CONNECTION_CLOSE, this.#connectionOff + CONNECTION_LEN)
    this.#connectionSum = Int32Array.of(
      checksum.sum(region.view, this.#connectionOff, CONNECTION_LEN),
      checksum.sum(region.view, this.#connectionOff + CONNECTION_LEN, CONNECTION_LEN),
    )
    this.#makeTime(this.#since, this.#second)
  }

  /** Writes both fields of answer `a` into a copy of its head that begins at `headOff`. */
  write(a: number, headOff: number): void {
    const image = this.#answers.imageOf(a)
    if (this.#images[image + HEAD_LEN] === 0) return
    this.#prepareTime(image, this.#answers.records[a + DATE_SEC])
    const date = headOff + this.#images[image + DATE_OFF]
    this.#region.copy(date, this.#timeOff, DATE_LEN)
    const from = this.#connectionOff + this.#answers.closes(a) * CONNECTION_LEN
    this.#region.copy(headOff + this.#images[image + CONNECTION_OFF], from, CONNECTION_LEN)
  }

  /** What both fields of answer `a` add to the sum of a payload that begins with its head. */
  sum(a: number): number {
    const image = this.#answers.imageOf(a)
    if (this.#images[image + HEAD_LEN] === 0) return 0
    this.#prepareTime(image, this.#answers.records[a + DATE_SEC])
    const connection = this.#connectionSum[this.#answers.closes(a)]
    return (
      placed(this.#timeSum, this.#images[image + DATE_OFF]) +
      placed(connection, this.#images[image + CONNECTION_OFF])
    )
  }

  /**
   * Copies bytes [at, at + len) of answer `a` to `to`, both fields filled in wherever the piece
   * touches them. A made head has them already.
   */
  copy(a: number, at: number, len: number, to: number): void {
    const head = this.#answers.headOf(a)
    if (head === NO_HEAD) this.#copyReady(a, at, len, to)
    else this.#copyMade(head, at, len, to)
  }

  #copyMade(head: number, at: number, len: number, to: number): void {
    const { heads } = this.#answers
    const headLeft = heads.len[head] - at
    const headLen = headLeft <= 0 ? 0 : headLeft < len ? headLeft : len
    const from = heads.offOf(head) + at
    if (headLen > 0) this.#region.copy(to, from, headLen)
    if (headLen === len) return
    const body = heads.bodyOff(head) + at + headLen - heads.len[head]
    this.#region.copy(to + headLen, body, len - headLen)
  }

  #copyReady(a: number, at: number, len: number, to: number): void {
    const image = this.#answers.imageOf(a)
    const from = this.#images[image + IMAGE_OFF] + at
    this.#region.copy(to, from, len)
    if (this.#images[image + HEAD_LEN] === 0) return
    this.#prepareTime(image, this.#answers.records[a + DATE_SEC])
    this.#overlay(this.#timeOff, DATE_LEN, this.#images[image + DATE_OFF] - at, len, to)
    const connection = this.#connectionOff + this.#answers.closes(a) * CONNECTION_LEN
    this.#overlay(connection, CONNECTION_LEN, this.#images[image + CONNECTION_OFF] - at, len, to)
  }

  /** Lays a field that begins at `start` (may be negative) over a piece of `len` bytes at `to`. */
  #overlay(fieldOff: number, fieldLen: number, start: number, len: number, to: number): void {
    const first = start < 0 ? -start : 0
    const end = start + fieldLen > len ? len - start : fieldLen
    if (first >= end) return
    this.#region.copy(to + start + first, fieldOff + first, end - first)
  }

  /** Puts the time field of an image at hand, as it is in this second. */
  #prepareTime(image: number, second: number): void {
    const since = this.#images[image + AGE_SINCE]
    if (second !== this.#second || since !== this.#since) this.#makeTime(since, second)
  }

  #makeTime(since: number, second: number): void {
    this.#second = second
    this.#since = since
    writeTime(this.#region.bytes, this.#timeOff, since, second >>> 0)
    this.#timeSum = checksum.sum(this.#region.view, this.#timeOff, DATE_LEN)
  }
}

/**
 * The sum of a field that begins `off` bytes into the payload: bytes swap places at odd offsets.
 */
const placed = (sum: number, off: number): number => (off & 1 ? checksum.atOdd(sum) : sum)
