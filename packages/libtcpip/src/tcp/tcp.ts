/**
 * TCP's context: the tables, policies and counters that every other file here works on, and the
 * calls an application makes (RFC 9293 §3.9.1). Sans-I/O: frames and a clock go in (`input.ts`,
 * `timers.ts`), frames go out through the device's ring; no call waits for anything.
 */
import { type Arp, ethernet } from '@sandstorm/libeth'
import { assert, BATCH_MAX, type Device, type FlowShare, type FramePool } from '@sandstorm/libnmio'
import type { Addresses } from '../addresses.ts'
import { DROP_COUNT } from '../drops.ts'
import type { Ndp } from '../ndp/ndp.ts'
import { TcpOptions, WINDOW_SCALE_MAX } from '../wire/tcpOptions.ts'
import type { Application } from './application.ts'
import type { TcpConfig } from './config.ts'
import type { CongestionControl } from './congestion/congestion.ts'
import { ABORTED, FINISHED } from './ending.ts'
import { Headers } from './headers.ts'
import { SynCookies } from './opening/cookie.ts'
import { EphemeralPorts, isPort } from './opening/ephemeralPorts.ts'
import { IsnGenerator } from './opening/isn.ts'
import { Sources } from './opening/sources.ts'
import { PathMtuCache } from './path/pathMtuCache.ts'
import { Unresolved } from './path/unresolved.ts'
import { Reassembly } from './reassembly.ts'
import { Flights, NO_FLIGHT } from './recovery/flight.ts'
import { FlightQueue } from './recovery/flightQueue.ts'
import { Delivery } from './recovery/scoreboard.ts'
import { SackBlocks } from './sackBlocks.ts'
import { Segment } from './segmentVariables.ts'
import * as state from './state.ts'
import { newTcpStats, type TcpStats } from './stats.ts'
import { BareLimit } from './stray/bareLimit.ts'
import { ConnectionTable } from './table.ts'
import {
  ANSWERED,
  APP_ARMED,
  APP_AT,
  FIN_QUEUED,
  FLAGS,
  FLIGHT,
  KEPT_ALIVE,
  LIST_NEXT,
  MSS,
  NEED_ACK,
  NO_CONN,
  ON_LIST,
  OPENED,
  PASSIVE,
  RCV_ADV,
  RCV_NXT,
  RCV_SPACE,
  RTX_ARMED,
  RTX_AT,
  SND_END,
  SND_UNA,
  STATE,
  TcbPool,
} from './tcb.ts'
import { TimerWheel } from './timers/timerWheel.ts'
import { TimeWait } from './timers/timeWait.ts'
import { NO_LIMIT, UserTimeouts } from './timers/userTimeout.ts'
import { receiveScale, WINDOW_MAX } from './window.ts'

/** Destinations whose path MTU is remembered. */
const PATH_MTUS = 1024

/**
 * With so many bytes a connection's turn is over, and a batch's: one super-frame, or a row of
 * frames that stays in the processor's cache. Who has no more to send need not wait for a turn
 * (output.ts).
 */
export const TURN_BYTES: number = 32 << 10

/**
 * Connections on the work list that a batch serves, and frames that its timers send, as many as it
 * receives: if very many have something to send at once, what comes meanwhile is not left unread until
 * the last of them has sent.
 */
export const TURNS: number = BATCH_MAX

/** What the stack gives TCP to stand on. */
export interface TcpPorts {
  readonly device: Device
  readonly frames: FramePool
  readonly arp: Arp
  readonly ndp: Ndp
  readonly addresses: Addresses
  /** Answers go to the station that a frame came from (neighbour.ts). */
  readonly takesReturnPath: boolean
  /** Whose segments come to us; connections that we open are of these. */
  readonly flows: FlowShare
  /** Where the TCBs lie; undefined: in memory of our own. */
  readonly tcbs: SharedArrayBuffer | undefined
}

