/**
 * One TCP connection as a client sees it, in raw segments: it may advertise any MSS and window, ack
 * every n-th segment, in pieces or never, send in pieces of any size, vanish. It keeps every byte
 * of the stream and fails if one ever comes twice with different values (invariant 2).
 */
import {
  ACK,
  type Address,
  FIN,
  type FrameFields,
  PSH,
  RST,
  SYN,
  timestampsOption,
  tsValOf,
} from '../reference/frame.ts'
import type { Host } from './host.ts'

export interface PeerOptions {
  /** Our address: of IPv4 if it is a number. */
  addr: Address
  port: number
  /** The server's port. */
  serverPort: number
  /** MSS option of our SYN; 0: none. */
  mss: number
  /** The window field of every segment. */
  window: number
  /** Window scale option of our SYN; -1: none. */
  scale: number
  /** SACK-permitted and timestamps in our SYN; once agreed, timestamps in every segment. */
  sack: boolean
  timestamps: boolean
  /** An ACK after so many segments; what is left is acknowledged at the end of a batch. */
  ackEvery: number
  /** False: only `ack()` acknowledges. */
  autoAck: boolean
  /** Bytes of payload in one segment that we send. */
  sendBytes: number
}

const RTO_US = 250_000

export class Peer {
  readonly addr: Address
  readonly port: number
  readonly options: PeerOptions
  readonly host: Host
  isOpen = false
  /** The server has closed its half, and all its bytes are here. */
  ended = false
  /** The server has sent an RST. */
  reset = false
  /** Our FIN is acknowledged. */
  finAcked = false
  /** Payload bytes that came again. */
  repeatedBytes = 0
  /** Data segments as they came: first byte of the stream, length. */
  readonly segments: [from: number, len: number][] = []
  /** When the peer next has something to send again. */
  timerUs: number = Number.POSITIVE_INFINITY
  #bytes = new Uint8Array(4096)
  #has = new Uint8Array(4096)
  #rcvNxt = 0
  #finAt = -1
  #irs = 0
  #iss: number
  #out = new Uint8Array(0)
  #sndUna = 0
  #sndNxt = 0
  #finQueued = false
  #window = 0
  #unacked = 0
  #gone = false
  /** The server's latest TSval; undefined: no timestamps were agreed on. */
  #tsRecent: number | undefined

  constructor(host: Host, options: Partial<PeerOptions> & { port: number; serverPort: number }) {
    this.host = host
    this.options = {
      addr: 0x0a000002,
      mss: 1460,
      window: 65535,
      scale: -1,
      sack: false,
      timestamps: false,
      ackEvery: 2,
      autoAck: true,
      sendBytes: 1460,
      ...options,
    }
    this.addr = this.options.addr
    this.port = this.options.port
    this.#iss = 0x7ffffff0 // soon wraps
  }

  /** All bytes received in order. */
  get stream(): Uint8Array {
    return this.#bytes.subarray(0, this.#rcvNxt)
  }
  get hasUnacknowledged(): boolean {
    return this.#sndUna < this.#out.length
  }

  open(): this {
    this.#sendSyn()
    return this
  }

  /** Queues bytes of the stream; text is latin-1. */
  send(data: string | Uint8Array): this {
    this.#out = Buffer.concat([this.#out, Buffer.from(data as string, 'latin1')])
    if (this.isOpen) this.#pump()
    return this
  }

  /** Half-close behind all that was queued. */
  fin(): this {
    this.#finQueued = true
    if (this.isOpen) this.#pump()
    return this
  }

  /** Resets the connection and is gone. */
  rst(): void {
    this.#segment(RST | ACK, this.#sndNxt)
    this.vanish()
  }

  /** Is never heard of again. */
  vanish(): void {
    this.#gone = true
    this.timerUs = Number.POSITIVE_INFINITY
  }

  /** Acknowledges the stream up to byte `upTo`, by default all there is. */
  ack(upTo: number = this.#rcvNxt): void {
    this.#unacked = 0
    const fin = this.ended && upTo === this.#rcvNxt ? 1 : 0
    this.#segment(ACK, this.#sndNxt, new Uint8Array(0), upTo + fin)
  }

  receive(f: FrameFields): void {
    if (this.#gone) return
    this.#takeTimestamps(f)
    if (f.flags & RST) {
      this.reset = true
      this.timerUs = Number.POSITIVE_INFINITY
      return
    }
    if (f.flags & SYN) this.#onSynAck(f)
    else if (this.isOpen) this.#onSegment(f)
  }

  /** RFC 7323 §3.2: agreed on with the SYN-ACK, then in every segment but an RST. */
  #takeTimestamps(f: FrameFields): void {
    const tsVal = tsValOf(f.options)
    const isAgreed = f.flags & SYN ? tsVal !== undefined : this.#tsRecent !== undefined
    if (tsVal !== undefined && !(isAgreed && this.options.timestamps)) {
      throw new Error('timestamps that were not agreed on')
    }
    if (tsVal === undefined && isAgreed && (f.flags & RST) === 0) throw new Error('no timestamps')
    if (isAgreed && tsVal !== undefined) this.#tsRecent = tsVal
  }

