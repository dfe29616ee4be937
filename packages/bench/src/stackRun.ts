/**
 * A stack on a memory link whose peer is nothing but ACK frames, made once and patched: what an ACK
 * costs the stack, from the receive ring to the segments that it calls out. Only the time inside
 * `stack.poll` counts. Each turn brings one ACK of every connection, so none is coalesced.
 *
 * The peer offers options in its SYNs and uses in its ACKs those that the stack has agreed to.
 */
import { arpPacket, ethernet } from '@sandstorm/libeth'
import {
  assert,
  FramePool,
  type MemoryPort,
  memoryLink,
  NO_FRAME,
  OFFLOAD_NONE,
  Region,
} from '@sandstorm/libnmio'
import {
  type Application,
  BUSY,
  type CongestionControl,
  checksum,
  ipv4,
  ipv4Address,
  Stack,
  type Tcp,
  TcpOptions,
  tcb,
  tcp as tcpHeader,
} from '@sandstorm/libtcpip'
import { writeIpv4 } from './ipv4Header.ts'

export const CONNECTIONS = 64
const OUR_ADDRESS = 0x0a000001
const PEER_ADDRESS = 0x0a000002
const PORT = 80
const FIRST_PORT = 1024
const IRS = 5000
const TURN_US = 50
const COMMIT_BYTES = 1 << 20
const IP_OFF = ethernet.HEADER_LEN
const TCP_OFF = ethernet.HEADER_LEN + ipv4.HEADER_LEN
/** MSS 1460, timestamps, SACK permitted, as they stand in a SYN (RFC 9293, 7323, 2018). */
const MSS_OPTION = [2, 4, 1460 >> 8, 1460 & 0xff]
const TIMESTAMPS_OPTION = [1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0]
const SACK_OFFER = [1, 1, 4, 2]
/** One block, absolute numbers to be patched. */
const SACK_OPTION = [1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0]

/** Behind the header and two NOPs. */
const OPTION_AT: number = tcpHeader.HEADER_LEN + 2

/** A window that nothing changes, but for the one segment after a time-out. */
class FixedWindow implements CongestionControl {
  readonly name = 'fixed'
  readonly #segments: number

  constructor(segments: number) {
    this.#segments = segments
  }

  onOpen(fields: Int32Array, c: number): void {
    this.#set(fields, c)
  }
  onAck(fields: Int32Array, c: number): void {
    this.#set(fields, c)
  }
  onLoss(fields: Int32Array, c: number): void {
    this.#set(fields, c)
  }
  onRto(fields: Int32Array, c: number): void {
    fields[c + tcb.CWND] = fields[c + tcb.MSS]
  }
  onIdle(): void {}

  #set(fields: Int32Array, c: number): void {
    fields[c + tcb.CWND] = this.#segments * fields[c + tcb.MSS]
    fields[c + tcb.SSTHRESH] = fields[c + tcb.CWND]
  }
}

/** Streams of zeros without an end: the payload's sum is 0, and no byte is copied. */
class ZeroApp implements Application {
  tcp!: Tcp
  readonly handles: number[] = []

  segmentBytes(mss: number): number {
    return mss
  }
  onOpen(c: number): void {
    this.handles.push(c)
  }
  onData(_c: number, _off: number, len: number): number {
    return len
  }
  onFin(): void {}
  onAcked(c: number): void {
    const { tcb: fields } = this.tcp
    const left = (fields[c + tcb.SND_END] - fields[c + tcb.SND_NXT]) | 0
    if (left < COMMIT_BYTES >> 1) this.tcp.commit(c, COMMIT_BYTES)
  }
  onTimeout(): void {}
  onClosed(): void {}

  transmit(c: number, seq: number, room: number): number {
    const mss = this.tcp.tcb[c + tcb.MSS]
    let sent = 0
    while (room - sent >= mss && this.tcp.device.txSpace() > 0) {
      if (this.transmitExactly(c, (seq + sent) | 0, mss) === BUSY) break
      sent += mss
    }
    return sent
  }

  transmitExactly(c: number, seq: number, len: number): number {
    const { tcp } = this
    const frame = tcp.frames.alloc()
    if (frame === NO_FRAME) return BUSY
    const payloadOff = tcp.frames.payloadOff(frame)
    tcp.headers.begin(c, seq)
    const off = tcp.headers.write(payloadOff, seq, len, 0)
    tcp.frames.sent(frame)
    tcp.device.push(off, payloadOff + len - off, OFFLOAD_NONE)
    return len
  }
}

