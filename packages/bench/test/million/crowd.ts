/**
 * Many clients without a TCP, each with a life of its own (kinds.ts): it opens a connection, does
 * something well-behaved or not, and is over. A client is a few fields in flat arrays; one loop
 * takes frames off the link, looks up whose they are, and tells the kind of life what happened.
 *
 * The link loses nothing, so a client knows the next byte it expects and takes no other. What it
 * allocates it allocates at the beginning.
 */
import { assert } from '@sandstorm/libnmio'
import { TcpOptions, tcp } from '@sandstorm/libtcpip'
import { type ClientWire, TCP_OFF } from '../../src/clientWire.ts'
import { Calendar } from './calendar.ts'
import type { Kind } from './kinds.ts'
import type { Random } from './random.ts'

/** Options that a client offers, as bits. */
export const TIMESTAMPS = 1
export const SACK = 2
export const WINDOW_SCALE = 4

const { ACK, FIN, RST, SYN } = tcp
const NOBODY = -1
const NOTHING = new Uint8Array(0)
const FIRST_ADDRESS = 0x0a000100
const FIRST_PORT = 1024
const PORTS = 64000
const SYN_SENT = 1
const OPEN = 2
const SYN_AGAIN_MS = 1000
const SYNS_MAX = 4

export interface CrowdOptions {
  readonly wire: ClientWire
  readonly kinds: readonly Kind[]
  /** Clients alive at the same time, at most. */
  readonly capacity: number
  /** Addresses that they share. */
  readonly addresses: number
  readonly random: Random
  readonly nowMs: number
  /** The server's state of the connection with this client, as in RFC 9293 (state.ts). */
  readonly stateAt: (address: number, port: number) => number
}

export class Crowd {
  nowMs: number
  /** Where the payload of the segment lies that a kind is told of. */
  payloadOff = 0
  /** Lives begun, ended, and ended without ever being let in. */
  begun = 0
  ended = 0
  unanswered = 0
  /** By kind: lives begun, and those that came to what they are for. */
  readonly begunOf: Int32Array
  readonly reachedOf: Int32Array
  // By client
  readonly iss: Int32Array
  readonly seq: Int32Array
  readonly ack: Int32Array
  readonly window: Uint16Array
  /** Payload bytes that came in order, and what a kind counts. */
  readonly got: Int32Array
  readonly count: Int32Array
  /** A sequence number that a kind wants to remember. */
  readonly mark: Int32Array
  /** The number of this life among all. */
  readonly life: Int32Array
  readonly mss: Uint16Array
  readonly offers: Uint8Array
  readonly random: Random
  readonly #options: CrowdOptions
  readonly #wire: ClientWire
  readonly #kinds: readonly Kind[]
  readonly #kind: Uint8Array
  readonly #phase: Uint8Array
  readonly #tuple: Int32Array
  readonly #agreed: Uint8Array
  readonly #tsRecent: Int32Array
  readonly #byTuple: Int32Array
  readonly #free: Int32Array
  #freeCount: number
  readonly #calendar: Calendar
  readonly #parsed = new TcpOptions()

  constructor(options: CrowdOptions) {
    const { capacity, kinds, addresses } = options
    this.#options = options
    this.#wire = options.wire
    this.#kinds = kinds
    this.random = options.random
    this.begunOf = new Int32Array(kinds.length)
    this.reachedOf = new Int32Array(kinds.length)
    this.iss = new Int32Array(capacity)
    this.seq = new Int32Array(capacity)
    this.ack = new Int32Array(capacity)
    this.window = new Uint16Array(capacity)
    this.got = new Int32Array(capacity)
    this.count = new Int32Array(capacity)
    this.mark = new Int32Array(capacity)
    this.life = new Int32Array(capacity)
    this.mss = new Uint16Array(capacity)
    this.offers = new Uint8Array(capacity)
    this.#kind = new Uint8Array(capacity)
    this.#phase = new Uint8Array(capacity)
    this.#tuple = new Int32Array(capacity)
    this.#agreed = new Uint8Array(capacity)
    this.#tsRecent = new Int32Array(capacity)
    this.#byTuple = new Int32Array(addresses * PORTS).fill(NOBODY)
    this.#free = Int32Array.from({ length: capacity }, (_, i) => capacity - 1 - i)
    this.#freeCount = capacity
    this.#calendar = new Calendar(capacity, options.nowMs)
    this.nowMs = options.nowMs
  }

  /** Clients that have not come to their end. */
  get alive(): number {
    return this.begun - this.ended
  }

  /** Milliseconds until a client has something to do by itself, -1: never. */
  idleMs(): number {
    return this.#calendar.idleMs(this.nowMs)
  }

