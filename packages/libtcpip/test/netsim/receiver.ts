/**
 * A correct modern receiver: what a Linux client does. It connects, sends a request of four bytes,
 * receives the stream and acknowledges it: selectively with the most recent block first (RFC 2018),
 * telling of duplicates (RFC 2883), delayed and for every second segment (RFC 9293 §3.8.6.3), at
 * once around gaps (RFC 5681 §4.2), with timestamps and a scaled window (RFC 7323) where the server
 * agrees.
 *
 * It knows packets by their place in the stream, not their bytes, which were checked when they left
 * (run.ts). Numbers are relative: to the server's ISN in `rcv…`, to its own in `snd…`.
 */
import assert from 'node:assert/strict'
import { ACK, FIN, PSH, RST, SYN } from '../kit/segment.ts'
import { type Block, Blocks } from './blocks.ts'
import { type Events, Timer } from './events.ts'
import type { Packet } from './packet.ts'

export interface ReceiverOptions {
  /** How many bytes the server is to send. */
  bytes: number
  /** Who closes when they have arrived; `nobody`: the connection stays. */
  closes: 'server' | 'client' | 'nobody'
  mss: number
  /** Receive buffer, bytes: the window when nothing waits to be read. */
  buffer: number
  /** How fast the application reads; 0: at once. */
  readBytesPerSecond: number
  sack: boolean
  timestamps: boolean
  windowScaling: boolean
}

export const RECEIVER: ReceiverOptions = {
  bytes: 100_000,
  closes: 'nobody',
  mss: 1460,
  buffer: 65_535,
  readBytesPerSecond: 0,
  sack: true,
  timestamps: true,
  windowScaling: true,
}

const REQUEST_BYTES = 4
const REQUEST_END = 1 + REQUEST_BYTES
const ACK_DELAY_US = 40_000
const READ_TICK_US = 1000
const RETRY_FIRST_US = 1_000_000
const RETRY_MIN_US = 200_000
const RETRY_MAX_US = 10_000_000

export type Phase = 'idle' | 'syn sent' | 'open' | 'closed'

export class Receiver {
  readonly options: ReceiverOptions
  phase: Phase = 'idle'
  /** Everything before it has arrived. */
  rcvNxt = 0
  /** Right edge of the window that was advertised; the server may send up to here. */
  rightEdge = 1
  /** What the server granted. */
  sackOn = false
  timestampsOn = false
  /** When the connection was begun, and when the last byte of the stream arrived; -1: not yet. */
  startedUs = -1
  completeUs = -1
  /** Data segments that brought nothing new though the network did not double them. */
  spurious = 0
  /** Segments that PAWS refused (RFC 7323 §5). */
  outdated = 0
  readonly port: number
  readonly #events: Events
  readonly #send: (packet: Packet) => void
  readonly #early = new Blocks()
  readonly #ackTimer: Timer
  readonly #readTimer: Timer
  readonly #retryTimer: Timer
  readonly #shift: number
  /** The shift that counts: none unless the server agreed. */
  #scale = 0
  /** Stream position up to which the application has read. */
  #read = 1
  #sndNxt = 0
  #sndUna = 0
  #lastAckSent = 0
  #tsRecent = 0
  #largestSegment = 0
  #finAt = -1
  #retryUs = RETRY_FIRST_US

  /** `send` puts a segment on the way to the server. */
  constructor(
    events: Events,
    options: Partial<ReceiverOptions>,
    port: number,
    send: (packet: Packet) => void,
  ) {
    this.options = { ...RECEIVER, ...options }
    this.port = port
    this.#events = events
    this.#send = send
    this.#ackTimer = new Timer(events, () => this.#acknowledge())
    this.#readTimer = new Timer(events, () => this.#readSome())
    this.#retryTimer = new Timer(events, () => this.#retry())
    let shift = 0
    while (this.options.buffer >> shift > 65_535) shift++
    this.#shift = shift
  }

  /** Begins the handshake. */
  connect(): void {
    this.startedUs = this.#events.nowUs
    this.phase = 'syn sent'
    this.#sendSyn()
    this.#retryTimer.set(this.#events.nowUs + this.#retryUs)
  }

  /** Bytes of the stream that have arrived without a gap. */
  get received(): number {
    return Math.min(this.options.bytes, Math.max(0, this.rcvNxt - 1))
  }

