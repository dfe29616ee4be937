/**
 * Byte streams for any application on these libraries (paper §1: the stack is not for the web
 * alone): an `Application` that keeps a send and a receive ring for each connection and hands out
 * `Stream`s. Unlike the web server, whose content lies ready, it copies each byte once in and once
 * out.
 *
 *     const streams = new Streams(region, { maxStreams: 64 })
 *     const stack = new Stack({ …, app: streams, tcp: streams.tcpConfig })
 *     streams.attach(stack)
 *     streams.listen(7, { onData(stream) { … } })
 */
import {
  assert,
  NO_FRAME,
  OFFLOAD_NONE,
  offload,
  PAYLOAD_OFF,
  type Region,
} from '@sandstorm/libnmio'
import { ipv4Address, ipv6Address, NOT_LOCAL } from '../addresses.ts'
import type { Stack } from '../stack.ts'
import { abort } from '../tcp/abort.ts'
import { type Application, BUSY } from '../tcp/application.ts'
import type { TcpConfig } from '../tcp/config.ts'
import { headersLen, SUM_BY_DEVICE } from '../tcp/headers.ts'
import { tcpOff } from '../tcp/ipHeader.ts'
import { connect } from '../tcp/opening/connect.ts'
import {
  FIN_QUEUED,
  FLAGS,
  FRAME_KEY,
  indexOf,
  KIND_IPV6,
  MSS,
  NO_CONN,
  PORTS,
  SND_END,
  SND_UNA,
} from '../tcp/tcb.ts'
import type { Tcp } from '../tcp/tcp.ts'
import { sum } from '../wire/checksum.ts'
import { Rings } from './rings.ts'
import { Stream, type StreamHandler } from './stream.ts'

/** How many streams there may be, and their rings. */
export interface StreamsOptions {
  /** Connections at the same time, half-open ones included. */
  readonly maxStreams: number
  /** Bytes of each send ring, a power of two: what may be written and not yet acknowledged. */
  readonly sendBytes?: number
  /** Bytes of each receive ring, a power of two: the window that peers see. */
  readonly receiveBytes?: number
}

const RING_BYTES = 65536

/** Bytes that `Streams` will reserve of its region. */
export const streamsRegionBytes = (options: StreamsOptions): number =>
  options.maxStreams * ((options.sendBytes ?? RING_BYTES) + (options.receiveBytes ?? RING_BYTES)) +
  128

/** The streams of a stack: its `app`, which listens and connects. */
export class Streams implements Application {
  /** For StackOptions.tcp: rings and TCP must agree on these. */
  readonly tcpConfig: { readonly maxConnections: number; readonly receiveWindow: number }
  readonly sendRings: Rings
  readonly receiveRings: Rings
  readonly #region: Region
  #tcp!: Tcp
  /** Bytes of headers and payload of the largest frame. */
  #frameBytes = 0
  readonly #handlers = new Map<number, StreamHandler>()
  /** By connection index. */
  readonly #streams: (Stream | undefined)[]

  /** Takes `streamsRegionBytes(options)` of the region, which must be the device's. */
  constructor(region: Region, options: StreamsOptions) {
    const { maxStreams, sendBytes = RING_BYTES, receiveBytes = RING_BYTES } = options
    assert(maxStreams > 0 && Number.isInteger(maxStreams), '`maxStreams` is 1 or more')
    this.#region = region
    this.tcpConfig = { maxConnections: maxStreams, receiveWindow: receiveBytes }
    this.sendRings = new Rings(region, maxStreams, sendBytes)
    this.receiveRings = new Rings(region, maxStreams, receiveBytes)
    this.#streams = new Array<Stream | undefined>(maxStreams).fill(undefined)
  }

