/**
 * The stack: one device, one thread (paper §2: no locks, nothing shared). `poll` is the whole cycle
 * of paper §2.1: take a batch of frames, let each do its work to the end, run what is due, flush
 * once, take back what the device has sent. It never waits; `idleUs` says how long the
 * caller may, and the same frames, clock and random numbers give the same frames out.
 */
import {
  Arp,
  type ArpOptions,
  ETH_NOT_OURS,
  ETH_TYPE,
  ETH_VLAN,
  ethernet,
  OK,
} from '@sandstorm/libeth'
import { ALL_FLOWS, assert, type Device, type FlowShare, type FramePool } from '@sandstorm/libnmio'
import { ADDRESSES_MAX, Addresses, type IpAddress } from './addresses.ts'
import { IcmpError } from './icmp/icmpError.ts'
import { ERRORS_BURST, ERRORS_PER_SECOND } from './icmp/icmpv6Error.ts'
import { Icmpv6Output } from './icmp/icmpv6Output.ts'
import type { IpHost } from './ip/ipHost.ts'
import { ipv4Input } from './ip/ipv4Input.ts'
import { Ipv6Headers } from './ip/ipv6Headers.ts'
import type { Ipv6Host } from './ip/ipv6Host.ts'
import { ipv6Input } from './ip/ipv6Input.ts'
import { Ndp, type NdpOptions } from './ndp/ndp.ts'
import { TokenBucket } from './rateLimit.ts'
import type { Application } from './tcp/application.ts'
import { isSuperseded } from './tcp/coalesce.ts'
import { TCP_DEFAULTS, type TcpConfig } from './tcp/config.ts'
import type { CongestionControl } from './tcp/congestion/congestion.ts'
import { input as tcpInput } from './tcp/input.ts'
import { onIcmpError } from './tcp/path/icmpErrors.ts'
import { Orphans } from './tcp/stray/orphans.ts'
import { KIND_IPV6 } from './tcp/tcb.ts'
import { Tcp } from './tcp/tcp.ts'
import { idleMs, runTimers } from './tcp/timers/timers.ts'
import { runWork } from './tcp/work.ts'
import * as ipv4 from './wire/ipv4.ts'
import * as ipv6 from './wire/ipv6.ts'

/** What a stack is made of. */
export interface StackOptions {
  device: Device
  /** Frames in the device's region, for headers and everything that is sent. */
  frames: FramePool
  /**
   * Our addresses with their subnets, 1 to 16. Where one is IPv6 and none link-local, the one that
   * comes with our hardware address joins them, behind all others.
   */
  addresses: readonly IpAddress[]
  /** The way to everybody who is on none of these subnets, for each version; default: none. */
  gateway?: IpAddress | undefined
  gateway6?: IpAddress | undefined
  /**
   * Our addresses are the host's as well, and its kernel answers ARP, neighbour discovery and ping
   * for them: we ask nobody, and answer each frame to the station that it came from. Default: no.
   */
  sharesAddresses?: boolean | undefined
  /** Of several stacks on one device, the flows that come to this one. Default: all. */
  flows?: FlowShare | undefined
  /**
   * Memory for the TCBs, zeroed, `tcb.TcbPool.bytesFor(maxConnections)` bytes, which outlives us if
   * it is shared with another thread: what is in it then is for `inherit`. Default: our own.
   */
  tcbs?: SharedArrayBuffer | undefined
  /**
   * Of several stacks on one device: memory, zeroed, ADDRESS_STATES_BYTES bytes, in which the one
   * that does not share our addresses notes for the others which may be used. Default: our own.
   */
  addressStates?: SharedArrayBuffer | undefined
  app: Application
  congestion: CongestionControl
  tcp?: Partial<TcpConfig>
  arp?: Partial<ArpOptions> | undefined
  ndp?: Partial<NdpOptions> | undefined
  /**
   * Hears that somebody else has, or wants, this address of ours, once per packet that says so.
   */
  onConflict?: ((address: IpAddress) => void) | undefined
  /** Secret int32s for keys; asked at construction only. */
  random: () => number
  /** The clock at construction, microseconds. */
  nowUs: number
}

/** IPv4, IPv6, ICMP and TCP on one device and one thread. */
export class Stack implements IpHost, Ipv6Host {
  readonly device: Device
  readonly frames: FramePool
  readonly arp: Arp
  readonly ndp: Ndp
  readonly tcp: Tcp
  readonly addresses: Addresses
  // What IPv6 input works with (ipv6Host.ts)
  readonly output: Icmpv6Output
  readonly headers: Ipv6Headers = new Ipv6Headers()
  readonly icmpError: IcmpError = new IcmpError()
  readonly errorLimit: TokenBucket = new TokenBucket(ERRORS_PER_SECOND, ERRORS_BURST)
  readonly hopLimit: number
  readonly takesReturnPath: boolean
  readonly flows: FlowShare
  readonly tcbs: SharedArrayBuffer | undefined
  #orphans: Orphans | undefined
  #arpDueMs = 0
  #ndpDueMs = 0

