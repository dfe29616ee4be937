/**
 * A host under test: a Stack with a scripted application on one end of a memory link, a virtual
 * clock, and a peer on the other end that is nothing but the frames a test sends. Every frame that
 * the stack sends is checked here: lengths, checksums, and that each stream byte is the right one.
 *
 * Sequence numbers in scripts are relative: `seq` to the peer's ISN, `ack` and ours to ours.
 */
import assert from 'node:assert/strict'
import { type ArpOptions, arpPacket, ethernet } from '@sandstorm/libeth'
import { type FlowShare, FramePool, type MemoryPort, memoryLink, Region } from '@sandstorm/libnmio'
import {
  type CongestionControl,
  type IpAddress,
  icmpv6,
  ipv4,
  ipv4Address,
  ipv6,
  ipv6Address,
  type NdpOptions,
  NewReno,
  ndp,
  Stack,
  state,
  TCP_DEFAULTS,
  type Tcp,
  type TcpConfig,
  tcb,
  tcp as wire,
} from '../../src/index.ts'
import { checkFlights } from './flights.ts'
import { address as addressBytes, frame6, packet6, wordsOf } from './packet6.ts'
import { PatternApp, patternByte } from './patternApp.ts'
import {
  ACK,
  type Address,
  FIN,
  isIpv6,
  type Link,
  mssOption,
  PSH,
  type RawSegment,
  RST,
  readFrame,
  type SentFrame,
  SYN,
  sackOption,
  segmentLen,
  segmentOff,
  segmentSum,
  timestampsIn,
  timestampsOption,
  writeSegment,
  wscaleOption,
} from './segment.ts'
import { ipVersion } from './version.ts'

export const OUR_ADDR: number = ipv4.parse('10.0.0.2')
export const PEER_ADDR: number = ipv4.parse('10.0.0.1')
export const OUR_ADDR6 = 'fd77::2'
export const PEER_ADDR6 = 'fd77::1'
export const OUR_PORT = 80
export const PEER_PORT = 40000
const KIND_SACK = 5

/** Small tables; and ACKs come at once, so that a script shows what each segment caused. */
const KIT_CONFIG = { maxConnections: 64, maxFlights: 4096, timeWaitEntries: 64, delayedAckMs: 0 }

export interface HostOptions {
  /** Over which IP the scripts talk; over IPv6 MTUs are 20 bytes larger, segments are not. */
  ipVersion?: 4 | 6
  tcp?: Partial<TcpConfig>
  /** Ours; the first is OUR_ADDR or OUR_ADDR6, unless a test says otherwise. */
  addresses?: IpAddress[]
  gateway?: IpAddress
  gateway6?: IpAddress
  sharesAddresses?: boolean
  flows?: FlowShare
  tcbs?: SharedArrayBuffer
  addressStates?: SharedArrayBuffer
  arp?: Partial<ArpOptions>
  ndp?: Partial<NdpOptions>
  onConflict?: (address: IpAddress) => void
  mtu?: number
  ringSize?: number
  /** Frames of the stack's pool. */
  frames?: number
  /** The peer's ISN. */
  irs?: number
  /** False: the stack does not know the peer's hardware address yet. */
  resolved?: boolean
  nowUs?: number
  seed?: number
  /** What the peers of `established` offer, unless they say otherwise. */
  timestamps?: boolean
  sack?: boolean
  /** Default: NewReno. */
  congestion?: CongestionControl
}

/** A segment of the peer; what is left out is the ordinary. */
export interface Script {
  flags: number
  seq?: number
  ack?: number
  win?: number
  data?: number | Uint8Array
  /** Option bytes, padded here; if left out: timestamps where they were agreed on. */
  options?: readonly number[]
  /** Timestamps of this segment; if left out: the peer's clock, and the latest we sent. */
  tsVal?: number
  tsEcr?: number
  port?: number
  dstPort?: number
  src?: Address
  dst?: Address
  /** Changes the finished frame (then its checksums may be wrong). */
  spoil?: (view: DataView, off: number) => void
  /** False: the frame is only put in the ring; `poll` follows later. */
  poll?: boolean
}

