/**
 * A stream: one connection as its application sees it, bytes in and bytes out. Everything happens
 * at once, on the stack's own thread: `read` and `write` copy what is there or fits and return,
 * events are called while a segment is processed, and what was written in them leaves when they
 * return.
 *
 * Ownership: bytes given to `write` are copied, and those that `read` returns are the caller's.
 * Neither allocates. The stream holds written bytes until the peer has acknowledged them; that ring
 * is what TCP retransmits from. May be used from any event of any stream, and between two polls.
 */
import { assert } from '@sandstorm/libnmio'
import { abort } from '../tcp/abort.ts'
import { FINISHED } from '../tcp/ending.ts'
import { canReceive, STATE_NAMES } from '../tcp/state.ts'
import {
  CWND,
  FRAME_KEY,
  indexOf,
  KIND_IPV6,
  localOf,
  NEED_OUTPUT,
  NO_CONN,
  PORTS,
  REMOTE,
  SND_UNA,
  SRTT_US,
  STATE,
} from '../tcp/tcb.ts'
import type { Tcp } from '../tcp/tcp.ts'
import * as ipv4 from '../wire/ipv4.ts'
import * as ipv6 from '../wire/ipv6.ts'
import type { Rings } from './rings.ts'

/** What can happen to a stream; leave out what does not matter. */
export interface StreamHandler {
  /** The connection is established. What was written before is on its way. */
  onConnect?(stream: Stream): void
  /**
   * There is something to read. What is not read stays, and narrows the window that the peer sees.
   */
  onData?(stream: Stream): void
  /** Half of the send ring, or more, is free again, after it was not. */
  onWritable?(stream: Stream): void
  /** The peer will send nothing more; what is unread can still be read. Without it: `shutdown`. */
  onEnd?(stream: Stream): void
  /** The time of `setTimer` is over. */
  onTimer?(stream: Stream): void
  /**
   * It is over, with or without an `onConnect` before; called once. `why`: one of `ending`. What is
   * unread can be read in this call, and never after it.
   */
  onClose?(stream: Stream, why: number): void
}

/** What all streams of a stack share. */
export interface StreamContext {
  readonly tcp: Tcp
  readonly sendRings: Rings
  readonly receiveRings: Rings
}

/** One connection: bytes in, bytes out. */
export class Stream {
  /**
   * Who hears of this stream. May be exchanged at any time, for one that knows this stream alone.
   */
  handler: StreamHandler
  /**
   * Nagle's algorithm (RFC 9293 §3.7.4) is on, as the RFC recommends: while anything is
   * unacknowledged less than a full segment waits for more. True sends at once (MUST-17): for
   * requests and answers.
   */
  noDelay = false
  readonly #tcp: Tcp
  readonly #sendRings: Rings
  readonly #receiveRings: Rings
  readonly #ring: number
  // Who talks to whom, as in the TCB, which will be another's one day
  readonly #remote0: number
  readonly #remote1: number
  readonly #remote2: number
  readonly #remote3: number
  readonly #ports: number
  readonly #key: number
  /** NO_CONN: it is over. */
  #c: number
  /** Sequence number of the first byte; known when connected. */
  #start = 0
  // Positions, from 0 on: int32 that wrap
  #written = 0
  #received = 0
  #read = 0
  #isConnected = false
  #isShut = false
  #isClosing = false
  #hasEnded = false
  /** Less than half of the send ring is free. */
  #isFull = false

  /** Made by `Streams`. */
  constructor(context: StreamContext, c: number, handler: StreamHandler) {
    const { tcp, sendRings, receiveRings } = context
    const { tcb } = tcp
    this.handler = handler
    this.#tcp = tcp
    this.#sendRings = sendRings
    this.#receiveRings = receiveRings
    this.#ring = indexOf(c)
    this.#c = c
    this.#remote0 = tcb[c + REMOTE]
    this.#remote1 = tcb[c + REMOTE + 1]
    this.#remote2 = tcb[c + REMOTE + 2]
    this.#remote3 = tcb[c + REMOTE + 3]
    this.#ports = tcb[c + PORTS]
    this.#key = tcb[c + FRAME_KEY]
  }