/** TCP of one stack: its tables, its clock, and the calls of an `Application`. */
export class Tcp {
  readonly config: TcpConfig
  readonly device: Device
  readonly frames: FramePool
  readonly arp: Arp
  readonly ndp: Ndp
  readonly addresses: Addresses
  readonly takesReturnPath: boolean
  readonly flows: FlowShare
  readonly app: Application
  readonly cc: CongestionControl
  readonly pool: TcbPool
  readonly tcb: Int32Array
  readonly table: ConnectionTable
  readonly timers: TimerWheel
  readonly timeWait: TimeWait
  readonly flights: Flights
  /** Of the segments that are being sent. */
  readonly headers: Headers
  /** What the ACK being processed delivered (scoreboard.ts). */
  readonly delivery: Delivery = new Delivery()
  readonly reassembly: Reassembly
  readonly sack: SackBlocks = new SackBlocks()
  readonly userTimeouts: UserTimeouts
  readonly pathMtus: PathMtuCache = new PathMtuCache(PATH_MTUS)
  readonly isn: IsnGenerator
  readonly cookies: SynCookies
  readonly bareLimit: BareLimit
  /** The backlog that is used. */
  readonly backlog: number
  readonly sources: Sources
  readonly options: TcpOptions = new TcpOptions()
  readonly segment: Segment = new Segment()
  /** Whom `connect` is opening a connection to, as a segment from there would say it. */
  readonly opening: Segment = new Segment()
  readonly ephemeralPorts: EphemeralPorts
  readonly unresolved: Unresolved = new Unresolved()
  readonly flightQueue: FlightQueue = new FlightQueue()
  readonly stats: TcpStats = newTcpStats()
  /** Drops by reason (drops.ts). */
  readonly drops: Float64Array = new Float64Array(DROP_COUNT)
  /** The stack's clock at this batch, int32 and wrapping. */
  nowUs = 0
  nowMs = 0
  /** Milliseconds that never wrap: for ARP and neighbour discovery, which are asked rarely. */
  clockMs = 0
  halfOpen = 0
  /** The 4 µs clock of initial sequence numbers, int32 and wrapping. */
  isnTicks = 0
  /** Our hardware address, as two numbers. */
  readonly macHi: number
  readonly macLo: number
  /** The work list (work.ts), first and last. */
  workHead: number = NO_CONN
  workTail: number = NO_CONN
  /** Bytes that those who have much to send may still send in this batch (output.ts). */
  batchLeft: number = TURN_BYTES
  /** Connections on the work list that may still be served in this batch. */
  turnsLeft: number = TURNS
  /** The last batch ended with work left, and not because the ring or the frames ran out. */
  isCutShort = false
  readonly isPaced: boolean
  readonly #listening = new Uint8Array(65536)

  /** `random` returns secret int32s; it is asked only here. */
  constructor(
    ports: TcpPorts,
    app: Application,
    cc: CongestionControl,
    config: TcpConfig,
    random: () => number,
    nowUs: number,
  ) {
    this.device = ports.device
    this.frames = ports.frames
    this.arp = ports.arp
    this.ndp = ports.ndp
    this.addresses = ports.addresses
    this.takesReturnPath = ports.takesReturnPath
    this.flows = ports.flows
    this.app = app
    this.cc = cc
    this.config = config
    this.isPaced = config.pacing
    this.macHi = ethernet.hiOf(ports.device.mac)
    this.macLo = ethernet.loOf(ports.device.mac)
    this.headers = new Headers(this)
    this.cookies = new SynCookies(random)
    this.setTime(nowUs)
    this.pool = new TcbPool(config.maxConnections, ports.tcbs)
    this.tcb = this.pool.tcb
    this.table = new ConnectionTable(this.tcb, config.maxConnections, random)
    this.flights = new Flights(config.maxFlights)
    this.timers = new TimerWheel(this.tcb, this.nowMs)
    this.timeWait = new TimeWait(config.timeWaitEntries, config.timeWaitMs)
    const { outOfOrderFrames } = config
    this.reassembly = new Reassembly(
      this.frames,
      outOfOrderFrames === 0 ? Math.max(1, this.frames.capacity >> 3) : outOfOrderFrames,
    )
    this.userTimeouts = new UserTimeouts(config.maxConnections)
    this.isn = new IsnGenerator(random)
    this.bareLimit = new BareLimit(random())
    const half = Math.ceil(config.maxConnections / 2)
    this.backlog = config.backlog < half ? config.backlog : half
    this.sources = new Sources(config, this.backlog, random() | 0)
    this.ephemeralPorts = new EphemeralPorts(random)
    assert(config.delayedAckMs >= 0 && config.delayedAckMs < 500, 'an ACK waits less than 500 ms')
    const most = WINDOW_MAX << WINDOW_SCALE_MAX
    assert(config.receiveWindow > 0 && config.receiveWindow <= most, 'a window of 1 byte to 1 GB')
  }

