/**
 * The first hop of a connection and its hardware address: the only place that knows who finds it
 * out, ARP for IPv4 and neighbour discovery for IPv6. A TCB keeps the entry of the one's or the
 * other's table and nothing else; the hop itself is computed again (it costs a few operations), and
 * the entry counts only while it still holds that hop.
 *
 * Where the host's kernel keeps our address (`tcp.takesReturnPath`) nobody asks and nobody is
 * asked: a connection's segments go back to the station that the last one that got it further came
 * from.
 */
import { ethernet, NO_NEIGHBOUR } from '@sandstorm/libeth'
import { NO_ROUTE } from '../../addresses.ts'
import { fold } from '../../wire/checksum.ts'
import { sum32 } from '../ipHeader.ts'
import type { Segment } from '../segmentVariables.ts'
import { FRAME_KEY, KIND_IPV6, localOf, PATH, REMOTE, STATION } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'

/** Sums the addresses of a connection once, which must be set, and forgets its first hop. */
export function initPath(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const local = localOf(tcb[c + FRAME_KEY])
  let addresses = 0
  for (let i = 0; i < 4; i++) {
    addresses += sum32(tcb[c + REMOTE + i]) + sum32(tcp.addresses.word(local, i))
  }
  tcb[c + PATH] = (NO_NEIGHBOUR << 16) | fold(addresses)
}

/** The entry of a connection's first hop as noted in its TCB; it may be out of date. */
const neighbourOf = (tcb: Int32Array, c: number): number => tcb[c + PATH] >> 16

function setNeighbour(tcb: Int32Array, c: number, entry: number): void {
  tcb[c + PATH] = (entry << 16) | (tcb[c + PATH] & 0xffff)
}

/** Sets the station that `c`'s segments go back to: where `seg` came from. */
export function setStation(tcb: Int32Array, c: number, seg: Segment): void {
  setNeighbour(tcb, c, seg.stationHi)
  tcb[c + STATION] = seg.stationLo
}

/** Is there a way to whom `seg` came from? */
export function hasRoute(tcp: Tcp, seg: Segment): boolean {
  if (tcp.takesReturnPath) return (seg.stationHi | seg.stationLo) !== 0
  return seg.kind & KIND_IPV6
    ? tcp.addresses.nextHop6(seg.remote0, seg.remote1, seg.remote2, seg.remote3)
    : tcp.addresses.nextHop4(seg.remote0) !== NO_ROUTE
}

/** The first hop's hardware address, upper two bytes; `c` is reachable. */
export function hopHi(tcp: Tcp, c: number): number {
  const { tcb, arp, ndp } = tcp
  if (tcp.takesReturnPath) return tcb[c + PATH] >>> 16
  const entry = neighbourOf(tcb, c)
  return tcb[c + FRAME_KEY] & KIND_IPV6 ? ndp.macHi[entry] : arp.macHi[entry]
}

/** Its lower four. */
export function hopLo(tcp: Tcp, c: number): number {
  const { tcb, arp, ndp } = tcp
  if (tcp.takesReturnPath) return tcb[c + STATION]
  const entry = neighbourOf(tcb, c)
  return tcb[c + FRAME_KEY] & KIND_IPV6 ? ndp.macLo[entry] : arp.macLo[entry]
}

/** Is the first hop's hardware address known? If not, it has been asked for. */
export function isReachable(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  if (tcp.takesReturnPath) return true
  if (tcb[c + FRAME_KEY] & KIND_IPV6) return isReachable6(tcp, c)
  const hop = tcp.addresses.nextHop4(tcb[c + REMOTE])
  if (tcp.arp.holds(neighbourOf(tcb, c), hop)) return true
  const entry = tcp.arp.lookup(hop, tcp.clockMs)
  setNeighbour(tcb, c, entry)
  return entry >= 0
}

function isReachable6(tcp: Tcp, c: number): boolean {
  const { tcb, ndp } = tcp
  const hop = nextHop6(tcp, c)
  if (ndp.holds(neighbourOf(tcb, c), hop[0], hop[1], hop[2], hop[3])) return true
  const entry = ndp.lookup(hop[0], hop[1], hop[2], hop[3], tcp.clockMs)
  setNeighbour(tcb, c, entry)
  return entry >= 0
}

/** Whoever has a connection has a route: addresses and gateways do not change. */
function nextHop6(tcp: Tcp, c: number): Int32Array {
  const { tcb, addresses } = tcp
  const r = c + REMOTE
  addresses.nextHop6(tcb[r], tcb[r + 1], tcb[r + 2], tcb[r + 3])
  return addresses.hop6
}

/**
 * The peer has acknowledged something new: its first hop lives (RFC 1122 §2.3.2.1,
 * RFC 4861 §7.3.1).
 */
export function confirmNeighbour(tcp: Tcp, c: number): void {
  const { tcb, arp, ndp } = tcp
  if (tcp.takesReturnPath) {
    setStation(tcb, c, tcp.segment)
    return
  }
  const entry = neighbourOf(tcb, c)
  if (tcb[c + FRAME_KEY] & KIND_IPV6) {
    const hop = nextHop6(tcp, c)
    if (ndp.holds(entry, hop[0], hop[1], hop[2], hop[3])) ndp.confirm(entry, tcp.clockMs)
  } else {
    const hop = tcp.addresses.nextHop4(tcb[c + REMOTE])
    if (arp.holds(entry, hop)) arp.confirm(entry, tcp.clockMs)
  }
}

/** The entry to answer `tcp.segment` through, negative if it must be asked for first. */
export function neighbourOfSegment(tcp: Tcp): number {
  return tcp.takesReturnPath ? 0 : neighbourTo(tcp, tcp.segment)
}

/** The entry of the first hop to whom `seg` comes from, negative if it must be asked for first. */
export function neighbourTo(tcp: Tcp, seg: Segment): number {
  const { addresses } = tcp
  if ((seg.kind & KIND_IPV6) === 0) {
    return tcp.arp.lookup(addresses.nextHop4(seg.remote0), tcp.clockMs)
  }
  if (!hasRoute(tcp, seg)) return NO_NEIGHBOUR
  const hop = addresses.hop6
  return tcp.ndp.lookup(hop[0], hop[1], hop[2], hop[3], tcp.clockMs)
}

/** Writes the destination of an answer to `tcp.segment` at `off`; `key`: the frame's (tcb.ts). */
export function setDestination(tcp: Tcp, off: number, key: number, entry: number): void {
  const view = tcp.frames.region.view
  const { stationHi, stationLo } = tcp.segment
  if (tcp.takesReturnPath) ethernet.setDst(view, off, stationHi, stationLo)
  else if (key & KIND_IPV6) ethernet.setDst(view, off, tcp.ndp.macHi[entry], tcp.ndp.macLo[entry])
  else ethernet.setDst(view, off, tcp.arp.macHi[entry], tcp.arp.macLo[entry])
}
