/**
 * Requests and answers over our own TCP: connections are opened actively, answers are read where
 * they lie in the receive ring, requests are finished packets (requestFrames.ts).
 *
 * A connection that the generator has closed goes on by itself until TCP is done with it; its
 * number is free at once, so there are more TCBs than numbers.
 */
import {
  type Application,
  abort,
  connect,
  ending,
  type IpAddress,
  type Stack,
  type Tcp,
  type TcpConfig,
  tcb,
} from '@sandstorm/libtcpip'
import { ENDING_MAX } from './limits.ts'
import { RequestFrames } from './requestFrames.ts'
import type { Transport, TransportListener } from './transport.ts'

/** Whom it asks, for what, and from which of our addresses. */
export interface TcpTransportOptions {
  /** The generator's: numbers from 0 on. */
  readonly connections: number
  /** Who is asked. */
  readonly remote: IpAddress
  readonly port: number
  /** Head and all. */
  readonly request: Uint8Array
  /** Of our addresses those that connections come from, by place: the first, and how many. */
  readonly firstSource: number
  readonly sources: number
  /** Of the first connection among those of all threads: they take the addresses in turn. */
  readonly firstNumber: number
}

/** No connection. */
const NONE = -1
/** TCBs beside those of the generator's connections. */
const SPARE = 256
/** Larger than a server's congestion window is likely to become on a short path. */
const RECEIVE_WINDOW = 262_144

/** For StackOptions.tcp of a stack with so many connections. */
export const tcpConfig = (connections: number): Partial<TcpConfig> => ({
  maxConnections: 2 * connections + SPARE,
  maxFlights: 2 * connections + SPARE,
  receiveWindow: RECEIVE_WINDOW,
})

/** Carries requests on our own TCP: the `app` of a stack. */
export class TcpTransport implements Application, Transport {
  readonly #options: TcpTransportOptions
  readonly #requestBytes: number
  #tcp!: Tcp
  #frames!: RequestFrames
  #listener!: TransportListener
  /** The TCB by number, and the number by TCB; NONE. */
  readonly #connOf: Int32Array
  #numberOf: Int32Array = new Int32Array(0)
  /** Numbers that have a TCB. */
  #heldCount = 0
  /** Of the last connection that was lost, one of `ending`; FINISHED: none was. */
  lastEnding: number = ending.FINISHED

  constructor(options: TcpTransportOptions) {
    this.#options = options
    this.#requestBytes = options.request.length
    this.#connOf = new Int32Array(options.connections).fill(NONE)
  }

  /** The stack below, made with this as its application, and who hears of its connections. */
  attach({ tcp }: Stack, listener: TransportListener): void {
    this.#tcp = tcp
    this.#listener = listener
    this.#frames = new RequestFrames(tcp, this.#options.request)
    this.#numberOf = new Int32Array(tcp.config.maxConnections).fill(NONE)
  }

  open(i: number): boolean {
    const { remote, port, firstSource, sources, firstNumber } = this.#options
    const source = firstSource + ((firstNumber + i) % sources)
    const c = connect(this.#tcp, source, remote, port)
    if (c === tcb.NO_CONN) return false
    this.#connOf[i] = c
    this.#numberOf[tcb.indexOf(c)] = i
    this.#heldCount++
    return true
  }

  ask(i: number): void {
    const c = this.#connOf[i]
    this.#tcp.commit(c, this.#requestBytes)
    this.#tcp.addWork(c, tcb.NEED_OUTPUT)
  }

  close(i: number): void {
    const c = this.#leave(i)
    this.#tcp.close(c)
    this.#tcp.addWork(c, tcb.NEED_OUTPUT)
  }

  abort(i: number): void {
    abort(this.#tcp, this.#leave(i))
  }

  /** A reset is sent once or never, and so is the ACK of the server's FIN. */
  get endRoom(): number {
    const { pool, device } = this.#tcp
    const room = ENDING_MAX - (pool.usedCount - this.#heldCount)
    return Math.min(room, device.txSpace() >> 1)
  }

  segmentBytes(mss: number): number {
    const { payloadMax } = this.#frames
    return mss < payloadMax ? mss : payloadMax
  }

  onOpen(c: number): void {
    const i = this.#numberOf[tcb.indexOf(c)]
    if (i !== NONE) this.#listener.onOpen(i)
  }

  /** What comes on a connection that nobody knows any more is taken, and nobody's. */
  onData(c: number, off: number, len: number): number {
    const i = this.#numberOf[tcb.indexOf(c)]
    if (i !== NONE) this.#listener.onData(i, this.#tcp.frames.region.bytes, off, len)
    return len
  }

  onFin(c: number): void {
    const i = this.#numberOf[tcb.indexOf(c)]
    if (i !== NONE) this.#listener.onFin(i)
  }

  onAcked(): void {}

  onTimeout(): void {}

  onClosed(c: number, why: number): void {
    const i = this.#numberOf[tcb.indexOf(c)]
    if (i === NONE) return
    this.#leave(i)
    this.lastEnding = why
    this.#listener.onLost(i, why === ending.TIMED_OUT)
  }

  transmit(c: number, seq: number, room: number): number {
    const len = this.#requestBytes
    const at = this.#placeOf(c, seq)
    const mss = this.#tcp.tcb[c + tcb.MSS]
    if (at === 0 && len <= mss) return len <= room ? this.#frames.sendWhole(c, seq) : 0
    const left = len - at
    const most = left < mss ? left : mss
    return most <= room ? this.#frames.sendPiece(c, seq, at, most) : 0
  }

  transmitExactly(c: number, seq: number, len: number): number {
    const at = this.#placeOf(c, seq)
    if (at === 0 && len === this.#requestBytes) return this.#frames.sendWhole(c, seq)
    return this.#frames.sendPiece(c, seq, at, len)
  }

  /**
   * Where in the request byte `seq` is: all that was committed are whole requests, and all are
   * alike.
   */
  #placeOf(c: number, seq: number): number {
    const left = ((this.#tcp.tcb[c + tcb.SND_END] - seq) | 0) % this.#requestBytes
    return left === 0 ? 0 : this.#requestBytes - left
  }

  /** The number has no connection any more, and the connection no number. */
  #leave(i: number): number {
    const c = this.#connOf[i]
    this.#connOf[i] = NONE
    this.#numberOf[tcb.indexOf(c)] = NONE
    this.#heldCount--
    return c
  }
}