  /** Sets the clock for a batch; `nowUs` may be any growing number of microseconds. */
  setTime(nowUs: number): void {
    this.nowUs = nowUs | 0
    this.clockMs = Math.floor(nowUs / 1000)
    this.nowMs = this.clockMs | 0
    this.isnTicks = Math.floor(nowUs / 4) | 0
    this.cookies.setTime(this.clockMs)
  }

  /** The batch is over; what is done from now on belongs to the next. */
  endBatch(): void {
    this.isCutShort = this.workHead !== NO_CONN && (this.batchLeft <= 0 || this.turnsLeft <= 0)
    this.batchLeft = TURN_BYTES
    this.turnsLeft = TURNS
  }

  /** Accepts connections to a local port. */
  listen(port: number): void {
    assert(isPort(port), 'a port is 1 to 65535')
    this.#listening[port] = 1
  }

  /** Stops accepting; what is open, or about to be, goes on. */
  unlisten(port: number): void {
    this.#listening[port] = 0
  }

  isListening(port: number): boolean {
    return this.#listening[port] === 1
  }

  /**
   * Adds `bytes` to the stream: from now on `transmit` is asked for them. All that is not yet
   * acknowledged stays below 2^31 bytes, the reach of sequence numbers.
   */
  commit(c: number, bytes: number): void {
    const tcb = this.tcb
    assert(state.canSend(tcb[c + STATE]), 'only an open connection takes more data')
    assert((tcb[c + FLAGS] & FIN_QUEUED) === 0, 'nothing can be sent after close')
    const unacknowledged = (tcb[c + SND_END] - tcb[c + SND_UNA]) | 0
    assert(bytes >= 0 && unacknowledged + bytes < 2 ** 31, 'a stream reaches less than 2^31 ahead')
    tcb[c + SND_END] = (tcb[c + SND_END] + bytes) | 0
    tcb[c + FLAGS] |= ANSWERED
  }

  /**
   * Nothing more to send: a FIN follows the last byte. Data from the peer is still delivered. In
   * SYN-SENT it is the end of the connection, and the application hears `onClosed` at once.
   */
  close(c: number): void {
    const tcb = this.tcb
    if (tcb[c + FLAGS] & FIN_QUEUED) return
    tcb[c + FLAGS] |= FIN_QUEUED
    const before = tcb[c + STATE]
    // In SYN-RECEIVED the FIN waits for the handshake (RFC 9293 §3.10.4).
    if (before !== state.SYN_RCVD) this.setState(c, state.CLOSE)
    if (before === state.SYN_SENT) this.release(c, ABORTED)
  }

  /**
   * Asks for `onTimeout` in `ms` milliseconds; a new call replaces the old time-out. In FIN-WAIT-2
   * the timer is TCP's own, and both calls do nothing.
   */
  setAppTimer(c: number, ms: number): void {
    if (this.tcb[c + STATE] !== state.FIN_WAIT_2) this.#startAppTimer(c, ms)
  }

  clearAppTimer(c: number): void {
    if (this.tcb[c + STATE] !== state.FIN_WAIT_2) this.tcb[c + FLAGS] &= ~APP_ARMED
  }

  /**
   * Turns keep-alives on or off (`keepAliveIdleMs` and its companions in the configuration). May be
   * called from `onOpen` on.
   */
  setKeepAlive(c: number, on: boolean): void {
    const tcb = this.tcb
    tcb[c + FLAGS] &= ~KEPT_ALIVE
    if (!on) return
    tcb[c + FLAGS] |= KEPT_ALIVE
    if (tcb[c + FLAGS] & RTX_ARMED) return
    tcb[c + RTX_AT] = (this.nowMs + this.config.keepAliveIdleMs) | 0
    this.timers.schedule(c, tcb[c + RTX_AT])
  }

  /**
   * Gives the connection up when data, or a probe of a shut window, has gone without any answer for
   * `ms` milliseconds, instead of after `maxRetries` time-outs (RFC 9293, MUST-21); 0: as before.
   */
  setUserTimeout(c: number, ms: number): void {
    assert(ms >= 0, 'a time-out is not negative')
    this.userTimeouts.set(c, ms)
  }

