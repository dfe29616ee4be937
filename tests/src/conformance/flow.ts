/**
 * One connection of a script, or what could become one: a pair of addresses and ports, the numbers
 * of both sides, and what to say and expect about them.
 */
import {
  address,
  addressText,
  concat,
  ETH_IPV4,
  ETH_IPV6,
  ethernet,
  ip,
  PROTO_TCP,
  tcp,
} from './frames.ts'
import type { Probe } from './probe.ts'
import type { Seen } from './seen.ts'
import {
  describe,
  type Expectation,
  type FlowOptions,
  matches,
  type Open,
  type Segment,
  type Send,
} from './segment.ts'
import { type AppConnection, OPEN_PORT, patternByte } from './target.ts'
import { mss, sackOk, timestamps, wscale } from './tcpOptions.ts'

/** How long an answer may take when nothing else is said, milliseconds. */
const SOON = 1000
/** How long an application may take to hear of its connection. */
const ACCEPTED_MS = 3000

export class Flow {
  readonly probe: Probe
  readonly port: number
  readonly dstPort: number
  readonly isn: number
  readonly src: Uint8Array
  readonly dst: Uint8Array
  /** The target's ISN, from its SYN. */
  theirIsn: number | undefined
  /** The number that the next segment has if nothing else is said. */
  next = 0
  /** All in order that the target has sent; what is acknowledged if nothing else is said. */
  received = 0
  /** The highest number that was acknowledged. */
  acknowledged = 0
  /** The highest byte that came, in order or not. */
  highest = 0
  /** Timestamps are agreed on; then the last TSval of the target. */
  usesTimestamps = false
  #tsOffset = 0
  #tsEcho = 0
  #pieces: [number, number][] = []

  constructor(probe: Probe, port: number, options: FlowOptions) {
    const { self, peer } = probe.target
    const six = options.ipVersion === 6
    this.probe = probe
    this.port = port
    this.dstPort = options.dstPort ?? OPEN_PORT
    this.isn = (options.isn ?? probe.random()) >>> 0
    this.src = address(options.src ?? (six ? peer.ipv6 : peer.ipv4))
    this.dst = address(options.dst ?? (six ? self.ipv6 : self.ipv4))
  }

