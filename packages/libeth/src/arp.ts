/**
 * ARP for our IPv4 addresses: answers, learns, asks, refreshes, expires (RFC 826, RFC 1122 §2.3.2);
 * the addresses themselves are addressDetection.ts's. Sans-I/O: frames and a clock go in, frames go
 * out through the device; whoever calls also flushes the batch.
 *
 * Invariants: per unresolved address at most one request a second leaves; a neighbour in use is
 * asked by unicast before its entry expires, so that a live connection never waits for ARP; the
 * table is bounded and nothing is allocated after the constructor.
 */
import { AddressDetection, DETECTION_DEFAULTS, type DetectionOptions } from './addressDetection.ts'
import * as arp from './arpPacket.ts'
import { type ArpPort, ArpSender, type ArpStats } from './arpSender.ts'
import {
  ARP_BAD_SENDER_IP,
  ARP_BAD_SENDER_MAC,
  ARP_CONFLICT,
  ARP_NO_TX_SPACE,
  ARP_NOT_OURS,
  ARP_OWN,
  ARP_PROBING,
  ARP_TABLE_FULL,
  ARP_UNSOLICITED,
  OK,
} from './drops.ts'
import * as ethernet from './ethernet.ts'
import { NeighbourTable, NO_NEIGHBOUR } from './neighbourTable.ts'
import { type OwnAddress, OwnAddresses } from './ownAddresses.ts'

/** Times and table sizes of ARP; all have defaults. */
export interface ArpOptions extends DetectionOptions {
  /** Entries of the neighbour table: a power of two, at least 8. */
  capacity: number
  /** An entry this long without confirmation is refreshed, or dropped if nobody needs it. */
  reachableMs: number
  /** An entry this long without use is not refreshed. */
  idleMs: number
  /** Between two requests for the same address. */
  requestMs: number
  /** Requests without an answer until an entry is given up. */
  requestMax: number
}

const DEFAULTS: ArpOptions = {
  capacity: 512,
  reachableMs: 60_000,
  idleMs: 600_000,
  requestMs: 1000,
  requestMax: 3,
  ...DETECTION_DEFAULTS,
}

/** When a request found no ring space or no frame. */
const RETRY_MS = 10

/** Our IPv4 addresses on a link, and the neighbours there. */
export class Arp {
  /** Hardware addresses by entry: read them only while `holds` is true. */
  readonly macHi: Uint16Array
  readonly macLo: Int32Array
  readonly stats: ArpStats
  /** Bumped whenever an address becomes resolved: time to look again at what waits for one. */
  resolvedCount = 0

  readonly #view: DataView
  readonly #own: OwnAddresses
  readonly #ownHi: number
  readonly #ownLo: number
  readonly #sender: ArpSender
  readonly #options: ArpOptions
  readonly #table: NeighbourTable
  readonly #resolvedIp: Int32Array
  readonly #detection: AddressDetection
  #nextMs = Infinity

  /**
   * `own`: our addresses, maybe none. The pool's frames lie in the device's region. `onConflict`
   * hears the place of an address of ours that somebody else has or wants, once per packet that says
   * so. `unusable`: where which of them may be used is noted for others (OwnAddresses).
   */
  constructor(
    port: ArpPort,
    own: readonly OwnAddress[],
    options: Partial<ArpOptions> = {},
    onConflict: (i: number) => void = () => {},
    unusable?: Uint8Array,
  ) {
    this.#view = port.device.region.view
    this.#own = new OwnAddresses(own, unusable)
    this.#ownHi = ethernet.hiOf(port.device.mac)
    this.#ownLo = ethernet.loOf(port.device.mac)
    this.#sender = new ArpSender(port)
    this.stats = this.#sender.stats
    this.#options = { ...DEFAULTS, ...options }
    this.#detection = new AddressDetection(this.#own, this.#sender, this.#options, onConflict)
    this.#table = new NeighbourTable(this.#options.capacity, this.#options.requestMs)
    this.#resolvedIp = this.#table.resolvedIp
    this.macHi = this.#table.macHi
    this.macLo = this.#table.macLo
  }

