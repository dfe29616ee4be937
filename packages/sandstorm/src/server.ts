/**
 * The server: a device, a stack on it, HTTP on that, and the content to serve (paper, Figure 2).
 * One thread, one loop: `poll` takes what came and sends what that allows; when nothing happened
 * the caller waits on the device for as long as `idleUs` says. Clock, random numbers and device are
 * arguments, so the whole server runs in a test with a virtual clock, byte for byte the same.
 *
 * Read on in libtcpip's tcp/input.ts and tcp/output.ts, then packetize/template.ts.
 */
import { assert, type Device, FramePool } from '@sandstorm/libnmio'
import {
  abort,
  Cubic,
  forgetHalfOpen,
  type IpAddress,
  NewReno,
  Stack,
  type StackOptions,
  state,
  TCP_DEFAULTS,
  type TcpConfig,
  tcb,
} from '@sandstorm/libtcpip'
import type { Histogram } from './admin/histogram.ts'
import type { Content } from './content/content.ts'
import type { OriginPaths } from './http/originPaths.ts'
import type { AccessLog } from './log/accessLog.ts'
import type { FeedPort } from './mount/feeds.ts'
import type { MountLimits } from './mount/limits.ts'
import { REQUEST_BUFFER_BYTES } from './mount/requestBuffers.ts'
import type { RequestRate } from './mount/requestRate.ts'
import { TcpMount } from './mount/tcpMount.ts'
import { CopyTransmitter } from './packetize/copy.ts'
import { GatherTransmitter } from './packetize/gather.ts'
import { TemplateTransmitter } from './packetize/template.ts'
import type { TransmitContext, Transmitter } from './packetize/transmitter.ts'
import { readStats, type ServerStats } from './stats.ts'

export type TransmitKind = 'template' | 'gather' | 'copy'

/** What a server is made of. */
export interface ServerOptions {
  device: Device
  /** Its region is the device's: content and frames share one memory. */
  content: Content
  /** Our addresses with their subnets, 1 to 16. */
  addresses: readonly IpAddress[]
  /** The way to clients on none of these subnets, for each version; default: none. */
  gateway?: IpAddress | undefined
  gateway6?: IpAddress | undefined
  /** The host's kernel has our addresses too, and answers for them (libtcpip: StackOptions). */
  sharesAddresses?: boolean | undefined
  arp?: StackOptions['arp']
  ndp?: StackOptions['ndp']
  /** Hears that somebody else has, or wants, this IPv6 address of ours; maybe often. */
  onConflict?: ((address: IpAddress) => void) | undefined
  port: number
  /** Default: what suits the device. */
  transmit?: TransmitKind | undefined
  /** Copies of each ready frame made at once; default 1, further ones on demand. */
  replicas?: number | undefined
  /** Congestion control; default cubic. */
  cc?: 'cubic' | 'newreno' | undefined
  tcp?: Partial<TcpConfig>
  /** Memory for the connections, as Stack takes it. */
  tcbs?: SharedArrayBuffer | undefined
  /** Likewise for which of our addresses may be used. */
  addressStates?: SharedArrayBuffer | undefined
  limits?: Partial<MountLimits>
  /** Where answers are noted; its time is the caller's to set. */
  accessLog?: AccessLog | undefined
  /** Where is counted how long a sample of answers took. */
  durations?: Histogram | undefined
  /** How many requests a client may send; default: as many as it likes. */
  rate?: RequestRate | undefined
  /** Which paths are origins'. */
  originPaths?: OriginPaths | undefined
  /** Where answers are asked for that are not in memory. */
  feedPort?: FeedPort | undefined
  random: () => number
  nowUs: number
}

/** Fewer frames than this cannot serve: control segments alone want some. */
export const FRAMES_MIN = 1024
/** Templates take all that is left of the region, up to this; beyond, bookkeeping only costs. */
const TEMPLATE_FRAMES_MAX = 1 << 20
/** Frames in flight and to spare for devices that send at once. */
const TRANSIENT_FRAMES = 8192

/** Device, stack, HTTP and content of one thread. */
export class Server {
  readonly device: Device
  readonly content: Content
  readonly frames: FramePool
  readonly stack: Stack
  readonly mount: TcpMount
  readonly transmitter: Transmitter
  readonly #port: number

