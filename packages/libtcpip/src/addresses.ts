/**
 * The stack's own addresses, IPv4 and IPv6 mixed, and the way from them to others (RFC 1122 §3.3.1,
 * RFC 4861 §5.2): who is on our link is spoken to directly, everybody else through a gateway, one
 * for each version. An address's place in the list, `local`, stands for it everywhere else: eight
 * bits in a TCB whatever the version.
 *
 * The list is made at start-up and does not change.
 */
import { netmask, type OwnAddress } from '@sandstorm/libeth'
import { assert } from '@sandstorm/libnmio'
import * as ipv4 from './wire/ipv4.ts'
import * as ipv6 from './wire/ipv6.ts'

/** An address and the length of its subnet's prefix. IPv4 lies in `w0`, the other words are 0. */
export interface IpAddress {
  readonly version: 4 | 6
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number
  readonly prefixLen: number
}

/**
 * Set-up only: "10.77.0.2"; one of ours with the length of its subnet's prefix, 24. Throws an Error
 * that quotes the text if it is no address.
 */
export function ipv4Address(text: string, prefixLen = 32): IpAddress {
  assert(prefixLen >= 0 && prefixLen <= 32, 'an IPv4 prefix has 0 to 32 bits')
  return { version: 4, w0: ipv4.parse(text), w1: 0, w2: 0, w3: 0, prefixLen }
}

/**
 * Set-up only: "fd77::2"; one of ours with the length of its subnet's prefix, 64. Throws an Error
 * that quotes the text if it is no address.
 */
export function ipv6Address(text: string, prefixLen = 128): IpAddress {
  assert(prefixLen >= 0 && prefixLen <= 128, 'an IPv6 prefix has 0 to 128 bits')
  const [w0, w1, w2, w3] = ipv6.parse(text)
  return { version: 6, w0, w1, w2, w3, prefixLen }
}

/** Where packets go that are for nobody on our link. */
export interface Gateways {
  readonly gateway?: IpAddress | undefined
  readonly gateway6?: IpAddress | undefined
}

export const ADDRESSES_MAX = 16
/**
 * Of memory in which several stacks on a device note which of our addresses may be used: a byte for
 * each of IPv4, 0 if it may, then one for each of IPv6, its state (ndp/ownAddresses.ts).
 */
export const ADDRESS_STATES_BYTES: number = 2 * ADDRESSES_MAX
/** Not an address of ours. */
export const NOT_LOCAL = -1
/** `nextHop4` knows no way; no host has the address 0.0.0.0. */
export const NO_ROUTE = 0

/** Our addresses, and the first hop to others. */
export class Addresses {
  /** The IPv4 addresses, as ARP wants them. */
  readonly ipv4: readonly OwnAddress[]
  /** The first hop that `nextHop6` found. */
  readonly hop6: Int32Array = new Int32Array(4)
  /** Four words of each address, from `local * 4` on. */
  readonly #words: Int32Array
  // By IPv4 address in order: the address, its subnet's mask and broadcast, its place in the list
  readonly #count4: number
  readonly #address4: Int32Array
  readonly #mask4: Int32Array
  readonly #broadcast4: Int32Array
  readonly #local4: Int32Array
  /** Likewise, not 0: it may not be used. */
  readonly #unusable4: Uint8Array
  // By IPv6 address in order: its place in the list, and four words of its prefix's mask
  readonly #count6: number
  readonly #local6: Int32Array
  readonly #mask6: Int32Array
  readonly #gateway4: number
  readonly #gateway6: IpAddress | undefined

  /** `unusable4`: where ARP notes which of `ipv4` may be used, 0, or may not. */
  constructor(
    list: readonly IpAddress[],
    { gateway, gateway6 }: Gateways = {},
    unusable4: Uint8Array = new Uint8Array(ADDRESSES_MAX),
  ) {
    assert(list.length > 0 && list.length <= ADDRESSES_MAX, 'between 1 and 16 addresses')
    assert(list.every(isHost), 'an address of ours is none of a group, a subnet or a loopback')
    assert(gateway === undefined || gateway.version === 4, '`gateway` is an IPv4 address')
    assert(gateway6 === undefined || gateway6.version === 6, '`gateway6` is an IPv6 address')
    this.#words = Int32Array.from(list.flatMap(({ w0, w1, w2, w3 }) => [w0, w1, w2, w3]))
    const v4 = list.filter(({ version }) => version === 4)
    this.ipv4 = v4.map(({ w0, prefixLen }) => ({ address: w0, prefixLen }))
    this.#count4 = v4.length
    this.#address4 = Int32Array.from(v4, ({ w0 }) => w0)
    this.#mask4 = Int32Array.from(v4, ({ prefixLen }) => netmask(prefixLen))
    this.#broadcast4 = Int32Array.from(v4, broadcastOf)
    this.#local4 = Int32Array.from(v4, address => list.indexOf(address))
    this.#unusable4 = unusable4
    const v6 = list.filter(({ version }) => version === 6)
    this.#count6 = v6.length
    this.#local6 = Int32Array.from(v6, address => list.indexOf(address))
    this.#mask6 = Int32Array.from(v6.flatMap(({ prefixLen }) => netmask6(prefixLen)))
    this.#gateway4 = gateway?.w0 ?? NO_ROUTE
    this.#gateway6 = gateway6
    const isOnLink =
      (gateway === undefined || this.isOnLink4(gateway.w0)) &&
      (gateway6 === undefined || this.isOnLink6(gateway6.w0, gateway6.w1, gateway6.w2, gateway6.w3))
    assert(isOnLink, 'a gateway is on our link')
  }

