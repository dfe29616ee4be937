/** Accept-Encoding (RFC 9110 §12.5.3): weights by coding, in thousandths. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BR, GZIP, IDENTITY, ZSTD } from '../src/content/content.ts'
import { Codings } from '../src/http/codings.ts'

const codings = new Codings()

function weights(...lines: string[]): { identity: number; gzip: number; br: number; zstd: number } {
  codings.reset()
  for (const line of lines) codings.add(Buffer.from(`#${line}#`), 1, 1 + line.length)
  codings.finish()
  const { weight } = codings
  return { identity: weight[IDENTITY], gzip: weight[GZIP], br: weight[BR], zstd: weight[ZSTD] }
}
const only = (gzip: number, br: number, zstd: number, identity = 1): object => ({
  identity,
  gzip,
  br,
  zstd,
})

const TABLE: [lines: string[], expected: object][] = [
  [[''], only(0, 0, 0)],
  [['gzip'], only(1000, 0, 0)],
  [['gzip, deflate, br, zstd'], only(1000, 1000, 1000)],
  [['GZip;Q=0.5'], only(500, 0, 0)],
  [['x-gzip'], only(1000, 0, 0)],
  [['br;q=0'], only(0, 0, 0)],
  [['gzip;q=0.001,br;q=1.000'], only(1, 1000, 0)],
  [['*'], only(1000, 1000, 1000)],
  [['*;q=0'], only(0, 0, 0, 0)],
  [['identity;q=0, *;q=0'], only(0, 0, 0, 0)],
  [['gzip, *;q=0'], only(1000, 0, 0, 0)],
  [['identity, gzip;q=0.5'], only(500, 0, 0, 1000)],
  [['gzip ; q=0.8 , br'], only(800, 1000, 0)],
  [['gzip', 'br;q=0.9'], only(1000, 900, 0)],
  // What is malformed is not there.
  [['gzip;q=2'], only(0, 0, 0)],
  [['gzip;q=1.5'], only(0, 0, 0)],
  [['gzip;level=9'], only(0, 0, 0)],
  [['gzip br'], only(0, 0, 0)],
  [['gzip;q=, br'], only(0, 1000, 0)],
  [[',,br,,'], only(0, 1000, 0)],
]
for (const [lines, expected] of TABLE) {
  test(lines.join(' | '), () => assert.deepEqual(weights(...lines), expected))
}

test('anything ends, and every weight is one', () => {
  const piece = fc.constantFrom(
    'gzip',
    'br',
    '*',
    ';',
    'q=',
    '0',
    '1',
    '.5',
    ',',
    ' ',
    '\t',
    '"',
    'é',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), pieces => {
      for (const weight of Object.values(weights(pieces.join('')))) {
        assert.ok(weight >= 0 && weight <= 1000)
      }
    }),
  )
})