  /** The frame of a segment. */
  frame(flags: string, send: Send = {}): Uint8Array {
    const { self, peer } = this.probe.target
    const route = { src: this.src, dst: this.dst }
    const seq = send.seq ?? this.next
    const data = typeof send.data === 'number' ? new Uint8Array(send.data).fill(0x61) : send.data
    const ackRelative = send.ack ?? this.received
    const ack = flags.includes('.') ? (this.theirIsn ?? 0) + ackRelative : 0
    if (flags.includes('.')) this.acknowledged = Math.max(this.acknowledged, ackRelative)
    const segment = tcp(route, {
      srcPort: this.port,
      dstPort: this.dstPort,
      seq: (this.isn + seq) >>> 0,
      ack: ack >>> 0,
      flags,
      win: send.win ?? 65535,
      ...(send.urgent === undefined ? {} : { urgent: send.urgent }),
      ...(send.reserved === undefined ? {} : { reserved: send.reserved }),
      ...(send.offset === undefined ? {} : { offset: send.offset }),
      ...(send.checksumError === undefined ? {} : { checksumError: send.checksumError }),
      options: Uint8Array.from([...this.#timestampOption(flags, send), ...(send.options ?? [])]),
      ...(data === undefined ? {} : { data }),
    })
    const len = (data?.length ?? 0) + (flags.includes('S') ? 1 : 0) + (flags.includes('F') ? 1 : 0)
    if (seq === this.next) this.next += len
    const packet = ip({ protocol: PROTO_TCP, ...route, ...send.ip }, segment)
    const type = this.src.length === 4 ? ETH_IPV4 : ETH_IPV6
    const padded = concat(packet, new Uint8Array(send.padding ?? 0))
    return ethernet(send.dstMac ?? self.mac, peer.mac, type, padded)
  }

  #timestampOption(flags: string, send: Send): number[] {
    if (!this.usesTimestamps || send.timestamps === false || flags.includes('R')) return []
    return timestamps(send.ts ?? this.tsNow, send.tsEcho ?? this.#tsEcho)
  }

  /** The probe's timestamp clock. */
  get tsNow(): number {
    return (this.#tsOffset + Math.floor(this.probe.nowMs)) >>> 0
  }

  send(flags: string, send: Send = {}): void {
    this.probe.sendFrames(this.frame(flags, send))
  }

  /** Shakes hands; afterwards both sides' next number is 1. Returns the SYN-ACK. */
  async shake(options: Open = {}): Promise<Segment> {
    const { win = 65535, rttMs = 0 } = options
    if (options.ts !== undefined) {
      this.usesTimestamps = true
      this.#tsOffset = options.ts - Math.floor(this.probe.nowMs)
    }
    const offer = [
      ...(options.mss === 0 ? [] : mss(options.mss ?? 1460)),
      ...(options.sack ? sackOk : []),
      ...(options.wscale === undefined ? [] : wscale(options.wscale)),
    ]
    this.send('S', { options: offer, win: Math.min(win, 65535) })
    const synAck = await this.expect('S.', { seq: 0, ack: 1 })
    if (rttMs > 0) await this.probe.pass(rttMs)
    this.send('.', { win: win >> (options.wscale ?? 0) })
    return synAck
  }

  /** Shakes hands and waits for the application. */
  async open(options: Open = {}): Promise<AppConnection> {
    await this.shake(options)
    return await this.accepted()
  }

  async accepted(): Promise<AppConnection> {
    await this.until(() => this.app !== undefined, ACCEPTED_MS, 'the connection is accepted')
    return this.app!
  }

  /** The application's end. */
  get app(): AppConnection | undefined {
    return this.probe.target.accepted(this.port)
  }

  /** The next segment of the target; it must have these flags (PSH may be there) and numbers. */
  async expect(flags: string, wanted: Expectation = {}, withinMs: number = SOON): Promise<Segment> {
    const segment = await this.nextSegment(withinMs)
    const say = `expected ${describe(flags, wanted)} within ${withinMs} ms`
    if (segment === undefined) this.probe.fail(`${say}: nothing came`)
    if (!matches(segment, flags, wanted)) this.probe.fail(`${say}: another segment came`)
    return segment
  }

  /** The first segment that is as wanted; others before it are passed over. */
  async find(flags: string, wanted: Expectation = {}, withinMs: number = SOON): Promise<Segment> {
    const deadline = this.probe.nowMs + withinMs
    for (;;) {
      const segment = await this.nextSegment(Math.max(0, deadline - this.probe.nowMs))
      if (segment === undefined) {
        this.probe.fail(`expected ${describe(flags, wanted)} within ${withinMs} ms`)
      }
      if (matches(segment, flags, wanted)) return segment
    }
  }

  /** Everything that comes until `ms` are over. */
  async collect(ms: number): Promise<Segment[]> {
    const deadline = this.probe.nowMs + ms
    const all: Segment[] = []
    for (;;) {
      const segment = await this.nextSegment(Math.max(0, deadline - this.probe.nowMs))
      if (segment === undefined) return all
      all.push(segment)
    }
  }

  /** Nothing comes for `ms`. */
  async silence(ms: number = 300): Promise<void> {
    const segment = await this.nextSegment(ms)
    if (segment !== undefined) this.probe.fail(`expected silence for ${ms} ms`)
  }

  /** Waits until something holds, as far as the target's own time allows. */
  async until(holds: () => boolean, ms: number, what: string): Promise<void> {
    const deadline = this.probe.nowMs + ms
    while (!holds()) {
      if (this.probe.nowMs >= deadline) this.probe.fail(`not within ${ms} ms: ${what}`)
      await this.probe.pass(1)
    }
  }

  /** Acknowledges all that came in order, `step` bytes an ACK, as a receiver does as it comes. */
  acknowledge(step: number, send: Send = {}): void {
    const end = this.received
    for (let ack = this.acknowledged; ack < end; ) {
      ack = Math.min(ack + step, end)
      this.send('.', { ...send, ack })
    }
  }

  /** The connection works: a byte of ours is acknowledged. */
  async alive(): Promise<void> {
    const end = this.next + 1
    this.send('P.', { data: 1 })
    await this.find('.', { ack: end })
  }

  /** The target knows the connection no more: a segment of it is answered with RST. */
  async gone(): Promise<void> {
    this.send('.')
    await this.find('R')
  }

  /** The next segment of the target on this flow, whatever it is. */
  async nextSegment(ms: number): Promise<Segment | undefined> {
    const seen = await this.probe.take(seen => this.owns(seen), ms)
    return seen === undefined ? undefined : this.#segment(seen)
  }

  owns(seen: Seen): boolean {
    return (
      seen.tcp !== undefined &&
      seen.tcp.dstPort === this.port &&
      seen.tcp.srcPort === this.dstPort &&
      seen.ip?.dst === addressText(this.src) &&
      seen.ip.src === addressText(this.dst)
    )
  }

  /** Is this a frame of the probe on this flow? */
  sends(seen: Seen): boolean {
    return seen.tcp?.srcPort === this.port && seen.tcp.dstPort === this.dstPort
  }

  #segment(seen: Seen): Segment {
    const { flags, seq, ack, win, data, options } = seen.tcp!
    return {
      atMs: seen.atMs,
      flags,
      seq: (seq - (this.theirIsn ?? 0)) | 0,
      ack: flags.includes('.') ? (ack - this.isn) | 0 : 0,
      len: data.length,
      win,
      options,
      seen,
    }
  }

  /** Keeps account of what came, and checks the bytes of the stream. */
  onSegment(seen: Seen): void {
    const { flags, seq, data, options } = seen.tcp!
    if (flags.includes('R')) return
    if (flags.includes('S')) this.theirIsn = seq
    if (this.theirIsn === undefined) return
    const stamp = options.find(option => option.kind === 8)
    if (stamp !== undefined) this.#tsEcho = new DataView(stamp.data.slice().buffer).getUint32(0)
    else if (flags.includes('S')) this.usesTimestamps = false
    const from = (seq - this.theirIsn) | 0
    for (let i = 0; i < data.length; i++) {
      if (data[i] !== patternByte(from - 1 + i)) {
        this.probe.fail(`byte ${from - 1 + i} of the stream is not itself`)
      }
    }
    const extra = (flags.includes('S') ? 1 : 0) + (flags.includes('F') ? 1 : 0)
    this.#pieces.push([from, from + data.length + extra])
    this.#pieces.sort((a, b) => a[0] - b[0])
    for (const [start, end] of this.#pieces) {
      if (start <= this.received && end > this.received) this.received = end
      if (end > this.highest) this.highest = end
    }
    this.#pieces = this.#pieces.filter(([, end]) => end > this.received)
  }

  /** `P. 1:101 ack 1 win 512 <mss 1460>`. */
  line(seen: Seen): string {
    const { flags, seq, ack, win, data, options } = seen.tcp!
    const ours = this.sends(seen) && !this.owns(seen)
    const [seqBase, ackBase] = ours
      ? [this.isn, this.theirIsn ?? 0]
      : [this.theirIsn ?? seq, this.isn]
    const from = (seq - seqBase) | 0
    const range = data.length > 0 ? `${from}:${from + data.length}` : `${from}`
    const acks = flags.includes('.') ? ` ack ${(ack - ackBase) | 0}` : ''
    const kinds = options.map(option => `${option.kind}/${option.data.length + 2}`).join(' ')
    return `${this.port} ${flags} ${range}${acks} win ${win}${kinds ? ` <${kinds}>` : ''}`
  }
}
