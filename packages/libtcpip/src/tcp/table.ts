/**
 * Connection table: (remote address, local address, ports) → TCB (paper §2.1: "a hash table is used
 * to locate the TCB"). Open addressing with linear probing, one int32 a slot: the TCB's index, and
 * eight bits of the hash, so that hardly any TCB is looked at in vain. Removal shifts the cluster
 * back, so there are no tombstones and the cost of a look-up never grows with age.
 *
 * The hash is keyed: a peer who does not know the keys cannot aim at one slot.
 */
import { assert } from '@sandstorm/libnmio'
import type { Segment } from './segmentVariables.ts'
import { FRAME_KEY, KIND_IPV6, localOf, NO_CONN, PORTS, REMOTE, TCB_STRIDE } from './tcb.ts'

/** Index + 1 of the TCB in a slot; 0: the slot is empty. */
const INDEX_MASK = 0xffffff
/** The hash's upper bits in a slot. */
const TAG_MASK = ~INDEX_MASK

export class ConnectionTable {
  readonly #tcb: Int32Array
  readonly #slots: Int32Array
  readonly #mask: number
  readonly #key0: number
  readonly #key1: number
  // For the words of an IPv6 address, one each: odd, as multipliers must be
  readonly #word0: number
  readonly #word1: number
  readonly #word2: number
  readonly #word3: number
  #count = 0

  /** Room for `capacity` connections at a load of at most one half. `random`: secret int32s. */
  constructor(tcb: Int32Array, capacity: number, random: () => number) {
    assert(capacity < INDEX_MASK, 'an index fits in a slot')
    let size = 16
    while (size < capacity * 2) size *= 2
    this.#tcb = tcb
    this.#slots = new Int32Array(size)
    this.#mask = size - 1
    this.#key0 = random() | 1
    this.#key1 = random() | 0
    this.#word0 = random() | 1
    this.#word1 = random() | 1
    this.#word2 = random() | 1
    this.#word3 = random() | 1
  }

  get count(): number {
    return this.#count
  }

  /**
   * Keyed multiply-xorshift (4 ns); SipHash would cost 145 ns on every segment. `local`:
   * addresses.ts.
   */
  hash4(remote: number, local: number, ports: number): number {
    let h = Math.imul(remote ^ this.#key1, this.#key0)
    h = Math.imul((h ^ (h >>> 15)) + ports, 0x2c1b3c6d ^ this.#key1)
    h = Math.imul((h ^ (h >>> 13)) + local, this.#key0)
    return h ^ (h >>> 16)
  }

  /** Likewise: the four words are folded into one first. */
  hash6(w0: number, w1: number, w2: number, w3: number, local: number, ports: number): number {
    let h = Math.imul(w0 ^ this.#key1, this.#word0)
    h = Math.imul((h ^ (h >>> 15)) + w1, this.#word1)
    h = Math.imul((h ^ (h >>> 15)) + w2, this.#word2)
    h = Math.imul((h ^ (h >>> 15)) + w3, this.#word3)
    return this.hash4(h, local, ports)
  }

  /** The hash of the connection that a segment belongs to. */
  hashFor(seg: Segment): number {
    const { remote0, remote1, remote2, remote3, local, kind, ports } = seg
    return kind & KIND_IPV6
      ? this.hash6(remote0, remote1, remote2, remote3, local, ports)
      : this.hash4(remote0, local, ports)
  }

  /** The hash of a connection whose addresses and ports are set. */
  hashOf(c: number): number {
    const tcb = this.#tcb
    const key = tcb[c + FRAME_KEY]
    const r = c + REMOTE
    return key & KIND_IPV6
      ? this.hash6(tcb[r], tcb[r + 1], tcb[r + 2], tcb[r + 3], localOf(key), tcb[c + PORTS])
      : this.hash4(tcb[r], localOf(key), tcb[c + PORTS])
  }

  /** The connection that a segment belongs to, or NO_CONN. */
  findFor(seg: Segment): number {
    const { remote0, remote1, remote2, remote3, local, kind, ports } = seg
    return kind & KIND_IPV6
      ? this.find6(remote0, remote1, remote2, remote3, local, ports)
      : this.find4(remote0, local, ports)
  }

  /** The connection of a peer to our IPv4 address `local`, or NO_CONN. */
  find4(remote: number, local: number, ports: number): number {
    const hash = this.hash4(remote, local, ports)
    const slots = this.#slots
    const tcb = this.#tcb
    for (let i = hash & this.#mask; ; i = (i + 1) & this.#mask) {
      const slot = slots[i]
      if (slot === 0) return NO_CONN
      if (((slot ^ hash) & TAG_MASK) !== 0) continue
      const c = handleIn(slot)
      if (
        tcb[c + PORTS] === ports &&
        tcb[c + REMOTE] === remote &&
        localOf(tcb[c + FRAME_KEY]) === local
      ) {
        return c
      }
    }
  }

  /** The connection of a peer to our IPv6 address `local`, or NO_CONN. */
  find6(w0: number, w1: number, w2: number, w3: number, local: number, ports: number): number {
    const hash = this.hash6(w0, w1, w2, w3, local, ports)
    const slots = this.#slots
    const tcb = this.#tcb
    for (let i = hash & this.#mask; ; i = (i + 1) & this.#mask) {
      const slot = slots[i]
      if (slot === 0) return NO_CONN
      if (((slot ^ hash) & TAG_MASK) !== 0) continue
      const c = handleIn(slot)
      if (
        tcb[c + PORTS] === ports &&
        tcb[c + REMOTE + 3] === w3 &&
        tcb[c + REMOTE + 2] === w2 &&
        tcb[c + REMOTE + 1] === w1 &&
        tcb[c + REMOTE] === w0 &&
        localOf(tcb[c + FRAME_KEY]) === local
      ) {
        return c
      }
    }
  }

  /** Enters a connection whose addresses and ports are set. */
  insert(c: number): void {
    const hash = this.hashOf(c)
    let i = hash & this.#mask
    while (this.#slots[i] !== 0) i = (i + 1) & this.#mask
    this.#slots[i] = (hash & TAG_MASK) | (c / TCB_STRIDE + 1)
    this.#count++
  }

  /** Takes a connection out and closes the gap behind it. */
  remove(c: number): void {
    const slots = this.#slots
    const mask = this.#mask
    const index = c / TCB_STRIDE + 1
    let hole = this.hashOf(c) & mask
    while ((slots[hole] & INDEX_MASK) !== index) {
      assert(slots[hole] !== 0, 'only an entered connection can be removed')
      hole = (hole + 1) & mask
    }
    for (let i = (hole + 1) & mask; slots[i] !== 0; i = (i + 1) & mask) {
      // An entry may move into the hole if its home is not between the hole and itself.
      const home = this.hashOf(handleIn(slots[i]))
      if (((i - home) & mask) < ((i - hole) & mask)) continue
      slots[hole] = slots[i]
      hole = i
    }
    slots[hole] = 0
    this.#count--
  }
}

const handleIn = (slot: number): number => ((slot & INDEX_MASK) - 1) * TCB_STRIDE
