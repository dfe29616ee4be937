/** Quantiles against a sorted array, over values of all sizes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Histogram, LARGEST_US } from '../src/histogram.ts'

const QUANTILES = [0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1]
/** As many small values as large ones. */
const durations = fc
  .tuple(fc.integer({ min: 0, max: 26 }), fc.integer({ min: 0, max: 0x7fffffff }))
  .map(([bits, n]) => Math.min(n % 2 ** (bits + 1), LARGEST_US))

function filled(values: readonly number[]): Histogram {
  const histogram = new Histogram()
  for (const value of values) histogram.record(value)
  return histogram
}

test('quantiles are those of the sorted values, to one percent', () => {
  fc.assert(
    fc.property(fc.array(durations, { minLength: 1, maxLength: 300 }), values => {
      const histogram = filled(values)
      const sorted = [...values].sort((a, b) => a - b)
      for (const q of QUANTILES) {
        const exact = sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1]
        const error = Math.abs(histogram.quantile(q) - exact)
        assert.ok(error <= exact * 0.01, `q=${q}: ${histogram.quantile(q)} for ${exact}`)
      }
      assert.equal(histogram.maxUs, sorted.at(-1))
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length
      assert.ok(Math.abs(histogram.meanUs - mean) < 1e-6 * (mean + 1))
    }),
  )
})

test('two that are added tell the same as one that has recorded all', () => {
  fc.assert(
    fc.property(fc.array(durations), fc.array(durations), (some, others) => {
      const sum = filled(some)
      sum.add(structuredClone(filled(others).data()))
      assert.deepEqual(sum.summary(), filled([...some, ...others]).summary())
      assert.equal(sum.count, some.length + others.length)
    }),
  )
})

test('values out of range are counted, and their size is not forgotten', () => {
  const histogram = filled([-5, Number.NaN, 0.7, 3 * LARGEST_US])
  assert.equal(histogram.count, 4)
  assert.equal(histogram.quantile(0.5), 0)
  assert.equal(histogram.maxUs, 3 * LARGEST_US)
  assert.ok(Math.abs(histogram.quantile(1) - LARGEST_US) < LARGEST_US * 0.01)
})

test('an empty one has a summary of zeros', () => {
  assert.deepEqual(new Set(Object.values(new Histogram().summary())), new Set([0]))
})