  constructor(options: StackOptions) {
    const { device, frames } = options
    const isShared = options.sharesAddresses ?? false
    const addresses = isShared ? options.addresses : withLinkLocal(options.addresses, device.mac)
    const list6 = addresses.filter(({ version }) => version === 6)
    assert(isShared || hasNeighbours(options.addresses), 'addresses come with their subnets')
    assert(list6.length === 0 || device.mtu >= ipv6.MTU_MIN, 'IPv6 needs an MTU of 1280 bytes')
    const config = { ...TCP_DEFAULTS, ...options.tcp }
    this.device = device
    this.frames = frames
    this.takesReturnPath = isShared
    this.flows = options.flows ?? ALL_FLOWS
    this.tcbs = options.tcbs
    const states = options.addressStates
    const unusable4 = new Uint8Array(states ?? new ArrayBuffer(ADDRESSES_MAX), 0, ADDRESSES_MAX)
    this.addresses = new Addresses(addresses, options, unusable4)
    const list4 = addresses.filter(({ version }) => version === 4)
    this.arp = new Arp(
      this,
      isShared ? [] : this.addresses.ipv4,
      options.arp,
      i => options.onConflict?.(list4[i]),
      unusable4,
    )
    this.output = new Icmpv6Output(device, frames)
    const words = list6.map(({ w0, w1, w2, w3 }) => Int32Array.of(w0, w1, w2, w3))
    const onConflict = (i: number): void => options.onConflict?.(list6[i])
    const states6 = states && new Uint8Array(states, ADDRESSES_MAX, list6.length)
    this.ndp = new Ndp(this.output, words, onConflict, options.ndp, states6)
    this.hopLimit = config.ttl
    this.tcp = new Tcp(this, options.app, options.congestion, config, options.random, options.nowUs)
  }

  /**
   * Begins to use our addresses, once nobody else turned out to have them (RFC 5227, RFC 4862
   * §5.4), and tells the link. To be called once, before the first `poll`, which flushes it.
   */
  start(): void {
    if (this.takesReturnPath) {
      this.ndp.standAside()
      return
    }
    this.arp.start(this.tcp.clockMs)
    if (this.ndp.own.count > 0) this.ndp.start(this.tcp.clockMs)
  }

  /**
   * Tells the peers of a stack that died, which had our addresses and these TCBs: their connections
   * are reset in the next batches.
   */
  inherit(tcbs: SharedArrayBuffer): void {
    this.#orphans = new Orphans(tcbs)
  }

