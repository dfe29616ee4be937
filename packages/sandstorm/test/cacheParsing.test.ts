/** How the cache reads dates, directives, targeted fields, Vary and keys: tables, by section. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseDirectives, requestDirectives, secondsOf } from '../src/cache/directives.ts'
import { formatHttpDate, parseHttpDate } from '../src/cache/httpDate.ts'
import { keyOfSameOrigin, primaryKey, secondaryKey, varyNamesOf } from '../src/cache/key.ts'
import { listElements } from '../src/cache/message.ts'
import { parseTargeted } from '../src/cache/targeted.ts'
import { makeRequest, START_MS } from './kit/cacheOrigin.ts'

const NOV_6 = Date.UTC(1994, 10, 6, 8, 49, 37)

for (const [text, ms, why] of [
  ['Sun, 06 Nov 1994 08:49:37 GMT', NOV_6, 'IMF-fixdate'],
  ['Sunday, 06-Nov-94 08:49:37 GMT', NOV_6, 'RFC 850'],
  ['Sun Nov  6 08:49:37 1994', NOV_6, 'asctime'],
  ['SUN, 06 NOV 1994 08:49:37 gmt', NOV_6, 'letters without case (RFC 9111 §4.2)'],
  ['Sun, 06 Nov 1994 08:49:37 UTC', NOV_6, 'UTC is GMT (RFC 9111 §4.2)'],
  ['Sun, 06 Nov 1994 08:49:37 PST', Number.NaN, 'another zone'],
  ['Sunday, 06-Nov-80 08:49:37 GMT', Date.UTC(1980, 10, 6, 8, 49, 37), 'more than 50 years ahead'],
  [
    'Wednesday, 06-Nov-30 08:49:37 GMT',
    Date.UTC(2030, 10, 6, 8, 49, 37),
    'near future, two digits',
  ],
  ['Sun, 31 Feb 1994 08:49:37 GMT', Number.NaN, 'no such day'],
  ['Sun, 06 Nov 1994 24:00:00 GMT', Number.NaN, 'no such hour'],
  ['Sun, 06 Nov 1994 8:49:37 GMT', Number.NaN, 'one digit'],
  ['Sun 06 Nov 1994 08:49:37 GMT', Number.NaN, 'no comma'],
  ['Sun, 06  Nov  1994 08:49:37 GMT', Number.NaN, 'spaces'],
  ['0', Number.NaN, 'zero'],
  ['', Number.NaN, 'empty'],
] as const) {
  test(`RFC 9110 §5.6.7: date "${text}" (${why})`, () => {
    assert.equal(parseHttpDate(text, START_MS), ms)
  })
}

test('RFC 9110 §5.6.7: every second that is written is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253402300799 }), sec => {
      assert.equal(parseHttpDate(formatHttpDate(sec * 1000), START_MS), sec * 1000)
    }),
  )
})

for (const [value, sec, why] of [
  ['max-age=3600', 3600, 'plain'],
  ['MaX-aGe=3600', 3600, 'without case'],
  ['max-age="3600"', 3600, 'quoted'],
  ['foo, max-age=3600', 3600, 'behind an extension'],
  ['max-age=003600', 3600, 'leading zeros'],
  ['max-age=1800, max-age=1', 1800, 'the first of two'],
  ['max-age=1, max-age=1800', 1, 'the first of two'],
  ['ext="max-age=3600", max-age=1', 1, 'not in a quoted string'],
  ['max-age=1, ext="a, max-age=3600"', 1, 'not in a quoted list'],
  ["max-age='3600'", 0, 'single quotes: stale'],
  ['max-age=3600.5', 0, 'a fraction: stale'],
  ['max-age=-1', 0, 'negative: stale'],
  ['max-age=', 0, 'empty: stale'],
  ['max-age', 0, 'no value: stale'],
  ['max-age=a3600', 0, 'letters: stale'],
  ['max-age= 3600', 0, 'space behind "=": stale'],
  ['max-age =3600', undefined, 'space before "=": no directive'],
  ['max-age=99999999999999999999', 2 ** 31, 'more than the maximum (§1.2.2)'],
  [',, ,max-age=5,,', 5, 'empty elements'],
  ['', undefined, 'nothing'],
] as const) {
  test(`RFC 9111 §4.2.1: Cache-Control "${value}" gives ${sec} s (${why})`, () => {
    assert.equal(secondsOf(parseDirectives(value), 'max-age'), sec)
  })
}

test('RFC 9111 §5.2.2.4: a no-cache without fields beats one with', () => {
  assert.equal(parseDirectives('no-cache="a", no-cache="b, C"').get('no-cache'), 'a, b, C')
  assert.equal(parseDirectives('no-cache="a", no-cache').get('no-cache'), '')
  assert.equal(parseDirectives('no-cache, no-cache="a"').get('no-cache'), '')
  assert.equal(parseDirectives('no-cache=a').get('no-cache'), '')
})

test('RFC 9111 §5.2.2: a quote that is never closed hides no no-store', () => {
  assert.ok(parseDirectives('ext="a, no-store').has('no-store'))
})

test('RFC 9111 §5.4: Pragma counts only where Cache-Control is missing', () => {
  assert.ok(requestDirectives(undefined, 'no-cache').has('no-cache'))
  assert.ok(!requestDirectives('max-age=5', 'no-cache').has('no-cache'))
})

for (const [value, expected, why] of [
  ['max-age=3600', { 'max-age': '3600' }, 'plain'],
  ['foobar, max-age=3600;x=1', { foobar: '', 'max-age': '3600' }, 'extension and parameter'],
  ['max-age=1, max-age=2', { 'max-age': '2' }, 'the last of two (RFC 9651 §4.2.2)'],
  ['private="a, b"', { private: 'a, b' }, 'a String with fields'],
  ['no-store=?0, max-age=1', { 'max-age': '1' }, 'false is absent'],
  ['a=(1 "x" tok);q=1, max-age=1', { a: '', 'max-age': '1' }, 'an inner list'],
  ['max-age="10000"', undefined, 'wrong type'],
  ['max-age=1.5', undefined, 'wrong type'],
  ['max-age=-1', undefined, 'negative'],
  ['max-age=10000, &&&&&', undefined, 'does not parse'],
  ['max-age =100', undefined, 'space before ='],
  ['max-age= 100', undefined, 'space behind ='],
  ['Max-Age=100', undefined, 'keys are lower case'],
  ['max-age=1,', undefined, 'trailing comma'],
  ['a=(1"x")', undefined, 'no space in a list'],
  ['', undefined, 'empty'],
] as const) {
  test(`RFC 9213 §2.1: CDN-Cache-Control "${value}" (${why})`, () => {
    const directives = parseTargeted(value)
    assert.deepEqual(directives && Object.fromEntries(directives), expected)
  })
}

test('RFC 9213 §2.1, RFC 9111 §5.2: no text makes the parsers throw', () => {
  fc.assert(
    fc.property(fc.string(), text => {
      parseTargeted(text)
      parseDirectives(text)
      listElements(text)
      parseHttpDate(text, START_MS)
    }),
  )
})

for (const [lines, names] of [
  [
    ['Foo, bar', 'FOO'],
    ['bar', 'foo'],
  ],
  [['', '*'], ['*']],
  [['foo, *'], ['*']],
  [[', *'], ['*']],
  [['X-Forwarded-For'], ['*']],
  [[], []],
] as const) {
  test(`RFC 9110 §12.5.5: Vary ${JSON.stringify(lines)} names ${names.join() || 'nothing'}`, () => {
    assert.deepEqual(varyNamesOf(lines.map(line => ['Vary', line] as const)), names)
  })
}

for (const [name, a, b, isEqual] of [
  ['foo', ['1,2'], [' 1,  2 '], true],
  ['foo', ['1, 2'], ['1', '2'], true],
  ['foo', ['1, 2'], ['2, 1'], false],
  ['foo', ['a'], ['A'], false],
  ['foo', [''], [], false],
  ['accept-encoding', ['gzip, br'], ['BR ,GZIP;q=1.0'], true],
  ['accept-encoding', ['x-gzip'], ['gzip'], true],
  ['accept-encoding', ['gzip;q=0'], ['gzip'], false],
  ['accept-encoding', ['gzip;q=0.50'], ['gzip; q=0.5'], true],
  ['accept-language', ['en, de'], ['de, en'], true],
  ['accept-language', ['en, de;q=0.5'], ['de, en;q=0.5'], false],
] as const) {
  const what = `${JSON.stringify(a)} and ${JSON.stringify(b)}`
  test(`RFC 9111 §4.1: of ${name}, ${what} are ${isEqual ? 'one' : 'two'}`, () => {
    const key = (values: readonly string[]): string =>
      secondaryKey(
        [name],
        values.map(value => [name, value] as const),
      )
    assert.equal(key(a) === key(b), isEqual)
  })
}

for (const [scheme, authority, key] of [
  ['http', 'Example.ORG:80', 'http://example.org/x'],
  ['https', 'example.org:443', 'https://example.org/x'],
  ['http', 'example.org:443', 'http://example.org:443/x'],
  ['http', 'example.org.:', 'http://example.org/x'],
  ['http', '[::1]:80', 'http://[::1]/x'],
] as const) {
  test(`RFC 9110 §4.2.3: ${scheme} and ${authority} are ${key}`, () => {
    assert.equal(primaryKey(scheme, authority, '/x'), key)
  })
}

for (const [reference, key] of [
  ['/b?c', 'http://example.org/b?c'],
  ['d', 'http://example.org/dir/d'],
  ['http://EXAMPLE.org:80/e', 'http://example.org/e'],
  ['http://other.example/e', undefined],
  ['https://example.org/e', undefined],
  ['http://[bad', undefined],
] as const) {
  test(`RFC 9111 §4.4: Location "${reference}" invalidates ${key ?? 'nothing'}`, () => {
    assert.equal(keyOfSameOrigin(reference, makeRequest('/dir/a')), key)
  })
}
