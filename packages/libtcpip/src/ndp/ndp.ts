/**
 * Neighbour discovery for our IPv6 addresses (RFC 4861, RFC 4862): what ARP is to IPv4, with the
 * same API. Sans-I/O: messages and a clock go in, frames go out through the device; whoever calls
 * also flushes the batch.
 *
 * Configuration is static: router advertisements and redirects are counted and ignored, so nobody
 * on the link can move our traffic elsewhere with them (RFC 6104).
 */
import { ethernet, OK } from '@sandstorm/libeth'
import {
  NDP_BAD_MAC,
  NDP_CONFLICT,
  NDP_NOT_OURS,
  NDP_OWN,
  NDP_REDIRECT,
  NDP_ROUTER,
  NDP_TABLE_FULL,
  NDP_TENTATIVE,
} from '../drops.ts'
import type { Icmpv6Output } from '../icmp/icmpv6Output.ts'
import * as icmpv6 from '../wire/icmpv6.ts'
import * as ipv6 from '../wire/ipv6.ts'
import * as ndp from '../wire/ndp.ts'
import { AddressDetection } from './addressDetection.ts'
import { MldReporter } from './mld.ts'
import { NdpSender, type NdpStats } from './ndpSender.ts'
import { type NeighbourOptions, Neighbours } from './neighbours.ts'
import { NO_ADDRESS, OwnAddresses, TENTATIVE } from './ownAddresses.ts'

/** Times and table sizes of neighbour discovery; all have defaults. */
export interface NdpOptions extends NeighbourOptions {
  /** DupAddrDetectTransmits: questions before an address is used; 0: it is used at once. */
  dadTransmits: number
}

const DEFAULTS: NdpOptions = {
  capacity: 512,
  reachableMs: 30_000,
  retransMs: 1000,
  delayMs: 5000,
  solicitMax: 3,
  dadTransmits: 1,
}

/** Our IPv6 addresses on a link, and the neighbours there. */
export class Ndp {
  /** Hardware addresses by entry: read them only while `holds` is true, or right after `lookup`. */
  readonly macHi: Uint16Array
  readonly macLo: Int32Array
  /** Our addresses and their states. */
  readonly own: OwnAddresses
  readonly stats: NdpStats

  readonly #output: Icmpv6Output
  readonly #view: DataView
  readonly #sender: NdpSender
  readonly #neighbours: Neighbours
  readonly #detection: AddressDetection
  readonly #mld: MldReporter
  readonly #isTold: boolean
  #standsAside = false