/** What the peer's SYNs offer. */
export type Offer = 'nothing' | 'timestamps' | 'sack'

export class StackRun {
  readonly stack: Stack
  /** Milliseconds inside stack.poll. */
  ms = 0
  readonly #app = new ZeroApp()
  readonly #peer: MemoryPort
  readonly #view: DataView
  /** By connection: its ACK frame and its length. */
  readonly #ackOff: number[] = []
  readonly #ackLen: number[] = []
  /** Where the option stands in the ACK frames, from the TCP header on; 0: not agreed. */
  #timestampsAt = 0
  #sackAt = 0
  #nowUs = 1_000_000_000

  /** `windowSegments`: in flight on each connection. */
  constructor(offer: Offer, windowSegments: number) {
    const region = new Region(32 << 20)
    const [near, far] = memoryLink({ region, mtu: 1500, ringSize: 4096 })
    this.#peer = far
    this.#view = region.view
    this.stack = new Stack({
      device: near,
      frames: new FramePool(region, 8192),
      addresses: [ipv4Address('10.0.0.1', 24)],
      app: this.#app,
      congestion: new FixedWindow(windowSegments),
      tcp: { maxConnections: 1024 },
      random: () => (Math.random() * 2 ** 32) | 0,
      nowUs: this.#nowUs,
    })
    this.#app.tcp = this.stack.tcp
    this.stack.tcp.listen(PORT)
    const frames = new FramePool(region, CONNECTIONS + 2)
    this.#introduce(frames.payloadOff(frames.alloc()) - TCP_OFF)
    this.#openAll(frames, offer)
    // Only now, so that none of them waits for its ACKs while others open.
    for (const c of this.handles) {
      this.stack.tcp.commit(c, COMMIT_BYTES)
      this.stack.tcp.addWork(c, tcb.NEED_OUTPUT)
    }
    this.poll()
  }

  get handles(): readonly number[] {
    return this.#app.handles
  }

