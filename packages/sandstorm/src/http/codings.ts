/**
 * Accept-Encoding (RFC 9110 §12.5.3): how much a client likes each content coding that we may have.
 * `q=0` means never, `*` is every coding that is not named. What does not parse is not there.
 */
import { BR, CODING_COUNT, GZIP, IDENTITY, ZSTD } from '../content/content.ts'
import {
  ascii,
  CLASS,
  COMMA,
  DIGIT_0,
  DOT,
  EQUALS,
  isDigit,
  isWord,
  SEMICOLON,
  SP,
  STAR,
  TAB,
  TOKEN,
} from './chars.ts'

const NAMES: readonly (readonly [Uint8Array, number])[] = [
  [ascii('gzip'), GZIP],
  [ascii('br'), BR],
  [ascii('zstd'), ZSTD],
  [ascii('identity'), IDENTITY],
  [ascii('x-gzip'), GZIP],
]
const LOWER_Q = 113
const UPPER_Q = 81
const Q_ONE = 1000
const UNSAID = -1

export class Codings {
  /** By coding (content.ts): its weight in thousandths. */
  readonly weight: Int32Array = new Int32Array(CODING_COUNT)
  #others = UNSAID
  #at = 0
  #qvalue = 0

  /** Nothing was said: the file as it is. */
  reset(): void {
    this.weight.fill(UNSAID)
    this.#others = UNSAID
  }

  /** Adds what the field line bytes[off, end) says. */
  add(bytes: Uint8Array, off: number, end: number): void {
    this.#at = off
    while (this.#at < end) {
      this.#skip(bytes, end)
      const name = this.#at
      while (this.#at < end && (CLASS[bytes[this.#at]] & TOKEN) !== 0) this.#at++
      const nameEnd = this.#at
      const isValid = this.#parameters(bytes, end)
      if (isValid && nameEnd > name) this.#note(bytes, name, nameEnd)
    }
  }

  /** Fills in what was not named. Identity is welcome unless it is ruled out. */
  finish(): void {
    const others = this.#others
    for (let coding = 0; coding < CODING_COUNT; coding++) {
      if (this.weight[coding] !== UNSAID) continue
      if (coding !== IDENTITY) this.weight[coding] = others === UNSAID ? 0 : others
      // "*" alone is no reason to prefer the unencoded, nor to refuse it unless it says q=0.
      else this.weight[coding] = others === 0 ? 0 : 1
    }
  }

  #note(bytes: Uint8Array, name: number, nameEnd: number): void {
    if (nameEnd - name === 1 && bytes[name] === STAR) {
      this.#others = this.#qvalue
      return
    }
    for (let i = 0; i < NAMES.length; i++) {
      if (isWord(bytes, name, nameEnd, NAMES[i][0])) this.weight[NAMES[i][1]] = this.#qvalue
    }
  }

  /** Up to and with the comma; false if there is something that does not belong here. */
  #parameters(bytes: Uint8Array, end: number): boolean {
    this.#qvalue = Q_ONE
    let isValid = true
    this.#skipSpace(bytes, end)
    while (this.#at < end && bytes[this.#at] !== COMMA) {
      if (bytes[this.#at] === SEMICOLON) {
        this.#at++
        this.#skipSpace(bytes, end)
        if (!this.#weightAt(bytes, end)) isValid = false
      } else {
        isValid = false
        this.#at++
      }
      this.#skipSpace(bytes, end)
    }
    this.#at++
    return isValid
  }

  /** `q=` and up to three decimals of a number from 0 to 1 (RFC 9110 §12.4.2). */
  #weightAt(bytes: Uint8Array, end: number): boolean {
    const c = bytes[this.#at]
    if (this.#at + 2 >= end || (c !== LOWER_Q && c !== UPPER_Q)) return false
    if (bytes[this.#at + 1] !== EQUALS) return false
    this.#at += 2
    const whole = bytes[this.#at] - DIGIT_0
    if (whole !== 0 && whole !== 1) return false
    let value = whole * Q_ONE
    this.#at++
    if (this.#at < end && bytes[this.#at] === DOT) {
      this.#at++
      for (let unit = 100; unit >= 1 && this.#at < end && isDigit(bytes[this.#at]); unit /= 10) {
        value += (bytes[this.#at++] - DIGIT_0) * (unit | 0)
      }
    }
    this.#qvalue = value
    return value <= Q_ONE
  }

  #skip(bytes: Uint8Array, end: number): void {
    while (this.#at < end && (bytes[this.#at] === COMMA || isSpace(bytes[this.#at]))) this.#at++
  }

  #skipSpace(bytes: Uint8Array, end: number): void {
    while (this.#at < end && isSpace(bytes[this.#at])) this.#at++
  }
}

const isSpace = (c: number): boolean => c === SP || c === TAB
