/**
 * The floor under any stack on a TAP: a responder that does what the wire demands and nothing else.
 * Frames come and ready answers go by the same device, in the same batches, and ten segments are
 * the initial window (RFC 6928); but nothing is checked, there are no timers, no recovery and no
 * HTTP, and who waits for what was lost waits for ever. What a real stack costs beyond this is its
 * own work; the rest is the device's. It is a floor and not the lowest there could be: headers are
 * written anew for each answer, and it sleeps at once when nothing comes, where our server looks
 * for a while.
 *
 *     node nullResponder.js DIR     makes a TAP, answers `GET /NAME` with DIR/NAME
 *
 * Names are told apart by their first bytes.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Arp, ethernet } from '@sandstorm/libeth'
import {
  FramePool,
  NO_FRAME,
  offload,
  openTap,
  Region,
  TapDevice,
  tapRegionBytes,
} from '@sandstorm/libnmio'
import { Addresses, checksum, ipv4, ipv4Address, tcp, writeMss } from '@sandstorm/libtcpip'
import { writeIpv4 } from './ipv4Header.ts'

const TCP_OFF = ethernet.HEADER_LEN + ipv4.HEADER_LEN
const HEADERS_LEN = TCP_OFF + tcp.HEADER_LEN
const MSS = 1460
const INITIAL_WINDOW = 10 * MSS
const FRAMES = 1024
const MSS_OPTION_LEN = 4
/**
 * `GET /`: the name begins behind it; its first byte is enough to tell the objects of a figure
 * apart.
 */
const NAME_AT = 5
/** `n: c`, as in `Connection: close`. */
const N_CLOSE = 0x6e3a2063

/** Where an answer lies in the content region, head and body. */
interface Answer {
  readonly off: number
  readonly len: number
  readonly isLast: boolean
}

/** What a file is answered with. */
interface Answers {
  readonly kept: Answer
  readonly last: Answer
}

class NullResponder {
  readonly #device: TapDevice
  readonly #frames: FramePool
  readonly #arp: Arp
  readonly #view: DataView
  readonly #own: number
  /** By the first byte of a name. */
  readonly #answers: readonly (Answers | undefined)[]
  // By client port
  readonly #answerOf: (Answer | undefined)[] = new Array(65536).fill(undefined)
  /** Sequence number of the answer's first byte, and how much of it was sent. */
  readonly #start: Int32Array = new Int32Array(65536)
  readonly #sent: Int32Array = new Int32Array(65536)
  readonly #window: Int32Array = new Int32Array(65536)

  constructor(
    device: TapDevice,
    frames: FramePool,
    own: string,
    answers: readonly (Answers | undefined)[],
  ) {
    const address = ipv4Address(own, 24)
    this.#device = device
    this.#frames = frames
    this.#arp = new Arp({ device, frames }, new Addresses([address]).ipv4)
    this.#view = device.region.view
    this.#own = address.w0
    this.#answers = answers
  }

  /** One batch; returns the frames received. */
  poll(): number {
    const device = this.#device
    const count = device.rx()
    for (let i = 0; i < count; i++) this.#receive(device.rxOff[i], device.rxLen[i])
    device.flush()
    const done = device.reclaim()
    for (let i = 0; i < done; i++) this.#frames.complete(device.doneOff[i])
    return count
  }

