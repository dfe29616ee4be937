/** Range values (RFC 9110 §14): a table, and a naive model. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RANGES_MAX } from '../src/http/limits.ts'
import { RANGE_NONE, RANGE_PART, RANGE_UNSATISFIABLE, Ranges } from '../src/http/ranges.ts'

type Result = 'whole' | 'unsatisfiable' | [from: number, end: number][]

const ranges = new Ranges()

function parsed(text: string, len: number): Result {
  const bytes = Buffer.from(`#${text},0-0`, 'latin1')
  const verdict = ranges.parse(bytes, 1, 1 + Buffer.byteLength(text, 'latin1'), len)
  if (verdict === RANGE_NONE) return 'whole'
  if (verdict === RANGE_UNSATISFIABLE) return 'unsatisfiable'
  assert.equal(verdict, RANGE_PART)
  return Array.from({ length: ranges.count }, (_, i) => [ranges.from[i], ranges.end[i]])
}

const TABLE: [text: string, len: number, expected: Result][] = [
  ['bytes=0-0', 10, [[0, 1]]],
  ['bytes=0-', 10, [[0, 10]]],
  ['bytes=3-5', 10, [[3, 6]]],
  ['bytes=3-99', 10, [[3, 10]]],
  ['bytes=9-', 10, [[9, 10]]],
  ['bytes=-1', 10, [[9, 10]]],
  ['bytes=-99', 10, [[0, 10]]],
  ['BYTES=1-2', 10, [[1, 3]]],
  [
    'bytes= 1-2 , 4-5 ',
    10,
    [
      [1, 3],
      [4, 6],
    ],
  ],
  [
    'bytes=,1-2,,4-5,',
    10,
    [
      [1, 3],
      [4, 6],
    ],
  ],
  ['bytes=1-2,20-30', 10, [[1, 3]]],
  ['bytes=99999999999999999999-', 10, 'unsatisfiable'],
  ['bytes=0-99999999999999999999', 10, [[0, 10]]],
  ['bytes=10-', 10, 'unsatisfiable'],
  ['bytes=-0', 10, 'unsatisfiable'],
  ['bytes=0-0', 0, 'unsatisfiable'],
  ['bytes=-5', 0, 'unsatisfiable'],
  [
    'bytes=0-9,0-9,0-9',
    10,
    [
      [0, 10],
      [0, 10],
      [0, 10],
    ],
  ],
  ['bytes=0-9,0-9,0-9,0-9', 10, 'unsatisfiable'],
  ['bytes=5-3', 10, 'whole'],
  ['bytes=', 10, 'whole'],
  ['bytes=,', 10, 'whole'],
  ['bytes', 10, 'whole'],
  ['bytes 0-1', 10, 'whole'],
  ['bytes=a-b', 10, 'whole'],
  ['bytes=1', 10, 'whole'],
  ['bytes=-', 10, 'whole'],
  ['bytes=1-2;3-4', 10, 'whole'],
  ['bytes=1--2', 10, 'whole'],
  ['bytes=+1-2', 10, 'whole'],
  ['bytes=0x1-2', 10, 'whole'],
  ['bytes=1-2 3-4', 10, 'whole'],
  ['items=0-1', 10, 'whole'],
]
for (const [text, len, expected] of TABLE) {
  test(`${text} of ${len} bytes`, () => assert.deepEqual(parsed(text, len), expected))
}

test('more ranges than the cap are ignored as a whole', () => {
  const list = (count: number): string =>
    `bytes=${Array.from({ length: count }, (_, i) => `${2 * i}-${2 * i}`).join()}`
  assert.equal((parsed(list(RANGES_MAX), 1000) as unknown[]).length, RANGES_MAX)
  assert.equal(parsed(list(RANGES_MAX + 1), 1000), 'whole')
})

/** As the RFC says it, slowly. */
function naive(text: string, len: number): Result {
  if (!/^bytes=/i.test(text)) return 'whole'
  const specs = text
    .slice(6)
    .split(',')
    .map(s => s.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter(s => s !== '')
  if (specs.length === 0 || specs.length > RANGES_MAX) return 'whole'
  const found: [number, number][] = []
  for (const spec of specs) {
    const match = /^(\d*)-(\d*)$/.exec(spec)
    if (match === null || spec === '-') return 'whole'
    const [first, last] = [match[1], match[2]]
    if (first !== '' && last !== '' && Number(last) < Number(first)) return 'whole'
    const from = first === '' ? Math.max(0, len - Number(last)) : Number(first)
    const end = first === '' || last === '' ? len : Math.min(len, Number(last) + 1)
    if (from < end) found.push([from, end])
  }
  const overlaps = found.filter(([from, end], i) =>
    found.slice(0, i).some(([otherFrom, otherEnd]) => from < otherEnd && otherFrom < end),
  )
  return found.length === 0 || overlaps.length > 2 ? 'unsatisfiable' : found
}

test('any list is read as by a naive reader', () => {
  const number = fc.oneof(fc.nat(120), fc.constant('')).map(String)
  const spec = fc.oneof(
    fc
      .tuple(number, fc.constantFrom('-', '-', '-', '', ' -', '--'), number)
      .map(parts => parts.join('')),
    fc.constantFrom('', ' ', 'x', '0-'),
  )
  const text = fc
    .tuple(
      fc.constantFrom('bytes=', 'bytes=', 'Bytes=', 'bytes', 'lines='),
      fc.array(spec, { maxLength: 6 }),
    )
    .map(([unit, specs]) => unit + specs.join(','))
  fc.assert(
    fc.property(text, fc.nat(100), (text, len) =>
      assert.deepEqual(parsed(text, len), naive(text, len)),
    ),
    { numRuns: 3000 },
  )
})
