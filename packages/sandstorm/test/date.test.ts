import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE, writeDate } from '../src/content/date.ts'
import { CONNECTION_LEN, DATE_LEN } from '../src/content/image.ts'

/** The date of a second, written into the middle of a buffer whose rest must not change. */
function written(epochSec: number): string {
  const bytes = Buffer.alloc(DATE_LEN + 10, 0xa5)
  writeDate(bytes, 5, epochSec)
  assert.ok(bytes.subarray(0, 5).every(b => b === 0xa5))
  assert.ok(bytes.subarray(5 + DATE_LEN).every(b => b === 0xa5))
  return bytes.toString('latin1', 5, 5 + DATE_LEN)
}

test('the example of RFC 9110 §5.6.7', () => {
  assert.equal(written(784111777), 'Sun, 06 Nov 1994 08:49:37 GMT')
})

test('any second until the year 9999 is written as Date.prototype.toUTCString writes it', () => {
  const last = Date.UTC(9999, 11, 31, 23, 59, 59) / 1000
  const check = (sec: number): void =>
    assert.equal(written(sec), new Date(sec * 1000).toUTCString())
  fc.assert(fc.property(fc.integer({ min: 0, max: last }), check), { numRuns: 5000 })
  for (let year = 1970; year <= 2400; year++) {
    // The days around the ends of February and of the year.
    for (const [month, day] of [
      [1, 28],
      [1, 29],
      [2, 1],
      [11, 31],
      [0, 1],
    ]) {
      check(Date.UTC(year, month, day) / 1000)
      check(Date.UTC(year, month, day, 23, 59, 59) / 1000)
    }
  }
  check(last)
})

test('Connection values have the width of their field', () => {
  assert.equal(CONNECTION_KEEP_ALIVE.length, CONNECTION_LEN)
  assert.equal(CONNECTION_CLOSE.length, CONNECTION_LEN)
  assert.equal(Buffer.from(CONNECTION_KEEP_ALIVE).toString(), 'keep-alive')
  assert.equal(Buffer.from(CONNECTION_CLOSE).toString().trimEnd(), 'close')
})
