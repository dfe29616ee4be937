/**
 * The two head fields that differ between answers, Date and Connection (image.ts): patched into
 * ready frames like port numbers, their checksum shares known beforehand. One second's Date is
 * written once and copied from then on.
 */
import type { Region } from '@sandstorm/libnmio'
import { checksum } from '@sandstorm/libtcpip'
import { CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE, writeDate } from '../content/date.ts'
import { CONNECTION_LEN, CONNECTION_OFF, DATE_LEN, DATE_OFF, IMAGE_OFF } from '../content/image.ts'
import { closes, DATE_SEC, imageOf } from './answers.ts'

export class HeadFields {
  readonly #region: Region
  readonly #images: Int32Array
  readonly #records: Int32Array
  readonly #dateOff: number
  readonly #connectionOff: number
  readonly #connectionSum: Int32Array
  #second = -1
  #dateSum = 0

  constructor(region: Region, images: Int32Array, records: Int32Array) {
    this.#region = region
    this.#images = images
    this.#records = records
    this.#dateOff = region.reserve(DATE_LEN)
    this.#connectionOff = region.reserve(2 * CONNECTION_LEN)
    region.bytes.set(CONNECTION_KEEP_ALIVE, this.#connectionOff)
    region.bytes.set(CONNECTION_CLOSE, this.#connectionOff + CONNECTION_LEN)
    this.#connectionSum = Int32Array.of(
      checksum.sum(region.view, this.#connectionOff, CONNECTION_LEN),
      checksum.sum(region.view, this.#connectionOff + CONNECTION_LEN, CONNECTION_LEN),
    )
  }

  /** Writes both fields of answer `a` into a copy of its head that begins at `headOff`. */
  write(a: number, headOff: number): void {
    const image = imageOf(this.#records, a)
    const bytes = this.#region.bytes
    this.#prepareDate(this.#records[a + DATE_SEC])
    const date = headOff + this.#images[image + DATE_OFF]
    bytes.copyWithin(date, this.#dateOff, this.#dateOff + DATE_LEN)
    const from = this.#connectionOff + closes(this.#records, a) * CONNECTION_LEN
    bytes.copyWithin(headOff + this.#images[image + CONNECTION_OFF], from, from + CONNECTION_LEN)
  }

  /** What both fields of answer `a` add to the sum of a payload that begins with its head. */
  sum(a: number): number {
    const image = imageOf(this.#records, a)
    this.#prepareDate(this.#records[a + DATE_SEC])
    const connection = this.#connectionSum[closes(this.#records, a)]
    return (
      placed(this.#dateSum, this.#images[image + DATE_OFF]) +
      placed(connection, this.#images[image + CONNECTION_OFF])
    )
  }

  /**
   * Copies bytes [at, at + len) of answer `a` to `to`, both fields filled in wherever the piece
   * touches them.
   */
  copy(a: number, at: number, len: number, to: number): void {
    const image = imageOf(this.#records, a)
    const bytes = this.#region.bytes
    const from = this.#images[image + IMAGE_OFF] + at
    bytes.copyWithin(to, from, from + len)
    this.#prepareDate(this.#records[a + DATE_SEC])
    this.#overlay(this.#dateOff, DATE_LEN, this.#images[image + DATE_OFF] - at, len, to)
    const connection = this.#connectionOff + closes(this.#records, a) * CONNECTION_LEN
    this.#overlay(connection, CONNECTION_LEN, this.#images[image + CONNECTION_OFF] - at, len, to)
  }

  /** Lays a field that begins at `start` (may be negative) over a piece of `len` bytes at `to`. */
  #overlay(fieldOff: number, fieldLen: number, start: number, len: number, to: number): void {
    const first = start < 0 ? -start : 0
    const end = start + fieldLen > len ? len - start : fieldLen
    if (first >= end) return
    this.#region.bytes.copyWithin(to + start + first, fieldOff + first, fieldOff + end)
  }

  #prepareDate(second: number): void {
    if (second === this.#second) return
    this.#second = second
    writeDate(this.#region.bytes, this.#dateOff, second >>> 0)
    this.#dateSum = checksum.sum(this.#region.view, this.#dateOff, DATE_LEN)
  }
}

/** The sum of a field that begins `off` bytes into the payload: bytes swap places at odd offsets. */
const placed = (sum: number, off: number): number => (off & 1 ? checksum.atOdd(sum) : sum)
