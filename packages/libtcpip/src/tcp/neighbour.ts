/**
 * The first hop of a connection and its hardware address: the only place that knows who finds it
 * out, ARP for IPv4. A TCB keeps the entry of the neighbour table and nothing else; the hop itself is
 * computed again (it costs two operations), and the entry counts only while it still holds that hop.
 */
import { ethernet } from '@sandstorm/libeth'
import { NO_ROUTE } from '../addresses.ts'
import { PATH, REMOTE } from './tcb.ts'
import type { Segment, Tcp } from './tcp.ts'

/** The entry of a connection's first hop as noted in its TCB; it may be out of date. */
export const neighbourOf = (tcb: Int32Array, c: number): number => tcb[c + PATH] >> 16

function setNeighbour(tcb: Int32Array, c: number, entry: number): void {
  tcb[c + PATH] = (entry << 16) | (tcb[c + PATH] & 0xffff)
}

/** Is there a way to whom `seg` came from? */
export const hasRoute = (tcp: Tcp, seg: Segment): boolean =>
  tcp.addresses.nextHop4(seg.remote0) !== NO_ROUTE

/** Is the first hop's hardware address known? If not, it has been asked for. */
export function isReachable(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  const hop = tcp.addresses.nextHop4(tcb[c + REMOTE])
  if (tcp.arp.holds(neighbourOf(tcb, c), hop)) return true
  const entry = tcp.arp.lookup(hop, tcp.clockMs)
  setNeighbour(tcb, c, entry)
  return entry >= 0
}

/** The peer has acknowledged something new, so its first hop lives (RFC 1122 §2.3.2.1). */
export function confirmNeighbour(tcp: Tcp, c: number): void {
  const entry = neighbourOf(tcp.tcb, c)
  const hop = tcp.addresses.nextHop4(tcp.tcb[c + REMOTE])
  if (tcp.arp.holds(entry, hop)) tcp.arp.confirm(entry, tcp.clockMs)
}

/** The entry to answer `tcp.segment` through, negative if it must be asked for first. */
export const neighbourOfSegment = (tcp: Tcp): number =>
  tcp.arp.lookup(tcp.addresses.nextHop4(tcp.segment.remote0), tcp.clockMs)

/** Writes the destination of the Ethernet header at `off`. */
export function setDestination(tcp: Tcp, off: number, entry: number): void {
  ethernet.setDst(tcp.frames.region.view, off, tcp.arp.macHi[entry], tcp.arp.macLo[entry])
}