  /**
   * Is `entry` (from `lookup`) still this address, and its hardware address known? False for
   * NO_NEIGHBOUR; `ip` is never 0, which marks a free entry.
   */
  holds(entry: number, ip: number): boolean {
    return this.#resolvedIp[entry] === ip
  }

  /**
   * The entry of an address on our link, or NO_NEIGHBOUR; then it has been asked for, and
   * `resolvedCount` tells when to look again. Addresses that no neighbour can have (0/8, 127/8,
   * multicast, broadcast, our own) are not asked for.
   */
  lookup(ip: number, nowMs: number): number {
    const table = this.#table
    if (isNoHost(ip) || this.#own.indexOf(ip) >= 0) return NO_NEIGHBOUR
    let entry = table.find(ip)
    if (entry !== NO_NEIGHBOUR && this.#resolvedIp[entry] === ip) {
      table.usedMs[entry] = nowMs
      return entry
    }
    if (entry === NO_NEIGHBOUR) entry = table.claim(ip, nowMs, false)
    if (entry === NO_NEIGHBOUR) {
      this.stats.refused++
      return NO_NEIGHBOUR
    }
    table.usedMs[entry] = nowMs
    if (nowMs - table.askedMs[entry] >= this.#options.requestMs) {
      // Somebody wants it now, so the count of fruitless requests starts again.
      table.requests[entry] = 0
      this.#ask(entry, nowMs)
    }
    return NO_NEIGHBOUR
  }

  /**
   * TCP made progress through this entry, which `holds`: the neighbour is alive (RFC 1122
   * §2.3.2.1, "advice").
   */
  confirm(entry: number, nowMs: number): void {
    this.#table.usedMs[entry] = nowMs
    this.#table.confirmedMs[entry] = nowMs
    this.#table.requests[entry] = 0
  }

  /**
   * Takes one ARP frame, Ethernet header included, that `ethernet.check` found right. Answers at
   * once if the ring has room. Returns OK or the reason why the frame was of no use.
   */
  input(off: number, len: number, nowMs: number): number {
    const view = this.#view
    const packet = off + ethernet.HEADER_LEN
    const bad = arp.check(view, packet, len - ethernet.HEADER_LEN)
    if (bad !== OK) return bad
    const hi = arp.senderHi(view, packet)
    const lo = arp.senderLo(view, packet)
    const isRequest = arp.operation(view, packet) === arp.REQUEST
    const senderIp = arp.senderIp(view, packet)
    const targetIp = arp.targetIp(view, packet)
    const target = this.#own.indexOf(targetIp)
    if ((hi & ethernet.GROUP_BIT) !== 0 || (hi === 0 && lo === 0)) return ARP_BAD_SENDER_MAC
    if (hi === this.#ownHi && lo === this.#ownLo) return ARP_OWN
    const isProbe = senderIp === 0 && isRequest
    const claimed = this.#own.indexOf(senderIp)
    const isWanted = isProbe && target >= 0 && !this.#own.isUsable(target)
    if (claimed >= 0 || isWanted) {
      this.#detection.conflict(claimed >= 0 ? claimed : target, nowMs)
      return ARP_CONFLICT
    }
    if (isNoHost(senderIp) && !isProbe) return ARP_BAD_SENDER_IP
    // RFC 826: first update what is known, then look at the target, and only then learn.
    const known = !isProbe && this.#merge(senderIp, hi, lo, nowMs)
    if (target < 0) return known ? OK : ARP_NOT_OURS
    if (!isRequest) return known ? OK : ARP_UNSOLICITED
    if (!this.#own.isUsable(target)) return ARP_PROBING
    const learned = known || isProbe || this.#learn(senderIp, hi, lo, nowMs)
    if (!this.#sender.reply(targetIp, hi, lo, senderIp)) return ARP_NO_TX_SPACE
    return learned ? OK : ARP_TABLE_FULL
  }

  /** Begins to use our addresses, as soon as nobody else turned out to have them. */
  start(nowMs: number): void {
    this.#detection.start(nowMs)
  }

  /**
   * Refreshes, repeats and expires what is due. Returns the milliseconds until the next call is
   * needed, or -1: none. Nothing due costs two compares, so call it once per poll: `lookup` and
   * `input` may have brought the next date forward.
   */
  tick(nowMs: number): number {
    if (nowMs >= this.#detection.nextMs) this.#detection.sweep(nowMs)
    if (nowMs >= this.#nextMs) this.#sweep(nowMs)
    const nextMs = Math.min(this.#detection.nextMs, this.#nextMs)
    return nextMs === Infinity ? -1 : Math.ceil(nextMs - nowMs)
  }

  #sweep(nowMs: number): void {
    const table = this.#table
    this.#nextMs = Infinity
    for (let entry = 0; entry < table.capacity; entry++) {
      if (table.ip[entry] !== 0) this.#age(entry, nowMs)
    }
  }

  /** One entry's next step: still good, ask (again), or give up. */
  #age(entry: number, nowMs: number): void {
    const table = this.#table
    const { reachableMs, idleMs, requestMs, requestMax } = this.#options
    const isResolved = table.resolvedIp[entry] !== 0
    if (isResolved && nowMs - table.confirmedMs[entry] < reachableMs) {
      this.#due(table.confirmedMs[entry] + reachableMs)
    } else if (isResolved && nowMs - table.usedMs[entry] >= idleMs) {
      this.#expire(entry)
    } else if (nowMs - table.askedMs[entry] < requestMs) {
      this.#due(table.askedMs[entry] + requestMs)
    } else if (table.requests[entry] >= requestMax) {
      this.#expire(entry)
    } else {
      this.#ask(entry, nowMs)
    }
  }

  #expire(entry: number): void {
    this.#table.free(entry)
    this.stats.expired++
  }

  #due(ms: number): void {
    if (ms < this.#nextMs) this.#nextMs = ms
  }

  /** Asks for an entry's address: by unicast if there is somebody to ask, else everybody. */
  #ask(entry: number, nowMs: number): void {
    const table = this.#table
    const ip = table.ip[entry]
    const known = table.resolvedIp[entry] !== 0
    const hi = known ? table.macHi[entry] : ethernet.BROADCAST_HI
    const lo = known ? table.macLo[entry] : ethernet.BROADCAST_LO
    const asker = this.#own.askerOf(ip)
    const sent = asker !== 0 && this.#sender.request(asker, hi, lo, ip)
    if (!sent) {
      this.#due(nowMs + RETRY_MS)
      return
    }
    table.requests[entry]++
    table.askedMs[entry] = nowMs
    this.#due(nowMs + this.#options.requestMs)
  }

  /** Updates the entry of an address, if there is one. */
  #merge(ip: number, hi: number, lo: number, nowMs: number): boolean {
    const entry = this.#table.find(ip)
    if (entry === NO_NEIGHBOUR) return false
    this.#resolve(entry, ip, hi, lo, nowMs)
    return true
  }

  /** Makes an entry for somebody who asked for us and will be answered, so needs one soon. */
  #learn(ip: number, hi: number, lo: number, nowMs: number): boolean {
    const entry = this.#table.claim(ip, nowMs, true)
    if (entry === NO_NEIGHBOUR) {
      this.stats.refused++
      return false
    }
    this.#resolve(entry, ip, hi, lo, nowMs)
    return true
  }

  #resolve(entry: number, ip: number, hi: number, lo: number, nowMs: number): void {
    const table = this.#table
    if (table.resolvedIp[entry] !== ip) this.resolvedCount++
    else if (table.macHi[entry] !== hi || table.macLo[entry] !== lo) this.stats.moved++
    table.macHi[entry] = hi
    table.macLo[entry] = lo
    table.resolvedIp[entry] = ip
    table.confirmedMs[entry] = nowMs
    table.requests[entry] = 0
    this.#due(nowMs + this.#options.reachableMs)
  }
}

/** Can no host on a link have this address? 0/8, 127/8, 224/4, 240/4. */
function isNoHost(ip: number): boolean {
  const first = ip >>> 24
  return first === 0 || first === 127 || first >= 224
}
