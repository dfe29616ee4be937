/**
 * The retransmission timer. A connection has one deadline, and a bit says what it waits for: the
 * RTO (RFC 6298 §5.1), a tail loss probe (RFC 8985 §7.2), RACK's reordering window (RFC 8985 §6.2),
 * a shut window (RFC 9293 §3.8.6.1).
 */
import { LOST, NO_FLIGHT, SACKED } from '../recovery/flight.ts'
import { hasUnsent } from '../recovery/pipe.ts'
import {
  FLAGS,
  FLIGHT,
  IN_RECOVERY,
  IN_RTO,
  MSS,
  PERSIST,
  REORDER,
  RTO_US,
  RTX_ARMED,
  RTX_AT,
  SACK,
  SND_NXT,
  SND_UNA,
  SRTT_US,
  TLP,
  TLP_PROBED,
} from '../tcb.ts'
import type { Tcp } from '../tcp.ts'

/** A peer may keep the ACK of a single segment back for this long (RFC 8985 §7.2). */
const MAX_ACK_DELAY_US = 200_000
/** The least delay: on short paths an ACK is late because its sender is busy (Linux: two ticks). */
const MIN_DELAY_US = 10_000

/** When to probe, microseconds from now; 0: not at all (RFC 8985 §7.2). */
function probeDelayUs(tcp: Tcp, c: number): number {
  const tcb = tcp.tcb
  const flags = tcb[c + FLAGS]
  const f = tcb[c + FLIGHT]
  if ((flags & (SACK | IN_RECOVERY | IN_RTO | TLP_PROBED)) !== SACK || f === NO_FLIGHT) return 0
  const { flights } = tcp.flights
  if (tcb[c + SRTT_US] === 0 || flights[f + SACKED] > 0 || flights[f + LOST] > 0) return 0
  const isSingle = ((tcb[c + SND_NXT] - tcb[c + SND_UNA]) | 0) <= tcb[c + MSS]
  const twoRtts = 2 * tcb[c + SRTT_US] + (isSingle ? MAX_ACK_DELAY_US : 0)
  const delayUs = twoRtts > MIN_DELAY_US ? twoRtts : MIN_DELAY_US
  return delayUs < tcb[c + RTO_US] ? delayUs : tcb[c + RTO_US]
}

/**
 * Starts the timer for whatever the connection waits for now: RFC 6298 §5.1 and RFC 8985 §7.2 while
 * anything is outstanding; if nothing is, yet there is something to send, the peer's window is shut
 * and the persist timer runs (RFC 9293 §3.8.6.1).
 */
export function armTimer(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  if (tcb[c + FLIGHT] === NO_FLIGHT) {
    if (hasUnsent(tcp, c)) startTimer(tcp, c, PERSIST, tcb[c + RTO_US])
    return
  }
  const probeUs = probeDelayUs(tcp, c)
  if (probeUs > 0) startTimer(tcp, c, TLP, probeUs)
  else startTimer(tcp, c, 0, tcb[c + RTO_US])
}

const KINDS = PERSIST | TLP | REORDER

/** (Re)starts the timer. `kind`: 0 for a retransmission time-out, or one of KINDS. */
export function startTimer(tcp: Tcp, c: number, kind: number, delayUs: number): void {
  const tcb = tcp.tcb
  tcb[c + FLAGS] = (tcb[c + FLAGS] & ~KINDS) | RTX_ARMED | kind
  tcb[c + RTX_AT] = (tcp.nowMs + (delayUs + 999) / 1000) | 0
  tcp.timers.schedule(c, tcb[c + RTX_AT])
}

export function stopTimer(tcp: Tcp, c: number): void {
  tcp.tcb[c + FLAGS] &= ~(RTX_ARMED | KINDS)
}
