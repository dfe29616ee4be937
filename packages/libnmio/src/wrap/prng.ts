/**
 * Chris Doty-Humphrey's sfc32 ("small fast counting", from PractRand): 128 bits of state, a period
 * of at least 2^32 for every seed. Small, well tested, the same on every machine. Not for secrets.
 * The state lives in an Int32Array, so drawing allocates nothing.
 */
export class Prng {
  readonly #state: Int32Array

  /** Streams of one seed are independent of each other. */
  constructor(seed: number, stream: number) {
    this.#state = Int32Array.of(0, seed, stream, 1)
    for (let i = 0; i < 12; i++) this.bits()
  }

  /** The next 32 random bits, as an int32. */
  bits(): number {
    const s = this.#state
    const out = (s[0] + s[1] + s[3]) | 0
    s[3]++
    s[0] = s[1] ^ (s[1] >>> 9)
    s[1] = s[2] + (s[2] << 3)
    s[2] = ((s[2] << 21) | (s[2] >>> 11)) + out
    return out
  }

  /** True with the given probability: 0 never, 1 always. */
  chance(probability: number): boolean {
    return this.bits() >>> 0 < probability * 0x100000000
  }

  /** An integer in [0, n), for n up to 2^21 (beyond it some would come more often). */
  below(n: number): number {
    return Math.floor(((this.bits() >>> 0) / 0x100000000) * n)
  }
}