  /** A packet of the server; `isCopy`: the network made it from one that it delivered as well. */
  receive(packet: Packet, isCopy: boolean): void {
    if (packet.flags & RST) {
      assert.equal(this.phase, 'closed', 'no RST while the connection lives')
      return
    }
    if (this.phase === 'syn sent') {
      if (packet.flags & SYN) this.#onSynAck(packet)
      return
    }
    if (this.phase === 'idle') return
    if (packet.flags & SYN) {
      this.#acknowledge()
      return
    }
    if (this.timestampsOn && !this.#isCurrent(packet)) return
    this.#onAck(packet.ack)
    if (packet.flags & FIN) this.#finAt = packet.seq + packet.len
    if (packet.len > 0) this.#onData(packet.seq, packet.seq + packet.len, isCopy)
    else if (packet.flags & FIN) this.#onFinAlone(packet.seq)
    this.#close()
  }

  #onSynAck(packet: Packet): void {
    this.phase = 'open'
    this.#retryUs = Math.max(RETRY_MIN_US, 3 * (this.#events.nowUs - this.startedUs))
    this.sackOn = this.options.sack && packet.sackPermitted
    this.timestampsOn = this.options.timestamps && packet.timestamps
    assert.ok(this.options.sack || !packet.sackPermitted, 'SACK is granted only where offered')
    assert.ok(this.options.timestamps || !packet.timestamps, 'timestamps likewise')
    assert.ok(this.options.windowScaling || packet.windowScale < 0, 'window scaling likewise')
    if (packet.windowScale >= 0) this.#scale = this.#shift
    this.#tsRecent = packet.tsVal
    this.rcvNxt = 1
    this.#sndUna = 1
    this.#sndNxt = REQUEST_END
    this.#emit(ACK | PSH, 1, REQUEST_BYTES)
    this.#retryTimer.set(this.#events.nowUs + this.#retryUs)
  }

  /** RFC 7323 §5.3: is the packet not older than what has arrived? */
  #isCurrent(packet: Packet): boolean {
    assert.ok(packet.timestamps, 'once agreed, every segment has a timestamp')
    if (((packet.tsVal - this.#tsRecent) | 0) < 0) {
      this.outdated++
      this.#acknowledge()
      return false
    }
    if (packet.seq <= this.#lastAckSent) this.#tsRecent = packet.tsVal
    return true
  }

  #onAck(ack: number): void {
    assert.ok(ack <= this.#sndNxt, 'the server acknowledges nothing that was not sent')
    if (ack <= this.#sndUna) return
    this.#sndUna = ack
    if (ack === this.#sndNxt) this.#retryTimer.clear()
  }

  #onData(from: number, end: number, isCopy: boolean): void {
    this.#largestSegment = Math.max(this.#largestSegment, end - from)
    if (end <= this.rcvNxt || this.#early.holds(from, end)) {
      if (!isCopy) this.spurious++
      this.#acknowledge({ from, end })
    } else if (from > this.rcvNxt) {
      this.#early.add(from, end)
      this.#acknowledge()
    } else {
      const hadGap = this.#early.list.length > 0
      const repeated = from < this.rcvNxt ? { from, end: this.rcvNxt } : undefined
      this.rcvNxt = this.#early.advance(end)
      this.#delivered()
      this.#takeFin()
      if (hadGap || repeated !== undefined || this.#finAt >= 0) this.#acknowledge(repeated)
      else this.#acknowledgeLater()
    }
  }

  /** A FIN without data: in order, early, or once more. */
  #onFinAlone(seq: number): void {
    if (seq === this.rcvNxt) this.#takeFin()
    this.#acknowledge()
  }

  #takeFin(): void {
    if (this.rcvNxt === this.#finAt) this.rcvNxt++
  }

  get #hasPeerFin(): boolean {
    return this.#finAt >= 0 && this.rcvNxt > this.#finAt
  }

  #delivered(): void {
    const complete = this.rcvNxt > this.options.bytes
    if (complete && this.completeUs < 0) this.completeUs = this.#events.nowUs
    if (this.options.readBytesPerSecond === 0) this.#read = this.rcvNxt
    else if (!this.#readTimer.isSet) this.#readTimer.set(this.#events.nowUs + READ_TICK_US)
  }

  /** The application reads, and a window that was shut is told to be open. */
  #readSome(): void {
    const share = (this.options.readBytesPerSecond * READ_TICK_US) / 1e6
    this.#read = Math.min(this.rcvNxt, this.#read + share)
    if (this.#read < this.rcvNxt) this.#readTimer.set(this.#events.nowUs + READ_TICK_US)
    const open = this.rightEdge - this.rcvNxt
    const step = Math.min(2 * this.options.mss, this.options.buffer >> 1)
    if (open < step && this.#free() - open >= step) this.#acknowledge()
  }

  #free(): number {
    return this.options.buffer - Math.ceil(this.rcvNxt - this.#read)
  }

  /** RFC 9293 §3.8.6.3: not later than the second full segment. */
  #acknowledgeLater(): void {
    if (this.rcvNxt - this.#lastAckSent > this.#largestSegment) this.#acknowledge()
    else if (!this.#ackTimer.isSet) this.#ackTimer.set(this.#events.nowUs + ACK_DELAY_US)
  }

  /** `repeated`: the bytes that have come twice, for a DSACK. */
  #acknowledge(repeated?: Block): void {
    this.#emit(ACK, this.#sndNxt, 0, repeated)
  }

  #sendSyn(): void {
    const { mss, buffer, sack, timestamps, windowScaling } = this.options
    this.#send({
      port: this.port,
      flags: SYN,
      seq: 0,
      ack: 0,
      len: 0,
      window: Math.min(65_535, buffer),
      mss,
      windowScale: windowScaling ? this.#shift : -1,
      sackPermitted: sack,
      timestamps,
      tsVal: this.#clock(),
      tsEcr: 0,
      sack: [],
    })
  }

