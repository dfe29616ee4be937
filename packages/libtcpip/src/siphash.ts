/**
 * SipHash (Aumasson and Bernstein, 2012) of a 16-byte message: the four words of a connection's
 * addresses and ports, for initial sequence numbers (RFC 6528 §3) and whatever else an outsider
 * must not be able to guess. 64-bit arithmetic is done on pairs of int32, `h` and `l`: a BigInt
 * would be allocated for every operation.
 *
 * Words are little-endian halves, as in the reference implementation: message bytes 00 01 02 03 are
 * the word 0x03020100.
 */
import { assert } from '@sandstorm/libnmio'

/** The last block of a 16-byte message: its length in the top byte, no bytes left over. */
const LENGTH_BLOCK_HIGH = 16 << 24

/** The carry out of x + y = s on 32 bits, by the top bits alone: no unsigned compare. */
const carry = (x: number, y: number, s: number): number => ((x & y) | ((x | y) & ~s)) >>> 31

/** A keyed hash over 32-bit words. */
export class SipHash {
  /** The upper word of the latest hash. */
  high = 0
  readonly #k0: number
  readonly #k1: number
  readonly #k2: number
  readonly #k3: number
  readonly #blockRounds: number
  readonly #endRounds: number

  /** `key`: four secret words. SipHash-2-4 unless told otherwise; 1-3 is the quicker one. */
  constructor(key: Uint32Array | Int32Array, blockRounds = 2, endRounds = 4) {
    assert(key.length === 4, 'a SipHash key has four words')
    this.#k0 = key[0] | 0
    this.#k1 = key[1] | 0
    this.#k2 = key[2] | 0
    this.#k3 = key[3] | 0
    this.#blockRounds = blockRounds
    this.#endRounds = endRounds
  }

  /** The lower word of the hash, an int32; the upper one is left in `high`. */
  hash(w0: number, w1: number, w2: number, w3: number): number {
    // "somepseudorandomlygeneratedbytes", word by word, keyed.
    let h0 = 0x736f6d65 ^ this.#k1
    let l0 = 0x70736575 ^ this.#k0
    let h1 = 0x646f7261 ^ this.#k3
    let l1 = 0x6e646f6d ^ this.#k2
    let h2 = 0x6c796765 ^ this.#k1
    let l2 = 0x6e657261 ^ this.#k0
    let h3 = 0x74656462 ^ this.#k3
    let l3 = 0x79746573 ^ this.#k2
    for (let block = 0; block < 4; block++) {
      // Blocks 0 … 2 are the message and its length, block 3 is the finalization.
      const high = block === 0 ? w1 : block === 1 ? w3 : block === 2 ? LENGTH_BLOCK_HIGH : 0
      const low = block === 0 ? w0 : block === 1 ? w2 : 0
      h3 ^= high
      l3 ^= low
      if (block === 3) l2 ^= 0xff
      const rounds = block === 3 ? this.#endRounds : this.#blockRounds
      for (let r = 0; r < rounds; r++) {
        let l = (l0 + l1) | 0
        h0 = (h0 + h1 + carry(l0, l1, l)) | 0
        l0 = l
        l = (l2 + l3) | 0
        h2 = (h2 + h3 + carry(l2, l3, l)) | 0
        l2 = l
        let t = (h1 << 13) | (l1 >>> 19)
        l1 = ((l1 << 13) | (h1 >>> 19)) ^ l0
        h1 = t ^ h0
        t = (h3 << 16) | (l3 >>> 16)
        l3 = ((l3 << 16) | (h3 >>> 16)) ^ l2
        h3 = t ^ h2
        // A rotation by 32 swaps the halves.
        t = h0
        h0 = l0
        l0 = t
        l = (l2 + l1) | 0
        h2 = (h2 + h1 + carry(l2, l1, l)) | 0
        l2 = l
        l = (l0 + l3) | 0
        h0 = (h0 + h3 + carry(l0, l3, l)) | 0
        l0 = l
        t = (h1 << 17) | (l1 >>> 15)
        l1 = ((l1 << 17) | (h1 >>> 15)) ^ l2
        h1 = t ^ h2
        t = (h3 << 21) | (l3 >>> 11)
        l3 = ((l3 << 21) | (h3 >>> 11)) ^ l0
        h3 = t ^ h0
        t = h2
        h2 = l2
        l2 = t
      }
      h0 ^= high
      l0 ^= low
    }
    this.high = h0 ^ h1 ^ h2 ^ h3
    return l0 ^ l1 ^ l2 ^ l3
  }
}