export class Host {
  readonly ipVersion: 4 | 6
  readonly region: Region
  readonly device: MemoryPort
  readonly wire: MemoryPort
  readonly peerFrames: FramePool
  readonly stack: Stack
  readonly tcp: Tcp
  readonly app: PatternApp
  nowUs: number
  /** ISNs: the peer's, and ours by the peer's port (from the SYN-ACK). */
  irs: number
  readonly issOf: Map<number, number> = new Map()
  /** Our latest TSval by the peer's port, where timestamps were agreed on. */
  readonly tsValOf: Map<number, number> = new Map()
  readonly offers: { readonly timestamps: boolean; readonly sack: boolean }
  /** Frames the stack has sent since `take`. */
  sent: SentFrame[] = []
  /** The latest segment that was sent. */
  last!: RawSegment
  /** False: the peer takes nothing off the wire. */
  draining = true
  /**
   * The peer answers ARP and neighbour discovery, and those frames are not shown; false: they are,
   * and nobody answers.
   */
  answersArp: boolean
  readonly link: Link
  #arpWaits = false

  constructor(options: HostOptions = {}) {
    this.ipVersion = options.ipVersion ?? ipVersion
    const six = this.ipVersion === 6
    const mtu = (options.mtu ?? 1500) + (six ? ipv6.HEADER_LEN - ipv4.HEADER_LEN : 0)
    const frameShift = mtu > 1700 ? 14 : 11
    const frames = options.frames ?? 512
    const config = { ...TCP_DEFAULTS, ...KIT_CONFIG, ...options.tcp }
    this.region = new Region(((frames + 256) << frameShift) + 65536)
    const ports = memoryLink({ region: this.region, mtu, ringSize: options.ringSize ?? 256 })
    this.device = ports[0]
    this.wire = ports[1]
    const pool = new FramePool(this.region, frames, frameShift)
    this.peerFrames = new FramePool(this.region, 256, frameShift)
    this.nowUs = options.nowUs ?? 1_000_000_000
    this.irs = options.irs ?? 5000
    this.offers = { timestamps: options.timestamps ?? false, sack: options.sack ?? false }
    this.app = new PatternApp(config.maxConnections)
    let key = options.seed ?? 1
    this.stack = new Stack({
      device: this.device,
      frames: pool,
      addresses: options.addresses ?? [
        six ? ipv6Address(OUR_ADDR6, 64) : ipv4Address('10.0.0.2', 24),
      ],
      gateway: options.gateway,
      gateway6: options.gateway6,
      sharesAddresses: options.sharesAddresses,
      flows: options.flows,
      tcbs: options.tcbs,
      addressStates: options.addressStates,
      arp: { probes: 0, ...options.arp },
      ndp: { dadTransmits: 0, ...options.ndp },
      onConflict: options.onConflict,
      app: this.app,
      congestion: options.congestion ?? new NewReno(),
      tcp: config,
      random: () => {
        key = (Math.imul(key, 0x915f77f5) + 0x9e3779b9) | 0
        return key
      },
      nowUs: this.nowUs,
    })
    this.tcp = this.stack.tcp
    this.app.tcp = this.tcp
    this.tcp.listen(OUR_PORT)
    this.link = {
      dstHi: ethernet.hiOf(this.device.mac),
      dstLo: ethernet.loOf(this.device.mac),
      srcHi: ethernet.hiOf(this.wire.mac),
      srcLo: ethernet.loOf(this.wire.mac),
    }
    this.answersArp = options.resolved !== false
    if (six) this.#startIpv6()
    if (this.answersArp) sendArp(this, arpPacket.REQUEST)
  }

