/** HTTP-dates as they are read: RFC 9110 §5.6.7. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NO_DATE, parseDate } from '../src/http/httpDate.ts'

/** The year 2026. */
const NOW_SEC = 1_790_000_000

const parsed = (text: string): number => {
  const bytes = Buffer.from(`##${text}##`, 'latin1')
  return parseDate(bytes, 2, bytes.length - 2, NOW_SEC)
}
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

test('the three forms of the example', () => {
  for (const text of [
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
  ]) {
    assert.equal(parsed(text), 784111777, text)
  }
})

const seconds = fc.integer({ min: 0, max: Date.UTC(2099, 11, 31) / 1000 })

test('any second is read back in IMF-fixdate and asctime', () => {
  fc.assert(
    fc.property(seconds, sec => {
      const text = new Date(sec * 1000).toUTCString()
      assert.equal(parsed(text), sec)
      const [, day, month, year, time] = /, (\d\d) (...) (\d{4}) (.{8})/.exec(text)!
      const padded = String(Number(day)).padStart(2)
      assert.equal(parsed(`${text.slice(0, 3)} ${month} ${padded} ${time} ${year}`), sec)
    }),
  )
})

test('two digits of a year are those of a year at most 50 ahead', () => {
  fc.assert(
    fc.property(seconds, sec => {
      const date = new Date(sec * 1000)
      const [, day, month, year, time] = /, (\d\d) (...) \d\d(\d\d) (.{8})/.exec(
        date.toUTCString(),
      )!
      const text = `${DAYS[date.getUTCDay()]}, ${day}-${month}-${year} ${time} GMT`
      const isNear = date.getUTCFullYear() > 1976 && date.getUTCFullYear() <= 2076
      if (isNear) assert.equal(parsed(text), sec, text)
    }),
  )
})

for (const text of [
  '',
  'now',
  'Sun, 06 Nov 1994 08:49:37',
  'Sun, 06 Nov 1994 08:49:37 CET',
  'Sun, 06 Nov 1994 24:00:00 GMT',
  'Sun, 06 Nov 1994 08:60:00 GMT',
  'Sun, 31 Feb 1994 08:49:37 GMT',
  'Sun, 29 Feb 1900 08:49:37 GMT',
  'Sun, 00 Nov 1994 08:49:37 GMT',
  'Sun, 06 Nov 1969 08:49:37 GMT',
  'Sun, 06 Nox 1994 08:49:37 GMT',
  'Sun, 06 Nov 199x 08:49:37 GMT',
  'Sun Nov  6 08:49:37 199x',
  'Sunday, 06-Nov-9x 08:49:37 GMT',
  'Sunday, 06 Nov 94 08:49:37 GMT',
  '784111777',
]) {
  test(`no date: ${JSON.stringify(text)}`, () => assert.equal(parsed(text), NO_DATE))
}

test('a leap day and a leap second are dates', () => {
  assert.equal(parsed('Thu, 29 Feb 2024 00:00:00 GMT'), Date.UTC(2024, 1, 29) / 1000)
  assert.equal(parsed('Sat, 31 Dec 2016 23:59:60 GMT'), Date.UTC(2017, 0, 1) / 1000)
})

test('random bytes are no date, and nothing throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
      assert.ok(parseDate(bytes, 0, bytes.length, NOW_SEC) >= NO_DATE)
    }),
  )
})
