/**
 * A client without a TCP: just enough of one for a network that loses nothing, so that it costs
 * little beside the server it keeps busy. Each of its connections asks for one object over and
 * over, keeping the connection or making a new one per request, and acknowledges every second
 * segment as RFC 9293 §3.8.6.3 has it. Its requests are finished packets, too.
 *
 * Invariant: what is not exactly the next expected byte is counted in `errors`; so is, while
 * `verifying`, a frame whose checksums do not hold.
 */
import { ethernet } from '@sandstorm/libeth'
import { type Device, FramePool, OFFLOAD_NONE } from '@sandstorm/libnmio'
import { checksum, ipv4, tcp } from '@sandstorm/libtcpip'
import { writeIpv4 } from './ipv4Header.ts'

const TCP_OFF = ethernet.HEADER_LEN + ipv4.HEADER_LEN
const HEADERS_LEN = TCP_OFF + tcp.HEADER_LEN
const ADDRESS = 0x0a000002
const FIRST_PORT = 1024
const WINDOW = 65535
/** Of a SYN: an MSS of 1460 (RFC 9293 §3.2). */
const SYN_OPTIONS = Uint8Array.of(2, 4, 1460 >> 8, 1460 & 0xff)
/** From one connection of a port to its next: far more than it sends. */
const ISS_STEP = 1 << 20

export interface MemoryClientOptions {
  device: Device
  serverMac: Uint8Array
  serverAddress: number
  serverPort: number
  request: Uint8Array
  /** Bytes of one answer, head and body. */
  answerBytes: number
  connections: number
  /** A connection per request; the request says so too. */
  close: boolean
}

export class MemoryClient {
  responses = 0
  framesIn = 0
  framesOut = 0
  errors = 0
  verifying = true
  readonly #device: Device
  readonly #frames: FramePool
  readonly #view: DataView
  readonly #options: MemoryClientOptions
  readonly #macHi: number
  readonly #macLo: number
  readonly #requestSum: number
  readonly #synSum: number
  // By connection
  readonly #port: Int32Array
  readonly #iss: Int32Array
  readonly #seq: Int32Array
  readonly #ack: Int32Array
  /** Bytes of the answer that are still to come. */
  readonly #left: Int32Array
  /** Segments not acknowledged yet. */
  readonly #unacked: Int32Array
  /** The connection that uses a port, −1: none. */
  readonly #byPort: Int32Array = new Int32Array(65536).fill(-1)

  constructor(options: MemoryClientOptions) {
    const { device, connections } = options
    this.#options = options
    this.#device = device
    this.#frames = new FramePool(device.region, 4096)
    this.#view = device.region.view
    this.#macHi = ethernet.hiOf(device.mac)
    this.#macLo = ethernet.loOf(device.mac)
    this.#requestSum = sumOf(options.request)
    this.#synSum = sumOf(SYN_OPTIONS)
    this.#port = Int32Array.from({ length: connections }, (_, i) => FIRST_PORT + i)
    this.#iss = new Int32Array(connections)
    this.#seq = new Int32Array(connections)
    this.#ack = new Int32Array(connections)
    this.#left = new Int32Array(connections)
    this.#unacked = new Int32Array(connections)
  }

  /** Opens all connections. */
  start(): void {
    for (let i = 0; i < this.#options.connections; i++) this.#open(i)
    this.#device.flush()
  }

  /** One batch; returns the frames received. */
  poll(): number {
    const device = this.#device
    const count = device.rx()
    this.framesIn += count
    for (let i = 0; i < count; i++) this.#receive(device.rxOff[i], device.rxLen[i])
    device.flush()
    const done = device.reclaim()
    for (let i = 0; i < done; i++) this.#frames.complete(device.doneOff[i])
    return count
  }

  #receive(off: number, len: number): void {
    const view = this.#view
    if (ethernet.type(view, off) === ethernet.TYPE_ARP) {
      this.#answerArp(off)
      return
    }
    if (this.verifying && !this.#isSound(off)) this.errors++
    const header = off + TCP_OFF
    const i = this.#byPort[tcp.dstPort(view, header)]
    const flags = tcp.flags(view, header)
    if (i < 0) return // the ACK of our FIN: the port has moved on
    if (flags & tcp.SYN) {
      this.#ack[i] = (tcp.seq(view, header) + 1) | 0
      this.#sendControl(i, tcp.ACK)
      this.#ask(i)
      return
    }
    this.#take(i, tcp.seq(view, header), len - HEADERS_LEN, flags)
  }

  #take(i: number, seq: number, bytes: number, flags: number): void {
    if (flags & tcp.RST || (bytes > 0 && seq !== this.#ack[i])) this.errors++
    if (bytes === 0 && (flags & tcp.FIN) === 0) return
    this.#ack[i] = (this.#ack[i] + bytes) | 0
    this.#left[i] -= bytes
    this.#unacked[i]++
    if (this.#left[i] === 0 && bytes > 0) {
      this.responses++
      if (!this.#options.close) this.#ask(i) // the request carries the ACK
    }
    if (flags & tcp.FIN) {
      if (this.#left[i] !== 0) this.errors++
      this.#ack[i] = (this.#ack[i] + 1) | 0
      this.#sendControl(i, tcp.ACK | tcp.FIN)
      this.#reopen(i)
    } else if (this.#unacked[i] >= 2) {
      this.#sendControl(i, tcp.ACK)
    }
  }

  #reopen(i: number): void {
    this.#byPort[this.#port[i]] = -1
    this.#port[i] += this.#options.connections
    if (this.#port[i] > 65535) {
      this.#port[i] = FIRST_PORT + i
      this.#iss[i] = (this.#iss[i] + ISS_STEP) | 0
    }
    this.#open(i)
  }

  #open(i: number): void {
    this.#byPort[this.#port[i]] = i
    this.#seq[i] = this.#iss[i]
    this.#ack[i] = 0
    this.#send(i, tcp.SYN, SYN_OPTIONS, this.#synSum, tcp.HEADER_LEN + SYN_OPTIONS.length)
    this.#seq[i] = (this.#seq[i] + 1) | 0
  }

  #ask(i: number): void {
    const { request, answerBytes } = this.#options
    this.#left[i] = answerBytes
    this.#send(i, tcp.ACK | tcp.PSH, request, this.#requestSum, tcp.HEADER_LEN)
    this.#seq[i] = (this.#seq[i] + request.length) | 0
  }

  #sendControl(i: number, flags: number): void {
    this.#send(i, flags, NOTHING, 0, tcp.HEADER_LEN)
  }