  constructor(options: ServerOptions) {
    const { device, content } = options
    assert(device.region.memory === content.region.memory, 'content lies in the device region')
    const config = { ...TCP_DEFAULTS, receiveWindow: REQUEST_BUFFER_BYTES, ...options.tcp }
    this.device = device
    this.content = content
    this.mount = new TcpMount({
      content,
      region: device.region,
      maxConnections: config.maxConnections,
      limits: options.limits,
      boundary: boundary(options.random),
      accessLog: options.accessLog,
      durations: options.durations,
      feedPort: options.feedPort,
      originPaths: options.originPaths,
      rate: options.rate,
    })
    const kind = options.transmit ?? defaultTransmit(device)
    const shift = frameShift(device.mtu)
    const most = kind === 'template' ? TEMPLATE_FRAMES_MAX : TRANSIENT_FRAMES
    this.frames = new FramePool(device.region, framesFor(device, shift, most), shift)
    this.stack = new Stack({
      device,
      frames: this.frames,
      addresses: options.addresses,
      gateway: options.gateway,
      gateway6: options.gateway6,
      sharesAddresses: options.sharesAddresses,
      addressStates: options.addressStates,
      app: this.mount,
      congestion: options.cc === 'newreno' ? new NewReno() : new Cubic(),
      tcp: config,
      tcbs: options.tcbs,
      arp: options.arp,
      ndp: options.ndp,
      onConflict: options.onConflict,
      random: options.random,
      nowUs: options.nowUs,
    })
    const context = { tcp: this.stack.tcp, content, answers: this.mount.answers }
    this.transmitter = makeTransmitter(kind, context, options.replicas ?? 1)
    this.mount.attach(this.stack.tcp, this.transmitter)
    this.#port = options.port
    this.stack.tcp.listen(options.port)
  }

  /** One batch; returns the frames received. `epochSec`: seconds since 1970, for Date fields. */
  poll(nowUs: number, epochSec: number): number {
    this.mount.epochSec = epochSec | 0
    return this.stack.poll(nowUs)
  }

  /** Microseconds until `poll` has something to do by itself; -1: only frames will tell. */
  idleUs(): number {
    return this.stack.idleUs()
  }

  /**
   * Stops accepting and closes what is idle. Go on polling until `isDrained`, or for long enough.
   */
  drain(): void {
    this.stack.tcp.unlisten(this.#port)
    forgetHalfOpen(this.stack.tcp)
    this.mount.drain()
  }

  /** Ends what a drain left, with RSTs: for clients that do not answer. */
  end(): void {
    const { tcp } = this.stack
    for (let c = 0; c < tcp.tcb.length; c += tcb.TCB_STRIDE) {
      if (state.isSynchronized(tcp.tcb[c + tcb.STATE])) abort(tcp, c)
    }
  }

  /**
   * No connection is left, and the device has given back all frames: those it is closed upon never
   * leave.
   */
  get isDrained(): boolean {
    return this.stack.tcp.table.count === 0 && this.frames.inFlightCount === 0
  }

  /** All counters, as plain data: for people and tests, not for the hot path. */
  stats(): ServerStats {
    return readStats(this)
  }
}

/** Separates the parts of an answer with several ranges; no body holds it, by all chance. */
function boundary(random: () => number): string {
  return Array.from({ length: 4 }, () => (random() >>> 0).toString(16).padStart(8, '0')).join('')
}

/** The device knows: ready frames need a ring that sends them from where they lie. */
function defaultTransmit(device: Device): TransmitKind {
  if (device.caps.zeroCopy) return 'template'
  return device.caps.gather ? 'gather' : 'copy'
}

function makeTransmitter(
  kind: TransmitKind,
  context: TransmitContext,
  replicas: number,
): Transmitter {
  if (kind === 'template') return new TemplateTransmitter(context, replicas)
  if (kind === 'copy') return new CopyTransmitter(context)
  assert(context.tcp.device.caps.gather, 'the device can gather')
  return new GatherTransmitter(context)
}

/** Frames are a power of two that holds all headers and an MTU's payload: its exponent. */
export function frameShift(mtu: number): number {
  let shift = 11
  while (1 << shift < mtu + 256) shift++
  return shift
}

/** A device's packet memory may end a page before the region does. */
const SPARE_BYTES = 2 * 4096

/**
 * How many frames of 2^`shift` bytes fit in what is left of the device's region, `most` at most.
 */
export function framesFor(device: Device, shift: number, most: number): number {
  const room = Math.floor((device.region.unreservedBytes - SPARE_BYTES) / (1 << shift))
  assert(room >= FRAMES_MIN, 'the region has room for frames')
  return Math.min(room, most)
}
