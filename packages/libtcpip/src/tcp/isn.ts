/**
 * Initial sequence numbers (RFC 9293 §3.4.1, RFC 6528): ISN = M + F(addresses, ports, secret), M a
 * clock of 4 µs, F a keyed SipHash. One connection's numbers grow with time; those of another
 * cannot be guessed from them. Timestamps begin likewise, with a secret of their own (RFC 7323
 * §7.1).
 */
import { SipHash } from '../siphash.ts'

export class IsnGenerator {
  readonly #hash: SipHash
  readonly #timestampHash: SipHash

  constructor(random: () => number) {
    this.#hash = new SipHash(Int32Array.of(random(), random(), random(), random()))
    this.#timestampHash = new SipHash(Int32Array.of(random(), random(), random(), random()))
  }

  /** `ticks`: the 4 µs clock, int32 and wrapping. */
  next(remoteAddr: number, localAddr: number, ports: number, ticks: number): number {
    return (this.#hash.hash(remoteAddr, localAddr, ports, 0) + ticks) | 0
  }

  /**
   * What a connection adds to the millisecond clock for its timestamps: they tell nothing about our
   * uptime, and the next connection between the same addresses and ports goes on where this one ended.
   */
  timestampOffset(remoteAddr: number, localAddr: number, ports: number): number {
    return this.#timestampHash.hash(remoteAddr, localAddr, ports, 0)
  }
}
