/** Sequence arithmetic (RFC 9293 §3.4) against the same in BigInt. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seq } from '../src/index.ts'

const int32 = fc.oneof(
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.constantFrom(0, -1, 1, 2 ** 31 - 1, -(2 ** 31), -(2 ** 31) + 1),
)

test('order is the sign of the distance modulo 2^32', () => {
  fc.assert(
    fc.property(int32, int32, (a, b) => {
      const distance = Number(BigInt.asIntN(32, BigInt(a) - BigInt(b)))
      assert.equal(seq.lt(a, b), distance < 0)
      assert.equal(seq.le(a, b), distance <= 0)
      assert.equal(seq.gt(a, b), distance > 0)
      assert.equal(seq.ge(a, b), distance >= 0)
      assert.equal(seq.span(b, a), distance)
      assert.equal(seq.max(a, b), distance >= 0 ? a : b)
      assert.equal(seq.min(a, b), distance <= 0 ? a : b)
    }),
  )
})
