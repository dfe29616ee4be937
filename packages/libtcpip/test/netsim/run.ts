/**
 * The stack, serving pattern streams, at one end of a network in virtual time; clients at the
 * other. All flows share one link each way:
 *
 *     stack ── forward link (data) ──┬── client 0
 *           ── back link (ACKs)    ──┴── client 1 …
 *
 * Every frame that the stack sends is checked when it leaves: its checksums, that every byte of the
 * stream is the right one, and that it lies inside the window that its client has advertised.
 */
import assert from 'node:assert/strict'
import { arpPacket, ethernet } from '@sandstorm/libeth'
import {
  type CongestionControl,
  checksum,
  formatFrame,
  ipv4,
  tcb,
  tcp as wire,
} from '../../src/index.ts'
import { Host, send, sendArp } from '../kit/host.ts'
import { patternByte } from '../kit/patternApp.ts'
import { SYN } from '../kit/segment.ts'
import { Events, Timer } from './events.ts'
import { Link, type LinkOptions } from './link.ts'
import { HEADERS_LEN, optionBytes, type Packet, readPacket } from './packet.ts'
import { Receiver, type ReceiverOptions } from './receiver.ts'

export interface FlowOptions extends ReceiverOptions {
  /** When the client connects. */
  startUs: number
  /** From the links' end to this client and back: its round trip is longer by as much. */
  extraRttUs: number
}

export interface SimulationOptions {
  /** The path of the data … */
  forward?: Partial<LinkOptions>
  /** … and that of the acknowledgements. */
  back?: Partial<LinkOptions>
  /** Default: one. */
  flows?: Partial<FlowOptions>[]
  congestion?: CongestionControl
  /** Whether the stack paces. */
  pacing?: boolean
  seed?: number
}

/** A data segment that the stack has sent. */
export interface SentSegment {
  atUs: number
  port: number
  seq: number
  len: number
  /** It begins with a byte that was sent before. */
  isRetransmission: boolean
}

/** How it went, all flows together. */
export interface Result {
  /** Bytes of the streams that have arrived in order. */
  bytes: number
  /** From the first SYN to the last byte. */
  seconds: number
  /** Bytes a second of virtual time. */
  goodput: number
  /** Data segments sent, retransmissions included. */
  segments: number
  retransmissions: number
  /** Retransmissions of what the client had already. */
  spurious: number
  timeouts: number
  fastRecoveries: number
}

const FIRST_PORT = 10_000
const START_US = 1_000_000_000
const RING = 1024
/** More frames than any windows of a simulation allow at one moment. */
const RUNAWAY = 32 * RING
const IP = ethernet.HEADER_LEN
const TCP = IP + ipv4.HEADER_LEN

export class Simulation {
  readonly host: Host
  readonly events: Events = new Events(START_US)
  readonly forward: Link<Packet>
  readonly back: Link<Packet>
  readonly receivers: Receiver[]
  readonly seed: number
  /** Called for every data segment as it leaves the stack. */
  onSegment: (segment: SentSegment) => void = () => {}
  segments = 0
  retransmissions = 0
  /** By flow: behind the last byte that was sent. */
  readonly #highest: number[]
  readonly #extraUs: number[]
  readonly #poll: Timer

  constructor(options: SimulationOptions) {
    const flows = options.flows ?? [{}]
    this.seed = options.seed ?? 1
    this.host = this.#makeHost(options)
    const seed = (direction: number): number => Math.imul(this.seed, 0x9e3779b1) + direction
    const [there, here] = [options.forward ?? {}, options.back ?? {}]
    this.forward = new Link(this.events, { seed: seed(1), ...there }, (packet, isCopy) =>
      this.#arriveAtClient(packet, isCopy),
    )
    this.back = new Link(this.events, { seed: seed(2), ...here }, p => this.#arriveAtStack(p))
    this.#poll = new Timer(this.events, () => this.#pollStack())
    this.#highest = flows.map(() => 0)
    this.#extraUs = flows.map(flow => (flow.extraRttUs ?? 0) / 2)
    this.receivers = flows.map((flow, i) => {
      const receiver = new Receiver(this.events, flow, FIRST_PORT + i, packet =>
        this.#later(i, () =>
          this.back.send(packet, HEADERS_LEN + packet.len + optionBytes(packet, 0).length),
        ),
      )
      this.events.at(START_US + (flow.startUs ?? 0), () => receiver.connect())
      return receiver
    })
    this.#poll.set(START_US)
  }

