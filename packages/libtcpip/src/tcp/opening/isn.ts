/**
 * Initial sequence numbers (RFC 9293 §3.4.1, RFC 6528): ISN = M + F(addresses, ports, secret), M a
 * clock of 4 µs, F a keyed SipHash. One connection's numbers grow with time; those of another
 * cannot be guessed from them. Timestamps begin likewise, with a secret of their own (RFC 7323
 * §7.1).
 */
import { SipHash } from '../../siphash.ts'
import type { Segment } from '../segmentVariables.ts'
import { KIND_IPV6 } from '../tcb.ts'

export class IsnGenerator {
  readonly #hash: SipHash
  readonly #timestampHash: SipHash

  constructor(random: () => number) {
    this.#hash = new SipHash(Int32Array.of(random(), random(), random(), random()))
    this.#timestampHash = new SipHash(Int32Array.of(random(), random(), random(), random()))
  }

  /** For the connection that `seg` opens. `ticks`: the 4 µs clock, int32 and wrapping. */
  next(seg: Segment, ticks: number): number {
    return (identityHash(this.#hash, seg) + ticks) | 0
  }

  /** The peer's address as one word; of IPv6 a hash that cannot be foreseen. */
  remoteWord(seg: Segment): number {
    if ((seg.kind & KIND_IPV6) === 0) return seg.remote0
    return this.#hash.hash(seg.remote0, seg.remote1, seg.remote2, seg.remote3)
  }

  /**
   * What a connection adds to the millisecond clock for its timestamps: they tell nothing about our
   * uptime, and the next connection between the same addresses and ports goes on where this one
   * ended.
   */
  timestampOffset(seg: Segment): number {
    return identityHash(this.#timestampHash, seg)
  }
}

/** The hash of both addresses and ports; an IPv6 address fills a message by itself. */
function identityHash(hash: SipHash, seg: Segment): number {
  if ((seg.kind & KIND_IPV6) === 0) return hash.hash(seg.remote0, seg.local, seg.ports, 0)
  const low = hash.hash(seg.remote0, seg.remote1, seg.remote2, seg.remote3)
  return hash.hash(low, hash.high, seg.local, seg.ports)
}