  #receive(off: number, len: number): void {
    const view = this.#view
    const type = ethernet.type(view, off)
    if (type === ethernet.TYPE_ARP) this.#arp.input(off, len, 0)
    const ip = off + ethernet.HEADER_LEN
    if (type !== ethernet.TYPE_IPV4 || ipv4.protocol(view, ip) !== ipv4.PROTO_TCP) return
    const port = tcp.srcPort(view, off + TCP_OFF)
    const flags = tcp.flags(view, off + TCP_OFF)
    if (flags & tcp.RST) return
    const payloadOff = off + TCP_OFF + tcp.headerLen(view, off + TCP_OFF)
    const end = ip + ipv4.totalLen(view, ip)
    if (flags & tcp.SYN) this.#onSyn(off, port)
    else if (end > payloadOff) this.#onRequest(off, port, payloadOff, end)
    else if (flags & tcp.FIN) this.#reply(off, tcp.ACK, 1)
    else this.#onAck(off, port)
  }

  #onSyn(off: number, port: number): void {
    this.#window[port] = INITIAL_WINDOW
    this.#answerOf[port] = undefined
    this.#reply(off, tcp.SYN | tcp.ACK, 1)
  }

  #onRequest(off: number, port: number, payloadOff: number, end: number): void {
    const answers = this.#answers[this.#view.getUint8(payloadOff + NAME_AT)]
    if (answers === undefined) return
    this.#answerOf[port] = this.#isClosing(payloadOff, end) ? answers.last : answers.kept
    this.#start[port] = tcp.ack(this.#view, off + TCP_OFF)
    this.#sent[port] = 0
    this.#send(off, port, end - payloadOff)
  }

  /** Is the connection to be closed? */
  #isClosing(off: number, end: number): boolean {
    for (let at = off; at + 4 <= end; at++) if (this.#view.getInt32(at) === N_CLOSE) return true
    return false
  }

  /** The rest of an answer that the initial window has cut. */
  #onAck(off: number, port: number): void {
    const answer = this.#answerOf[port]
    if (answer === undefined || this.#sent[port] === answer.len) return
    this.#window[port] = answer.len
    this.#send(off, port, 0)
  }

  /** What the window allows of the answer, behind `taken` bytes of request. */
  #send(off: number, port: number, taken: number): void {
    const answer = this.#answerOf[port]
    if (answer === undefined || this.#device.txSpace() === 0) return
    const frame = this.#frames.alloc()
    if (frame === NO_FRAME) return
    const from = this.#sent[port]
    const len = Math.min(answer.len - from, this.#window[port])
    this.#sent[port] = from + len
    const fin = answer.isLast && from + len === answer.len ? tcp.FIN : 0
    const flags = tcp.ACK | tcp.PSH | fin
    const header = this.#write(frame, off, flags, taken, tcp.HEADER_LEN, len)
    tcp.setSeq(this.#view, header + TCP_OFF, (this.#start[port] + from) | 0)
    const request = offload(4, TCP_OFF, len > MSS ? MSS : 0)
    this.#device.gather(header, HEADERS_LEN, answer.off + from, len, request)
  }

  /** A segment without payload; `taken` of the client's sequence space is new. */
  #reply(off: number, flags: number, taken: number): void {
    if (this.#device.txSpace() === 0) return
    const frame = this.#frames.alloc()
    if (frame === NO_FRAME) return
    const optionsLen = flags & tcp.SYN ? MSS_OPTION_LEN : 0
    const payloadOff = this.#frames.payloadOff(frame)
    if (optionsLen > 0) writeMss(this.#view, payloadOff - optionsLen, MSS)
    const header = this.#write(frame, off, flags, taken, tcp.HEADER_LEN + optionsLen, 0)
    const request = offload(4, TCP_OFF, 0)
    this.#device.push(header, HEADERS_LEN + optionsLen, request)
  }

  /** Headers of an answer to the frame at `off`; returns the offset of the first. */
  #write(
    frame: number,
    off: number,
    flags: number,
    taken: number,
    tcpLen: number,
    payloadLen: number,
  ): number {
    const view = this.#view
    const from = off + TCP_OFF
    const header = this.#frames.payloadOff(frame) - tcpLen
    const start = header - TCP_OFF
    const remote = ipv4.src(view, off + ethernet.HEADER_LEN)
    const isSyn = (flags & tcp.SYN) !== 0
    ethernet.setDst(view, start, ethernet.srcHi(view, off), ethernet.srcLo(view, off))
    ethernet.setSrc(view, start, ethernet.dstHi(view, off), ethernet.dstLo(view, off))
    ethernet.setType(view, start, ethernet.TYPE_IPV4)
    writeIpv4(view, start + ethernet.HEADER_LEN, this.#own, remote, tcpLen + payloadLen)
    tcp.setSrcPort(view, header, tcp.dstPort(view, from))
    tcp.setDstPort(view, header, tcp.srcPort(view, from))
    tcp.setSeq(view, header, isSyn ? 0 : tcp.ack(view, from))
    tcp.setAck(view, header, (tcp.seq(view, from) + taken) | 0)
    tcp.setHeaderLen(view, header, tcpLen)
    tcp.setFlags(view, header, flags)
    tcp.setWindow(view, header, 65535)
    tcp.setUrgent(view, header, 0)
    const pseudo = ipv4.pseudoSum(this.#own, remote, ipv4.PROTO_TCP, tcpLen + payloadLen)
    tcp.setChecksum(view, header, checksum.fold(pseudo))
    this.#frames.sent(frame)
    return start
  }
}

const ADDRESS = '10.77.0.2'
const dir = process.argv[2]
const bodies = readdirSync(dir).map(name => ({ name, body: readFileSync(join(dir, name)) }))
const handle = openTap({
  name: 'sand0',
  hostAddresses: ['10.77.0.1/24'],
  serverAddresses: [ADDRESS],
  offloads: true,
})
const contentBytes = bodies.reduce((sum, { body }) => sum + 2 * (body.length + 512), 0)
const region = new Region(contentBytes + tapRegionBytes(handle) + FRAMES * 2048 + 65536)

function answerWith(body: Buffer, isLast: boolean): Answer {
  const connection = isLast ? 'Connection: close\r\n' : ''
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${connection}\r\n`
  const len = head.length + body.length
  const off = region.reserve(len)
  region.bytes.set(Buffer.from(head, 'latin1'), off)
  region.bytes.set(body, off + head.length)
  return { off, len, isLast }
}

const answers: (Answers | undefined)[] = new Array(256).fill(undefined)
for (const { name, body } of bodies) {
  const kept = answerWith(body, false)
  answers[name.charCodeAt(0)] = { kept, last: answerWith(body, true) }
}
const device = new TapDevice(handle, region, region)
const responder = new NullResponder(device, new FramePool(region, FRAMES), ADDRESS, answers)
process.stdout.write(`listening on http://${ADDRESS}:80/\n`)
for (;;) if (responder.poll() === 0) device.wait(1e6)