  /** Runs until every client has what it wants; fails when that takes longer than the limit. */
  run(limitSeconds = 4000): Result {
    while (!this.isDone) {
      if (!this.events.step(START_US + limitSeconds * 1e6)) assert.fail(this.#describe())
    }
    return this.result
  }

  /** Runs on for so many seconds. */
  runFor(seconds: number): void {
    const untilUs = this.events.nowUs + seconds * 1e6
    while (this.events.step(untilUs));
    this.events.nowUs = untilUs
    this.host.nowUs = untilUs
  }

  get isDone(): boolean {
    return this.receivers.every(({ completeUs, phase, options }) =>
      options.closes === 'nobody' ? completeUs >= 0 : phase === 'closed',
    )
  }

  get result(): Result {
    const { stats } = this.host.tcp
    const bytes = this.receivers.reduce((sum, receiver) => sum + receiver.received, 0)
    const startUs = Math.min(...this.receivers.map(receiver => receiver.startedUs))
    const endUs = this.isDone
      ? Math.max(...this.receivers.map(receiver => receiver.completeUs))
      : this.events.nowUs
    const seconds = (endUs - startUs) / 1e6
    return {
      bytes,
      seconds,
      goodput: bytes / seconds,
      segments: this.segments,
      retransmissions: this.retransmissions,
      spurious: this.receivers.reduce((sum, receiver) => sum + receiver.spurious, 0),
      timeouts: stats.timeouts,
      fastRecoveries: stats.sackRecoveries + stats.renoRecoveries,
    }
  }

  /** A field of a flow's TCB. */
  field(field: number, flow = 0): number {
    return this.host.field(field, FIRST_PORT + flow)
  }

  #makeHost({ congestion, flows, pacing = false }: SimulationOptions): Host {
    const host = new Host({
      seed: this.seed,
      irs: Math.imul(this.seed, 77_777_777),
      ringSize: RING,
      frames: 2 * RING,
      nowUs: START_US,
      tcp: { pacing },
      ...(congestion === undefined ? {} : { congestion }),
    })
    host.draining = false
    host.app.recording = false
    host.app.doData = (c, len) => {
      const { options } = this.receivers[(host.tcp.tcb[c + tcb.PORTS] >>> 16) - FIRST_PORT]
      host.tcp.commit(c, options.bytes)
      if (options.closes === 'server') host.tcp.close(c)
      return len
    }
    host.app.doFin = c => host.tcp.close(c)
    assert.ok((flows?.length ?? 1) <= host.tcp.config.maxConnections, 'a connection per flow')
    return host
  }

