/** Numbers that look random and are the same in every run (xorshift32, Marsaglia 2003). */
export class Random {
  #x: number

  constructor(seed: number) {
    this.#x = (seed | 0) === 0 ? 1 : seed | 0
  }

  int32(): number {
    let x = this.#x
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#x = x
    return x
  }

  /** In [0, n). */
  below(n: number): number {
    return (this.int32() >>> 0) % n
  }
}
