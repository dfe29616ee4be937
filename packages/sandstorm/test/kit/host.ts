/**
 * The other end of the wire: a host with any number of addresses and raw TCP peers. It answers ARP
 * and neighbour discovery, takes every frame apart the slow way (reference/frame.ts: a wrong
 * checksum, length or address is an exception) and hands segments to their peers.
 */
import { type Clock, type Device, FramePool, OFFLOAD_NONE } from '@sandstorm/libnmio'
import {
  type Address,
  buildFrame,
  type FrameFields,
  naiveSum,
  parseFrame,
} from '../reference/frame.ts'
import { Peer, type PeerOptions } from './peer.ts'

const HEADERS = 54
const ETHERNET = 14
const ICMPV6 = 58
const HOP_BY_HOP = 0
const NEIGHBOUR_SOLICITATION = 135
const ADVERTISEMENT_LEN = 32

export class Host {
  readonly device: Device
  readonly serverMac: Uint8Array
  readonly serverAddr: number
  readonly serverAddr6: string
  readonly serverPort: number
  /** Every frame received, oldest first, while `recording`. */
  readonly recorded: Uint8Array[] = []
  recording = false
  /** The network damages frames: one with a wrong checksum is dropped, as a kernel does. */
  dropsDamaged = false
  framesReceived = 0
  readonly #clock: Clock
  readonly #frames: FramePool
  readonly #peers = new Map<string, Peer>()
  readonly #queue: Uint8Array[] = []
  #nextPort = 20000

  constructor(
    device: Device,
    clock: Clock,
    serverMac: Uint8Array,
    serverAddr: number,
    serverAddr6: string,
    serverPort: number,
  ) {
    this.#clock = clock
    this.device = device
    this.serverMac = serverMac
    this.serverAddr = serverAddr
    this.serverAddr6 = serverAddr6
    this.serverPort = serverPort
    this.#frames = new FramePool(device.region, 2048)
  }

  get nowUs(): number {
    return this.#clock()
  }

  /** A peer that has not yet spoken; `open()` sends its SYN. */
  peer(options: Partial<PeerOptions> = {}): Peer {
    const peer = new Peer(this, { port: this.#nextPort++, serverPort: this.serverPort, ...options })
    this.#peers.set(`${peer.addr}:${peer.port}:${peer.options.serverPort}`, peer)
    return peer
  }

  /** Takes what came, lets peers act; true if anything came or went. */
  poll(): boolean {
    const { device } = this
    const count = device.rx()
    for (let i = 0; i < count; i++) {
      const off = device.rxOff[i]
      this.#receive(device.region.bytes.slice(off, off + device.rxLen[i]))
    }
    for (const peer of this.#peers.values()) peer.tick()
    const sent = this.#flush()
    return count > 0 || sent
  }

  /** Microseconds of the earliest peer's timer; Infinity if none runs. */
  get nextUs(): number {
    let next = Number.POSITIVE_INFINITY
    for (const peer of this.#peers.values()) next = Math.min(next, peer.timerUs)
    return next
  }

  send(fields: Omit<FrameFields, 'srcMac' | 'dstMac' | 'dstAddr'>): void {
    const { serverMac: dstMac } = this
    const dstAddr = this.#serverAddrFor(fields.srcAddr)
    this.sendRaw(buildFrame({ ...fields, srcMac: this.device.mac, dstMac, dstAddr }))
  }

  /** The server's address of the same version. */
  #serverAddrFor(address: Address): Address {
    return typeof address === 'number' ? this.serverAddr : this.serverAddr6
  }

  sendRaw(frame: Uint8Array): void {
    this.#queue.push(frame)
  }

  #receive(frame: Uint8Array): void {
    this.framesReceived++
    if (this.recording) this.recorded.push(frame)
    if (frame[12] === 0x08 && frame[13] === 0x06) {
      this.#answerArp(frame)
      return
    }
    if (frame[12] === 0x86 && (frame[20] === ICMPV6 || frame[20] === HOP_BY_HOP)) {
      this.#answerSolicitation(frame)
      return
    }
    const fields = this.#parse(frame)
    if (fields === undefined) return
    if (Buffer.compare(fields.dstMac, this.device.mac) !== 0) throw new Error('not to our address')
    if (Buffer.compare(fields.srcMac, this.serverMac) !== 0) throw new Error('not from the server')
    const from = this.#serverAddrFor(fields.srcAddr)
    if (fields.srcAddr !== from) throw new Error('a segment from somebody else')
    this.#peers.get(`${fields.dstAddr}:${fields.dstPort}:${fields.srcPort}`)?.receive(fields)
  }

  #parse(frame: Uint8Array): FrameFields | undefined {
    try {
      return parseFrame(frame)
    } catch (error) {
      if (this.dropsDamaged) return undefined
      throw error
    }
  }

  /** RFC 826: whatever address is asked for, it is ours. */
  #answerArp(frame: Uint8Array): void {
    const arp = frame.subarray(ETHERNET)
    if (arp[7] !== 1) return
    const { mac } = this.device
    this.sendRaw(
      Uint8Array.from([
        ...[...arp.subarray(8, 14), ...mac, 0x08, 0x06, ...arp.subarray(0, 6), 0, 2],
        ...[...mac, ...arp.subarray(24, 28), ...arp.subarray(8, 18)],
      ]),
    )
  }

  /** RFC 4861 §7.2.4: likewise. Everything else in ICMPv6 is let go. */
  #answerSolicitation(frame: Uint8Array): void {
    if (frame[20] !== ICMPV6 || frame[54] !== NEIGHBOUR_SOLICITATION) return
    const { mac } = this.device
    const asker = [...frame.subarray(22, 38)]
    // From :: somebody asks whether the address is free: it is.
    if (asker.every(byte => byte === 0)) return
    const target = [...frame.subarray(62, 78)]
    const message = [136, 0, 0, 0, 0x60, 0, 0, 0, ...target, 2, 1, ...mac]
    const pseudo = [...target, ...asker, 0, 0, 0, ADVERTISEMENT_LEN, 0, 0, 0, ICMPV6]
    const sum = ~naiveSum(Uint8Array.from([...pseudo, ...message]))
    message[2] = (sum >> 8) & 0xff
    message[3] = sum & 0xff
    const header = [0x60, 0, 0, 0, 0, ADVERTISEMENT_LEN, ICMPV6, 255, ...target, ...asker]
    this.sendRaw(
      Uint8Array.from([...frame.subarray(6, 12), ...mac, 0x86, 0xdd, ...header, ...message]),
    )
  }

  #flush(): boolean {
    const { device } = this
    let sent = 0
    while (this.#queue.length > sent && device.txSpace() > 0) {
      const bytes = this.#queue[sent++]
      const frame = this.#frames.alloc()
      const off = this.#frames.payloadOff(frame) - HEADERS
      device.region.bytes.set(bytes, off)
      device.push(off, bytes.length, OFFLOAD_NONE)
      this.#frames.sent(frame)
    }
    this.#queue.splice(0, sent)
    device.flush()
    const done = device.reclaim()
    for (let i = 0; i < done; i++) this.#frames.complete(device.doneOff[i])
    return sent > 0
  }
}