  /**
   * `addresses`: ours, four words each. `onConflict` hears the index of an address that somebody
   * else has or wants, once per message that says so; look at `own.state` to see whether it is in
   * use all the same. `states`: a byte for each address, VALID at first, that other stacks on the
   * device write or read, too.
   */
  constructor(
    output: Icmpv6Output,
    addresses: readonly Int32Array[],
    onConflict: (i: number) => void,
    options: Partial<NdpOptions> = {},
    states?: Uint8Array,
  ) {
    const all = { ...DEFAULTS, ...options }
    this.#output = output
    this.#view = output.view
    this.own = new OwnAddresses(addresses, states)
    this.#isTold = states !== undefined
    this.#sender = new NdpSender(output, this.own)
    this.stats = this.#sender.stats
    this.#neighbours = new Neighbours(this.own, this.#sender, all)
    const { dadTransmits, retransMs } = all
    this.#detection = new AddressDetection(
      this.own,
      this.#sender,
      dadTransmits,
      retransMs,
      onConflict,
    )
    this.#mld = new MldReporter(output, this.own, this.stats)
    this.macHi = this.#neighbours.cache.macHi
    this.macLo = this.#neighbours.cache.macLo
  }

  /** Bumped whenever an address becomes resolved: time to look again at what waits for one. */
  get resolvedCount(): number {
    return this.#neighbours.resolvedCount
  }

  /**
   * Joins our groups and begins to look for others with our addresses; until that is over, a second
   * later, none of them is used.
   */
  start(nowMs: number): void {
    this.own.reset()
    this.#mld.start(nowMs)
    this.#detection.start(nowMs)
  }

  /**
   * Instead of `start`: somebody else speaks for our addresses, the host's kernel or another stack.
   * They are used at once, unless that stack says otherwise, and nobody is answered.
   */
  standAside(): void {
    if (!this.#isTold) this.own.adopt()
    this.#standsAside = true
  }

  /**
   * Is `entry` (from `lookup`) still this address, and may it be used without looking it up again?
   * False for NO_NEIGHBOUR, and for an entry whose confirmation is old: `lookup` then begins to
   * check it (RFC 4861 §7.3.3) and most often returns the same one.
   */
  holds(entry: number, w0: number, w1: number, w2: number, w3: number): boolean {
    return this.#neighbours.holds(entry, w0, w1, w2, w3)
  }

  /**
   * The entry of an address on our link, or NO_NEIGHBOUR; then it has been asked for, and
   * `resolvedCount` tells when to look again. Addresses that no neighbour can have (::/96, groups,
   * our own) are not asked for.
   */
  lookup(w0: number, w1: number, w2: number, w3: number, nowMs: number): number {
    return this.#neighbours.lookup(w0, w1, w2, w3, nowMs)
  }

  /** TCP made progress through this entry, which `holds`: the neighbour is alive (§7.3.1). */
  confirm(entry: number, nowMs: number): void {
    this.#neighbours.confirm(entry, nowMs)
  }

  /**
   * Takes the message of `len` bytes at `off`, whose checksum is right; `ip`: its IPv6 header,
   * right behind the Ethernet header. Answers at once if the ring has room. Returns OK or the
   * reason why the message was of no use.
   */
  input(ip: number, off: number, len: number, nowMs: number): number {
    const view = this.#view
    const bad = ndp.check(view, ip, off, len)
    if (bad !== OK) return bad
    if (this.#standsAside) return NDP_NOT_OURS
    const { macHi, macLo } = this.#output
    const frame = ip - ethernet.HEADER_LEN
    if (ethernet.srcHi(view, frame) === macHi && ethernet.srcLo(view, frame) === macLo) {
      return NDP_OWN
    }
    const type = icmpv6.type(view, off)
    if (type === icmpv6.NEIGHBOUR_SOLICITATION) return this.#onSolicitation(ip, off, len, nowMs)
    if (type === icmpv6.NEIGHBOUR_ADVERTISEMENT) return this.#onAdvertisement(off, len, nowMs)
    return type === icmpv6.REDIRECT ? NDP_REDIRECT : NDP_ROUTER
  }

  /** Takes a multicast listener query, as `input` does a message. */
  query(ip: number, off: number, len: number, nowMs: number): number {
    return this.#standsAside ? NDP_NOT_OURS : this.#mld.query(ip, off, len, nowMs)
  }

  /**
   * Asks again, confirms, expires and reports what is due. Returns the milliseconds until the next
   * call is needed, or -1: none. Nothing due costs three compares, so call it once per poll.
   */
  tick(nowMs: number): number {
    if (nowMs >= this.#detection.nextMs) this.#detection.sweep(nowMs)
    // After the detection: a report wants a link-local address that may be used.
    if (nowMs >= this.#mld.nextMs) this.#mld.sweep(nowMs)
    if (nowMs >= this.#neighbours.nextMs) this.#neighbours.sweep(nowMs)
    const nextMs = Math.min(this.#detection.nextMs, this.#mld.nextMs, this.#neighbours.nextMs)
    return nextMs === Infinity ? -1 : Math.ceil(nextMs - nowMs)
  }

  /** RFC 4861 §7.2.3, §7.2.4; while the address is tentative, RFC 4862 §5.4.3. */
  #onSolicitation(ip: number, off: number, len: number, nowMs: number): number {
    const view = this.#view
    const i = this.own.find(view, ndp.targetOff(off))
    if (i === NO_ADDRESS) return NDP_NOT_OURS
    // Whoever asks from an address of ours has it.
    const asker = this.own.find(view, ipv6.srcOff(ip))
    if (asker !== NO_ADDRESS) {
      this.#detection.conflict(asker)
      return NDP_CONFLICT
    }
    const isDetection = ndp.isFromNobody(view, ip)
    if (this.own.state[i] === TENTATIVE) {
      if (!isDetection) return NDP_TENTATIVE
      this.#detection.conflict(i)
      return NDP_CONFLICT
    }
    if (isDetection) return this.#sender.announce(i)
    const frame = ip - ethernet.HEADER_LEN
    const option = ndp.option(view, off, len, ndp.SOURCE_MAC)
    const isTold = option !== ndp.NO_OPTION
    const hi = isTold ? ndp.macHi(view, option) : ethernet.srcHi(view, frame)
    const lo = isTold ? ndp.macLo(view, option) : ethernet.srcLo(view, frame)
    if (isBadMac(hi, lo)) return NDP_BAD_MAC
    // Who does not say where it is need not be learned, but is answered where it is.
    const learned = !isTold || this.#neighbours.learn(view, ipv6.srcOff(ip), hi, lo, nowMs)
    const reason = this.#sender.answer(i, ipv6.srcOff(ip), hi, lo)
    return reason === OK && !learned ? NDP_TABLE_FULL : reason
  }

  /** RFC 4861 §7.2.5; about an address of ours, RFC 4862 §5.4.4. */
  #onAdvertisement(off: number, len: number, nowMs: number): number {
    const view = this.#view
    const target = ndp.targetOff(off)
    const i = this.own.find(view, target)
    if (i !== NO_ADDRESS) {
      this.#detection.conflict(i)
      return NDP_CONFLICT
    }
    const option = ndp.option(view, off, len, ndp.TARGET_MAC)
    if (option !== ndp.NO_OPTION && isBadMac(ndp.macHi(view, option), ndp.macLo(view, option))) {
      return NDP_BAD_MAC
    }
    return this.#neighbours.advertised(view, target, ndp.flags(view, off), option, nowMs)
  }
}

/** Can no station have this hardware address? */
const isBadMac = (hi: number, lo: number): boolean =>
  (hi & ethernet.GROUP_BIT) !== 0 || (hi | lo) === 0
