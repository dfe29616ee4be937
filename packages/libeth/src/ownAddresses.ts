/**
 * Our IPv4 addresses on a link, which of them may be used (RFC 5227), and which asks for a
 * neighbour: one on the neighbour's subnet, as RFC 1122 §3.3.4.3 has it for datagrams, since not
 * every host answers a stranger.
 */
import { assert } from '@sandstorm/libnmio'

/** An IPv4 address of ours, int32, and the length of its subnet's prefix. */
export interface OwnAddress {
  readonly address: number
  readonly prefixLen: number
}

/** The bits of an address that its subnet has in common. */
export const netmask = (prefixLen: number): number => (prefixLen === 0 ? 0 : -1 << (32 - prefixLen))

export class OwnAddresses {
  readonly count: number
  readonly #address: Int32Array
  readonly #mask: Int32Array
  readonly #unusable: Uint8Array

  /**
   * `unusable`: a byte for each, 0 if it may be used; others may read it, too. By default they all
   * may be, until `setUsable` says otherwise.
   */
  constructor(own: readonly OwnAddress[], unusable: Uint8Array = new Uint8Array(own.length)) {
    assert(
      own.every(({ prefixLen }) => prefixLen >= 0 && prefixLen <= 32),
      'a prefix length of 0 to 32',
    )
    this.count = own.length
    this.#address = Int32Array.from(own, ({ address }) => address)
    this.#mask = Int32Array.from(own, ({ prefixLen }) => netmask(prefixLen))
    this.#unusable = unusable
  }

  at(i: number): number {
    return this.#address[i]
  }

  isUsable(i: number): boolean {
    return this.#unusable[i] === 0
  }

  setUsable(i: number, isUsable: boolean): void {
    this.#unusable[i] = isUsable ? 0 : 1
  }

  /** The place of an address in the list; -1: it is not ours. */
  indexOf(ip: number): number {
    for (let i = 0; i < this.count; i++) if (this.#address[i] === ip) return i
    return -1
  }

  /** Which address asks for `ip`: one on its subnet, else the first; 0: none may be used. */
  askerOf(ip: number): number {
    let first = 0
    for (let i = 0; i < this.count; i++) {
      if (!this.isUsable(i)) continue
      const address = this.#address[i]
      if (((address ^ ip) & this.#mask[i]) === 0) return address
      if (first === 0) first = address
    }
    return first
  }
}
