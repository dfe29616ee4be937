/**
 * Path MTU discovery (RFC 1191, RFC 8201). Every packet is sent whole or not at all (DF), and a router
 * that cannot forward one says how large it may be. The connection then uses smaller segments: what
 * was too large is lost and leaves again at once. The path is narrow, not congested, so neither the
 * window nor the RTO pays for it. Where routers are silent, time-outs tell (RFC 8899 §4.3).
 *
 * Such messages are forged to make us send crumbs, or nothing. Hence floors, and RFC 5927 §7.2: once
 * full segments have been acknowledged, a message must be borne out: what it quotes has to be still
 * missing when a retransmission timer fires.
 */
import { ethernet, OK } from '@sandstorm/libeth'
import { TCP_ICMP_MTU } from '../drops.ts'
import type { IcmpError } from '../icmpError.ts'
import {
  BITS,
  DUP_ACKS,
  END,
  FIRST,
  IS_LOST,
  IS_RESENT,
  IS_SACKED,
  NEXT,
  NO_FLIGHT,
  NO_RECORD,
  SACKED,
  SEQ,
  TOO_BIG_MTU,
  TOO_BIG_SEQ,
} from './flight.ts'
import { output } from './output.ts'
import { startTimer } from './rtxTimer.ts'
import { headersLen } from './segment.ts'
import { ge, lt } from './seq.ts'
import {
  FLAGS,
  FLIGHT,
  FRAME_KEY,
  ISS,
  KIND_IPV6,
  MSS,
  MSS_BEFORE,
  REMOTE,
  RETRIES,
  RTO_US,
  SACK,
  SND_UNA,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'

/**
 * IPv4 paths below this are not believed in: RFC 791 would allow 68, which leaves 28 bytes of data
 * to 40 of headers. 552 is what Linux takes for the least, too.
 */
const MTU_MIN = 552
/** RFC 8200 §5: every IPv6 link carries this. */
const MTU_MIN_IPV6 = 1280
/** MTUs that links have (RFC 1191 §7.1), for routers that do not name theirs. */
const PLATEAUS: readonly number[] = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006]
/** What is tried when large segments vanish: what tunnels leave, then what every IPv4 host takes. */
const BLACK_HOLE_MTUS: readonly number[] = [1280, 576]
/** Time-outs in a row from which on the size is suspected, with every second of them. */
const SUSPICIOUS_TIMEOUTS = 3
/** Likewise once full segments have passed: then it is rather a path that loses many packets. */
const SUSPICIOUS_TIMEOUTS_PROVEN = 6

/** Whole minutes after which a connection tries larger segments again. */
const SMALL_MINUTES = 10

/** The largest packet that may be sent to the peer of `c`, as far as is known. */
export function pathMtu(tcp: Tcp, c: number): number {
  const known = tcp.pathMtus.find(tcp.tcb, c + REMOTE, tcp.clockMs)
  return known > 0 && known < tcp.device.mtu ? known : tcp.device.mtu
}

/** Bytes of the packet that holds a segment of `payload` bytes. */
const packetLen = (tcb: Int32Array, c: number, payload: number): number =>
  headersLen(tcb, c) - ethernet.HEADER_LEN + payload

/**
 * A segment that is in flight was too big for some router. OK: the segments are smaller now, or will
 * be when that is borne out; otherwise the reason why not.
 */
export function onTooBig(tcp: Tcp, c: number, error: IcmpError): number {
  const tcb = tcp.tcb
  const f = tcb[c + FLIGHT]
  if (f === NO_FLIGHT) return TCP_ICMP_MTU
  const now = packetLen(tcb, c, tcb[c + MSS])
  const named = error.mtu > 0 ? error.mtu : plateauBelow(now)
  const least = leastMtu(tcb, c)
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
 * A retransmission timer fired: true if a router's message explains it, whose segment is still
 * missing. Then the connection goes on with smaller segments, and has not timed out.
 */
export function isTooBigBorneOut(tcp: Tcp, c: number): boolean {
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

/** Another time-out: if only large segments vanish, somebody on the path drops them in silence. */
export function suspectBlackHole(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const retries = tcb[c + RETRIES]
  const patience = isProven(tcb, c) ? SUSPICIOUS_TIMEOUTS_PROVEN : SUSPICIOUS_TIMEOUTS
  if (retries < patience || (retries - patience) % 2 !== 0) return
  const { flights, records } = tcp.flights
  const first = flights[tcb[c + FLIGHT] + FIRST]
  const len = (records[first + END] - records[first + SEQ]) | 0
  const sent = packetLen(tcb, c, len < tcb[c + MSS] ? len : tcb[c + MSS])
  for (const mtu of BLACK_HOLE_MTUS) {
    if (mtu >= sent || mtu < leastMtu(tcb, c)) continue
    tcp.stats.blackHoles++
    useMtu(tcp, c, mtu)
    return
  }
}

const leastMtu = (tcb: Int32Array, c: number): number =>
  tcb[c + FRAME_KEY] & KIND_IPV6 ? MTU_MIN_IPV6 : MTU_MIN

/**
 * The connection was idle, nothing is in flight: ten minutes after segments became small they get
 * their size again (RFC 1191 §6.3), or what others have found out meanwhile.
 */
export function tryLargerSegments(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const word = tcb[c + MSS_BEFORE]
  if (((minuteOf(tcp) - word) & 0xffff) <= SMALL_MINUTES) return
  const before = word >>> 16
  const known = pathMtu(tcp, c) - packetLen(tcb, c, 0)
  tcb[c + MSS] = tcp.app.segmentBytes(before < known ? before : known)
  tcb[c + MSS_BEFORE] = 0
}

/** A clock for MSS_BEFORE, which has 16 bits for it. */
const minuteOf = (tcp: Tcp): number => Math.floor(tcp.clockMs / 60_000) & 0xffff

function plateauBelow(mtu: number): number {
  for (let i = 0; i < PLATEAUS.length; i++) if (PLATEAUS[i] < mtu) return PLATEAUS[i]
  return MTU_MIN
}

/** Has as much as a full segment been acknowledged? */
const isProven = (tcb: Int32Array, c: number): boolean =>
  (tcb[c + SND_UNA] - tcb[c + ISS]) >>> 0 > tcb[c + MSS]

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

/** From now on packets are of `mtu` bytes at most; records that may hold larger ones are lost. */
function useMtu(tcp: Tcp, c: number, mtu: number): void {
  const tcb = tcp.tcb
  const mss = tcp.app.segmentBytes(mtu - packetLen(tcb, c, 0))
  const before = tcb[c + MSS_BEFORE] === 0 ? tcb[c + MSS] : tcb[c + MSS_BEFORE] >>> 16
  tcb[c + MSS_BEFORE] = (before << 16) | minuteOf(tcp)
  tcb[c + MSS] = mss
  const f = tcb[c + FLIGHT]
  const { flights, records } = tcp.flights
  for (let r = flights[f + FIRST]; r !== NO_RECORD; r = records[r + NEXT]) {
    if (((records[r + END] - records[r + SEQ]) | 0) > mss) tcp.flights.markLost(f, r)
  }
  if (tcb[c + FLAGS] & SACK) return
  // Duplicate ACKs of what was small enough to arrive say nothing about the rest.
  flights[f + DUP_ACKS] = 0
  flights[f + SACKED] = 0
}

/** Sends what is lost, with the RTO as it was. */
function resend(tcp: Tcp, c: number): void {
  startTimer(tcp, c, 0, tcp.tcb[c + RTO_US])
  output(tcp, c)
}