  /** How many bytes `read` can return now. */
  get readable(): number {
    return (this.#received - this.#read) | 0
  }

  /** How many bytes `write` would take now. */
  get writable(): number {
    if (this.#c === NO_CONN || this.#isShut) return 0
    const acked = this.#isConnected ? (this.#tcp.tcb[this.#c + SND_UNA] - this.#start) | 0 : 0
    return this.#sendRings.size - ((this.#written - acked) | 0)
  }

  /** The peer has sent everything, though not all of it may have been read. */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /**
   * Moves up to `len` bytes to into[at …); returns how many there were, 0 if none are there now.
   */
  read(into: Uint8Array, at = 0, len: number = into.length - at): number {
    assert(lieIn(into, at, len), 'the bytes lie in the array')
    const count = len < this.readable ? len : this.readable
    this.#receiveRings.getInto(this.#ring, this.#read, into, at, count)
    this.#read = (this.#read + count) | 0
    if (count > 0) this.#offerWindow()
    return count
  }

  /**
   * Takes up to `len` bytes of from[at …); returns how many there was room for; `onWritable` says
   * when there is more. Before `onConnect` they are kept; after `shutdown`, or the end, none is
   * taken.
   */
  write(from: Uint8Array, at = 0, len: number = from.length - at): number {
    assert(lieIn(from, at, len), 'the bytes lie in the array')
    const room = this.writable
    const count = len < room ? len : room
    if (count === 0) return 0
    if (room - count < this.#sendRings.size >> 1) this.#isFull = true
    this.#sendRings.putFrom(this.#ring, this.#written, from, at, count)
    this.#written = (this.#written + count) | 0
    if (this.#isConnected) this.#commit(count)
    return count
  }

  /** Nothing more will be written: a FIN follows the last byte. Reading goes on (half-close). */
  shutdown(): void {
    if (this.#c === NO_CONN || this.#isShut) return
    this.#isShut = true
    if (this.#isConnected) this.#sendFin()
  }

  /**
   * Done with reading, too. What was written still goes out; but if the peer's bytes are lost by
   * this, unread now or sent from now on, it is told by a reset (RFC 9293 §3.6.1, SHLD-3).
   */
  close(): void {
    if (this.#c === NO_CONN) return
    if (this.readable > 0 || !this.#isConnected) {
      this.abort()
      return
    }
    this.#isClosing = true
    this.shutdown()
  }

  /** Ends it now, with a reset. `onClose` is called before this returns. */
  abort(): void {
    if (this.#c !== NO_CONN) abort(this.#tcp, this.#c)
  }

  /** Asks for `onTimer` in `ms` milliseconds instead of any earlier wish; 0: never. */
  setTimer(ms: number): void {
    if (this.#c === NO_CONN) return
    if (ms > 0) this.#tcp.setAppTimer(this.#c, ms)
    else this.#tcp.clearAppTimer(this.#c)
  }

  /** Keep-alives (RFC 9293 §3.8.4) are off until asked for. From `onConnect` on. */
  setKeepAlive(on: boolean): void {
    if (this.#c !== NO_CONN) this.#tcp.setKeepAlive(this.#c, on)
  }

  /** How long written bytes may go without an answer, milliseconds; 0: as TCP is configured. */
  setUserTimeout(ms: number): void {
    if (this.#c !== NO_CONN) this.#tcp.setUserTimeout(this.#c, ms)
  }

  get localAddress(): string {
    const { addresses } = this.#tcp
    const local = localOf(this.#key)
    return this.#format(
      addresses.word(local, 0),
      addresses.word(local, 1),
      addresses.word(local, 2),
      addresses.word(local, 3),
    )
  }

  get remoteAddress(): string {
    return this.#format(this.#remote0, this.#remote1, this.#remote2, this.#remote3)
  }

  get localPort(): number {
    return this.#ports & 0xffff
  }

  get remotePort(): number {
    return this.#ports >>> 16
  }

  /** By its name in RFC 9293; CLOSED when it is over. */
  get state(): string {
    return this.#c === NO_CONN ? 'CLOSED' : STATE_NAMES[this.#tcp.tcb[this.#c + STATE]]
  }

  /** Smoothed round-trip time, microseconds; 0: not known. */
  get srttUs(): number {
    return this.#c === NO_CONN ? 0 : this.#tcp.tcb[this.#c + SRTT_US]
  }

  /** Congestion window, bytes. */
  get cwnd(): number {
    return this.#c === NO_CONN ? 0 : this.#tcp.tcb[this.#c + CWND]
  }

  // What `Streams` tells; not for applications.

  /** The handshake is complete. */
  opened(): void {
    const c = this.#c
    this.#isConnected = true
    this.#start = this.#tcp.tcb[c + SND_UNA]
    if (this.#written > 0) this.#commit(this.#written)
    if (this.#isShut) this.#sendFin()
    this.handler.onConnect?.(this)
  }

  /** `len` bytes have come, at `off` in the region; returns how many were taken. */
  received(off: number, len: number): number {
    if (this.#isClosing) {
      this.abort()
      return len
    }
    const room = this.#receiveRings.size - this.readable
    const count = len < room ? len : room
    this.#receiveRings.put(this.#ring, this.#received, off, count)
    this.#received = (this.#received + count) | 0
    this.#offerWindow()
    this.handler.onData?.(this)
    return count
  }

  /** The peer's FIN has come. */
  ended(): void {
    this.#hasEnded = true
    if (this.#isClosing) return
    if (this.handler.onEnd === undefined) this.shutdown()
    else this.handler.onEnd(this)
  }

  /** Written bytes were acknowledged. */
  acked(): void {
    if (!this.#isFull || this.writable < this.#sendRings.size >> 1) return
    this.#isFull = false
    this.handler.onWritable?.(this)
  }

  /** The connection is gone; its rings are another's after this call. */
  closed(why: number): void {
    this.#c = NO_CONN
    // After our own FIN TCP reports the peer's by the end alone.
    if (why === FINISHED && !this.#hasEnded) this.ended()
    this.handler.onClose?.(this, why)
    this.#read = this.#received
  }

  /** Where byte `seq` lies in the send ring. */
  positionOf(seq: number): number {
    return (seq - this.#start) | 0
  }

  #commit(count: number): void {
    this.#tcp.commit(this.#c, count)
    this.#tcp.addWork(this.#c, NEED_OUTPUT)
  }

  #sendFin(): void {
    this.#tcp.close(this.#c)
    this.#tcp.addWork(this.#c, NEED_OUTPUT)
  }

  #offerWindow(): void {
    const c = this.#c
    if (c === NO_CONN || !canReceive(this.#tcp.tcb[c + STATE])) return
    this.#tcp.setReceiveSpace(c, this.#receiveRings.size - this.readable)
  }

  #format(w0: number, w1: number, w2: number, w3: number): string {
    return this.#key & KIND_IPV6 ? ipv6.formatAddress(w0, w1, w2, w3) : ipv4.formatAddress(w0)
  }
}

/** Are there bytes at [at, at + len)? No text, no words of 16 bits or more, no parts of a byte. */
const lieIn = (bytes: Uint8Array, at: number, len: number): boolean =>
  bytes.BYTES_PER_ELEMENT === 1 && at === at >>> 0 && len === len >>> 0 && at + len <= bytes.length
