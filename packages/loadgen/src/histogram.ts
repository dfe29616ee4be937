/**
 * How long something took: counts in log-linear buckets (the idea of Gil Tene's HdrHistogram), 128
 * to each doubling, so that a quantile is right to less than one percent however many values there
 * are. To record one allocates nothing. Values are whole microseconds; below 256 each has a bucket
 * of its own, and what is beyond 100 s counts as 100 s, as far as quantiles go.
 */

/** Buckets to a doubling, as an exponent of 2. */
const FINE_BITS = 7
const FINE: number = 1 << FINE_BITS
/** The largest value that quantiles can tell. */
export const LARGEST_US = 100_000_000

const bucketOf = (us: number): number => {
  if (us < 2 * FINE) return us
  const shift = 31 - FINE_BITS - Math.clz32(us)
  return shift * FINE + (us >>> shift)
}

/** The middle of a bucket. */
const middleOf = (bucket: number): number => {
  if (bucket < 2 * FINE) return bucket
  const shift = (bucket >>> FINE_BITS) - 1
  return ((FINE + (bucket & (FINE - 1))) << shift) + ((1 << shift) >>> 1)
}

const BUCKETS: number = bucketOf(LARGEST_US) + 1

/** A histogram as plain data, from one thread to another. */
export interface HistogramData {
  readonly counts: Float64Array
  readonly count: number
  readonly sumUs: number
  readonly maxUs: number
}

/** For JSON and tables, microseconds; all 0 if nothing was recorded. */
export interface Summary {
  readonly mean: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly 'p99.9': number
  readonly 'p99.99': number
  readonly max: number
}

/** Times in log-linear buckets, right to 1 %. */
export class Histogram {
  /** Doubles: they do not overflow. */
  readonly #counts: Float64Array = new Float64Array(BUCKETS)
  #count = 0
  #sumUs = 0
  #maxUs = 0

  get count(): number {
    return this.#count
  }

  /** The largest value as it was, not its bucket's. */
  get maxUs(): number {
    return this.#maxUs
  }

  get meanUs(): number {
    return this.#count === 0 ? 0 : this.#sumUs / this.#count
  }

  /** Counts one; a negative value counts as 0, a fraction is cut off. */
  record(us: number): void {
    const value = us > 0 ? us : 0
    const whole = value < LARGEST_US ? value | 0 : LARGEST_US
    this.#counts[bucketOf(whole)]++
    this.#count++
    this.#sumUs += value
    if (value > this.#maxUs) this.#maxUs = value
  }

  /** The value that a share `q` (0 … 1) of all does not exceed; 0 if there is none. */
  quantile(q: number): number {
    const rank = Math.max(1, Math.ceil(q * this.#count))
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket]
      if (seen >= rank) return Math.min(middleOf(bucket), this.#maxUs)
    }
    return this.#maxUs
  }

  /** Adds what another one has counted. */
  add({ counts, count, sumUs, maxUs }: HistogramData): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) this.#counts[bucket] += counts[bucket]
    this.#count += count
    this.#sumUs += sumUs
    if (maxUs > this.#maxUs) this.#maxUs = maxUs
  }

  data(): HistogramData {
    return {
      counts: this.#counts,
      count: this.#count,
      sumUs: this.#sumUs,
      maxUs: this.#maxUs,
    }
  }

  summary(): Summary {
    const at = (q: number): number => round(this.quantile(q))
    return {
      mean: round(this.meanUs),
      p50: at(0.5),
      p90: at(0.9),
      p99: at(0.99),
      'p99.9': at(0.999),
      'p99.99': at(0.9999),
      max: round(this.#maxUs),
    }
  }
}

const round = (us: number): number => Math.round(us * 10) / 10
