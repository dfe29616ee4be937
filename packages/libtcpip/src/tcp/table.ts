/**
 * Connection table: (remote address, local address, ports) → TCB (paper §2.1: "a hash table is used
 * to locate the TCB"). Open addressing with linear probing in one Int32Array of pairs (hash,
 * handle + 1); removal shifts the cluster back, so there are no tombstones and the cost of a look-up
 * never grows with age. The hash is keyed: a peer who does not know the key cannot aim at one slot.
 */
import { assert } from '@sandstorm/libnmio'
import { HASH, LOCAL_ADDR, NO_CONN, PORTS, REMOTE_ADDR } from './tcb.ts'

export class ConnectionTable {
  readonly #tcb: Int32Array
  readonly #slots: Int32Array
  readonly #mask: number
  readonly #key0: number
  readonly #key1: number
  #count = 0

  /** Room for `capacity` connections at a load of at most one half. `key0`, `key1`: secret int32s. */
  constructor(tcb: Int32Array, capacity: number, key0: number, key1: number) {
    let size = 16
    while (size < capacity * 2) size *= 2
    assert(size <= 2 ** 29, 'the table fits in one Int32Array')
    this.#tcb = tcb
    this.#slots = new Int32Array(size * 2)
    this.#mask = size - 1
    this.#key0 = key0 | 1
    this.#key1 = key1 | 0
  }

  get count(): number {
    return this.#count
  }

  /** Keyed multiply-xorshift (4 ns); SipHash would cost 145 ns on every segment. */
  hash(remoteAddr: number, localAddr: number, ports: number): number {
    let h = Math.imul(remoteAddr ^ this.#key1, this.#key0)
    h = Math.imul((h ^ (h >>> 15)) + ports, 0x2c1b3c6d ^ this.#key1)
    h = Math.imul((h ^ (h >>> 13)) + localAddr, this.#key0)
    return h ^ (h >>> 16)
  }

  /** The connection of these addresses and ports, or NO_CONN. */
  find(remoteAddr: number, localAddr: number, ports: number): number {
    const hash = this.hash(remoteAddr, localAddr, ports)
    const slots = this.#slots
    const tcb = this.#tcb
    for (let i = hash & this.#mask; ; i = (i + 1) & this.#mask) {
      const c = slots[i * 2 + 1] - 1
      if (c < 0) return NO_CONN
      if (
        slots[i * 2] === hash &&
        tcb[c + PORTS] === ports &&
        tcb[c + REMOTE_ADDR] === remoteAddr &&
        tcb[c + LOCAL_ADDR] === localAddr
      ) {
        return c
      }
    }
  }

  /** Enters a connection whose addresses and ports are set. */
  insert(c: number): void {
    const tcb = this.#tcb
    const hash = this.hash(tcb[c + REMOTE_ADDR], tcb[c + LOCAL_ADDR], tcb[c + PORTS])
    tcb[c + HASH] = hash
    let i = hash & this.#mask
    while (this.#slots[i * 2 + 1] !== 0) i = (i + 1) & this.#mask
    this.#slots[i * 2] = hash
    this.#slots[i * 2 + 1] = c + 1
    this.#count++
  }

  /** Takes a connection out and closes the gap behind it. */
  remove(c: number): void {
    const slots = this.#slots
    const mask = this.#mask
    let hole = this.#tcb[c + HASH] & mask
    while (slots[hole * 2 + 1] !== c + 1) {
      assert(slots[hole * 2 + 1] !== 0, 'only an entered connection can be removed')
      hole = (hole + 1) & mask
    }
    for (let i = (hole + 1) & mask; slots[i * 2 + 1] !== 0; i = (i + 1) & mask) {
      // An entry may move into the hole if its home is not between the hole and itself.
      if (((i - slots[i * 2]) & mask) < ((i - hole) & mask)) continue
      slots[hole * 2] = slots[i * 2]
      slots[hole * 2 + 1] = slots[i * 2 + 1]
      hole = i
    }
    slots[hole * 2] = 0
    slots[hole * 2 + 1] = 0
    this.#count--
  }
}
