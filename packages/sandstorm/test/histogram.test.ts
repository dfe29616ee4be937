/** A histogram against a sorted list. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  bucketOf,
  cumulative,
  Histogram,
  quantiles,
  quantileUs,
  upperUs,
} from '../src/admin/histogram.ts'

const durations = fc.array(
  fc.oneof(
    fc.nat(70),
    fc.nat(100_000),
    fc.integer({ min: 0, max: 2 ** 26 }),
    fc.double({ min: 0, max: 2000, noNaN: true }),
  ),
  { minLength: 1, maxLength: 300 },
)

const made = (all: readonly number[]): Histogram => {
  const histogram = new Histogram(Histogram.allocate())
  for (const us of all) histogram.observe(us)
  return histogram
}

describe('a histogram', () => {
  test('has buckets without gaps, whose upper bound is in them', () => {
    for (let bucket = 0; upperUs(bucket) < 2 ** 26; bucket++) {
      const us = upperUs(bucket)
      assert.equal(bucketOf(us), bucket)
      assert.equal(bucketOf(us + 0.001), bucket + 1)
      assert.ok(upperUs(bucket + 1) <= us * (1 + 1 / 8) || us < 8)
    }
  })

  test('takes any number', () => {
    const last = bucketOf(2 ** 26 + 1)
    assert.equal(upperUs(last), Number.POSITIVE_INFINITY)
    assert.equal(bucketOf(2 ** 26), last - 1)
    for (const us of [2 ** 31, 2 ** 53, Number.POSITIVE_INFINITY]) assert.equal(bucketOf(us), last)
    for (const us of [0, -1, -(2 ** 40), Number.NaN]) assert.equal(bucketOf(us), 0)
  })

  test('knows quantiles to an eighth', () => {
    fc.assert(
      fc.property(durations, fc.double({ min: 0.01, max: 1, noNaN: true }), (all, q) => {
        const sorted = all.toSorted((a, b) => a - b)
        const exact = sorted[Math.ceil(q * all.length) - 1]
        const us = quantileUs(Histogram.merge([made(all)]), q)
        assert.ok(Math.abs(us - exact) <= Math.max(1, exact / 8), `${us} is not ${exact}`)
      }),
    )
  })

  test('counts for Prometheus what took at most so long', () => {
    fc.assert(
      fc.property(durations, all => {
        const buckets = cumulative(Histogram.merge([made(all)]))
        for (const { leSeconds, count } of buckets)
          assert.equal(count, all.filter(us => us <= leSeconds * 1e6).length)
        assert.equal(buckets.at(-1)?.leSeconds, Number.POSITIVE_INFINITY)
        assert.equal(buckets.length, 26)
      }),
    )
  })

  test('is the sum of those of all threads', () => {
    const { count, sumUs } = Histogram.merge([made([1, 2]), made([]), made([3.5])])
    assert.deepEqual([count, sumUs], [3, 6.5])
  })

  test('goes on in the memory of its predecessor', () => {
    const memory = Histogram.allocate()
    new Histogram(memory).observe(5)
    const next = new Histogram(memory)
    next.observe(5)
    assert.equal(Histogram.merge([next]).count, 2)
  })

  test('is JSON even when it is empty', () => {
    const empty = { count: 0, meanUs: 0, p50Us: 0, p90Us: 0, p99Us: 0, p999Us: 0 }
    assert.deepEqual(quantiles(Histogram.merge([])), empty)
    const { count, meanUs, p999Us } = quantiles(Histogram.merge([made([100, 100, 100])]))
    assert.deepEqual([count, meanUs], [3, 100])
    assert.ok(p999Us > 95 && p999Us <= 104)
  })
})