  /** Our addresses are used at once, and what tells of them is not shown. */
  #startIpv6(): void {
    this.stack.start()
    this.poll()
    this.take()
  }

  /** The handle of a connection, NO_CONN if there is none. */
  conn(port: number = PEER_PORT): number {
    const ports = (port << 16) | OUR_PORT
    if (this.ipVersion === 4) return this.tcp.table.find4(PEER_ADDR, 0, ports)
    const [w0, w1, w2, w3] = wordsOf(PEER_ADDR6)
    return this.tcp.table.find6(w0, w1, w2, w3, 0, ports)
  }

  state(port: number = PEER_PORT): string {
    const c = this.conn(port)
    return c < 0 ? 'none' : state.STATE_NAMES[this.tcp.tcb[c + tcb.STATE]]
  }

  field(field: number, port: number = PEER_PORT): number {
    return this.tcp.tcb[this.conn(port) + field]
  }

  poll(): void {
    this.stack.poll(this.nowUs)
    checkFlights(this.tcp)
    if (this.draining) this.drain()
    if (this.#arpWaits) {
      this.#arpWaits = false
      this.poll()
    }
  }

  /** Takes what the stack has sent off the wire, and checks it. */
  drain(): void {
    for (let n = this.wire.rx(); n > 0; n = this.wire.rx()) {
      for (let i = 0; i < n; i++) this.#receive(this.wire.rxOff[i], this.wire.rxLen[i])
    }
  }

  take(): SentFrame[] {
    const sent = this.sent
    this.sent = []
    return sent
  }

  /** Puts `write`'s frame on the wire towards the stack. */
  inject(write: (view: DataView, off: number) => number, poll = true): void {
    const done = this.wire.reclaim()
    for (let i = 0; i < done; i++) this.peerFrames.complete(this.wire.doneOff[i])
    const frame = this.peerFrames.alloc()
    assert.ok(frame >= 0 && this.wire.txSpace() > 0, 'the peer has room to send')
    const off = this.peerFrames.payloadOff(frame)
    const len = write(this.region.view, off)
    this.peerFrames.sent(frame)
    this.wire.push(off, len, 0)
    this.wire.flush()
    if (poll) this.poll()
  }

  #receive(off: number, len: number): void {
    const view = this.region.view
    if (this.answersArp && ethernet.type(view, off) === ethernet.TYPE_ARP) {
      const isRequest = arpPacket.operation(view, off + ethernet.HEADER_LEN) === arpPacket.REQUEST
      if (isRequest) {
        sendArp(this, arpPacket.REPLY, false)
        this.#arpWaits = true
      }
      return
    }
    if (isListenerReport(view, off)) return
    if (this.answersArp && isNeighbourTalk(view, off)) {
      const isQuestion = view.getUint8(off + ICMPV6) === icmpv6.NEIGHBOUR_SOLICITATION
      if (isQuestion) {
        sendArp(this, arpPacket.REPLY, false)
        this.#arpWaits = true
      }
      return
    }
    const frame = readFrame(view, off, len)
    this.sent.push(frame)
    if (frame.segment === undefined) return
    const seg = frame.segment
    this.last = seg
    const ip = off + ethernet.HEADER_LEN
    const check = isIpv6(view, off) ? ipv6.check : ipv4.check
    assert.equal(check(view, ip, len - ethernet.HEADER_LEN), 0, frame.line)
    assert.equal(ethernet.dstHi(view, off), this.link.srcHi, `to the peer: ${frame.line}`)
    assert.equal(ethernet.dstLo(view, off), this.link.srcLo, `to the peer: ${frame.line}`)
    const header = segmentOff(view, off)
    const tcpLen = segmentLen(view, off)
    assert.equal(header + tcpLen, off + len, `no padding: ${frame.line}`)
    assert.equal(wire.check(view, header, tcpLen), 0, frame.line)
    const sum = segmentSum(view, off, header, tcpLen)
    assert.equal(sum, 0xffff, `the checksum: ${frame.line}`)
    if (seg.flags & SYN) this.issOf.set(seg.dstPort, seg.seq)
    this.#checkTimestamps(seg, frame.line)
    if (seg.data.length > 0) this.#checkStream(seg, frame.line)
  }

  /** RFC 7323 §3.2: in the SYN-ACK, then in every segment but an RST, or never. */
  #checkTimestamps(seg: RawSegment, line: string): void {
    const port = seg.dstPort
    const timestamps = timestampsIn(seg)
    // What answers a segment of no connection has none, and may lie before the next SYN-ACK.
    const isOpen = this.conn(port) >= 0 && this.field(tcb.STATE, port) !== state.SYN_RCVD
    if (seg.flags & SYN) this.tsValOf.delete(port)
    else if (!this.tsValOf.has(port)) assert.equal(timestamps, undefined, `no timestamps: ${line}`)
    else if (isOpen && (seg.flags & RST) === 0) assert.ok(timestamps, `timestamps: ${line}`)
    if (timestamps !== undefined) this.tsValOf.set(port, timestamps[0])
  }

  /** The peer's millisecond clock, from which it takes its timestamps. */
  get peerMs(): number {
    return Math.floor(this.nowUs / 1000)
  }

  #checkStream(seg: RawSegment, line: string): void {
    const from = (seg.seq - this.iss(seg.dstPort) - 1) >>> 0
    for (let i = 0; i < seg.data.length; i++) {
      if (seg.data[i] !== patternByte(from + i)) {
        assert.fail(`byte ${from + i} of the stream is not itself: ${line}`)
      }
    }
  }

  iss(port: number = PEER_PORT): number {
    return this.issOf.get(port) ?? 0
  }
}

