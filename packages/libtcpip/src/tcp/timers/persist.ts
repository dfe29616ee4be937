/**
 * Zero-window probes (RFC 9293 §3.8.6.1): while the peer's window is shut, one byte of new data
 * makes it say whether it still is, at growing intervals, for as long as it answers.
 */
import { ACK, FIN } from '../../wire/tcp.ts'
import { BUSY } from '../application.ts'
import { sendControl } from '../control.ts'
import { advance } from '../output.ts'
import { isReachable } from '../path/neighbour.ts'
import { AT, BITS, FIRST, IS_PROBE, IS_RESENT, NO_FLIGHT } from '../recovery/flight.ts'
import { backOffRto, resetRto } from '../recovery/rtt.ts'
import {
  FIN_QUEUED,
  FLAGS,
  FLIGHT,
  MSS,
  PERSIST,
  RETRIES,
  RTO_US,
  SND_END,
  SND_NXT,
  SND_UNA,
  SND_WND,
} from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import { startTimer, stopTimer } from './rtxTimer.ts'

/** The persist timer is due; its silence is counted as with any retransmission. */
export function onPersist(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  tcp.stats.zeroWindowProbes++
  tcb[c + RETRIES]++
  backOffRto(tcb, c)
  startTimer(tcp, c, PERSIST, tcb[c + RTO_US])
  const una = tcb[c + SND_UNA]
  const left = (tcb[c + SND_END] - una) | 0
  const isFin = left === 0 && (tcb[c + FLAGS] & FIN_QUEUED) !== 0
  if (left <= 0 && !isFin) return
  if (tcp.device.txSpace() === 0 || !isReachable(tcp, c)) return
  if (tcb[c + FLIGHT] === NO_FLIGHT && tcp.flights.isFull) return
  const sent = isFin ? sendFin(tcp, c) : tcp.app.transmitExactly(c, una, probeBytes(tcp, c, left))
  if (sent > 0) noteProbe(tcp, c, una, isFin ? 0 : sent)
}

const sendFin = (tcp: Tcp, c: number): number =>
  sendControl(tcp, c, tcp.tcb[c + SND_END], ACK | FIN) ? 1 : BUSY

/** One byte, or what a silly window lets through. */
function probeBytes(tcp: Tcp, c: number, left: number): number {
  const window = tcp.tcb[c + SND_WND]
  const open = window < tcp.tcb[c + MSS] ? window : tcp.tcb[c + MSS]
  return open < 1 ? 1 : open < left ? open : left
}

function noteProbe(tcp: Tcp, c: number, seq: number, bytes: number): void {
  const tcb = tcp.tcb
  if (tcb[c + SND_NXT] === seq) advance(tcp, c, seq, bytes)
  const { flights, records } = tcp.flights
  const f = tcb[c + FLIGHT]
  const r = flights[f + FIRST]
  // The round trip of a probe is the peer's patience, not the path's.
  records[r + BITS] |= IS_PROBE | IS_RESENT
  records[r + AT] = tcp.flights.stamp(f, tcp.nowUs)
}

/** The window opened: the probes' work is done, and their back-off forgotten. */
export function onWindowOpen(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  tcb[c + RETRIES] = 0
  resetRto(tcb, c)
  stopTimer(tcp, c)
  const f = tcb[c + FLIGHT]
  if (f === NO_FLIGHT) return
  const { flights, records } = tcp.flights
  const r = flights[f + FIRST]
  // The peer may have thrown the probe's byte away: it goes out again at once, with its segment.
  if (records[r + BITS] & IS_PROBE) tcp.flights.markLost(f, r)
}
