/**
 * Transmission control blocks (RFC 9293 §3.3.1): fixed strides in one Int32Array, so that a
 * connection lies in four cache lines and costs no object. A connection's handle `c` is the index
 * of its first field: `tcb[c + SND_UNA]`. Handles come from a pool of fixed size and are reused.
 *
 * There is no send buffer in here: the bytes between SND_UNA and SND_END are the application's
 * content, which can be framed again at any time (paper §2: bufferless).
 */
import { assert } from '@sandstorm/libnmio'

// Who talks to whom
export const STATE = 0
export const REMOTE = 1 // … 4: the peer's address; IPv4 in the first word, the others 0
export const PORTS = 5 // remote port << 16 | local port
export const FRAME_KEY = 6 // what the constant header fields of a frame depend on: frameKey()
export const PATH = 7 // the way to the first hop (neighbour.ts) << 16 | the addresses' checksum
// Send sequence space: SND_UNA ≤ SND_NXT ≤ SND_END + 1
export const SND_UNA = 8
export const SND_NXT = 9 // never moves back: what is lost is marked in the flight (flight.ts)
export const SND_END = 10 // end of what the application has committed; a FIN takes this number
export const SND_WND = 11 // bytes, scaled
export const SND_WL1 = 12
export const SND_WL2 = 13
export const MAX_WND = 14 // the largest window the peer ever offered (SWS avoidance, RFC 5961)
export const MSS = 15 // payload bytes of a full segment to this peer
// Receive sequence space
export const RCV_NXT = 16
export const RCV_ADV = 17 // right edge of the window we have advertised; never moves back
export const RCV_SPACE = 18 // bytes the application can take now
export const OUT_OF_ORDER = 19 // first piece that is queued behind a hole (reassembly.ts), or -1
export const ACK_SENT = 20 // RCV_NXT as last acknowledged (Last.ACK.sent, RFC 7323 §4.3)
// Timestamps (RFC 7323)
export const TS_RECENT = 21 // the peer's, to be echoed
export const TS_OFFSET = 22 // what we add to our clock, so that it tells nothing about the machine
// Congestion control (congestion.ts): two words for all, and those that an algorithm names itself
export const CWND = 23
export const SSTHRESH = 24
export const CC_WORDS = 25 // … 29
export const CC_WORD_COUNT = 5
// Loss recovery that outlives a flight
export const TLP_END = 30 // SND_NXT when the tail loss probe was sent
export const FLIGHT = 31 // flight.ts: what is in the network now, or -1
export const REORDERING = 32 // RACK's reordering window, packed (rack.ts)
// Round trip and retransmission timer (RFC 6298), microseconds
export const SRTT_US = 33
export const RTTVAR_US = 34
export const RTO_US = 35
export const MIN_RTT_US = 36
export const SYN_AT_US = 37 // until the handshake is over: when our SYN was sent; 0: more than once
export const MSS_BEFORE = 37 // then: MSS before it was reduced, and when (segmentSize.ts); 0: never
export const RETRIES = 38 // time-outs in a row, or keep-alives unanswered
// Deadlines, milliseconds of the stack's clock; each counts only while its flag is set
export const RTX_AT = 39
export const APP_AT = 40
export const ACK_AT = 41 // a delayed ACK
export const SENT_AT = 42 // when data was last sent (restart after idle)
export const HEARD_AT = 43 // when a segment was last accepted (keep-alive, age of TS_RECENT)
export const WHEEL_AT = 44
export const WHEEL_NEXT = 45
export const WHEEL_PREV = 46
// Bits, options and list membership
export const FLAGS = 47
export const SCALES = 48 // send window scale | receive window scale << 8 | WINDOW_SCALE
export const LIST_NEXT = 49
// Limits
export const CHALLENGES = 50 // when and how many, packed (challenge.ts)
// Where the way to the peer is the way back, without a neighbour table
export const STATION = 51 // low four bytes of the first hop's hardware address; the rest is in PATH

export const TCB_STRIDE = 52

// In SCALES
export const RECEIVE_SCALE_SHIFT = 8
export const WINDOW_SCALE: number = 1 << 16 // both sides scale their windows (RFC 7323 §2)

// Header kinds, bits of FRAME_KEY: what headers a connection's frames have
export const KIND_TIMESTAMPS: number = 1 << 16
export const KIND_IPV6: number = 1 << 17

/**
 * Two frames with the same key have the same constant header fields: our address (its place in
 * addresses.ts), the kind of headers, our port.
 */
export const frameKey = (local: number, kind: number, ports: number): number =>
  (local << 24) | kind | (ports & 0xffff)

/** Our address in a frame key. */
export const localOf = (key: number): number => key >>> 24

/** No connection. */
export const NO_CONN = -1

