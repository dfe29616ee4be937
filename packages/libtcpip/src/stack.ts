/**
 * The stack: one device, one thread (paper §2: no locks, nothing shared). `poll` is the
 * whole cycle of paper §2.1: take a batch of frames, let each do its work to the end, run what is
 * due, flush once, take back what the device has sent. It never waits; `idleUs` says how long the
 * caller may, and the same frames, clock and random numbers give the same frames out.
 */
import { Arp, ETH_NOT_OURS, ETH_TYPE, ethernet, OK } from '@sandstorm/libeth'
import type { Device, FramePool } from '@sandstorm/libnmio'
import { Addresses, type IpAddress } from './addresses.ts'
import { IcmpError } from './icmpError.ts'
import type { IpHost } from './ipHost.ts'
import { ipv4Input } from './ipv4Input.ts'
import type { Application } from './tcp/application.ts'
import { isSuperseded } from './tcp/coalesce.ts'
import type { CongestionControl } from './tcp/congestion.ts'
import { TCP_DEFAULTS, Tcp, type TcpConfig } from './tcp/tcp.ts'
import { idleMs, runTimers } from './tcp/timers.ts'
import { runWork } from './tcp/work.ts'

export interface StackOptions {
  device: Device
  /** Frames in the device's region, for headers and everything that is sent. */
  frames: FramePool
  /** Our addresses with their subnets, 1 to 16. */
  addresses: readonly IpAddress[]
  /** The way to everybody who is on none of these subnets, for each version; default: none. */
  gateway?: IpAddress | undefined
  gateway6?: IpAddress | undefined
  app: Application
  congestion: CongestionControl
  tcp?: Partial<TcpConfig>
  /** Secret int32s for keys; asked at construction only. */
  random: () => number
  /** The clock at construction, microseconds. */
  nowUs: number
}

export class Stack implements IpHost {
  readonly device: Device
  readonly frames: FramePool
  readonly arp: Arp
  readonly tcp: Tcp
  readonly addresses: Addresses
  readonly icmpError: IcmpError = new IcmpError()
  #arpDueMs = 0

  constructor(options: StackOptions) {
    this.device = options.device
    this.frames = options.frames
    this.addresses = new Addresses(options.addresses, options)
    this.arp = new Arp(this, this.addresses.ipv4)
    const config = { ...TCP_DEFAULTS, ...options.tcp }
    this.tcp = new Tcp(this, options.app, options.congestion, config, options.random, options.nowUs)
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
    let cutShort = runWork(this.tcp)
    // Last, since all of the above may have asked for an address.
    this.#arpDueMs = this.arp.tick(this.tcp.clockMs)
    device.flush()
    // A device that sends at once has room again: go on, so that nobody waits with work to do.
    while (this.#reclaim() > 0 && cutShort) {
      cutShort = runWork(this.tcp)
      device.flush()
    }
    return count
  }

  /** One frame; returns OK or the reason why it was dropped. */
  input(off: number, len: number, rxFlags: number): number {
    const view = this.device.region.view
    const reason = ethernet.check(view, off, len)
    if (reason !== OK) return this.drop(reason)
    const dstHi = ethernet.dstHi(view, off)
    const ours = dstHi === this.tcp.macHi && ethernet.dstLo(view, off) === this.tcp.macLo
    if (!ours && (dstHi & ethernet.GROUP_BIT) === 0) return this.drop(ETH_NOT_OURS)
    const type = ethernet.type(view, off)
    if (type === ethernet.TYPE_IPV4) return ipv4Input(this, off, len, rxFlags)
    if (type === ethernet.TYPE_ARP) {
      const arpReason = this.arp.input(off, len, this.tcp.clockMs)
      return arpReason === OK ? OK : this.drop(arpReason)
    }
    return this.drop(ETH_TYPE)
  }

  /** Microseconds from the last `poll` until the next has something to do without a frame; -1: nothing is planned. */
  idleUs(): number {
    const timers = idleMs(this.tcp)
    const arp = this.#arpDueMs < 0 ? -1 : this.#arpDueMs
    const ms = timers < 0 ? arp : arp < 0 ? timers : Math.min(timers, arp)
    return ms < 0 ? -1 : ms * 1000
  }

  /** Counts a drop and returns its reason. */
  drop(reason: number): number {
    return this.tcp.drop(reason)
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
