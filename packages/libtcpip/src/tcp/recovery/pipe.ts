/**
 * The pipe (RFC 6675 §4): how much of what was sent is in the network, and whether more is to
 * follow.
 */
import { CWND, FIN_QUEUED, FLAGS, FLIGHT, SND_END, SND_NXT, SND_UNA } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import { LOST, NO_FLIGHT, SACKED } from './flight.ts'

/** Bytes outstanding that were neither delivered nor lost. */
export function pipe(tcp: Tcp, c: number): number {
  const tcb = tcp.tcb
  const f = tcb[c + FLIGHT]
  if (f === NO_FLIGHT) return 0
  const { flights } = tcp.flights
  return ((tcb[c + SND_NXT] - tcb[c + SND_UNA]) | 0) - flights[f + SACKED] - flights[f + LOST]
}

/**
 * FlightSize for congestion control (RFC 5681 §3.2): what is outstanding, but for what limited
 * transmit, or a repair that went on while SND_UNA stood still, has added beyond the window.
 */
export function flightSize(tcb: Int32Array, c: number): number {
  const outstanding = (tcb[c + SND_NXT] - tcb[c + SND_UNA]) | 0
  return outstanding < tcb[c + CWND] ? outstanding : tcb[c + CWND]
}

/** Is there anything that has not been sent, or must be sent again? */
export function hasUnsent(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  const f = tcb[c + FLIGHT]
  if (f !== NO_FLIGHT && tcp.flights.flights[f + LOST] > 0) return true
  return hasNew(tcb, c)
}

/** Is there anything that has never been sent? */
export function hasNew(tcb: Int32Array, c: number): boolean {
  const left = (tcb[c + SND_END] - tcb[c + SND_NXT]) | 0
  return left > 0 || (left === 0 && (tcb[c + FLAGS] & FIN_QUEUED) !== 0)
}
