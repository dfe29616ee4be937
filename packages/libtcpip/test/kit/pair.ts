/**
 * Two stacks of ours, back to back on a link in memory, with a virtual clock: 10.0.0.1 and
 * 10.0.0.2, or fd77::1 and fd77::2, which are theirs after a second.
 * Nobody looks at the frames between them, unless `wrap` does.
 */
import assert from 'node:assert/strict'
import { type Clock, type Device, FramePool, memoryLink, Region } from '@sandstorm/libnmio'
import {
  type Application,
  ipv4Address,
  ipv6Address,
  NewReno,
  Stack,
  TCP_DEFAULTS,
  type TcpConfig,
} from '../../src/index.ts'
import { Random } from './random.ts'

export interface PairOptions {
  ipVersion?: 4 | 6
  tcp?: Partial<TcpConfig>
  mtu?: number
  ringSize?: number
  frames?: number
  regionBytes?: number
  seed?: number
  /** Stands between the first stack and the link. */
  wrap?: (device: Device, clock: Clock) => Device
  /** Of a frame, as a power of two. */
  frameShift?: number
}

export class Pair<App extends Application> {
  readonly region: Region
  readonly a: Stack
  readonly b: Stack
  readonly appA: App
  readonly appB: App
  nowUs = 1_000_000_000

  /** `makeApp` gets the region and the largest number of connections of either stack. */
  constructor(makeApp: (region: Region, config: TcpConfig) => App, options: PairOptions = {}) {
    const { frames = 512, seed = 1, frameShift = 11, wrap = device => device } = options
    const config = { ...TCP_DEFAULTS, maxConnections: 64, timeWaitEntries: 64, ...options.tcp }
    this.region = new Region((options.regionBytes ?? 0) + 2 * ((frames << frameShift) + 8192))
    const ringSize = options.ringSize ?? 256
    const ports = memoryLink({ region: this.region, ringSize, mtu: options.mtu ?? 1500 })
    this.appA = makeApp(this.region, config)
    this.appB = makeApp(this.region, config)
    const random = new Random(seed)
    const six = options.ipVersion === 6
    const make = (device: Device, app: App, host: number): Stack =>
      new Stack({
        device,
        frames: new FramePool(this.region, frames, frameShift),
        addresses: [six ? ipv6Address(`fd77::${host}`, 64) : ipv4Address(`10.0.0.${host}`, 24)],
        app,
        congestion: new NewReno(),
        tcp: config,
        random: () => random.int32(),
        nowUs: this.nowUs,
      })
    this.a = make(
      wrap(ports[0], () => this.nowUs),
      this.appA,
      1,
    )
    this.b = make(ports[1], this.appB, 2)
    if (six) for (const stack of [this.a, this.b]) stack.start()
  }

  /** Both stacks in turn, until neither has anything for the other; `stepUs` goes by in between. */
  settle(stepUs = 100): void {
    for (let turn = 0, quiet = 0; quiet < 3; turn++) {
      assert.ok(turn < 100_000, 'it comes to an end')
      this.nowUs += stepUs
      const count = this.a.poll(this.nowUs) + this.b.poll(this.nowUs)
      quiet = count === 0 ? quiet + 1 : 0
    }
  }

  /** Lets `ms` go by, and polls whenever one of the two has asked for it. */
  advance(ms: number): void {
    const until = this.nowUs + ms * 1000
    this.settle()
    while (this.nowUs < until) {
      const idle = [this.a.idleUs(), this.b.idleUs()].filter(us => us >= 0)
      const next = this.nowUs + Math.max(1000, Math.min(...idle))
      this.nowUs = Math.min(until, next)
      this.settle()
    }
  }

  /** Nothing is left of any connection on either side. */
  expectEmpty(): void {
    this.settle()
    for (const stack of [this.a, this.b]) {
      const { tcp, frames } = stack
      assert.equal(tcp.table.count, 0, 'the table is empty')
      assert.equal(tcp.pool.usedCount, 0, 'all TCBs are back')
      assert.equal(tcp.timers.count, 0, 'no timer is left')
      assert.equal(tcp.flights.usedCount, 0, 'no flight is left')
      assert.equal(frames.inFlightCount, 0, 'no frame is in flight')
      assert.equal(frames.freeCount, frames.capacity, 'all frames are back')
    }
  }
}
