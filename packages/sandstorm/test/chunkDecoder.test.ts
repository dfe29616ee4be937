/** Bodies in chunks, against a reader that has all bytes before it, however they are cut. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ChunkDecoder } from '../src/http/chunkDecoder.ts'

const BODY_BYTES = 1000
const EXTRA_BYTES = 200

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** What came of the bytes: data, where the body ended (-1: it did not), and the refusal. */
interface Outcome {
  readonly data: string
  readonly end: number
  readonly refused: number
}

/** Has all bytes at once, and reads them with regular expressions. Knows no bounds. */
function naive(text: string): Outcome {
  const extension = /;[!#-'*+.^_`|~\w-]+(?:=(?:[!#-'*+.^_`|~\w-]+|"[\t !#-[\]-~\x80-\xff]*"))?/
  const size = new RegExp(`([0-9a-fA-F]{1,13})(?:${extension.source})*\r\n`, 'y')
  const trailers = /(?:[!#-'*+.^_`|~\w-]+:[\t -~\x80-\xff]*\r\n)*\r\n/y
  let data = ''
  for (let at = 0; ; ) {
    size.lastIndex = at
    const line = size.exec(text)
    if (line === null) return { data, end: -1, refused: 400 }
    at = size.lastIndex
    const len = Number.parseInt(line[1], 16)
    if (len === 0) {
      trailers.lastIndex = at
      const isWhole = trailers.test(text)
      return isWhole
        ? { data, end: trailers.lastIndex, refused: 0 }
        : { data, end: -1, refused: 400 }
    }
    data += text.slice(at, at + len)
    at += len
    if (text.slice(at, at + 2) !== '\r\n') return { data, end: -1, refused: 400 }
    at += 2
  }
}

type Read = (decoder: ChunkDecoder, bytes: Buffer, off: number, end: number) => [number, string]

const dataOf = (decoder: ChunkDecoder, bytes: Buffer): string =>
  bytes.toString('latin1', decoder.dataOff, decoder.dataEnd)

/** A run of data, or a call's worth, or none. */
const WAYS: Readonly<Record<string, Read>> = {
  next: (decoder, bytes, off, end) => {
    const at = decoder.next(bytes, off, end)
    return [at, dataOf(decoder, bytes)]
  },
  gather: (decoder, bytes, off, end) => {
    const at = decoder.gather(bytes, off, end)
    return [at, dataOf(decoder, bytes)]
  },
}

/** Each call gets the bytes up to the next cut. */
function read(text: string, cuts: readonly number[], way: Read, decoder: ChunkDecoder): Outcome {
  const bytes = latin1(text)
  let data = ''
  let at = 0
  for (const cut of [...cuts, bytes.length]) {
    while (at < cut && !decoder.isOver && decoder.refused === 0) {
      const [taken, more] = way(decoder, bytes, at, cut)
      assert.ok(taken > at && taken <= cut)
      at = taken
      data += more
    }
  }
  return { data, end: decoder.isOver ? at : -1, refused: decoder.refused }
}

const fresh = (): ChunkDecoder => new ChunkDecoder(BODY_BYTES, EXTRA_BYTES)

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,8}$/)
const quoted = fc.stringMatching(/^[\t !#-[\]-~]{0,8}$/).map(text => `"${text}"`)
const extension = fc
  .tuple(token, fc.option(fc.oneof(token, quoted), { nil: undefined }))
  .map(([name, value]) => (value === undefined ? `;${name}` : `;${name}=${value}`))
const extensions = fc.array(extension, { maxLength: 2 }).map(all => all.join(''))
const chunk = fc
  .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), extensions, fc.boolean())
  .map(([bytes, more, isUpper]) => {
    const size = bytes.length.toString(16)
    const data = Buffer.from(bytes).toString('latin1')
    return `${isUpper ? size.toUpperCase() : size}${more}\r\n${data}\r\n`
  })
const trailer = fc.tuple(token, quoted).map(([name, value]) => `${name}:${value}\r\n`)
const body = fc
  .tuple(fc.array(chunk, { maxLength: 5 }), fc.constantFrom('0', '00'), extensions)
  .chain(([chunks, last, more]) =>
    fc
      .array(trailer, { maxLength: 2 })
      .map(trailers => `${chunks.join('')}${last}${more}\r\n${trailers.join('')}\r\n`),
  )
const cutsOf = fc.array(fc.nat(300), { maxLength: 12 }).map(cuts => cuts.sort((a, b) => a - b))

for (const [name, way] of Object.entries(WAYS)) {
  describe(`${name} of a body in chunks`, () => {
    test('finds its data and its end, whatever the cuts and whatever follows', () => {
      fc.assert(
        fc.property(
          body,
          cutsOf,
          fc.constantFrom('', 'GET / HTTP/1.1\r\n', '0\r\n'),
          (text, cuts, more) => {
            const expected = naive(text + more)
            assert.equal(expected.end, text.length)
            const bounded = cuts.filter(cut => cut < text.length + more.length)
            const decoder = new ChunkDecoder(BODY_BYTES, 100_000)
            assert.deepEqual(read(text + more, bounded, way, decoder), expected)
          },
        ),
        { numRuns: 500 },
      )
    })

    test('is the same at every split, byte by byte too, when a byte was changed', () => {
      fc.assert(
        fc.property(body, fc.nat(), fc.integer({ min: 0, max: 255 }), (right, n, c) => {
          const at = n % right.length
          const text = right.slice(0, at) + String.fromCharCode(c) + right.slice(at + 1)
          const whole = read(text, [], way, fresh())
          for (let cut = 1; cut < text.length; cut++) {
            assert.deepEqual(read(text, [cut], way, fresh()), whole)
          }
          const all = Array.from({ length: text.length }, (_, i) => i)
          assert.deepEqual(read(text, all, way, fresh()), whole)
          const model = naive(text)
          if (whole.end >= 0) assert.deepEqual(whole, model)
          else assert.ok(model.end < 0 || whole.refused === 413, JSON.stringify(text))
        }),
        { numRuns: 300 },
      )
    })
  })
}

test('what is malformed is refused, at once', () => {
  for (const text of [
    ...['g', ' 5', '-1', '+5', '0x', '5 ', '\r\n', ';', '5\n', '5\rx', '5\t'],
    ...['5;', '5;a=', '5; a', '5;a =b', '5;a="x', '5;a="\\', '5;a="x"y'].map(line => `${line}\r\n`),
    ...['5\r\nhellox', '5\r\nhello\n', '5\r\nhello\rx'],
    ...['0\r\n ', '0\r\n:', '0\r\nT\r', '0\r\nT :', '0\r\nT: \x01', '0\r\nT: v\n', '0\r\n\rx'],
    ...['ffffffffffffff', '5;\x00', '5;a=\x7f'],
  ]) {
    const decoder = fresh()
    const { end, refused } = read(text, [], WAYS['next'], decoder)
    assert.deepEqual([end, refused], [-1, 400], JSON.stringify(text))
    assert.equal(decoder.skip(latin1('0\r\n\r\n'), 0, 5), 0, 'and nothing more is taken')
  }
})

test('its data is bounded, by what sizes promise', () => {
  const of = (text: string): number => read(text, [], WAYS['next'], fresh()).refused
  const chunk = (size: number): string => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`
  assert.equal(of(`${chunk(1000)}0\r\n\r\n`), 0)
  assert.equal(of(`${(1001).toString(16)}\r`), 413)
  assert.equal(of(`${chunk(999)}2\r`), 413)
  assert.equal(of(`${chunk(999)}${chunk(1)}0\r\n\r\n`), 0)
})

test('what need not be there is bounded', () => {
  const many = 'x'.repeat(EXTRA_BYTES)
  for (const text of [
    `5;${many}x`,
    `5;a="${many}`,
    `${'1;abcde\r\nx\r\n'.repeat(100)}`,
    `0\r\nT: ${many}`,
    `0\r\n${'T: v\r\n'.repeat(40)}`,
    `c8\r\n${many}\r\n0\r\nT: ${many}`,
    `${'0'.repeat(EXTRA_BYTES)}05`,
  ]) {
    const { refused } = read(text, [], WAYS['next'], fresh())
    assert.equal(refused, 413, text.slice(0, 20))
  }
  for (const text of ['5\r\nhello\r\n', '5;abc\r\nhello\r\n', '5;ab=1\r\nhello\r\n']) {
    const { refused } = read(text.repeat(150), [], WAYS['next'], fresh())
    assert.equal(refused, 0, `${text}, often: there is more data than that`)
  }
})

test('another body may follow', () => {
  const decoder = fresh()
  for (const text of ['5\r\nhello\r\n0\r\nT: v\r\n\r\n', 'x', '3\r\nabc\r\n0\r\n\r\n']) {
    decoder.reset()
    read(text, [], WAYS['next'], decoder)
    assert.equal(decoder.isOver, text !== 'x')
  }
})