  /** Word `i`, 0 … 3, of an address of ours; an IPv4 address is word 0. */
  word(local: number, i: number): number {
    return this.#words[local * 4 + i]
  }

  /** Which of our addresses this is, or NOT_LOCAL, as long as we may not use it. */
  findV4(address: number): number {
    for (let i = 0; i < this.#count4; i++) {
      if (this.#address4[i] !== address) continue
      return this.#unusable4[i] === 0 ? this.#local4[i] : NOT_LOCAL
    }
    return NOT_LOCAL
  }

  findV6(w0: number, w1: number, w2: number, w3: number): number {
    const words = this.#words
    for (let i = 0; i < this.#count6; i++) {
      const at = this.#local6[i] * 4
      // The last word first: it differs soonest.
      const same = words[at + 3] === w3 && words[at + 2] === w2 && words[at + 1] === w1
      if (same && words[at] === w0) return this.#local6[i]
    }
    return NOT_LOCAL
  }

  /** Is this the directed broadcast of a subnet of ours? */
  isBroadcast(address: number): boolean {
    for (let i = 0; i < this.#count4; i++) if (this.#broadcast4[i] === address) return true
    return false
  }

  isOnLink4(address: number): boolean {
    for (let i = 0; i < this.#count4; i++) {
      if (((this.#address4[i] ^ address) & this.#mask4[i]) === 0) return true
    }
    return false
  }

  isOnLink6(w0: number, w1: number, w2: number, w3: number): boolean {
    if (ipv6.isLinkLocal(w0)) return true
    for (let i = 0; i < this.#count6; i++) if (this.#isInSubnet6(i, w0, w1, w2, w3)) return true
    return false
  }

  /** Is an address in the subnet of our `i`-th of IPv6? */
  #isInSubnet6(i: number, w0: number, w1: number, w2: number, w3: number): boolean {
    const at = this.#local6[i] * 4
    const mask = i * 4
    const differ =
      ((this.#words[at] ^ w0) & this.#mask6[mask]) |
      ((this.#words[at + 1] ^ w1) & this.#mask6[mask + 1]) |
      ((this.#words[at + 2] ^ w2) & this.#mask6[mask + 2]) |
      ((this.#words[at + 3] ^ w3) & this.#mask6[mask + 3])
    return differ === 0
  }

  /**
   * Which of our addresses speaks to `remote` when the application does not say (RFC 1122 §3.3.4.3,
   * RFC 6724 §5): the first on the same subnet, else the first of its version; NOT_LOCAL if there
   * is none.
   */
  localFor(remote: IpAddress): number {
    if (remote.version === 6) return this.#localFor6(remote)
    for (let i = 0; i < this.#count4; i++) {
      if (((this.#address4[i] ^ remote.w0) & this.#mask4[i]) === 0) return this.#local4[i]
    }
    return this.#count4 > 0 ? this.#local4[0] : NOT_LOCAL
  }

  #localFor6({ w0, w1, w2, w3 }: IpAddress): number {
    for (let i = 0; i < this.#count6; i++) {
      if (this.#isInSubnet6(i, w0, w1, w2, w3)) return this.#local6[i]
    }
    return this.#count6 > 0 ? this.#local6[0] : NOT_LOCAL
  }

  /** The first hop towards an address: itself on our link, else the gateway, or NO_ROUTE. */
  nextHop4(address: number): number {
    return this.isOnLink4(address) ? address : this.#gateway4
  }

  /** Likewise: leaves the first hop in `hop6`; false: there is no route. */
  nextHop6(w0: number, w1: number, w2: number, w3: number): boolean {
    const gateway = this.#gateway6
    if (this.isOnLink6(w0, w1, w2, w3)) this.#setHop6(w0, w1, w2, w3)
    else if (gateway === undefined) return false
    else this.#setHop6(gateway.w0, gateway.w1, gateway.w2, gateway.w3)
    return true
  }

  #setHop6(w0: number, w1: number, w2: number, w3: number): void {
    const hop = this.hop6
    hop[0] = w0
    hop[1] = w1
    hop[2] = w2
    hop[3] = w3
  }
}

/**
 * A subnet's directed broadcast; with two addresses or one it has none (RFC 3021), so the limited.
 */
const broadcastOf = ({ w0, prefixLen }: IpAddress): number =>
  prefixLen > 30 ? -1 : w0 | ~netmask(prefixLen)

/** May a single host on a link have it (RFC 1122 §3.2.1.3, RFC 4291 §2.5)? */
function isHost(address: IpAddress): boolean {
  const { version, w0, w1, w2 } = address
  if (version === 6) return !ipv6.isBadSource(w0, w1, w2)
  return !ipv4.isBadSource(w0) && w0 !== broadcastOf(address)
}

/** The mask of an IPv6 prefix, word by word. */
const netmask6 = (prefixLen: number): number[] =>
  [0, 32, 64, 96].map(from => netmask(Math.min(Math.max(prefixLen - from, 0), 32)))
