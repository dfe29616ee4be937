/**
 * ARP for one IPv4 address of ours: answers, learns, asks, refreshes, expires (RFC 826, RFC 1122
 * §2.3.2), and looks after the address itself (RFC 5227). Sans-I/O: frames and a clock go in,
 * frames go out through the device; whoever calls also flushes the batch.
 *
 * Invariants: per unresolved address at most one request a second leaves; a neighbour in use is
 * asked by unicast before its entry expires, so that a live connection never waits for ARP; the
 * table is bounded and nothing is allocated after the constructor.
 */
import { assert, type Device, type FramePool, NO_FRAME, OFFLOAD_NONE } from '@sandstorm/libnmio'
import * as arp from './arpPacket.ts'
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

/** Where frames come from and go to. */
export interface ArpPort {
  readonly device: Device
  readonly frames: FramePool
}

export interface ArpOptions {
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
  /** RFC 5227 §1.1 DEFEND_INTERVAL: between two defences of our address. */
  defendMs: number
}

const DEFAULTS: ArpOptions = {
  capacity: 512,
  reachableMs: 60_000,
  idleMs: 600_000,
  requestMs: 1000,
  requestMax: 3,
  defendMs: 10_000,
}

/** RFC 5227 §1.1 ANNOUNCE_INTERVAL. */
const ANNOUNCE_INTERVAL_MS = 2000
/** When a request found no ring space or no frame. */
const RETRY_MS = 10
const FRAME_LEN: number = ethernet.HEADER_LEN + arp.PACKET_LEN

/** What ARP counts; numbers only, never reset. */
export interface ArpStats {
  requestsSent: number
  repliesSent: number
  probesSent: number
  announcementsSent: number
  /** Frames not sent: no ring space or no frame. */
  unsent: number
  /** Neighbours whose hardware address changed. */
  moved: number
  /** Entries given up, answered or not. */
  expired: number
  /** New addresses refused because the table was full of busy ones. */
  refused: number
  conflicts: number
}

export class Arp {
  /** Hardware addresses by entry: read them only while `holds` is true. */
  readonly macHi: Uint16Array
  readonly macLo: Int32Array
  readonly stats: ArpStats = {
    requestsSent: 0,
    repliesSent: 0,
    probesSent: 0,
    announcementsSent: 0,
    unsent: 0,
    moved: 0,
    expired: 0,
    refused: 0,
    conflicts: 0,
  }
  /** Bumped whenever an address becomes resolved: time to look again at what waits for one. */
  resolvedCount = 0
  /** Somebody else has, or wants, our address; set for good, cleared by `probe`. */
  conflict = false

  readonly #device: Device
  readonly #frames: FramePool
  readonly #view: DataView
  readonly #address: number
  readonly #ownHi: number
  readonly #ownLo: number
  readonly #options: ArpOptions
  readonly #table: NeighbourTable
  readonly #resolvedIp: Int32Array
  #probing = false
  #defendedMs = -Infinity
  #announceMs = Infinity
  #nextMs = Infinity

  /** `address`: ours, as int32. Allocated frames must be large enough for 42 bytes of headers. */
  constructor(port: ArpPort, address: number, options: Partial<ArpOptions> = {}) {
    assert(port.frames.region === port.device.region, 'ARP frames lie in the device region')
    this.#device = port.device
    this.#frames = port.frames
    this.#view = port.device.region.view
    this.#address = address
    this.#ownHi = ethernet.hiOf(port.device.mac)
    this.#ownLo = ethernet.loOf(port.device.mac)
    this.#options = { ...DEFAULTS, ...options }
    this.#table = new NeighbourTable(this.#options.capacity, this.#options.requestMs)
    this.#resolvedIp = this.#table.resolvedIp
    this.macHi = this.#table.macHi
    this.macLo = this.#table.macLo
  }