/** The peer sends one segment, and the stack is polled. */
export function send(t: Host, script: Script): void {
  t.inject((view, off) => {
    const port = script.port ?? PEER_PORT
    const data = script.data ?? 0
    const len = writeSegment(view, off, t.link, {
      src: script.src ?? (t.ipVersion === 6 ? PEER_ADDR6 : PEER_ADDR),
      dst: script.dst ?? (t.ipVersion === 6 ? OUR_ADDR6 : OUR_ADDR),
      srcPort: port,
      dstPort: script.dstPort ?? OUR_PORT,
      seq: (t.irs + (script.seq ?? 0)) | 0,
      ack: script.flags & ACK ? (t.iss(port) + (script.ack ?? 0)) | 0 : 0,
      flags: script.flags,
      win: script.win ?? 65535,
      data: typeof data === 'number' ? new Uint8Array(data).fill(0x61) : data,
      options: Uint8Array.from(optionsOf(t, script, port)),
    })
    script.spoil?.(view, off)
    return len
  }, script.poll)
}

function optionsOf(t: Host, script: Script, port: number): readonly number[] {
  const { options, tsVal, tsEcr } = script
  if (options !== undefined) return options
  const ours = t.tsValOf.get(port)
  if (ours === undefined && tsVal === undefined) return []
  return timestampsOption(tsVal ?? t.peerMs, tsEcr ?? ours ?? 0)
}

/** Where an ICMPv6 message lies in a frame without extension headers. */
const ICMPV6: number = ethernet.HEADER_LEN + ipv6.HEADER_LEN

/** The next header of an IPv6 frame; -1: it is none. */
const nextHeaderIn = (view: DataView, off: number): number =>
  isIpv6(view, off) ? ipv6.nextHeader(view, off + ethernet.HEADER_LEN) : -1

/** Only reports have a hop-by-hop header; no script is about them. */
const isListenerReport = (view: DataView, off: number): boolean =>
  nextHeaderIn(view, off) === ipv6.PROTO_HOP_BY_HOP

const isNeighbourTalk = (view: DataView, off: number): boolean =>
  nextHeaderIn(view, off) === ipv6.PROTO_ICMPV6 && ndp.isNdp(view.getUint8(off + ICMPV6))