  /**
   * How many bytes the application can take from now on; the window follows, as far as it can be
   * told. If the peer waits before a shut one, it is told of one that opens (RFC 9293 §3.8.6.2.2).
   */
  setReceiveSpace(c: number, bytes: number): void {
    const tcb = this.tcb
    assert(bytes >= 0, 'a receive space is not negative')
    const most = WINDOW_MAX << receiveScale(tcb, c)
    tcb[c + RCV_SPACE] = bytes < most ? bytes : most
    const window = (tcb[c + RCV_ADV] - tcb[c + RCV_NXT]) | 0
    const step = this.windowStep(c)
    if (window < step && tcb[c + RCV_SPACE] - window >= step) this.addWork(c, NEED_ACK)
  }

  /** The least by which the window's edge moves on: no silly windows (RFC 9293 §3.8.6.2.2). */
  windowStep(c: number): number {
    const half = this.config.receiveWindow >> 1
    const mss = this.tcb[c + MSS]
    return half < mss ? half : mss
  }

  /** Moves a connection along an arrow of state.ts. */
  setState(c: number, event: number): void {
    const tcb = this.tcb
    const before = tcb[c + STATE]
    const after = state.next(before, event)
    if (before === after) return
    tcb[c + STATE] = after
    if (tcb[c + FLAGS] & PASSIVE) this.#countHandshake(c, before, after)
    if (after === state.FIN_WAIT_2) this.#startAppTimer(c, this.config.finWait2Ms)
  }

  /**
   * The connection ends here; its state is CLOSED or TIME-WAIT, and CLOSED afterwards: whoever
   * still holds the handle sees by that to leave it alone. The TCB goes back to the pool, one that
   * the application knows when the batch is over: it may open another connection in the callback
   * that ended this one. `why`: one of ending.ts.
   */
  release(c: number, why: number = FINISHED): void {
    const tcb = this.tcb
    if (tcb[c + STATE] === state.TIME_WAIT) this.#remember(c)
    tcb[c + STATE] = state.CLOSED
    this.timers.cancel(c)
    if (tcb[c + FLIGHT] !== NO_FLIGHT) this.flights.close(tcb[c + FLIGHT])
    tcb[c + FLIGHT] = NO_FLIGHT
    this.table.remove(c)
    this.sources.end(tcb, c)
    this.reassembly.release(tcb, c)
    if (this.sack.dupOf === c) this.sack.dupOf = NO_CONN
    this.userTimeouts.set(c, NO_LIMIT)
    // Of a client that never came to be open the application knows nothing.
    const isKnown = (tcb[c + FLAGS] & OPENED) !== 0 || (tcb[c + FLAGS] & PASSIVE) === 0
    if (isKnown) {
      this.app.onClosed(c, why)
      this.addWork(c, 0)
    }
    // A connection on the work list is freed when the list is walked.
    if ((tcb[c + FLAGS] & ON_LIST) === 0) this.pool.free(c)
  }

  /** Puts a connection on the work list: it has something to send when it is walked. */
  addWork(c: number, need: number): void {
    const tcb = this.tcb
    tcb[c + FLAGS] |= need
    if (tcb[c + FLAGS] & ON_LIST) return
    tcb[c + FLAGS] |= ON_LIST
    tcb[c + LIST_NEXT] = NO_CONN
    if (this.workTail === NO_CONN) this.workHead = c
    else tcb[this.workTail + LIST_NEXT] = c
    this.workTail = c
  }

  drop(reason: number): number {
    this.drops[reason]++
    return reason
  }

  #startAppTimer(c: number, ms: number): void {
    const tcb = this.tcb
    tcb[c + APP_AT] = (this.nowMs + ms) | 0
    tcb[c + FLAGS] |= APP_ARMED
    this.timers.schedule(c, tcb[c + APP_AT])
  }

  /** A passive open begins, or its handshake is over, one way or the other. */
  #countHandshake(c: number, before: number, after: number): void {
    if (after === state.SYN_RCVD) {
      this.halfOpen++
      this.sources.begin(this.tcb, c)
    } else if (before === state.SYN_RCVD) {
      this.halfOpen--
      this.sources.endHandshake(this.tcb, c)
    }
  }

  #remember(c: number): void {
    this.timeWait.add(this.table.hashOf(c), this.tcb, c, this.nowMs)
  }
}