  /** Is `entry` (from `lookup`) still this address, and its hardware address known? */
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
    let entry = table.find(ip)
    if (entry !== NO_NEIGHBOUR && this.#resolvedIp[entry] === ip && ip !== 0) {
      table.usedMs[entry] = nowMs
      return entry
    }
    if (isNoHost(ip) || ip === this.#address) return NO_NEIGHBOUR
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

  /** TCP made progress through this entry: the neighbour is alive (RFC 1122 §2.3.2.1, "advice"). */
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
    const isForUs = arp.targetIp(view, packet) === this.#address
    if ((hi & ethernet.GROUP_BIT) !== 0 || (hi === 0 && lo === 0)) return ARP_BAD_SENDER_MAC
    if (hi === this.#ownHi && lo === this.#ownLo) return ARP_OWN
    const isProbe = senderIp === 0 && isRequest
    if (senderIp === this.#address || (this.#probing && isProbe && isForUs)) {
      return this.#onConflict(nowMs)
    }
    if (isNoHost(senderIp) && !isProbe) return ARP_BAD_SENDER_IP
    // RFC 826: first update what is known, then look at the target, and only then learn.
    const known = !isProbe && this.#merge(senderIp, hi, lo, nowMs)
    if (!isForUs) return known ? OK : ARP_NOT_OURS
    if (!isRequest) return known ? OK : ARP_UNSOLICITED
    if (this.#probing) return ARP_PROBING
    const learned = known || isProbe || this.#learn(senderIp, hi, lo, nowMs)
    if (!this.#send(arp.REPLY, hi, lo, this.#address, hi, lo, senderIp)) return ARP_NO_TX_SPACE
    this.stats.repliesSent++
    return learned ? OK : ARP_TABLE_FULL
  }

  /**
   * Sends one probe for our own address (RFC 5227 §2.1.1); until `announce` the address is not
   * answered for. The caller spaces its probes, looks at `conflict`, then announces.
   */
  probe(nowMs: number): void {
    if (!this.#probing) this.conflict = false
    this.#probing = true
    this.#due(nowMs)
    if (this.#broadcast(0, this.#address)) this.stats.probesSent++
  }

  /** Claims our address: one announcement now, one from `tick` two seconds later (§2.3). */
  announce(nowMs: number): void {
    this.#probing = false
    this.#announceMs = nowMs + ANNOUNCE_INTERVAL_MS
    this.#due(this.#announceMs)
    this.#announceOnce()
  }

  /**
   * Refreshes, repeats and expires what is due. Returns the milliseconds until the next call is
   * needed, or -1: none. Nothing due costs one compare, so call it once per poll: `lookup` and
   * `input` may have brought the next date forward.
   */
  tick(nowMs: number): number {
    if (nowMs >= this.#nextMs) this.#sweep(nowMs)
    return this.#nextMs === Infinity ? -1 : Math.ceil(this.#nextMs - nowMs)
  }

  #sweep(nowMs: number): void {
    const table = this.#table
    this.#nextMs = Infinity
    if (nowMs >= this.#announceMs) {
      this.#announceMs = Infinity
      this.#announceOnce()
    }
    this.#due(this.#announceMs)
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
    const sent =
      !this.#probing &&
      (table.resolvedIp[entry] === 0
        ? this.#broadcast(this.#address, ip)
        : this.#send(arp.REQUEST, table.macHi[entry], table.macLo[entry], this.#address, 0, 0, ip))
    if (!sent) {
      this.#due(nowMs + RETRY_MS)
      return
    }
    this.stats.requestsSent++
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

  /**
   * A server cannot give its address up, so it is defended for good, but at most once per interval
   * (RFC 5227 §2.4 (c)), lest two such hosts fill the link.
   */
  #onConflict(nowMs: number): number {
    this.conflict = true
    this.stats.conflicts++
    if (!this.#probing && nowMs - this.#defendedMs >= this.#options.defendMs) {
      this.#defendedMs = nowMs
      this.#announceOnce()
    }
    return ARP_CONFLICT
  }

  #announceOnce(): void {
    if (this.#broadcast(this.#address, this.#address)) this.stats.announcementsSent++
  }

  #broadcast(senderIp: number, targetIp: number): boolean {
    const { BROADCAST_HI, BROADCAST_LO } = ethernet
    return this.#send(arp.REQUEST, BROADCAST_HI, BROADCAST_LO, senderIp, 0, 0, targetIp)
  }

  /** Builds and pushes one frame; false, and counted, if there is no room for it. */
  #send(
    op: number,
    dstHi: number,
    dstLo: number,
    senderIp: number,
    targetHi: number,
    targetLo: number,
    targetIp: number,
  ): boolean {
    const frame = this.#device.txSpace() > 0 ? this.#frames.alloc() : NO_FRAME
    if (frame === NO_FRAME) {
      this.stats.unsent++
      return false
    }
    const view = this.#view
    const packet = this.#frames.payloadOff(frame) - arp.PACKET_LEN
    const off = packet - ethernet.HEADER_LEN
    ethernet.setDst(view, off, dstHi, dstLo)
    ethernet.setSrc(view, off, this.#ownHi, this.#ownLo)
    ethernet.setType(view, off, ethernet.TYPE_ARP)
    arp.setOperation(view, packet, op)
    arp.setSender(view, packet, this.#ownHi, this.#ownLo, senderIp)
    arp.setTarget(view, packet, targetHi, targetLo, targetIp)
    this.#frames.sent(frame)
    this.#device.push(off, FRAME_LEN, OFFLOAD_NONE)
    return true
  }
}

/** Can no host on a link have this address? 0/8, 127/8, 224/4, 240/4. */
function isNoHost(ip: number): boolean {
  const first = ip >>> 24
  return first === 0 || first === 127 || first >= 224
}
