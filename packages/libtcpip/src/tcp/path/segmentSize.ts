/**
 * How large segments may be on the way to the peer: what is known about the path when a connection
 * opens, smaller ones when it turns out narrow, the old size when that may be over. Who finds out
 * is pathMtu.ts where routers speak, and where they are silent the time-outs in here: if only large
 * packets vanish, our own interface has got a smaller MTU, or somebody drops them (RFC 8899 §4.3).
 *
 * Invariant: no path is taken for narrower than its version of IP allows, whoever says so.
 */
import { ethernet } from '@sandstorm/libeth'
import { headersLen } from '../headers.ts'
import { DUP_ACKS, END, FIRST, NEXT, NO_RECORD, SACKED, SEQ } from '../recovery/flight.ts'
import {
  FLAGS,
  FLIGHT,
  FRAME_KEY,
  KIND_IPV6,
  MSS,
  MSS_BEFORE,
  PROVEN,
  REMOTE,
  RETRIES,
  SACK,
} from '../tcb.ts'
import type { Tcp } from '../tcp.ts'

/**
 * IPv4 paths below this are not believed in: RFC 791 would allow 68, which leaves 28 bytes of data
 * to 40 of headers. 552 is what Linux takes for the least, too.
 */
const MTU_MIN = 552
/** RFC 8200 §5: every IPv6 link carries this. */
const MTU_MIN_IPV6 = 1280
/**
 * What is tried when large segments vanish: what tunnels leave, then what every IPv4 host takes.
 */
const BLACK_HOLE_MTUS: readonly number[] = [1280, 576]
/** Time-outs in a row from which on the device is asked: one alone may be any loss. */
const ASKING_TIMEOUTS = 2
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
export const packetLen = (tcb: Int32Array, c: number, payload: number): number =>
  headersLen(tcb, c) - ethernet.HEADER_LEN + payload

/** The narrowest path that is believed in. */
export const leastMtu = (tcb: Int32Array, c: number): number =>
  tcb[c + FRAME_KEY] & KIND_IPV6 ? MTU_MIN_IPV6 : MTU_MIN

/** Has as much as a full segment been acknowledged at once? */
export const isProven = (tcb: Int32Array, c: number): boolean => (tcb[c + FLAGS] & PROVEN) !== 0

/** An ACK covers `acked` bytes. */
export function noteAcked(tcb: Int32Array, c: number, acked: number): void {
  if (acked >= tcb[c + MSS]) tcb[c + FLAGS] |= PROVEN
}

/** From now on packets are of `mtu` bytes at most; records that may hold larger ones are lost. */
export function useMtu(tcp: Tcp, c: number, mtu: number): void {
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

/**
 * Another time-out: if only large segments vanish, our own interface has become too narrow for
 * them, or somebody on the path drops them in silence.
 */
export function suspectBlackHole(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const retries = tcb[c + RETRIES]
  if (retries < ASKING_TIMEOUTS) return
  const { flights, records } = tcp.flights
  const first = flights[tcb[c + FLIGHT] + FIRST]
  const len = (records[first + END] - records[first + SEQ]) | 0
  const sent = packetLen(tcb, c, len < tcb[c + MSS] ? len : tcb[c + MSS])
  if (sent > leastMtu(tcb, c) && followLink(tcp, c, sent)) return
  const patience = isProven(tcb, c) ? SUSPICIOUS_TIMEOUTS_PROVEN : SUSPICIOUS_TIMEOUTS
  if (retries < patience || (retries - patience) % 2 !== 0) return
  for (const mtu of BLACK_HOLE_MTUS) {
    if (mtu >= sent || mtu < leastMtu(tcb, c)) continue
    tcp.stats.blackHoles++
    useMtu(tcp, c, mtu)
    return
  }
}

/**
 * Whether the interface does not take packets of `sent` bytes any more. Then it is as if a router
 * had said so: for this connection, and for the next ones.
 */
function followLink(tcp: Tcp, c: number, sent: number): boolean {
  const mtu = tcp.device.linkMtu()
  if (mtu >= sent || mtu < leastMtu(tcp.tcb, c)) return false
  tcp.stats.pathMtuReductions++
  tcp.pathMtus.set(tcp.tcb, c + REMOTE, mtu, tcp.clockMs)
  useMtu(tcp, c, mtu)
  return true
}

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
