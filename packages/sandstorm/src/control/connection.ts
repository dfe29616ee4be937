/**
 * A connection for people and scripts: read from a row (row.ts), plain data with units in its
 * names. States are called as ss(8) calls them.
 */
import { SSTHRESH_NONE, seq, state, tcb } from '@sandstorm/libtcpip'
import { type Endpoint, localEnd, remoteEnd } from './endpoint.ts'
import { LOCAL, LOST, SACKED } from './row.ts'

export interface Connection {
  readonly state: string
  readonly local: Endpoint
  readonly peer: Endpoint
  /** Sent and not acknowledged (FlightSize, RFC 5681 §2); a SYN or FIN counts as a byte. */
  readonly inFlightBytes: number
  /** Committed by the application and never sent. */
  readonly notSentBytes: number
  /** Of what is in flight: selectively acknowledged; taken for lost and not sent again yet. */
  readonly sackedBytes: number
  readonly lostBytes: number
  /** The peer's window. */
  readonly sendWindowBytes: number
  /** Payload of a full segment. */
  readonly mssBytes: number
  /** 0 until the handshake is complete. */
  readonly cwndBytes: number
  /** null: still in the initial slow start. */
  readonly ssthreshBytes: number | null
  readonly congestion: string
  /** What loss recovery is doing: fast recovery, or recovery after a time-out. */
  readonly recovery: 'none' | 'recovery' | 'loss'
  /** 0 until something was measured. */
  readonly srttUs: number
  readonly rttvarUs: number
  readonly minRttUs: number
  readonly rtoUs: number
  /** Time-outs in a row, or probes without an answer. */
  readonly backoff: number
  readonly timer: Timer | null
  readonly timestamps: boolean
  readonly sack: boolean
  readonly ecn: boolean
  /** null: windows are not scaled. */
  readonly windowScale: { readonly send: number; readonly receive: number } | null
  /** Milliseconds since we last sent data (null: never), and since the peer was last heard. */
  readonly lastSentMs: number | null
  readonly lastReceivedMs: number
}

/** What a connection waits for, and for how long yet. */
export interface Timer {
  readonly kind: TimerKind
  readonly leftMs: number
}

/**
 * The first four are one timer (rtxTimer.ts): retransmission, a shut window, a tail loss probe,
 * RACK's reordering window. `fin-wait-2`: for the peer's FIN; `app`: the application's own.
 */
export type TimerKind = 'on' | 'persist' | 'probe' | 'reorder' | 'keepalive' | 'fin-wait-2' | 'app'

/** The words of ss(8) for the states of state.ts. */
export const STATE_NAMES: readonly string[] = [
  'UNCONN',
  'SYN-SENT',
  'SYN-RECV',
  'ESTAB',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
  'TIME-WAIT',
]

/**
 * Reads the row at `r`. `nowMs`: the stack's clock when it was written; `congestion`: the
 * algorithm.
 */
export function readConnection(
  rows: Int32Array,
  r: number,
  nowMs: number,
  congestion: string,
): Connection {
  const flags = rows[r + tcb.FLAGS]
  const ssthresh = rows[r + tcb.SSTHRESH]
  const sentAt = rows[r + tcb.SENT_AT]
  return {
    state: STATE_NAMES[rows[r + tcb.STATE]],
    local: localEnd(rows, r, r + LOCAL),
    peer: remoteEnd(rows, r),
    inFlightBytes: seq.span(rows[r + tcb.SND_UNA], rows[r + tcb.SND_NXT]),
    // Negative behind a FIN that was sent.
    notSentBytes: Math.max(0, seq.span(rows[r + tcb.SND_NXT], rows[r + tcb.SND_END])),
    sackedBytes: rows[r + SACKED],
    lostBytes: rows[r + LOST],
    sendWindowBytes: rows[r + tcb.SND_WND],
    mssBytes: rows[r + tcb.MSS],
    cwndBytes: rows[r + tcb.CWND],
    ssthreshBytes: ssthresh === 0 || ssthresh >= SSTHRESH_NONE ? null : ssthresh,
    congestion,
    recovery: flags & tcb.IN_RTO ? 'loss' : flags & tcb.IN_RECOVERY ? 'recovery' : 'none',
    srttUs: rows[r + tcb.SRTT_US],
    rttvarUs: rows[r + tcb.RTTVAR_US],
    minRttUs: rows[r + tcb.MIN_RTT_US],
    rtoUs: rows[r + tcb.RTO_US],
    backoff: rows[r + tcb.RETRIES],
    timer: readTimer(rows, r, nowMs),
    timestamps: (flags & tcb.TIMESTAMPS) !== 0,
    sack: (flags & tcb.SACK) !== 0,
    ecn: (flags & tcb.ECN) !== 0,
    windowScale: readScales(rows[r + tcb.SCALES]),
    lastSentMs: sentAt === 0 ? null : (nowMs - sentAt) | 0,
    lastReceivedMs: (nowMs - rows[r + tcb.HEARD_AT]) | 0,
  }
}

function readScales(scales: number): Connection['windowScale'] {
  if ((scales & tcb.WINDOW_SCALE) === 0) return null
  return { send: scales & 0xff, receive: (scales >>> tcb.RECEIVE_SCALE_SHIFT) & 0xff }
}

/** TCP's own timer if it runs, else the other one. */
function readTimer(rows: Int32Array, r: number, nowMs: number): Timer | null {
  const flags = rows[r + tcb.FLAGS]
  const left = (at: number): number => Math.max(0, (at - nowMs) | 0)
  if (flags & tcb.RTX_ARMED) return { kind: rtxKind(flags), leftMs: left(rows[r + tcb.RTX_AT]) }
  if (flags & tcb.KEPT_ALIVE) return { kind: 'keepalive', leftMs: left(rows[r + tcb.RTX_AT]) }
  if ((flags & tcb.APP_ARMED) === 0) return null
  const kind = rows[r + tcb.STATE] === state.FIN_WAIT_2 ? 'fin-wait-2' : 'app'
  return { kind, leftMs: left(rows[r + tcb.APP_AT]) }
}

function rtxKind(flags: number): TimerKind {
  if (flags & tcb.PERSIST) return 'persist'
  if (flags & tcb.TLP) return 'probe'
  return flags & tcb.REORDER ? 'reorder' : 'on'
}
