/**
 * A limit on answers that belong to no connection: RSTs (RFC 9293 §3.10.7.1) and the ACKs of
 * TIME-WAIT. They are never longer than what provoked them, so they amplify nothing; the limit
 * keeps a flood from taking the ring away from clients. It is generous, since after a restart each
 * old connection of a large client needs its RST.
 *
 * A budget that strangers share is a window: what is left of it tells one whether the other's
 * forged segment was answered, so whether it has hit a connection (CVE-2016-5696, CVE-2020-25705).
 * So sources are spread over buckets by a key that they do not know, and an answer costs one token
 * or, by chance, two: even sharing a bucket, one cannot count what is missing.
 */
import { TokenBucket } from '../../rateLimit.ts'

const BUCKETS = 64
const PER_SECOND = 200
const BURST = 400
/** One in four answers costs a second token: of 400 answers or so, give or take nine. */
const NOISE_MASK = 3

export class BareLimit {
  readonly #buckets: TokenBucket[] = []
  #random: number

  /** `seed`: a secret int32. */
  constructor(seed: number) {
    this.#random = seed === 0 ? 1 : seed
    for (let i = 0; i < BUCKETS; i++) this.#buckets.push(new TokenBucket(PER_SECOND, BURST))
  }

  /** May the source with this key (`Sources.key`) be answered now? */
  take(key: number, nowMs: number): boolean {
    const bucket = this.#buckets[key & (BUCKETS - 1)]
    if ((this.#next() & NOISE_MASK) === 0) bucket.take(nowMs)
    return bucket.take(nowMs)
  }

  /** xorshift32 (Marsaglia, 2003): noise, not a secret by itself. */
  #next(): number {
    let x = this.#random
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#random = x
    return x
  }
}