/** A solicitation for our address, or an advertisement to us, from `peer`. */
export function sendNdp(t: Host, operation: number, poll = true, peer: string = PEER_ADDR6): void {
  const isQuestion = operation === arpPacket.REQUEST
  const hex = (hi: number, lo: number): string =>
    hi.toString(16).padStart(4, '0') + (lo >>> 0).toString(16).padStart(8, '0')
  const ourMac = hex(t.link.dstHi, t.link.dstLo)
  const peerMac = hex(t.link.srcHi, t.link.srcLo)
  const payload = Buffer.concat([
    Buffer.from(isQuestion ? '8700000000000000' : '8800000060000000', 'hex'),
    addressBytes(isQuestion ? OUR_ADDR6 : peer),
    Buffer.from(`${isQuestion ? '01' : '02'}01${peerMac}`, 'hex'),
  ])
  const packet = packet6({ src: peer, dst: OUR_ADDR6, hopLimit: 255, payload })
  const frame = frame6(ourMac, peerMac, packet)
  t.inject((_, off) => {
    t.region.bytes.set(frame, off)
    return frame.length
  }, poll)
}

/**
 * An ARP request for our address, or a reply to us, from the owner of `sender`; over IPv6 its like,
 * from the peer.
 */
export function sendArp(t: Host, operation: number, poll = true, sender: number = PEER_ADDR): void {
  if (t.ipVersion === 6) {
    sendNdp(t, operation, poll)
    return
  }
  t.inject((view, off) => {
    const { link } = t
    ethernet.setDst(view, off, link.dstHi, link.dstLo)
    ethernet.setSrc(view, off, link.srcHi, link.srcLo)
    ethernet.setType(view, off, ethernet.TYPE_ARP)
    const packet = off + ethernet.HEADER_LEN
    arpPacket.setOperation(view, packet, operation)
    arpPacket.setSender(view, packet, link.srcHi, link.srcLo, sender)
    arpPacket.setTarget(view, packet, 0, 0, OUR_ADDR)
    return ethernet.HEADER_LEN + arpPacket.PACKET_LEN
  }, poll)
}

/** Moves the clock and polls whenever the stack asked for it, as a server loop does. */
export function advance(t: Host, ms: number): void {
  const until = t.nowUs + ms * 1000
  for (let turn = 0; ; turn++) {
    assert.ok(turn < 2_000_000, 'the stack lets time pass')
    const idle = t.stack.idleUs()
    if (idle < 0 || t.nowUs + idle > until) break
    // A deadline that is due and does not go away would stop the clock: then it must move.
    t.nowUs += idle === 0 && turn > 0 ? 1000 : idle
    if (t.nowUs > until) break
    t.poll()
  }
  t.nowUs = until
  t.poll()
}

export interface Established {
  mss?: number
  /** -1: no option. */
  wscale?: number
  win?: number
  port?: number
  /** Round trip that the handshake shows, milliseconds. */
  rttMs?: number
  /** Offered in the SYN; as the Host's options say, if left out. */
  timestamps?: boolean
  sack?: boolean
}

/** Options of a SYN. */
export function synOptions(t: Host, offered: Established): number[] {
  const {
    mss = 1460,
    wscale = -1,
    timestamps = t.offers.timestamps,
    sack = t.offers.sack,
  } = offered
  return [
    ...(mss > 0 ? mssOption(mss) : []),
    ...(sack ? sackOption : []),
    ...(timestamps ? timestampsOption(t.peerMs, 0) : []),
    ...(wscale >= 0 ? wscaleOption(wscale) : []),
  ]
}

/** Shakes hands; afterwards both sides' next byte is 1, and nothing is left in `sent`. */
export function established(t: Host, options: Established = {}): number {
  const { wscale = -1, win = 65535, port = PEER_PORT, rttMs = 0 } = options
  const syn = synOptions(t, options)
  send(t, { flags: SYN, seq: 0, options: syn, port, win: win > 65535 ? 65535 : win })
  advance(t, rttMs)
  const scaled = wscale > 0 ? win >> wscale : win
  send(t, { flags: ACK, seq: 1, ack: 1, port, win: scaled })
  t.take()
  return t.conn(port)
}