  /** The stack below, made with this as its application: once, before anything else. */
  attach(stack: Stack): void {
    const { app, config, frames, device } = stack.tcp
    assert(this.#tcp === undefined, 'attach is called once')
    assert(isAgreed(config, this.tcpConfig), 'the stack was made with our tcpConfig')
    assert(app === this, 'the stack was made with us as its application')
    assert(this.#region === device.region, 'stream rings lie in the device region')
    this.#tcp = stack.tcp
    // What the device cuts into segments may fill a frame of the pool.
    const most = frames.frameSize - PAYLOAD_OFF
    this.#frameBytes = device.caps.gsoMaxBytes > 0 ? Math.min(most, device.caps.gsoMaxBytes) : 0
  }

  /** TCP below; throws before `attach`. */
  get tcp(): Tcp {
    assert(this.#tcp !== undefined, 'attach comes before anything else')
    return this.#tcp
  }

  /**
   * Accepts connections to a local port that has no handler; `handler` hears of all of them (see
   * Stream.handler).
   */
  listen(port: number, handler: StreamHandler): void {
    assert(!this.#handlers.has(port), 'a port has one handler until unlisten')
    this.tcp.listen(port)
    this.#handlers.set(port, handler)
  }

  /** Accepts no more; streams that are open go on. */
  unlisten(port: number): void {
    this.tcp.unlisten(port)
    this.#handlers.delete(port)
  }

  /**
   * Connects to a port of `address`, "10.77.0.1" or "fd77::1" (an Error that quotes it, if it is
   * neither). The SYN leaves with the batch or the next `poll`. undefined: there is no way to such
   * a host, or nothing left to reach it with: streams, ports (tcp/opening/connect.ts).
   */
  connect(address: string, port: number, handler: StreamHandler): Stream | undefined {
    const remote = address.includes(':') ? ipv6Address(address) : ipv4Address(address)
    const { tcp } = this
    const local = tcp.addresses.localFor(remote)
    const c = local === NOT_LOCAL ? NO_CONN : connect(tcp, local, remote, port)
    return c === NO_CONN ? undefined : this.#add(c, handler)
  }

  segmentBytes(mss: number): number {
    const most = this.#tcp.frames.frameSize - PAYLOAD_OFF
    return mss < most ? mss : most
  }

  onOpen(c: number): void {
    const handler = this.#handlers.get(this.#tcp.tcb[c + PORTS] & 0xffff)
    const stream =
      this.#streams[indexOf(c)] ?? (handler === undefined ? undefined : this.#add(c, handler))
    // `unlisten` came between SYN and ACK.
    if (stream === undefined) abort(this.#tcp, c)
    else stream.opened()
  }

  onData(c: number, off: number, len: number): number {
    return this.#of(c).received(off, len)
  }

  onFin(c: number): void {
    this.#of(c).ended()
  }

  onAcked(c: number): void {
    this.#of(c).acked()
  }

  onTimeout(c: number): void {
    const stream = this.#of(c)
    stream.handler.onTimer?.(stream)
  }

  onClosed(c: number, why: number): void {
    const stream = this.#streams[indexOf(c)]
    this.#streams[indexOf(c)] = undefined
    stream?.closed(why)
  }

  /** Whole segments, and at the end of what was written a short one, unless Nagle keeps it back. */
  transmit(c: number, seq: number, room: number): number {
    const tcb = this.#tcp.tcb
    const mss = tcb[c + MSS]
    const left = (tcb[c + SND_END] - seq) | 0
    const payloadMax = this.#frameBytes - headersLen(tcb, c)
    const most = payloadMax > mss ? payloadMax : mss
    const bound = Math.min(left, most, room)
    const short = bound % mss
    const takesShort = bound === left && !this.#isKeptBack(c, seq, bound, short)
    const len = takesShort ? bound : bound - short
    return len === 0 ? 0 : this.transmitExactly(c, seq, len)
  }

  transmitExactly(c: number, seq: number, len: number): number {
    const { tcb, frames, headers, device, stats } = this.#tcp
    const frame = frames.alloc()
    if (frame === NO_FRAME) return BUSY
    const payloadOff = frames.payloadOff(frame)
    this.sendRings.get(indexOf(c), this.#of(c).positionOf(seq), payloadOff, len)
    const isSummed = !device.caps.txChecksum
    const payloadSum = isSummed ? sum(frames.region.view, payloadOff, len) : SUM_BY_DEVICE
    headers.begin(c, seq)
    const off = headers.write(payloadOff, seq, len, payloadSum)
    const key = tcb[c + FRAME_KEY]
    const gsoSize = len > tcb[c + MSS] ? tcb[c + MSS] : 0
    const request = offload(key & KIND_IPV6 ? 6 : 4, tcpOff(key), gsoSize)
    stats.outSegs++
    frames.sent(frame)
    device.push(off, payloadOff + len - off, isSummed ? OFFLOAD_NONE : request)
    return len
  }

  /**
   * Nagle (RFC 9293 §3.7.4): is the short segment that would end [seq, seq + len) to wait until
   * what is in front of it is acknowledged? Not the last that will ever be written. (What was sent
   * before goes out again by `transmitExactly`, if it must.)
   */
  #isKeptBack(c: number, seq: number, len: number, short: number): boolean {
    const tcb = this.#tcp.tcb
    if (short === 0 || tcb[c + FLAGS] & FIN_QUEUED) return false
    const isFirst = seq === tcb[c + SND_UNA] && len === short
    return !isFirst && !this.#of(c).noDelay
  }

  #add(c: number, handler: StreamHandler): Stream {
    const stream = new Stream(this, c, handler)
    this.#streams[indexOf(c)] = stream
    return stream
  }

  #of(c: number): Stream {
    return this.#streams[indexOf(c)] as Stream
  }
}

const isAgreed = (config: TcpConfig, ours: Pick<TcpConfig, 'maxConnections' | 'receiveWindow'>) =>
  config.maxConnections <= ours.maxConnections && config.receiveWindow <= ours.receiveWindow
