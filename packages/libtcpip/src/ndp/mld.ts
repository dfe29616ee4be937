/**
 * Multicast listener reports (MLDv2, RFC 3810), so that a switch that listens to them lets our
 * solicited-node groups through: at start, once more a second later, and whenever a router asks.
 * Every report names all our groups; older queries get the same answer.
 *
 *   hop-by-hop header with router alert | type 143, 0, checksum | 0, count | records …
 *   a record: type, 0, 0, 0 | group, 4 words
 */
import { OK } from '@sandstorm/libeth'
import { MLD_BAD_QUERY } from '../drops.ts'
import type { Icmpv6Output } from '../icmp/icmpv6Output.ts'
import * as icmpv6 from '../wire/icmpv6.ts'
import * as ipv6 from '../wire/ipv6.ts'
import type { NdpStats } from './ndpSender.ts'
import { DUPLICATE, NO_ADDRESS, type OwnAddresses } from './ownAddresses.ts'

/** Robustness Variable (§9.1): how often a change is told. */
const REPEAT = 2
/** Unsolicited Report Interval (§9.11). */
const REPEAT_MS = 1000

const QUERY_LEN = 24
const RECORD_LEN = 20
/** Record types (§5.2.12): listen to all sources, now and as before. */
const MODE_IS_EXCLUDE = 2
const CHANGE_TO_EXCLUDE = 4
const REPORT_HOP_LIMIT = 1

const HOP_BY_HOP_LEN = 8
/** Router alert (RFC 2711), value 0: MLD; then two bytes of padding. */
const ROUTER_ALERT = 0x05020000
const PADDING = 0x0100

export class MldReporter {
  /** When `sweep` has something to do. */
  nextMs: number = Infinity
  readonly #output: Icmpv6Output
  readonly #own: OwnAddresses
  readonly #stats: NdpStats
  #changesLeft = 0

  constructor(output: Icmpv6Output, own: OwnAddresses, stats: NdpStats) {
    this.#output = output
    this.#own = own
    this.#stats = stats
  }

  /** We have joined our groups. */
  start(nowMs: number): void {
    this.#changesLeft = REPEAT
    this.sweep(nowMs)
  }

  /** Takes a query of `len` bytes at `off`; returns OK or a drop reason (§6.2). */
  query(ip: number, off: number, len: number, nowMs: number): number {
    const { view, macLo } = this.#output
    const isRouter = ipv6.isLinkLocal(ipv6.src(view, ip, 0)) && ipv6.hopLimit(view, ip) === 1
    if (len < QUERY_LEN || !isRouter) return MLD_BAD_QUERY
    // Listeners spread their answers over the time allowed; ours has its place by hardware address.
    const delayMs = (macLo >>> 0) % (1 + maxDelayMs(view.getUint16(off + 4)))
    if (nowMs + delayMs < this.nextMs) this.nextMs = nowMs + delayMs
    return OK
  }

  /** Reports, and sets `nextMs`. */
  sweep(nowMs: number): void {
    const isChange = this.#changesLeft > 0
    if (isChange) this.#changesLeft--
    this.nextMs = this.#changesLeft > 0 ? nowMs + REPEAT_MS : Infinity
    if (this.#own.count > 0) this.#report(isChange ? CHANGE_TO_EXCLUDE : MODE_IS_EXCLUDE)
  }

  #report(recordType: number): void {
    const { view, frames } = this.#output
    if (this.#output.room() !== OK) return
    const frame = this.#output.frames.alloc()
    const off = frames.payloadOff(frame)
    const hop = off - HOP_BY_HOP_LEN
    const ip = hop - ipv6.HEADER_LEN
    const linkLocal = this.#own.linkLocal()
    // From :: while our link-local address is tentative, or if there is none (§5.2.13).
    if (linkLocal === NO_ADDRESS) ipv6.setSrc(view, ip, 0, 0, 0, 0)
    else this.#own.write(view, ipv6.srcOff(ip), linkLocal)
    ipv6.setDst(view, ip, ipv6.LINK_GROUP_W0, 0, 0, ipv6.ALL_MLD_ROUTERS_W3)
    view.setUint16(hop, ipv6.PROTO_ICMPV6 << 8)
    view.setUint32(hop + 2, ROUTER_ALERT)
    view.setUint16(hop + 6, PADDING)
    const end = this.#records(off, recordType)
    const count = (end - off - icmpv6.HEADER_LEN) / RECORD_LEN
    icmpv6.setType(view, off, icmpv6.MLD2_REPORT)
    icmpv6.setCode(view, off, 0)
    icmpv6.setInfo(view, off, count)
    const groupMac = ipv6.ALL_MLD_ROUTERS_W3
    this.#output.send(frame, ip, off, end - off, REPORT_HOP_LIMIT, ipv6.GROUP_MAC_HI, groupMac)
    this.#stats.reportsSent++
  }

  /** Writes one record for each group of ours; returns where they end. */
  #records(off: number, recordType: number): number {
    const { view } = this.#output
    let at = off + icmpv6.HEADER_LEN
    for (let i = 0; i < this.#own.count; i++) {
      const w3 = ipv6.solicitedW3(this.#own.words[4 * i + 3])
      if (this.#own.state[i] === DUPLICATE || this.#isEarlier(i, w3)) continue
      view.setUint32(at, recordType << 24)
      ipv6.setAddress(view, at + 4, ipv6.LINK_GROUP_W0, 0, ipv6.SOLICITED_W2, w3)
      at += RECORD_LEN
    }
    return at
  }

  /** Has an address before `i` the same group? */
  #isEarlier(i: number, w3: number): boolean {
    for (let k = 0; k < i; k++) {
      const isSame = ipv6.solicitedW3(this.#own.words[4 * k + 3]) === w3
      if (isSame && this.#own.state[k] !== DUPLICATE) return true
    }
    return false
  }
}

/** Maximum Response Delay by its code (§5.1.3), milliseconds. */
const maxDelayMs = (code: number): number =>
  code < 0x8000 ? code : ((code & 0xfff) | 0x1000) << (((code >> 12) & 7) + 3)