  #onSegment(f: FrameFields): void {
    this.#window = f.window
    this.#onAck((f.ack - this.#iss - 1) | 0)
    if (f.payload.length > 0 || f.flags & FIN) this.#onData(f)
    this.#pump()
  }

  /** Once a batch. */
  tick(): void {
    if (this.#gone || this.reset) return
    if (this.#unacked > 0 && this.options.autoAck) this.ack()
    if (this.host.nowUs < this.timerUs) return
    if (!this.isOpen) {
      this.#sendSyn()
      return
    }
    this.#sndNxt = this.#sndUna
    this.timerUs = this.host.nowUs + RTO_US
    this.#pump()
  }

  #onSynAck(f: FrameFields): void {
    if (!this.isOpen) {
      this.#irs = f.seq
      this.#window = f.window
      this.isOpen = true
      this.timerUs = Number.POSITIVE_INFINITY
    }
    this.ack()
    this.#pump()
  }

  #onAck(acked: number): void {
    if (acked <= this.#sndUna) return
    this.#sndUna = Math.min(acked, this.#out.length)
    this.#sndNxt = Math.max(this.#sndNxt, this.#sndUna)
    this.finAcked = acked > this.#out.length
    this.timerUs = Number.POSITIVE_INFINITY
    if (this.#isOutstanding) this.timerUs = this.host.nowUs + RTO_US
  }

  #onData(f: FrameFields): void {
    const from = (f.seq - this.#irs - 1) | 0
    const before = this.#rcvNxt
    if (f.payload.length > 0) this.segments.push([from, f.payload.length])
    this.#store(from, f.payload)
    if (f.flags & FIN) this.#finAt = from + f.payload.length
    while (this.#has[this.#rcvNxt]) this.#rcvNxt++
    this.ended = this.#finAt === this.#rcvNxt
    this.#unacked++
    const isInOrder = from === before
    if (!this.options.autoAck) return
    if (!isInOrder || this.ended || this.#unacked >= this.options.ackEvery) this.ack()
  }

  #store(from: number, payload: Uint8Array): void {
    const end = from + payload.length
    if (end >= this.#bytes.length) {
      const size = 2 * end
      const bytes = new Uint8Array(size)
      const has = new Uint8Array(size)
      bytes.set(this.#bytes)
      has.set(this.#has)
      this.#bytes = bytes
      this.#has = has
    }
    for (let i = 0; i < payload.length; i++) {
      const at = from + i
      if (this.#has[at]) {
        this.repeatedBytes++
        if (this.#bytes[at] !== payload[i]) {
          throw new Error(`byte ${at} of the stream came as ${this.#bytes[at]}, then ${payload[i]}`)
        }
      }
      this.#bytes[at] = payload[i]
      this.#has[at] = 1
    }
  }

  get #isOutstanding(): boolean {
    return this.#sndUna < this.#out.length || (this.#finQueued && !this.finAcked)
  }

  #sendSyn(): void {
    const { mss, scale, sack, timestamps } = this.options
    const options: number[] = []
    if (mss > 0) options.push(2, 4, mss >> 8, mss & 0xff)
    if (sack) options.push(1, 1, 4, 2)
    if (timestamps) options.push(...timestampsOption(this.#nowMs, 0))
    if (scale >= 0) options.push(1, 3, 3, scale)
    this.host.send({
      srcAddr: this.addr,
      srcPort: this.port,
      dstPort: this.options.serverPort,
      seq: this.#iss,
      ack: 0,
      flags: SYN,
      window: this.options.window,
      options: Uint8Array.from(options),
      payload: new Uint8Array(0),
    })
    this.timerUs = this.host.nowUs + RTO_US
  }

  /** Sends what the server's window takes, the FIN last. */
  #pump(): void {
    if (this.#gone || this.reset) return
    const limit = Math.min(this.#out.length, this.#sndUna + this.#window)
    while (this.#sndNxt < limit) {
      const end = Math.min(limit, this.#sndNxt + this.options.sendBytes)
      this.#segment(ACK | PSH, this.#sndNxt, this.#out.subarray(this.#sndNxt, end))
      this.#sndNxt = end
      if (this.timerUs === Number.POSITIVE_INFINITY) this.timerUs = this.host.nowUs + RTO_US
    }
    if (this.#finQueued && !this.finAcked && this.#sndNxt === this.#out.length) {
      this.#segment(ACK | FIN, this.#sndNxt)
      this.#sndNxt++
      if (this.timerUs === Number.POSITIVE_INFINITY) this.timerUs = this.host.nowUs + RTO_US
    }
  }

  #segment(flags: number, at: number, payload = new Uint8Array(0), ackAt = -1): void {
    if (this.#gone) return
    const upTo = ackAt >= 0 ? ackAt : this.#rcvNxt + (this.ended ? 1 : 0)
    this.host.send({
      srcAddr: this.addr,
      srcPort: this.port,
      dstPort: this.options.serverPort,
      seq: (this.#iss + 1 + at) | 0,
      ack: (this.#irs + 1 + upTo) | 0,
      flags,
      window: this.options.window,
      options: Uint8Array.from(
        this.#tsRecent === undefined ? [] : timestampsOption(this.#nowMs, this.#tsRecent),
      ),
      payload,
    })
  }

  get #nowMs(): number {
    return Math.floor(this.host.nowUs / 1000) | 0
  }
}