  /**
   * A batch of what the peer has pushed, and as many more as it takes to send all that may be sent,
   * which is taken off the wire.
   */
  poll(passedUs: number = TURN_US): void {
    this.#nowUs += passedUs
    this.#peer.flush()
    const start = performance.now()
    do this.stack.poll(this.#nowUs)
    while (this.stack.tcp.isCutShort)
    this.ms += performance.now() - start
    while (this.#peer.rx() > 0) {}
  }

  /** Every connection acknowledges `segments` more, -1: all, and has `sacked` behind the next. */
  turn(segments: number, sacked: number): void {
    const { tcp } = this.stack
    const fields = tcp.tcb
    for (let i = 0; i < CONNECTIONS; i++) {
      const c = this.handles[i]
      const mss = fields[c + tcb.MSS]
      const all = fields[c + tcb.SND_NXT]
      const ack = segments < 0 ? all : (fields[c + tcb.SND_UNA] + segments * mss) | 0
      const header = this.#ackOff[i] + TCP_OFF
      if (this.#timestampsAt > 0) this.#stamp(header, tcp.nowMs + fields[c + tcb.TS_OFFSET])
      if (this.#sackAt > 0) this.#block(header, ack + mss, sacked * mss)
      this.#send(i, ack)
    }
    this.poll()
  }

  /** `echo`: what the stack has sent last. */
  #stamp(header: number, echo: number): void {
    this.#view.setInt32(header + this.#timestampsAt + 2, this.#nowUs / 1000)
    this.#view.setInt32(header + this.#timestampsAt + 6, echo)
  }

  /** Without a block the place is filled with NOPs. */
  #block(header: number, start: number, len: number): void {
    const view = this.#view
    const at = header + this.#sackAt
    for (let i = 0; i < 10; i++) view.setUint8(at + i, 1)
    if (len === 0) return
    view.setUint16(at, (5 << 8) | 10)
    view.setInt32(at + 2, start)
    view.setInt32(at + 6, start + len)
  }

  /** The peer asks for our hardware address, and so tells its own. */
  #introduce(off: number): void {
    const packet = off + ethernet.HEADER_LEN
    this.#writeEthernet(off, ethernet.TYPE_ARP)
    arpPacket.setOperation(this.#view, packet, arpPacket.REQUEST)
    const { mac } = this.#peer
    arpPacket.setSender(this.#view, packet, ethernet.hiOf(mac), ethernet.loOf(mac), PEER_ADDRESS)
    arpPacket.setTarget(this.#view, packet, 0, 0, OUR_ADDRESS)
    this.#peer.push(off, ethernet.HEADER_LEN + arpPacket.PACKET_LEN, OFFLOAD_NONE)
    this.poll()
  }

  #openAll(frames: FramePool, offer: Offer): void {
    const view = this.#view
    const wanted = offer === 'timestamps' ? TIMESTAMPS_OPTION : offer === 'sack' ? SACK_OFFER : []
    const agreed = new TcpOptions()
    for (let i = 0; i < CONNECTIONS; i++) {
      const off = frames.payloadOff(frames.alloc()) - TCP_OFF
      this.#ackOff.push(off)
      this.#ackLen.push(this.#write(off, i, IRS, tcpHeader.SYN, [...MSS_OPTION, ...wanted]))
      this.#send(i, 0)
      this.#peer.flush()
      this.#nowUs += TURN_US
      this.stack.poll(this.#nowUs)
      assert(this.#peer.rx() === 1, 'a SYN is answered')
      const synAck = this.#peer.rxOff[0] + TCP_OFF
      const iss = tcpHeader.seq(view, synAck)
      agreed.parse(view, synAck)
      if (agreed.timestamps) this.#timestampsAt = OPTION_AT
      else if (agreed.sackPermitted) this.#sackAt = OPTION_AT
      const options = agreed.timestamps
        ? TIMESTAMPS_OPTION
        : agreed.sackPermitted
          ? SACK_OPTION
          : []
      this.#ackLen[i] = this.#write(off, i, IRS + 1, tcpHeader.ACK, options)
      const header = off + TCP_OFF
      if (this.#timestampsAt > 0) this.#stamp(header, agreed.tsVal)
      if (this.#sackAt > 0) this.#block(header, 0, 0)
      this.#send(i, (iss + 1) | 0)
      this.poll()
      assert(this.handles.length === i + 1, 'the handshake is complete')
    }
  }

  #writeEthernet(off: number, type: number): void {
    const { mac } = this.stack.device
    ethernet.setDst(this.#view, off, ethernet.hiOf(mac), ethernet.loOf(mac))
    const own = this.#peer.mac
    ethernet.setSrc(this.#view, off, ethernet.hiOf(own), ethernet.loOf(own))
    ethernet.setType(this.#view, off, type)
  }

  /** All of a frame but its ACK number and its TCP checksum; returns its length. */
  #write(off: number, i: number, seq: number, flags: number, options: readonly number[]): number {
    const view = this.#view
    const ip = off + IP_OFF
    const header = off + TCP_OFF
    const tcpLen = tcpHeader.HEADER_LEN + options.length
    this.#writeEthernet(off, ethernet.TYPE_IPV4)
    writeIpv4(view, ip, PEER_ADDRESS, OUR_ADDRESS, tcpLen)
    tcpHeader.setSrcPort(view, header, FIRST_PORT + i)
    tcpHeader.setDstPort(view, header, PORT)
    tcpHeader.setSeq(view, header, seq)
    tcpHeader.setHeaderLen(view, header, tcpLen)
    tcpHeader.setFlags(view, header, flags)
    tcpHeader.setWindow(view, header, 65535)
    tcpHeader.setUrgent(view, header, 0)
    for (let b = 0; b < options.length; b++) {
      view.setUint8(header + tcpHeader.HEADER_LEN + b, options[b])
    }
    return TCP_OFF + tcpLen
  }

  #send(i: number, ack: number): void {
    const view = this.#view
    const header = this.#ackOff[i] + TCP_OFF
    const len = this.#ackLen[i] - TCP_OFF
    tcpHeader.setAck(view, header, ack)
    tcpHeader.setChecksum(view, header, 0)
    const pseudo = ipv4.pseudoSum(PEER_ADDRESS, OUR_ADDRESS, ipv4.PROTO_TCP, len)
    const sum = pseudo + checksum.sum(view, header, len)
    tcpHeader.setChecksum(view, header, checksum.finish(checksum.fold(sum)))
    this.#peer.push(this.#ackOff[i], this.#ackLen[i], OFFLOAD_NONE)
    this.#peer.reclaim()
  }
}
