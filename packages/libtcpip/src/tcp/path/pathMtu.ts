/**
 * Path MTU discovery (RFC 1191, RFC 8201). Every packet is sent whole or not at all (DF), and a
 * router that cannot forward one says how large it may be. The connection then uses smaller
 * segments: what was too large is lost and leaves again at once. The path is narrow, not congested,
 * so neither the window nor the RTO pays for it. Where routers are silent, time-outs tell
 * (segmentSize.ts).
 *
 * Such messages are forged to make us send crumbs, or nothing. Hence floors (segmentSize.ts), and
 * RFC 5927 §7.2: once full segments have been acknowledged, a message must be borne out: what it
 * quotes has to be still missing when a retransmission timer fires.
 */
import { OK } from '@sandstorm/libeth'
import { TCP_ICMP_MTU } from '../../drops.ts'
import type { IcmpError } from '../../icmp/icmpError.ts'
import { output } from '../output.ts'
import {
  BITS,
  END,
  FIRST,
  IS_LOST,
  IS_RESENT,
  IS_SACKED,
  NEXT,
  NO_FLIGHT,
  NO_RECORD,
  SEQ,
  TOO_BIG_MTU,
  TOO_BIG_SEQ,
} from '../recovery/flight.ts'
import { ge, lt } from '../seq.ts'
import { FLIGHT, MSS, REMOTE, RTO_US } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import { startTimer } from '../timers/rtxTimer.ts'
import { isProven, leastMtu, packetLen, useMtu } from './segmentSize.ts'

/** MTUs that links have (RFC 1191, table 7-1), for routers that do not name theirs. */
const PLATEAUS: readonly number[] = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006]

/**
 * A segment that is in flight was too big for some router. OK: the segments are smaller now, or
 * will be when that is borne out; otherwise the reason why not.
 */
export function onTooBig(tcp: Tcp, c: number, error: IcmpError): number {
  const tcb = tcp.tcb
  const f = tcb[c + FLIGHT]
  if (f === NO_FLIGHT) return TCP_ICMP_MTU
  const now = packetLen(tcb, c, tcb[c + MSS])
  const least = leastMtu(tcb, c)
  const named = error.mtu > 0 ? error.mtu : plateauBelow(now)
  const mtu = named < least ? least : named
  if (mtu >= now) return TCP_ICMP_MTU
  if (isProven(tcb, c) && !isMissing(tcp, f, error.seq)) {
    tcp.flights.flights[f + TOO_BIG_MTU] = mtu
    tcp.flights.flights[f + TOO_BIG_SEQ] = error.seq
    return OK
  }
  learn(tcp, c, mtu)
  resend(tcp, c)
  return OK
}

/**
 * A retransmission timer fired, which decides about a router's message that was to be borne out:
 * true if its segment is still missing. Then the connection goes on with smaller segments, and has
 * not timed out.
 */
export function settleTooBig(tcp: Tcp, c: number): boolean {
  const f = tcp.tcb[c + FLIGHT]
  if (f === NO_FLIGHT) return false
  const { flights } = tcp.flights
  const mtu = flights[f + TOO_BIG_MTU]
  if (mtu === 0) return false
  flights[f + TOO_BIG_MTU] = 0
  const r = recordOf(tcp, f, flights[f + TOO_BIG_SEQ])
  if (r === NO_RECORD || tcp.flights.records[r + BITS] & IS_SACKED) return false
  if (mtu >= packetLen(tcp.tcb, c, tcp.tcb[c + MSS])) return false
  learn(tcp, c, mtu)
  resend(tcp, c)
  return true
}

/** 0: below all of them. */
function plateauBelow(mtu: number): number {
  for (let i = 0; i < PLATEAUS.length; i++) if (PLATEAUS[i] < mtu) return PLATEAUS[i]
  return 0
}

/** Is byte `seq` taken for lost already? */
function isMissing(tcp: Tcp, f: number, seq: number): boolean {
  const r = recordOf(tcp, f, seq)
  return r !== NO_RECORD && (tcp.flights.records[r + BITS] & (IS_LOST | IS_RESENT)) !== 0
}

function recordOf(tcp: Tcp, f: number, seq: number): number {
  const { flights, records } = tcp.flights
  let r = flights[f + FIRST]
  while (r !== NO_RECORD && ge(seq, records[r + END])) r = records[r + NEXT]
  return r !== NO_RECORD && lt(seq, records[r + SEQ]) ? NO_RECORD : r
}

/** A router has named the path's MTU: for this connection, and for the next ones. */
function learn(tcp: Tcp, c: number, mtu: number): void {
  tcp.stats.pathMtuReductions++
  tcp.pathMtus.set(tcp.tcb, c + REMOTE, mtu, tcp.clockMs)
  useMtu(tcp, c, mtu)
}

/** Sends what is lost, with the RTO as it was. */
function resend(tcp: Tcp, c: number): void {
  startTimer(tcp, c, 0, tcp.tcb[c + RTO_US])
  output(tcp, c)
}