  addressOf(i: number): number {
    return FIRST_ADDRESS + Math.floor(this.#tuple[i] / PORTS)
  }
  portOf(i: number): number {
    return FIRST_PORT + (this.#tuple[i] % PORTS)
  }

  /** A new client opens its connection. */
  begin(kind: number): void {
    assert(this.#freeCount > 0, 'there is room for as many clients as are alive')
    const i = this.#free[--this.#freeCount]
    const { addresses } = this.#options
    const life = this.begun++
    this.begunOf[kind]++
    this.life[i] = life
    this.#kind[i] = kind
    const port = Math.floor(life / addresses) % PORTS
    this.#tuple[i] = (life % addresses) * PORTS + port
    this.window[i] = 65535
    this.mss[i] = 1460
    this.offers[i] = this.random.below(8)
    this.#kinds[kind].prepare?.(this, i)
    this.open(i, this.random.int32())
  }

  /** The client sends a SYN with number `iss`. */
  open(i: number, iss: number): void {
    assert(this.#byTuple[this.#tuple[i]] === NOBODY, 'one client has an address and port')
    this.#byTuple[this.#tuple[i]] = i
    this.#phase[i] = SYN_SENT
    this.iss[i] = iss
    this.seq[i] = iss
    this.ack[i] = 0
    this.got[i] = 0
    this.count[i] = 0
    this.#agreed[i] = 0
    this.sendSyn(i, iss)
    this.seq[i] = (iss + 1) | 0
    this.wait(i, SYN_AGAIN_MS)
  }

  /** Takes a batch off the link, and what is due; true if there may be more. */
  poll(nowMs: number): boolean {
    this.nowMs = nowMs
    const wire = this.#wire
    const { rxOff, rxLen } = wire.device
    const count = wire.receive()
    for (let n = 0; n < count; n++) {
      if (!wire.takeArp(rxOff[n])) this.#receive(rxOff[n], rxLen[n])
    }
    for (let i = this.#calendar.pop(nowMs); i >= 0; i = this.#calendar.pop(nowMs)) this.#due(i)
    wire.flush()
    return count > 0
  }

  // What a life may do

  /** `len` bytes of `bytes`, whose place in the stream is the next; with `flags` besides ACK. */
  say(i: number, bytes: Uint8Array, flags = 0): void {
    this.sayAt(i, this.seq[i], bytes, 0, bytes.length, flags)
    this.seq[i] = (this.seq[i] + bytes.length + (flags & FIN)) | 0
  }

  /** Bytes at any place of the stream; nothing is noted. */
  sayAt(i: number, seq: number, bytes: Uint8Array, from: number, len: number, flags = 0): void {
    this.#address(i)
    this.#wire.seq = seq
    this.#wire.optionsLen = this.#writeTimestamps(i, 0)
    this.#wire.send(ACK | flags, bytes, from, len)
  }

  sendAck(i: number): void {
    this.sayAt(i, this.seq[i], NOTHING, 0, 0)
  }

  /**
   * Acknowledges up to `ack` with `blocks` selective blocks, whose edges the caller has put in
   * `edges`.
   */
  sendSack(i: number, edges: Int32Array, blocks: number): void {
    const { options } = this.#wire
    let at = this.#writeTimestamps(i, 0)
    options[at] = 1
    options[at + 1] = 1
    options[at + 2] = 5
    options[at + 3] = 2 + 8 * blocks
    at += 4
    for (let b = 0; b < 2 * blocks; b++, at += 4) writeInt32(options, at, edges[b])
    this.#address(i)
    this.#wire.seq = this.seq[i]
    this.#wire.optionsLen = at
    this.#wire.send(ACK, NOTHING, 0, 0)
  }

  sendFin(i: number): void {
    this.say(i, NOTHING, FIN)
  }

  sendReset(i: number): void {
    this.sayAt(i, this.seq[i], NOTHING, 0, 0, RST)
  }

  /** The server's FIN counts: the next ACK acknowledges it. */
  takeFin(i: number): void {
    this.ack[i] = (this.ack[i] + 1) | 0
  }

  sendSyn(i: number, seq: number): void {
    const { options } = this.#wire
    const offers = this.offers[i]
    options[0] = 2
    options[1] = 4
    options[2] = this.mss[i] >> 8
    options[3] = this.mss[i] & 0xff
    let len = 4
    if (offers & SACK) len = fourBytes(options, len, 1, 1, 4, 2)
    if (offers & WINDOW_SCALE) len = fourBytes(options, len, 1, 3, 3, 0)
    if (offers & TIMESTAMPS) len = this.#writeTimestamps(i, len, true)
    this.#address(i)
    this.#wire.ack = 0
    this.#wire.seq = seq
    this.#wire.optionsLen = len
    this.#wire.send(SYN, NOTHING, 0, 0)
  }

  /** Any flags and numbers on this client's connection. */
  sendAnything(i: number, flags: number, seq: number, ack: number, len: number): void {
    this.#address(i)
    this.#wire.seq = seq
    this.#wire.ack = ack
    this.#wire.optionsLen = this.#writeTimestamps(i, 0)
    this.#wire.send(flags, this.#wire.options, 0, len)
  }

  /** `onTimer` in `ms` milliseconds; a new call replaces the old. */
  wait(i: number, ms: number): void {
    this.#calendar.set(i, this.nowMs + ms)
  }

  /** Does the server have this client's connection in this state? */
  isServerIn(i: number, state: number): boolean {
    return this.#options.stateAt(this.addressOf(i), this.portOf(i)) === state
  }

  /** This life came to what it is for. */
  reach(i: number): void {
    this.reachedOf[this.#kind[i]]++
  }

  /** From now on the client knows nothing of its connection, and answers nothing. */
  leave(i: number): void {
    this.#calendar.clear(i)
    this.#byTuple[this.#tuple[i]] = NOBODY
  }

  /** The life is over. */
  end(i: number): void {
    this.leave(i)
    this.#free[this.#freeCount++] = i
    this.ended++
  }

  #receive(off: number, len: number): void {
    const { view } = this.#wire
    const header = off + TCP_OFF
    const address = view.getInt32(header - 4) - FIRST_ADDRESS
    if (address < 0 || address >= this.#options.addresses) return
    const i = this.#byTuple[address * PORTS + tcp.dstPort(view, header) - FIRST_PORT]
    if (i === NOBODY) return
    const flags = tcp.flags(view, header)
    const kind = this.#kinds[this.#kind[i]]
    if (flags & RST) {
      this.#onReset(i, kind)
      return
    }
    if (flags & SYN) {
      this.#onSynAck(i, kind, header)
      return
    }
    this.#noteTimestamp(i, header)
    this.payloadOff = header + tcp.headerLen(view, header)
    const bytes = off + len - this.payloadOff
    this.#onSegment(i, kind, tcp.seq(view, header), bytes, flags)
  }

  #onReset(i: number, kind: Kind): void {
    if (kind.onReset !== undefined) kind.onReset(this, i)
    if (this.#byTuple[this.#tuple[i]] === i) this.end(i)
  }

  #onSynAck(i: number, kind: Kind, header: number): void {
    const { view } = this.#wire
    if (this.#phase[i] !== SYN_SENT) return
    this.#calendar.clear(i)
    this.#phase[i] = OPEN
    this.count[i] = 0
    this.ack[i] = (tcp.seq(view, header) + 1) | 0
    this.#parsed.parse(view, header)
    if (this.#parsed.timestamps) {
      this.#agreed[i] |= TIMESTAMPS
      this.#tsRecent[i] = this.#parsed.tsVal
    }
    if (this.#parsed.sackPermitted) this.#agreed[i] |= SACK
    if (kind.onSynAck !== undefined) kind.onSynAck(this, i)
    else {
      this.sendAck(i)
      kind.onOpen?.(this, i)
    }
  }

  #onSegment(i: number, kind: Kind, seq: number, bytes: number, flags: number): void {
    if (bytes > 0) {
      if (seq !== this.ack[i]) {
        kind.onRepeat?.(this, i, seq, bytes)
        return
      }
      if (kind.takes?.(this, i, bytes) === false) return
      this.ack[i] = (seq + bytes) | 0
      this.got[i] += bytes
      if ((flags & FIN) === 0) kind.onData(this, i)
    } else if (flags & FIN && seq !== this.ack[i]) {
      return
    }
    if (flags & FIN && this.#byTuple[this.#tuple[i]] === i) kind.onFin(this, i)
  }

  #due(i: number): void {
    if (this.#phase[i] === OPEN) {
      this.#kinds[this.#kind[i]].onTimer?.(this, i)
    } else if (++this.count[i] < SYNS_MAX) {
      this.sendSyn(i, this.iss[i])
      this.wait(i, SYN_AGAIN_MS)
    } else {
      this.unanswered++
      this.end(i)
    }
  }

  #address(i: number): void {
    const wire = this.#wire
    wire.address = this.addressOf(i)
    wire.port = this.portOf(i)
    wire.ack = this.ack[i]
    wire.window = this.window[i]
  }

  #writeTimestamps(i: number, at: number, isSyn = false): number {
    const { options } = this.#wire
    if (!isSyn && (this.#agreed[i] & TIMESTAMPS) === 0) return at
    fourBytes(options, at, 1, 1, 8, 10)
    writeInt32(options, at + 4, this.nowMs | 0)
    writeInt32(options, at + 8, isSyn ? 0 : this.#tsRecent[i])
    return at + 12
  }

  #noteTimestamp(i: number, header: number): void {
    if ((this.#agreed[i] & TIMESTAMPS) === 0) return
    this.#parsed.parse(this.#wire.view, header)
    if (this.#parsed.timestamps) this.#tsRecent[i] = this.#parsed.tsVal
  }
}

function fourBytes(to: Uint8Array, at: number, a: number, b: number, c: number, d: number): number {
  to[at] = a
  to[at + 1] = b
  to[at + 2] = c
  to[at + 3] = d
  return at + 4
}

const writeInt32 = (to: Uint8Array, at: number, value: number): number =>
  fourBytes(to, at, value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)
