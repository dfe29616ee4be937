import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TokenBucket } from '../src/rateLimit.ts'

/** How many of `asks` at one moment are let through. */
const takeMany = (bucket: TokenBucket, nowMs: number, asks: number): number => {
  let taken = 0
  for (let i = 0; i < asks; i++) if (bucket.take(nowMs)) taken++
  return taken
}

test('a full bucket lets a burst through, and no more at the same moment', () => {
  const bucket = new TokenBucket(10, 5)
  assert.equal(takeMany(bucket, 123, 100), 5)
})

test('tokens come back at the rate, and no further than the burst', () => {
  const bucket = new TokenBucket(10, 5)
  takeMany(bucket, 0, 5)
  assert.equal(takeMany(bucket, 99, 3), 0)
  assert.equal(takeMany(bucket, 100, 3), 1)
  assert.equal(takeMany(bucket, 300, 3), 2)
  assert.equal(takeMany(bucket, 1_000_000, 100), 5)
})

test('fractions of a token are not lost when it is asked every millisecond', () => {
  const bucket = new TokenBucket(3, 1)
  let taken = 0
  for (let ms = 0; ms < 100_000; ms++) taken += takeMany(bucket, ms, 2)
  assert.equal(taken, 300)
})

test('the clock may wrap', () => {
  const bucket = new TokenBucket(100, 10)
  const before = 0x7fffffff
  assert.equal(takeMany(bucket, before, 20), 10)
  assert.equal(takeMany(bucket, (before + 50) | 0, 20), 5)
  assert.equal(takeMany(bucket, -1, 20), 10)
  assert.equal(takeMany(bucket, (-1 + 20) | 0, 20), 2)
})

test('a rate or burst below one is refused', () => {
  assert.throws(() => new TokenBucket(0, 1))
  assert.throws(() => new TokenBucket(1, 0))
})
