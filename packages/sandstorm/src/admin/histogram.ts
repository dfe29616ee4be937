/**
 * How long something took, as numbers in buckets: written by one thread without a pause, read by
 * another at any time. Buckets are log-linear: eight to each doubling, so that a quantile is right
 * to an eighth. They lie in shared memory and are never reset; counts are doubles, which cannot
 * overflow.
 *
 * A bucket holds what is above its lower and up to its upper bound, as Prometheus's `le` says.
 */
import { assert } from '@sandstorm/libnmio'

/** Buckets to a doubling, as an exponent of 2. */
const FINE_BITS = 3
const FINE = 1 << FINE_BITS
/** 2^26 µs are 67 s; what takes longer is in the last bucket, which has no upper bound. */
const EXPONENT_MAX = 26
const BUCKETS = (EXPONENT_MAX - FINE_BITS + 1) * FINE + 1
const LAST = BUCKETS - 1
/** Behind the buckets: the sum of all, µs. */
const SUM = BUCKETS

/** Some histograms at one moment, in all. */
export interface Distribution {
  /** By bucket (`upperUs`). */
  readonly counts: Float64Array
  readonly count: number
  readonly sumUs: number
}

/** For people, and for JSON: what so many of a hundred took at most. */
export interface Quantiles {
  readonly count: number
  readonly meanUs: number
  readonly p50Us: number
  readonly p90Us: number
  readonly p99Us: number
  readonly p999Us: number
}

export class Histogram {
  readonly #numbers: Float64Array

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer((BUCKETS + 1) * 8)
  }

  /** Over memory from `allocate`, as it was left. */
  constructor(memory: SharedArrayBuffer) {
    assert(memory.byteLength === (BUCKETS + 1) * 8, 'the memory is from Histogram.allocate')
    this.#numbers = new Float64Array(memory)
  }

  /** Counts a duration; one thread only. */
  observe(us: number): void {
    const numbers = this.#numbers
    numbers[bucketOf(us)]++
    if (us > 0) numbers[SUM] += us // a clock that was set back must not lessen the sum
  }

  /** What all of them hold now. */
  static merge(histograms: readonly Histogram[]): Distribution {
    const counts = new Float64Array(BUCKETS)
    let count = 0
    let sumUs = 0
    for (const histogram of histograms) {
      const numbers = histogram.#numbers
      sumUs += numbers[SUM]
      for (let i = 0; i < BUCKETS; i++) {
        counts[i] += numbers[i]
        count += numbers[i]
      }
    }
    return { counts, count, sumUs }
  }
}

/** The bucket of a duration; what is negative, or NaN, counts as 0. */
export function bucketOf(us: number): number {
  if (us > 1 << EXPONENT_MAX) return LAST
  if (!(us > 1)) return 0
  const v = Math.ceil(us) - 1
  if (v < FINE) return v
  const shift = 31 - Math.clz32(v) - FINE_BITS
  return (shift << FINE_BITS) + (v >> shift)
}

/** The most that a bucket holds, µs. */
export function upperUs(bucket: number): number {
  if (bucket === LAST) return Number.POSITIVE_INFINITY
  const next = bucket + 1
  if (next <= FINE) return next
  const shift = (next >> FINE_BITS) - 1
  return ((next & (FINE - 1)) + FINE) * 2 ** shift
}

/** For Prometheus: how many took at most so long, at each doubling; the last is for all. */
export function cumulative({ counts }: Distribution): { leSeconds: number; count: number }[] {
  const out: { leSeconds: number; count: number }[] = []
  let count = 0
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    count += counts[bucket]
    const us = upperUs(bucket)
    const isDoubling = us >= FIRST_LE_US && Number.isInteger(Math.log2(us))
    if (isDoubling || bucket === LAST) out.push({ leSeconds: us / 1e6, count })
  }
  return out
}

/** Nothing of interest is faster. */
const FIRST_LE_US = 4

/** What the fraction `q` of all took at most, µs, right to an eighth; NaN if there are none. */
export function quantileUs({ counts, count }: Distribution, q: number): number {
  if (count === 0) return Number.NaN
  const wanted = q * count
  let before = 0
  for (let bucket = 0; bucket < LAST; bucket++) {
    const here = counts[bucket]
    if (here > 0 && before + here >= wanted) {
      const from = bucket === 0 ? 0 : upperUs(bucket - 1)
      return from + (upperUs(bucket) - from) * Math.max(0, (wanted - before) / here)
    }
    before += here
  }
  return upperUs(LAST - 1) // or more
}

/** Zeros if nothing was counted, so that it can be JSON. */
export function quantiles(distribution: Distribution): Quantiles {
  const { count, sumUs } = distribution
  const at = (q: number): number => (count === 0 ? 0 : Math.round(quantileUs(distribution, q)))
  return {
    count,
    meanUs: count === 0 ? 0 : Math.round(sumUs / count),
    p50Us: at(0.5),
    p90Us: at(0.9),
    p99Us: at(0.99),
    p999Us: at(0.999),
  }
}