/** `P. 1:101 ack 1`: flags as tcpdump has them, numbers relative. */
export function brief(t: Host, frame: SentFrame): string {
  const seg = frame.segment
  if (seg === undefined) return frame.line
  const letters = [
    [FIN, 'F'],
    [SYN, 'S'],
    [RST, 'R'],
    [PSH, 'P'],
    [ACK, '.'],
  ] as const
  const flags = letters.map(([bit, letter]) => (seg.flags & bit ? letter : '')).join('')
  const from = (seg.seq - t.iss(seg.dstPort)) | 0
  const range = seg.data.length > 0 ? `${from}:${from + seg.data.length}` : `${from}`
  const ack = seg.flags & ACK ? ` ack ${(seg.ack - t.irs) | 0}` : ''
  return `${flags} ${range}${ack}`
}

/** All that was sent since the last look, in short; the failure shows the whole lines. */
export function expectSent(t: Host, expected: string[]): void {
  const frames = t.take()
  const lines = frames.map(frame => frame.line).join('\n  ')
  assert.deepEqual(
    frames.map(frame => brief(t, frame)),
    expected,
    `expected\n  ${expected.join('\n  ')}\nsent\n  ${frames.map(f => brief(t, f)).join('\n  ')}\n  ${lines}`,
  )
}

/** Adds bytes to a connection's stream from outside a callback, and lets the stack send. */
export function write(t: Host, bytes: number, port: number = PEER_PORT): void {
  const c = t.conn(port)
  t.tcp.commit(c, bytes)
  t.tcp.addWork(c, tcb.NEED_OUTPUT)
  t.poll()
}

/** Closes from outside a callback. */
export function close(t: Host, port: number = PEER_PORT): void {
  const c = t.conn(port)
  t.tcp.close(c)
  t.tcp.addWork(c, tcb.NEED_OUTPUT)
  t.poll()
}

/** Acknowledges everything up to `ack`. */
export function ackUpTo(t: Host, ack: number, win = 65535): void {
  send(t, { flags: ACK, seq: 1, ack, win })
}

/** Segments of `len` bytes from `from` on, as `brief` writes them. */
export function segments(from: number, count: number, len = 1460): string[] {
  return Array.from(
    { length: count },
    (_, i) => `. ${from + i * len}:${from + (i + 1) * len} ack 1`,
  )
}

/** The SACK blocks of a segment, `from-to` relative to the peer's ISN, in their order. */
export function sackBlocks(t: Host, seg: RawSegment = t.last): string[] {
  const view = new DataView(seg.options.buffer, seg.options.byteOffset, seg.options.length)
  const blocks: string[] = []
  for (let at = 0; at < seg.options.length; at += seg.options[at] < 2 ? 1 : seg.options[at + 1]) {
    if (seg.options[at] !== KIND_SACK) continue
    for (let edge = at + 2; edge < at + seg.options[at + 1]; edge += 8) {
      const from = (view.getInt32(edge) - t.irs) | 0
      blocks.push(`${from}-${(view.getInt32(edge + 4) - t.irs) | 0}`)
    }
  }
  return blocks
}

/** Invariant 6: nothing is left of any connection. */
export function expectEmpty(t: Host): void {
  t.poll()
  t.poll()
  assert.equal(t.tcp.table.count, 0, 'the table is empty')
  assert.equal(t.tcp.pool.usedCount, 0, 'all TCBs are back')
  assert.equal(t.tcp.timers.count, 0, 'no timer is left')
  assert.equal(t.tcp.workHead, tcb.NO_CONN, 'no work is left')
  assert.equal(t.tcp.halfOpen, 0, 'nothing is half open')
  assert.equal(t.tcp.flights.usedCount, 0, 'no flight is left')
  assert.equal(t.tcp.flights.usedRecordCount, 0, 'no send record is left')
  assert.equal(t.tcp.reassembly.usedCount, 0, 'nothing waits for its predecessor')
  assert.equal(t.stack.frames.inFlightCount, 0, 'no frame is in flight')
  assert.equal(t.stack.frames.freeCount, t.stack.frames.capacity, 'all frames are back')
  assert.equal(t.app.openCount, 0, 'the application has heard every end')
}
