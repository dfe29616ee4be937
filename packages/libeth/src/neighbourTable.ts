/**
 * The neighbour table: which hardware address answers for an IPv4 address. It is built like a
 * processor's TLB: sets of eight ways, the set chosen by the address's low bits, so that the hosts
 * of a subnet spread evenly, every operation touches eight entries, and nothing ever grows.
 *
 * Invariant: a flood cannot push out who is in use. Unresolved addresses hold at most half of a
 * set; an entry that was used in the last minute, or asked for within the last second, is never
 * replaced. When no way is left the newcomer is refused, and counted by the caller.
 */
import { assert } from '@sandstorm/libnmio'

/** No entry: what `find`, `claim` and `Arp.lookup` return. */
export const NO_NEIGHBOUR: number = -1

const WAYS = 8
/** How many ways of a set may wait for an answer. */
const UNRESOLVED_MAX: number = WAYS / 2
/** An entry used within this time is not replaced. */
const PROTECT_MS = 60_000

export class NeighbourTable {
  readonly capacity: number
  /** The address of an entry; 0: the entry is free. */
  readonly ip: Int32Array
  /** The same address while its hardware address is known, else 0. */
  readonly resolvedIp: Int32Array
  readonly macHi: Uint16Array
  readonly macLo: Int32Array
  /** Requests sent since the neighbour was last heard. */
  readonly requests: Uint8Array
  readonly askedMs: Float64Array
  /** When we last heard from the neighbour, in ARP or through `Arp.confirm`. */
  readonly confirmedMs: Float64Array
  /** When we last wanted it; -Infinity: never. */
  readonly usedMs: Float64Array
  readonly #setMask: number
  readonly #requestMs: number

  /** `capacity`: a power of two, at least 8. An address is asked for once per `requestMs`. */
  constructor(capacity: number, requestMs: number) {
    const powerOfTwo = capacity > 0 && (capacity & (capacity - 1)) === 0
    assert(powerOfTwo && capacity >= WAYS, 'the neighbour table has a power of two of entries, ≥ 8')
    this.capacity = capacity
    this.ip = new Int32Array(capacity)
    this.resolvedIp = new Int32Array(capacity)
    this.macHi = new Uint16Array(capacity)
    this.macLo = new Int32Array(capacity)
    this.requests = new Uint8Array(capacity)
    this.askedMs = new Float64Array(capacity)
    this.confirmedMs = new Float64Array(capacity)
    this.usedMs = new Float64Array(capacity)
    this.#setMask = capacity / WAYS - 1
    this.#requestMs = requestMs
  }

  /** The entry of an address, resolved or not, or NO_NEIGHBOUR. */
  find(ip: number): number {
    const first = (ip & this.#setMask) * WAYS
    for (let i = first; i < first + WAYS; i++) if (this.ip[i] === ip) return i
    return NO_NEIGHBOUR
  }

  /**
   * Gives an address that is not in the table an entry, unresolved and never asked for; replaces
   * the least recently used one that may go. NO_NEIGHBOUR if none may. `willResolve`: the caller
   * knows the hardware address already.
   */
  claim(ip: number, nowMs: number, willResolve: boolean): number {
    const first = (ip & this.#setMask) * WAYS
    let unresolved = 0
    for (let i = first; i < first + WAYS; i++) if (this.#isUnresolved(i)) unresolved++
    const onlyUnresolved = !willResolve && unresolved >= UNRESOLVED_MAX
    let victim = NO_NEIGHBOUR
    for (let i = first; i < first + WAYS; i++) {
      if (onlyUnresolved && !this.#isUnresolved(i)) continue
      if (this.ip[i] === 0) {
        victim = i
        break
      }
      if (!this.#mayGo(i, nowMs)) continue
      if (victim === NO_NEIGHBOUR || this.usedMs[i] < this.usedMs[victim]) victim = i
    }
    if (victim !== NO_NEIGHBOUR) this.#reset(victim, ip)
    return victim
  }

  /** Empties an entry: `holds` is false for it from now on. */
  free(entry: number): void {
    this.#reset(entry, 0)
  }

  #isUnresolved(entry: number): boolean {
    return this.ip[entry] !== 0 && this.resolvedIp[entry] === 0
  }

  #mayGo(entry: number, nowMs: number): boolean {
    if (this.resolvedIp[entry] === 0) return nowMs - this.askedMs[entry] >= this.#requestMs
    return nowMs - this.usedMs[entry] >= PROTECT_MS
  }

  #reset(entry: number, ip: number): void {
    this.ip[entry] = ip
    this.resolvedIp[entry] = 0
    this.macHi[entry] = 0
    this.macLo[entry] = 0
    this.requests[entry] = 0
    this.askedMs[entry] = -Infinity
    this.confirmedMs[entry] = -Infinity
    this.usedMs[entry] = -Infinity
  }
}
