/**
 * Frames of a client that has no TCP: whoever plays one says what is in the next segment, and this
 * writes Ethernet, IPv4 and TCP around it, sums it and pushes it. It also answers the server's ARP
 * requests, for whatever address they ask: any number of clients live at this end of the link.
 *
 * Nothing is allocated after construction, so that what grows is the server's.
 */
import { ethernet } from '@sandstorm/libeth'
import { assert, type Device, FramePool, NO_FRAME, OFFLOAD_NONE } from '@sandstorm/libnmio'
import { checksum, ipv4, tcp } from '@sandstorm/libtcpip'
import { writeIpv4 } from './ipv4Header.ts'

export const TCP_OFF: number = ethernet.HEADER_LEN + ipv4.HEADER_LEN
const ARP_LEN = 28
const ARP_REPLY = 2

export interface ClientWireOptions {
  readonly device: Device
  readonly serverMac: Uint8Array
  readonly serverAddress: number
  readonly serverPort: number
}

export class ClientWire {
  readonly device: Device
  readonly view: DataView
  // The next segment
  address = 0
  port = 0
  seq = 0
  ack = 0
  window = 65535
  /** Option bytes, and how many of them the next segment has: whole words. */
  readonly options: Uint8Array = new Uint8Array(40)
  optionsLen = 0
  framesIn = 0
  framesOut = 0
  readonly #options: ClientWireOptions
  readonly #bytes: Uint8Array
  readonly #frames: FramePool
  readonly #macHi: number
  readonly #macLo: number

  /** Takes `frames` frames of 2 KB from the device's region. */
  constructor(options: ClientWireOptions, frames: number) {
    const { device } = options
    this.#options = options
    this.device = device
    this.view = device.region.view
    this.#bytes = device.region.bytes
    this.#frames = new FramePool(device.region, frames)
    this.#macHi = ethernet.hiOf(device.mac)
    this.#macLo = ethernet.loOf(device.mac)
  }

  /** Takes a batch off the link; `device.rxOff` and `rxLen` say where it lies, until the next. */
  receive(): number {
    const count = this.device.rx()
    this.framesIn += count
    return count
  }

  /** Sends what was written since the last call, and takes back what the server has read. */
  flush(): void {
    const { device } = this
    device.flush()
    const done = device.reclaim()
    for (let i = 0; i < done; i++) this.#frames.complete(device.doneOff[i])
  }

  /** If the frame at `off` is ARP it is answered, if it asks for something, and true returned. */
  takeArp(off: number): boolean {
    if (ethernet.type(this.view, off) !== ethernet.TYPE_ARP) return false
    const asked = off + ethernet.HEADER_LEN
    const isRequest = this.#bytes[asked + 7] !== ARP_REPLY
    const isAnnouncement =
      this.view.getInt32(asked + 14) === this.view.getInt32(asked + ARP_LEN - 4)
    if (isRequest && !isAnnouncement) this.#answerArp(asked)
    return true
  }

  /** Pushes a segment of the fields above with `len` bytes of `payload` from `from` on. */
  send(flags: number, payload: Uint8Array, from: number, len: number): void {
    const { view, optionsLen } = this
    const { serverAddress, serverPort } = this.#options
    const frame = this.#alloc()
    const off = this.#frames.payloadOff(frame) - TCP_OFF - tcp.HEADER_LEN - optionsLen
    const ip = off + ethernet.HEADER_LEN
    const header = off + TCP_OFF
    const tcpLen = tcp.HEADER_LEN + optionsLen + len
    this.#writeEthernet(off, ethernet.TYPE_IPV4)
    writeIpv4(view, ip, this.address, serverAddress, tcpLen)
    tcp.setSrcPort(view, header, this.port)
    tcp.setDstPort(view, header, serverPort)
    tcp.setSeq(view, header, this.seq)
    tcp.setAck(view, header, this.ack)
    tcp.setHeaderLen(view, header, tcp.HEADER_LEN + optionsLen)
    tcp.setFlags(view, header, flags)
    tcp.setWindow(view, header, this.window)
    tcp.setChecksum(view, header, 0)
    tcp.setUrgent(view, header, 0)
    const bytes = this.#bytes
    const options = header + tcp.HEADER_LEN
    for (let i = 0; i < optionsLen; i++) bytes[options + i] = this.options[i]
    for (let i = 0; i < len; i++) bytes[options + optionsLen + i] = payload[from + i]
    const pseudo = ipv4.pseudoSum(this.address, serverAddress, ipv4.PROTO_TCP, tcpLen)
    const sum = checksum.fold(pseudo + checksum.sum(view, header, tcpLen))
    tcp.setChecksum(view, header, checksum.finish(sum))
    this.#push(frame, off, TCP_OFF + tcpLen)
  }

  #alloc(): number {
    const frame = this.#frames.alloc()
    assert(frame !== NO_FRAME, 'the client has frames for what it sends in one batch')
    return frame
  }

  #push(frame: number, off: number, len: number): void {
    this.#frames.sent(frame)
    this.device.push(off, len, OFFLOAD_NONE)
    this.framesOut++
  }

  #writeEthernet(off: number, type: number): void {
    const { serverMac } = this.#options
    ethernet.setDst(this.view, off, ethernet.hiOf(serverMac), ethernet.loOf(serverMac))
    ethernet.setSrc(this.view, off, this.#macHi, this.#macLo)
    ethernet.setType(this.view, off, type)
  }

  /** Turns the server's question round (RFC 826). */
  #answerArp(asked: number): void {
    const bytes = this.#bytes
    const frame = this.#alloc()
    const off = this.#frames.payloadOff(frame) - TCP_OFF
    const arp = off + ethernet.HEADER_LEN
    this.#writeEthernet(off, ethernet.TYPE_ARP)
    bytes.copyWithin(arp, asked, asked + 8)
    bytes[arp + 7] = ARP_REPLY
    bytes.set(this.device.mac, arp + 8)
    bytes.copyWithin(arp + 14, asked + 24, asked + 28)
    bytes.copyWithin(arp + 18, asked + 8, asked + 18)
    this.#push(frame, off, ethernet.HEADER_LEN + ARP_LEN)
  }
}