  /** `bytes` follow the plain header; they are options as far as `headerLen` reaches. */
  #send(i: number, flags: number, bytes: Uint8Array, bytesSum: number, headerLen: number): void {
    const view = this.#view
    const { serverAddress, serverPort } = this.#options
    const frame = this.#frames.alloc()
    const off = this.#frames.payloadOff(frame) - HEADERS_LEN
    const ip = off + ethernet.HEADER_LEN
    const header = off + TCP_OFF
    const tcpLen = tcp.HEADER_LEN + bytes.length
    this.#writeEthernet(off, ethernet.TYPE_IPV4)
    writeIpv4(view, ip, ADDRESS, serverAddress, tcpLen)
    tcp.setSrcPort(view, header, this.#port[i])
    tcp.setDstPort(view, header, serverPort)
    tcp.setSeq(view, header, this.#seq[i])
    tcp.setAck(view, header, this.#ack[i])
    tcp.setHeaderLen(view, header, headerLen)
    tcp.setFlags(view, header, flags)
    tcp.setWindow(view, header, WINDOW)
    tcp.setChecksum(view, header, 0)
    tcp.setUrgent(view, header, 0)
    for (let b = 0; b < bytes.length; b++) view.setUint8(off + HEADERS_LEN + b, bytes[b])
    const pseudo = ipv4.pseudoSum(ADDRESS, serverAddress, ipv4.PROTO_TCP, tcpLen)
    const sum = pseudo + checksum.sum(view, header, tcp.HEADER_LEN) + bytesSum
    tcp.setChecksum(view, header, checksum.finish(checksum.fold(sum)))
    this.#push(frame, off, HEADERS_LEN + bytes.length)
    this.#unacked[i] = 0
  }

  #push(frame: number, off: number, len: number): void {
    this.#frames.sent(frame)
    this.#device.push(off, len, OFFLOAD_NONE)
    this.framesOut++
  }

  #writeEthernet(off: number, type: number): void {
    const { serverMac } = this.#options
    ethernet.setDst(this.#view, off, ethernet.hiOf(serverMac), ethernet.loOf(serverMac))
    ethernet.setSrc(this.#view, off, this.#macHi, this.#macLo)
    ethernet.setType(this.#view, off, type)
  }

  /** Turns the server's question round (RFC 826). */
  #answerArp(request: number): void {
    const { bytes } = this.#device.region
    const frame = this.#frames.alloc()
    const off = this.#frames.payloadOff(frame) - HEADERS_LEN
    const arp = off + ethernet.HEADER_LEN
    const asked = request + ethernet.HEADER_LEN
    this.#writeEthernet(off, ethernet.TYPE_ARP)
    bytes.copyWithin(arp, asked, asked + 8)
    bytes[arp + 7] = 2
    bytes.set(this.#device.mac, arp + 8)
    bytes.copyWithin(arp + 14, asked + 24, asked + 28)
    bytes.copyWithin(arp + 18, asked + 8, asked + 18)
    this.#push(frame, off, ethernet.HEADER_LEN + 28)
  }

  #isSound(off: number): boolean {
    const view = this.#view
    const ip = off + ethernet.HEADER_LEN
    const tcpLen = ipv4.totalLen(view, ip) - ipv4.HEADER_LEN
    const pseudo = ipv4.pseudoSum(ipv4.src(view, ip), ADDRESS, ipv4.PROTO_TCP, tcpLen)
    const tcpSum = checksum.fold(pseudo + checksum.sum(view, off + TCP_OFF, tcpLen))
    return checksum.sum(view, ip, ipv4.HEADER_LEN) === 0xffff && tcpSum === 0xffff
  }
}

const NOTHING = new Uint8Array(0)

function sumOf(bytes: Uint8Array): number {
  return checksum.sum(new DataView(bytes.buffer, bytes.byteOffset), 0, bytes.length)
}