// Bits of FLAGS
export const FIN_QUEUED = 1 // the application has closed: a FIN follows the last byte
export const RTX_ARMED = 2
export const PERSIST = 4 // RTX_AT is the persist timer (RFC 9293 §3.8.6.1)
export const APP_ARMED = 8
export const WAITS_FOR_FLIGHT = 16 // in the queue for one (flightQueue.ts)
export const IN_RECOVERY = 32 // losses found by ACKs are being repaired (RFC 6675, RFC 6582)
export const NEED_ACK = 64
export const NEED_OUTPUT = 128
export const ON_LIST = 256
export const PASSIVE = 512 // opened by a listener
export const SYN_RESENT = 1024 // our SYN was retransmitted: first RTO is 3 s (RFC 6298 §5.7)
export const ON_WHEEL = 2048
export const OPENED = 4096 // the application has heard of it
export const IN_RTO: number = 1 << 13 // recovery after a time-out (RFC 5682)
export const TLP: number = 1 << 14 // RTX_AT is the tail loss probe's (RFC 8985 §7)
export const REORDER: number = 1 << 15 // RTX_AT is RACK's reordering timer (RFC 8985 §6.2)
export const PROVEN: number = 1 << 16 // full segments have arrived at the peer (segmentSize.ts)
export const TIMESTAMPS: number = 1 << 17 // both sides send timestamps (RFC 7323 §3)
export const SACK: number = 1 << 18 // both sides know selective acknowledgements (RFC 2018)
export const ECN: number = 1 << 19 // both sides know ECN (RFC 3168)
export const SEND_ECE: number = 1 << 20 // congestion was experienced, and the peer has yet to react
export const SEND_CWR: number = 1 << 21 // we have reacted, and the next new data says so
export const ACK_DELAYED: number = 1 << 22 // an ACK is owed, by ACK_AT
export const KEPT_ALIVE: number = 1 << 23 // keep-alives are on: RTX_AT is theirs without RTX_ARMED
export const IN_CWR: number = 1 << 24 // the window is being reduced for an echo (RFC 3168)
export const ANSWERED: number = 1 << 25 // the application has sent something: an ACK may wait
export const HALF_COUNTED: number = 1 << 26 // in Sources.halfOpen
export const OPEN_COUNTED: number = 1 << 27 // in Sources.open
export const UNRESOLVED: number = 1 << 28 // waits for its first hop's address (unresolved.ts)
export const TLP_PROBED: number = 1 << 29 // a tail loss probe is under way
export const TLP_RESENT: number = 1 << 30 // it was a retransmission
export const PACED: number = 1 << 31 // waits for the time of its next burst (pacing.ts)
/** The window is on its way to SSTHRESH (prr.ts). */
export const REDUCING: number = IN_RECOVERY | IN_CWR

/** More have no place in the connection table (table.ts). */
export const CONNECTIONS_MAX = 16_000_000

export class TcbPool {
  readonly tcb: Int32Array
  readonly capacity: number
  /** TCBs that were given back are a list through LIST_NEXT … */
  #firstFree: number = NO_CONN
  /** … and from here on they were never used: memory that nobody has touched costs nothing. */
  #firstUnused = 0
  #usedCount = 0

  /** Bytes of memory that so many take. */
  static bytesFor(capacity: number): number {
    return 4 * capacity * TCB_STRIDE
  }

  /** `memory`: zeroes, for others to read when this thread is no more (orphans.ts). */
  constructor(
    capacity: number,
    memory: ArrayBufferLike = new ArrayBuffer(TcbPool.bytesFor(capacity)),
  ) {
    assert(capacity > 0 && capacity <= CONNECTIONS_MAX, 'between 1 and 16 million connections')
    assert(memory.byteLength === TcbPool.bytesFor(capacity), 'as much memory as TCBs take')
    this.capacity = capacity
    this.tcb = new Int32Array(memory)
  }

  get usedCount(): number {
    return this.#usedCount
  }

  /**
   * A TCB in state CLOSED, zeroed but for the heads of its lists, or NO_CONN when all are in use.
   */
  alloc(): number {
    const c = this.#take()
    if (c === NO_CONN) return NO_CONN
    this.tcb.fill(0, c, c + TCB_STRIDE)
    this.tcb[c + FLIGHT] = -1
    this.tcb[c + OUT_OF_ORDER] = -1
    this.#usedCount++
    return c
  }

  free(c: number): void {
    this.tcb[c + LIST_NEXT] = this.#firstFree
    this.#firstFree = c
    this.#usedCount--
  }

  #take(): number {
    const c = this.#firstFree
    if (c !== NO_CONN) {
      this.#firstFree = this.tcb[c + LIST_NEXT]
      return c
    }
    if (this.#firstUnused === this.tcb.length) return NO_CONN
    this.#firstUnused += TCB_STRIDE
    return this.#firstUnused - TCB_STRIDE
  }
}

/** Position of a connection among all: for tables that run beside the TCBs. */
export const indexOf = (c: number): number => c / TCB_STRIDE
