/**
 * Transmission control blocks (RFC 9293 §3.3.1): fixed strides in one Int32Array, so that a
 * connection lies in three cache lines and costs no object. A connection's handle `c` is the index
 * of its first field: `tcb[c + SND_UNA]`. Handles come from a pool of fixed size and are reused.
 *
 * There is no send buffer in here: the bytes between SND_UNA and SND_END are the application's
 * content, which can be framed again at any time (paper §2: bufferless).
 */
import { assert } from '@sandstorm/libnmio'

// Who talks to whom
export const STATE = 0
export const REMOTE_ADDR = 1 // IPv4, int32
export const LOCAL_ADDR = 2
export const PORTS = 3 // remote port << 16 | local port
export const HASH = 4 // the connection table's hash of the three above
export const NEXT_HOP = 5 // IPv4 of the first hop
export const NEIGHBOUR = 6 // its entry in the neighbour table, checked before use
export const IP_SUM = 7 // checksum share of the constant IPv4 header fields
export const PSEUDO_SUM = 8 // checksum share of addresses and protocol
// Send sequence space: SND_UNA ≤ SND_NXT ≤ SND_END + 1
export const SND_UNA = 9
export const SND_NXT = 10 // never moves back: what is lost is marked in the flight (flight.ts)
export const SND_END = 11 // end of the bytes that the application has committed; a FIN takes this number
export const SND_WND = 14 // bytes, scaled
export const SND_WL1 = 15
export const SND_WL2 = 16
export const MAX_WND = 17 // the largest window the peer ever offered (SWS avoidance, RFC 5961)
export const MSS = 18 // payload bytes of a full segment to this peer
// Receive sequence space
export const RCV_NXT = 19
export const RCV_ADV = 20 // right edge of the window we have advertised; never moves back
export const RCV_SPACE = 21 // bytes the application can take now
export const OUT_OF_ORDER = 22 // first piece that arrived before its predecessor (reassembly.ts), or -1
export const ACK_SENT = 23 // RCV_NXT as last acknowledged (Last.ACK.sent, RFC 7323 §4.3)
// Timestamps (RFC 7323)
export const TS_RECENT = 24 // the peer's, to be echoed
export const TS_OFFSET = 25 // what we add to our clock, so that it tells nothing about the machine
// Congestion control (congestion.ts): two words for all, five that each algorithm names itself
export const CWND = 26
export const SSTHRESH = 27
export const CC_WORDS = 28 // … 32
export const BYTES_ACKED = 28 // newreno.ts: acknowledged since cwnd last grew
// Loss recovery that outlives a flight
export const TLP_END = 34 // SND_NXT when the tail loss probe was sent
export const FLIGHT = 35 // flight.ts: what is in the network now, or -1
export const REORDERING = 36 // RACK's reordering window, packed (rack.ts)
// Round trip and retransmission timer (RFC 6298), microseconds
export const SRTT_US = 37
export const RTTVAR_US = 38
export const RTO_US = 39
export const MIN_RTT_US = 40
export const SYN_AT_US = 42 // when our SYN was sent; 0: more than once
export const RETRIES = 43 // time-outs in a row, or keep-alives unanswered
// Deadlines, milliseconds of the stack's clock; each counts only while its flag is set
export const RTX_AT = 44
export const APP_AT = 45
export const ACK_AT = 46 // a delayed ACK
export const SENT_AT = 47 // when data was last sent (restart after idle)
export const HEARD_AT = 48 // when a segment was last accepted (keep-alive, age of TS_RECENT)
export const WHEEL_AT = 49
export const WHEEL_NEXT = 50
export const WHEEL_PREV = 51
// Bits, options and list membership
export const FLAGS = 52
export const SCALES = 53 // send window scale | receive window scale | length of our headers
export const LIST_NEXT = 54
// Limits
export const CHALLENGES = 55 // when and how many, packed (challenge.ts)

export const TCB_STRIDE = 56

// Bytes of SCALES; the lowest is the peer's window scale
export const RECEIVE_SCALE_SHIFT = 8
export const HEADERS_LEN_SHIFT = 16
export const WINDOW_SCALE: number = 1 << 24 // both sides scale their windows (RFC 7323 §2)

/** No connection. */
export const NO_CONN = -1

// Bits of FLAGS
export const FIN_QUEUED = 1 // the application has closed: a FIN follows the last byte
export const RTX_ARMED = 2
export const PERSIST = 4 // RTX_AT is the persist timer (RFC 9293 §3.8.6.1)
export const APP_ARMED = 8
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
export const REORDER: number = 1 << 15 // RTX_AT is RACK's reordering timer (RFC 8985 §6.3)
export const TIMESTAMPS: number = 1 << 17 // both sides send timestamps (RFC 7323 §3)
export const SACK: number = 1 << 18 // both sides know selective acknowledgements (RFC 2018)
export const ECN: number = 1 << 19 // both sides know ECN (RFC 3168)
export const SEND_ECE: number = 1 << 20 // congestion was experienced and the peer has not reacted yet
export const SEND_CWR: number = 1 << 21 // we have reacted, and the next new data says so
export const TLP_PROBED: number = 1 << 29 // a tail loss probe is under way
export const TLP_RESENT: number = 1 << 30 // it was a retransmission
export const ACK_DELAYED: number = 1 << 22 // an ACK is owed, by ACK_AT
export const ANSWERED: number = 1 << 25 // the application has sent something: an ACK may wait for more
export const KEPT_ALIVE: number = 1 << 23 // keep-alives are on: while RTX_ARMED is not, RTX_AT is theirs
export const HALF_COUNTED: number = 1 << 26 // in Tcp.halfOpenBySource
export const OPEN_COUNTED: number = 1 << 27 // in Tcp.openBySource
export const UNRESOLVED: number = 1 << 28 // waits for its first hop's address (unresolved.ts)

export class TcbPool {
  readonly tcb: Int32Array
  readonly capacity: number
  readonly #free: Int32Array
  #freeCount: number

  constructor(capacity: number) {
    assert(capacity > 0 && capacity <= 16_000_000, 'between 1 and 16 million connections')
    this.capacity = capacity
    this.tcb = new Int32Array(capacity * TCB_STRIDE)
    this.#free = new Int32Array(capacity)
    this.#freeCount = capacity
    for (let i = 0; i < capacity; i++) this.#free[i] = (capacity - 1 - i) * TCB_STRIDE
  }

  get usedCount(): number {
    return this.capacity - this.#freeCount
  }

  /** A TCB in state CLOSED, zeroed but for the heads of its lists, or NO_CONN when all are in use. */
  alloc(): number {
    if (this.#freeCount === 0) return NO_CONN
    const c = this.#free[--this.#freeCount]
    this.tcb.fill(0, c, c + TCB_STRIDE)
    this.tcb[c + FLIGHT] = -1
    this.tcb[c + OUT_OF_ORDER] = -1
    return c
  }

  free(c: number): void {
    this.#free[this.#freeCount++] = c
  }
}

/** Position of a connection among all: for tables that run beside the TCBs. */
export const indexOf = (c: number): number => c / TCB_STRIDE