  #emit(flags: number, seq: number, len: number, repeated?: Block): void {
    this.#ackTimer.clear()
    this.#lastAckSent = this.rcvNxt
    const blocks = repeated === undefined ? this.#early.list : [repeated, ...this.#early.list]
    this.#send({
      port: this.port,
      flags,
      seq,
      ack: this.rcvNxt,
      len,
      window: this.#advertise(),
      mss: 0,
      windowScale: -1,
      sackPermitted: false,
      timestamps: this.timestampsOn,
      tsVal: this.#clock(),
      tsEcr: this.#tsRecent,
      // Three blocks fit beside timestamps, four without.
      sack: this.sackOn ? blocks.slice(0, this.timestampsOn ? 3 : 4) : [],
    })
  }

  /** Our timestamp clock: milliseconds. */
  #clock(): number {
    return Math.floor(this.#events.nowUs / 1000) | 0
  }

  /** The window field. The right edge never moves back, and on only by a useful step. */
  #advertise(): number {
    const step = Math.min(this.options.mss, this.options.buffer >> 1)
    const unit = 2 ** this.#scale
    const edge = this.rcvNxt + this.#free()
    const grown = Math.min(65_535, Math.floor((edge - this.rcvNxt) / unit)) * unit
    if (this.rcvNxt + grown - this.rightEdge >= step) this.rightEdge = this.rcvNxt + grown
    const field = Math.ceil((this.rightEdge - this.rcvNxt) / unit)
    this.rightEdge = this.rcvNxt + field * unit
    return field
  }

  /** Says again what was not answered. */
  #retry(): void {
    this.#retryUs = Math.min(RETRY_MAX_US, 2 * this.#retryUs)
    this.#retryTimer.set(this.#events.nowUs + this.#retryUs)
    if (this.phase === 'syn sent') this.#sendSyn()
    else if (this.#sndUna < REQUEST_END) this.#emit(ACK | PSH, 1, REQUEST_BYTES)
    else this.#emit(ACK | FIN, REQUEST_END, 0)
  }

  #close(): void {
    if (this.phase !== 'open' || this.options.closes === 'nobody') return
    const isTurn = this.#hasPeerFin || (this.options.closes === 'client' && this.completeUs >= 0)
    if (isTurn && this.#sndNxt === REQUEST_END && this.#sndUna === REQUEST_END) {
      this.#emit(ACK | FIN, this.#sndNxt++, 0)
      this.#retryTimer.set(this.#events.nowUs + this.#retryUs)
    }
    if (this.#hasPeerFin && this.#sndUna > REQUEST_END) this.phase = 'closed'
  }
}
