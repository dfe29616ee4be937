/**
 * The neighbour solicitations and advertisements that we send (RFC 4861 §7.2.2, §7.2.4, §7.2.6;
 * RFC 4862 §5.4.2). Each method returns OK, or the drop reason for want of room.
 */
import { OK } from '@sandstorm/libeth'
import type { Icmpv6Output } from '../icmp/icmpv6Output.ts'
import * as icmpv6 from '../wire/icmpv6.ts'
import * as ipv6 from '../wire/ipv6.ts'
import * as ndp from '../wire/ndp.ts'
import type { OwnAddresses } from './ownAddresses.ts'

/** What neighbour discovery counts; numbers only, never reset. */
export interface NdpStats {
  solicitationsSent: number
  advertisementsSent: number
  /** Solicitations that ask whether somebody has an address of ours. */
  detectionsSent: number
  reportsSent: number
  /** Neighbours whose hardware address changed. */
  moved: number
  /** Entries given up, since nobody answered. */
  expired: number
  /** New addresses refused because every entry they could have was busy. */
  refused: number
  /** Messages that say that an address of ours is not ours alone. */
  conflicts: number
}

/** `#send`: the message has no option. */
const NO_MAC = 0

export class NdpSender {
  readonly stats: NdpStats = {
    solicitationsSent: 0,
    advertisementsSent: 0,
    detectionsSent: 0,
    reportsSent: 0,
    moved: 0,
    expired: 0,
    refused: 0,
    conflicts: 0,
  }
  readonly #output: Icmpv6Output
  readonly #own: OwnAddresses
  #frame = 0
  #ip = 0

  constructor(output: Icmpv6Output, own: OwnAddresses) {
    this.#output = output
    this.#own = own
  }

  /** Asks the target's solicited-node group who has it, from our address `source`. */
  solicit(source: number, w0: number, w1: number, w2: number, w3: number): number {
    const bad = this.#begin()
    if (bad !== OK) return bad
    const { view } = this.#output
    const groupW3 = ipv6.solicitedW3(w3)
    this.#own.write(view, ipv6.srcOff(this.#ip), source)
    this.#toGroup(ipv6.SOLICITED_W2, groupW3)
    ipv6.setAddress(view, ndp.targetOff(this.#message()), w0, w1, w2, w3)
    this.#send(icmpv6.NEIGHBOUR_SOLICITATION, 0, ndp.SOURCE_MAC, ipv6.GROUP_MAC_HI, groupW3)
    this.stats.solicitationsSent++
    return OK
  }

  /** Asks the station `hi:lo` itself whether it still has the target (RFC 4861 §7.3.3). */
  probe(
    source: number,
    hi: number,
    lo: number,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
  ): number {
    const bad = this.#begin()
    if (bad !== OK) return bad
    const { view } = this.#output
    this.#own.write(view, ipv6.srcOff(this.#ip), source)
    ipv6.setDst(view, this.#ip, w0, w1, w2, w3)
    ipv6.setAddress(view, ndp.targetOff(this.#message()), w0, w1, w2, w3)
    this.#send(icmpv6.NEIGHBOUR_SOLICITATION, 0, ndp.SOURCE_MAC, hi, lo)
    this.stats.solicitationsSent++
    return OK
  }

  /** Asks from :: whether anybody has our address `i`, without claiming it. */
  detect(i: number): number {
    const bad = this.#begin()
    if (bad !== OK) return bad
    const { view } = this.#output
    const groupW3 = ipv6.solicitedW3(this.#own.words[4 * i + 3])
    ipv6.setSrc(view, this.#ip, 0, 0, 0, 0)
    this.#toGroup(ipv6.SOLICITED_W2, groupW3)
    this.#own.write(view, ndp.targetOff(this.#message()), i)
    this.#send(icmpv6.NEIGHBOUR_SOLICITATION, 0, NO_MAC, ipv6.GROUP_MAC_HI, groupW3)
    this.stats.detectionsSent++
    return OK
  }

  /** Tells the station `hi:lo`, whose address is at byte offset `to`, where our address `i` is. */
  answer(i: number, to: number, hi: number, lo: number): number {
    const bad = this.#begin()
    if (bad !== OK) return bad
    ipv6.copyAddress(this.#output.view, ipv6.dstOff(this.#ip), to)
    this.#advertise(i, ndp.SOLICITED | ndp.OVERRIDE, hi, lo)
    return OK
  }

  /** Tells everybody where our address `i` is: unasked, or asked from ::. */
  announce(i: number): number {
    const bad = this.#begin()
    if (bad !== OK) return bad
    this.#toGroup(0, ipv6.ALL_NODES_W3)
    this.#advertise(i, ndp.OVERRIDE, ipv6.GROUP_MAC_HI, ipv6.ALL_NODES_W3)
    return OK
  }

  #advertise(i: number, flags: number, hi: number, lo: number): void {
    const { view } = this.#output
    this.#own.write(view, ipv6.srcOff(this.#ip), i)
    this.#own.write(view, ndp.targetOff(this.#message()), i)
    this.#send(icmpv6.NEIGHBOUR_ADVERTISEMENT, flags, ndp.TARGET_MAC, hi, lo)
    this.stats.advertisementsSent++
  }

  #begin(): number {
    const output = this.#output
    const bad = output.room()
    if (bad !== OK) return bad
    this.#frame = output.frames.alloc()
    this.#ip = output.frames.payloadOff(this.#frame) - ipv6.HEADER_LEN
    return OK
  }

  #message(): number {
    return this.#ip + ipv6.HEADER_LEN
  }

  #toGroup(w2: number, w3: number): void {
    ipv6.setDst(this.#output.view, this.#ip, ipv6.LINK_GROUP_W0, 0, w2, w3)
  }

  #send(type: number, flags: number, macOption: number, dstHi: number, dstLo: number): void {
    const { view, macHi, macLo } = this.#output
    const off = this.#message()
    let len = ndp.HEADER_LEN
    ndp.setType(view, off, type, flags)
    if (macOption !== NO_MAC) {
      ndp.setMacOption(view, off + len, macOption, macHi, macLo)
      len += ndp.MAC_OPTION_LEN
    }
    this.#output.send(this.#frame, this.#ip, off, len, ndp.HOP_LIMIT, dstHi, dstLo)
  }
}