  /** One batch, from receive ring to transmit ring; returns the number of frames received. */
  poll(nowUs: number): number {
    const device = this.device
    this.tcp.setTime(nowUs)
    const count = device.rx()
    for (let i = 0; i < count; i++) {
      if (i + 1 < count && this.#isSuperseded(i)) this.tcp.stats.coalescedAcks++
      else this.input(device.rxOff[i], device.rxLen[i], device.rxFlags[i])
    }
    runTimers(this.tcp)
    if (this.#orphans?.reset(this.tcp) === false) this.#orphans = undefined
    let lacksRoom = runWork(this.tcp)
    // Last, since all of the above may have asked for an address.
    this.#arpDueMs = this.arp.tick(this.tcp.clockMs)
    this.#ndpDueMs = this.ndp.tick(this.tcp.clockMs)
    device.flush()
    // A device that sends at once has room again: go on, so that nobody waits with work to do.
    while (this.#reclaim() > 0 && lacksRoom) {
      lacksRoom = runWork(this.tcp)
      device.flush()
    }
    this.tcp.endBatch()
    return count
  }

  /** One frame; returns OK or the reason why it was dropped. */
  input(off: number, len: number, rxFlags: number): number {
    const view = this.device.region.view
    const { macHi, macLo, clockMs } = this.tcp
    const reason = ethernet.check(view, off, len)
    if (reason === ETH_VLAN) return this.#inputTagged(off, len, rxFlags)
    if (reason !== OK) return this.drop(reason)
    const dstHi = ethernet.dstHi(view, off)
    const dstLo = ethernet.dstLo(view, off)
    const ours = dstHi === macHi && dstLo === macLo
    if (!ours && !this.#isOurGroup(dstHi, dstLo)) return this.drop(ETH_NOT_OURS)
    if (this.takesReturnPath) this.#noteStation(off)
    const type = ethernet.type(view, off)
    if (type === ethernet.TYPE_IPV4) return ipv4Input(this, off, len, rxFlags)
    if (type === ethernet.TYPE_IPV6 && this.ndp.own.count > 0) {
      return ipv6Input(this, off, len, rxFlags, clockMs)
    }
    if (type === ethernet.TYPE_ARP) {
      const arpReason = this.arp.input(off, len, clockMs)
      return arpReason === OK ? OK : this.drop(arpReason)
    }
    return this.drop(ETH_TYPE)
  }

  /** With a priority alone the frame is of no VLAN, and counts as untagged (IEEE 802.1Q §6.9). */
  #inputTagged(off: number, len: number, rxFlags: number): number {
    const { view } = this.device.region
    if (!ethernet.isPriorityTagged(view, off, len)) return this.drop(ETH_VLAN)
    ethernet.removeTag(view, off)
    return this.input(off + ethernet.TAG_LEN, len - ethernet.TAG_LEN, rxFlags)
  }

  /** As `Ipv6Host` says: tells TCP between whom the segment goes, and hands it on. */
  onTcp6(ip: number, off: number, len: number, rxFlags: number): number {
    const view = this.device.region.view
    const seg = this.tcp.segment
    seg.remote0 = ipv6.src(view, ip, 0)
    seg.remote1 = ipv6.src(view, ip, 1)
    seg.remote2 = ipv6.src(view, ip, 2)
    seg.remote3 = ipv6.src(view, ip, 3)
    seg.local = this.addresses.findV6(
      ipv6.dst(view, ip, 0),
      ipv6.dst(view, ip, 1),
      ipv6.dst(view, ip, 2),
      ipv6.dst(view, ip, 3),
    )
    seg.kind = KIND_IPV6
    seg.ecn = ipv6.trafficClass(view, ip) & ipv4.ECN_MASK
    return tcpInput(this.tcp, ipv6.pseudoSum(view, ip, ipv6.PROTO_TCP, len), off, len, rxFlags)
  }

  /** As `Ipv6Host` says. */
  onIcmpError(error: IcmpError): number {
    return onIcmpError(this.tcp, error)
  }

  /** Microseconds from the last `poll` until there is work without a frame; -1: none is planned. */
  idleUs(): number {
    if (this.tcp.isCutShort) return 0
    const orphansMs = this.#orphans === undefined ? -1 : this.#orphans.delayMs(this.tcp)
    const neighboursMs = earlier(this.#arpDueMs, this.#ndpDueMs)
    const ms = earlier(idleMs(this.tcp), earlier(orphansMs, neighboursMs))
    return ms < 0 ? -1 : ms * 1000
  }

  /** Counts a drop and returns its reason. */
  drop(reason: number): number {
    return this.tcp.drop(reason)
  }

  #noteStation(off: number): void {
    const { view } = this.device.region
    this.tcp.segment.stationHi = ethernet.srcHi(view, off)
    this.tcp.segment.stationLo = ethernet.srcLo(view, off)
  }

  /** Broadcast, and of the groups of IPv6 (33:33:…) those that we are in. */
  #isOurGroup(dstHi: number, dstLo: number): boolean {
    if (dstHi === ipv6.GROUP_MAC_HI) return this.ndp.own.isOurGroupMac(dstHi, dstLo)
    return (dstHi & ethernet.GROUP_BIT) !== 0
  }

  /** Does frame `i + 1` of the batch make frame `i` superfluous? */
  #isSuperseded(i: number): boolean {
    const { region, rxOff, rxLen } = this.device
    return isSuperseded(region.view, rxOff[i], rxLen[i], rxOff[i + 1], rxLen[i + 1])
  }

  #reclaim(): number {
    const count = this.device.reclaim()
    for (let i = 0; i < count; i++) this.frames.complete(this.device.doneOff[i])
    return count
  }
}

/** The earlier of two delays; a negative one never comes. */
function earlier(a: number, b: number): number {
  if (a < 0 || b < 0) return a < 0 ? b : a
  return a < b ? a : b
}

/** Of each version: in a subnet of one address nobody is on our link, and so no gateway either. */
function hasNeighbours(list: readonly IpAddress[]): boolean {
  const isAlone = ({ version, w0, prefixLen }: IpAddress): boolean =>
    version === 4 ? prefixLen === 32 : prefixLen === 128 && !ipv6.isLinkLocal(w0)
  return list.every(({ version: of }) =>
    list.some(address => address.version === of && !isAlone(address)),
  )
}

/** Neighbour discovery and listener reports speak from a link-local address (RFC 4291 §2.8). */
export function withLinkLocal(list: readonly IpAddress[], mac: Uint8Array): readonly IpAddress[] {
  const list6 = list.filter(({ version }) => version === 6)
  if (list6.length === 0 || list6.some(({ w0 }) => ipv6.isLinkLocal(w0))) return list
  const [w0, w1, w2, w3] = ipv6.linkLocalOf(mac)
  return [...list, { version: 6, w0, w1, w2, w3, prefixLen: 64 }]
}
