/**
 * Pacing (RFC 9002 §7.7 says it best, for QUIC): what the windows allow does not leave at once but
 * spread over the round trip, at 1.2 times CWND/SRTT, twice that in slow start, which doubles the
 * window (the ratios of Linux's tcp_pacing_ca_ratio and tcp_pacing_ss_ratio). Queues on the path
 * stay short; what it costs is a timer for every burst, so it is off unless asked for.
 *
 * A burst is a millisecond's worth, the grain of our timers, and two segments at least; the first
 * of a flight is an initial window (RFC 6928). What has left pushes the time of the next burst on
 * by as long as it takes at that rate. The first repair of a loss and probes never wait, and a
 * time-out comes later than any wait ends.
 */
import { NO_FLIGHT, PACED_AT, PACED_LEFT } from '../recovery/flight.ts'
import { max } from '../seq.ts'
import { CWND, FLAGS, FLIGHT, MSS, PACED, SRTT_US, SSTHRESH } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import { initialWindow } from './congestion.ts'

const BURST_US = 1000
const BURST_SEGMENTS = 2
/** A timer may be late by this much, and a poll behind it; no more is made up for. */
const LATE_MAX_US = 2000

/**
 * How many of the `room` bytes that the windows allow may leave now. 0: none yet; a timer runs, and
 * when it is over there will be another burst.
 */
export function paced(tcp: Tcp, c: number, room: number): number {
  const tcb = tcp.tcb
  const f = tcb[c + FLIGHT]
  if (room <= 0 || tcb[c + SRTT_US] === 0) return room
  let left = 0
  if (f === NO_FLIGHT) {
    left = firstBurst(tcb, c)
  } else {
    const { flights } = tcp.flights
    if (flights[f + PACED_LEFT] < tcb[c + MSS]) {
      if (waitUs(tcp, c, f) > 0) return holdBack(tcp, c)
      flights[f + PACED_LEFT] = burst(tcb, c)
    }
    left = flights[f + PACED_LEFT]
  }
  return room < left ? room : left
}

function holdBack(tcp: Tcp, c: number): number {
  tcp.tcb[c + FLAGS] |= PACED
  tcp.stats.pacingDelays++
  schedulePace(tcp, c)
  return 0
}

/** `bytes` have left, the first of a flight or not. */
export function notePaced(tcp: Tcp, c: number, bytes: number, isFirst: boolean): void {
  const tcb = tcp.tcb
  if (tcb[c + SRTT_US] === 0) return
  const f = tcb[c + FLIGHT]
  const { flights } = tcp.flights
  if (isFirst) flights[f + PACED_LEFT] = firstBurst(tcb, c)
  flights[f + PACED_LEFT] -= bytes
  const from = max(flights[f + PACED_AT], (tcp.nowUs - LATE_MAX_US) | 0)
  flights[f + PACED_AT] = (from + bytes / bytesPerUs(tcb, c)) | 0
}

/** Has a connection that is PACED waited long enough? */
export function isPaceDue(tcp: Tcp, c: number): boolean {
  const f = tcp.tcb[c + FLIGHT]
  return f === NO_FLIGHT || waitUs(tcp, c, f) <= 0
}

/** Sees to it that the timers come back to a connection that is PACED. */
export function schedulePace(tcp: Tcp, c: number): void {
  const f = tcp.tcb[c + FLIGHT]
  const us = f === NO_FLIGHT ? 0 : waitUs(tcp, c, f)
  tcp.timers.schedule(c, (tcp.nowMs + Math.ceil(us / 1000)) | 0)
}

/**
 * Microseconds until the next burst. A burst is no larger than the window, so a wait that is longer
 * than a round trip is none: the clock has wrapped since, or the path has become shorter.
 */
function waitUs(tcp: Tcp, c: number, f: number): number {
  const us = (tcp.flights.flights[f + PACED_AT] - tcp.nowUs) | 0
  return us > tcp.tcb[c + SRTT_US] ? 0 : us
}

function firstBurst(tcb: Int32Array, c: number): number {
  const first = initialWindow(tcb[c + MSS])
  const most = burst(tcb, c)
  return most > first ? most : first
}

/** Bytes of a burst: whole segments. */
function burst(tcb: Int32Array, c: number): number {
  const mss = tcb[c + MSS]
  const segments = Math.floor((bytesPerUs(tcb, c) * BURST_US) / mss)
  return (segments > BURST_SEGMENTS ? segments : BURST_SEGMENTS) * mss
}

function bytesPerUs(tcb: Int32Array, c: number): number {
  const factor = tcb[c + CWND] < tcb[c + SSTHRESH] ? 2 : 1.2
  return (factor * tcb[c + CWND]) / tcb[c + SRTT_US]
}