  /** The flow's own part of the path, half of it each way. */
  #later(flow: number, go: () => void): void {
    const extraUs = this.#extraUs[flow]
    if (extraUs > 0) this.events.at(this.events.nowUs + extraUs, go)
    else go()
  }

  #arriveAtClient(packet: Packet, isCopy: boolean): void {
    const flow = packet.port - FIRST_PORT
    this.#later(flow, () => this.receivers[flow].receive(packet, isCopy))
  }

  /** What arrives at one moment is one batch. */
  #arriveAtStack(packet: Packet): void {
    const { host } = this
    const iss = host.iss(packet.port)
    host.nowUs = this.events.nowUs
    send(host, {
      flags: packet.flags,
      seq: packet.seq,
      ack: packet.ack,
      win: packet.window,
      data: packet.len,
      options: optionBytes(packet, iss),
      port: packet.port,
      poll: false,
    })
    this.#poll.set(this.events.nowUs)
  }

  #pollStack(): void {
    const { host, events } = this
    host.nowUs = events.nowUs
    let frames = 0
    for (let sent = -1; sent !== 0; frames += sent) {
      host.poll()
      sent = this.#drain()
      if (frames > RUNAWAY) assert.fail(`the stack does not let time pass: ${this.#describe()}`)
    }
    const idleUs = host.stack.idleUs()
    // A deadline that is due and does not go away must not stop the clock.
    if (idleUs >= 0) this.#poll.set(events.nowUs + (idleUs === 0 ? 1000 : idleUs))
  }

  #drain(): number {
    const { wire } = this.host
    let total = 0
    for (let n = wire.rx(); n > 0; n = wire.rx()) {
      for (let i = 0; i < n; i++) this.#leave(wire.rxOff[i], wire.rxLen[i])
      total += n
    }
    return total
  }

  /** A frame leaves the stack. */
  #leave(off: number, len: number): void {
    const { host } = this
    const { view } = host.region
    if (ethernet.type(view, off) === ethernet.TYPE_ARP) {
      const operation = arpPacket.operation(view, off + IP)
      if (operation === arpPacket.REQUEST) sendArp(host, arpPacket.REPLY, false)
      return
    }
    checkSums(view, off, len)
    const port = wire.dstPort(view, off + TCP)
    if (wire.flags(view, off + TCP) & SYN) host.issOf.set(port, wire.seq(view, off + TCP))
    const packet = readPacket(view, off, host.iss(port), host.irs)
    if (packet.len > 0) this.#noteData(packet, off, len)
    this.forward.send(packet, len)
  }

  #noteData(packet: Packet, off: number, len: number): void {
    const { view, bytes } = this.host.region
    const { port, seq, len: dataLen } = packet
    const flow = port - FIRST_PORT
    const payload = off + len - dataLen
    for (let i = 0; i < dataLen; i++) {
      if (bytes[payload + i] !== patternByte(seq - 1 + i)) {
        assert.fail(`byte ${seq - 1 + i} is not itself: ${formatFrame(view, off, len)}`)
      }
    }
    const { rightEdge } = this.receivers[flow]
    // RFC 9293 §3.8.6.1: a probe of a shut window is one byte beyond it.
    const isProbe = dataLen === 1 && seq === rightEdge
    if (seq + dataLen > rightEdge && !isProbe) {
      assert.fail(`beyond the window's edge ${rightEdge}: ${formatFrame(view, off, len)}`)
    }
    const isRetransmission = seq < this.#highest[flow]
    this.segments++
    if (isRetransmission) this.retransmissions++
    this.#highest[flow] = Math.max(this.#highest[flow], seq + dataLen)
    this.onSegment({ atUs: this.events.nowUs, port, seq, len: dataLen, isRetransmission })
  }

  #describe(): string {
    const flows = this.receivers.map(
      receiver => `${receiver.phase}, ${receiver.received} of ${receiver.options.bytes} bytes`,
    )
    return `seed ${this.seed}: not done at ${this.events.nowUs - START_US} µs: ${flows.join('; ')}`
  }
}

function checkSums(view: DataView, off: number, len: number): void {
  const tcpLen = len - TCP
  const pseudo = ipv4.pseudoSum(
    ipv4.src(view, off + IP),
    ipv4.dst(view, off + IP),
    ipv4.PROTO_TCP,
    tcpLen,
  )
  const isRight =
    ipv4.check(view, off + IP, len - IP) === 0 &&
    ipv4.totalLen(view, off + IP) === len - IP &&
    wire.check(view, off + TCP, tcpLen) === 0 &&
    checksum.fold(pseudo + checksum.sum(view, off + TCP, tcpLen)) === 0xffff
  if (!isRight) assert.fail(`a bad frame: ${formatFrame(view, off, len)}`)
}

/** One run to its end. */
export const simulate = (options: SimulationOptions): Result => new Simulation(options).run()

/** RFC 5166 §2.3, Jain's fairness index: 1 when all get the same, 1/n when one gets all. */
export function jainIndex(shares: readonly number[]): number {
  const sum = shares.reduce((a, b) => a + b, 0)
  const squares = shares.reduce((a, b) => a + b * b, 0)
  return (sum * sum) / (shares.length * squares)
}
