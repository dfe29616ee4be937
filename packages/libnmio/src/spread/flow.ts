/**
 * Which worker a frame is for: flows are spread over workers by a keyed hash of who sent them, so
 * that a connection lives in one place. The kernel's queues are spread by the same function where
 * it can be told so (bpf/spread.ts); what comes to another queue all the same is handed over
 * (spread.ts).
 *
 * TCP segments, and ICMP errors about them, are of their connection's worker. Everything else is
 * worker 0's: ARP, neighbour discovery, ping. Read first: RFC 791 §3.1, RFC 8200 §4, RFC 792,
 * RFC 4443.
 */

export interface Spread {
  /** Workers, 1 at least. */
  readonly count: number
  /** 31 random bits: whoever does not know them cannot aim at one worker. */
  readonly key: number
}

export const ONE_WORKER: Spread = { count: 1, key: 0 }
/** Who looks after everything that is of no connection. */
export const FIRST_WORKER = 0

/** The flows of one worker. */
export interface FlowShare {
  readonly spread: Spread
  /** Which worker this is. */
  readonly worker: number
}

export const ALL_FLOWS: FlowShare = { spread: ONE_WORKER, worker: FIRST_WORKER }
/** 2^32 divided by the golden ratio (Knuth, vol. 3, §6.4): spreads what differs in a few bits. */
export const HASH_MULTIPLIER = 0x9e3779b1

const ETHER_TYPE = 12
const IP = 14
/** IEEE 802.1Q §9.6: the type of a VLAN tag, which stands before that of the packet. */
const VLAN = 0x8100
const IPV4 = 0x0800
const IPV4_MIN = 20
const IPV4_FRAGMENT = 6
const IPV4_PROTOCOL = 9
const IPV4_SRC = 12
const IPV4_DST = 16
const IPV6 = 0x86dd
const IPV6_LEN = 40
const IPV6_NEXT = 6
const IPV6_SRC = 8
const IPV6_DST = 24
const TCP = 6
const ICMP = 1
const ICMPV6 = 58
/** Headers that may stand between IPv6 and TCP: hop-by-hop, routing, destination options. */
const HOP_BY_HOP = 0
const ROUTING = 43
const DESTINATION = 60
const EXTENSIONS_MAX = 8
/** ICMP messages below this are errors of ICMPv6; these are the ones of ICMP. */
const ICMPV6_INFORMATIONAL = 128
const UNREACHABLE = 3
const TIME_EXCEEDED = 11
const PARAMETER_PROBLEM = 12
const ICMP_LEN = 8
const PORTS_LEN = 4

/**
 * The worker for a flow: its remote address, the words xored, and its ports, remote first, in
 * network order.
 */
export function workerOf(spread: Spread, address: number, ports: number): number {
  const hash = Math.imul(address ^ ports ^ spread.key, HASH_MULTIPLIER)
  return ((hash >>> 16) * spread.count) >>> 16
}

/** The worker for the Ethernet frame [off, off + len), which may have one VLAN tag. */
export function workerOfFrame(spread: Spread, view: DataView, off: number, len: number): number {
  const ip = off + IP
  const end = off + len
  if (ip + IPV4_MIN > end) return FIRST_WORKER
  const type = view.getUint16(off + ETHER_TYPE)
  return type === VLAN
    ? workerOfPacket(spread, view, view.getUint16(off + ETHER_TYPE + 4), ip + 4, end)
    : workerOfPacket(spread, view, type, ip, end)
}

function workerOfPacket(
  spread: Spread,
  view: DataView,
  type: number,
  ip: number,
  end: number,
): number {
  if (type === IPV4 && ip + IPV4_MIN <= end) return workerOfIpv4(spread, view, ip, end)
  return type === IPV6 && ip + IPV6_LEN <= end ? workerOfIpv6(spread, view, ip, end) : FIRST_WORKER
}

function workerOfIpv4(spread: Spread, view: DataView, ip: number, end: number): number {
  const protocol = view.getUint8(ip + IPV4_PROTOCOL)
  const next = ip + (view.getUint8(ip) & 0xf) * 4
  if (next + PORTS_LEN > end) return FIRST_WORKER
  if (protocol === TCP) {
    return workerOf(spread, view.getUint32(ip + IPV4_SRC), view.getUint32(next))
  }
  if (protocol !== ICMP || (view.getUint16(ip + IPV4_FRAGMENT) & 0x1fff) !== 0) return FIRST_WORKER
  const type = view.getUint8(next)
  const isError = type === UNREACHABLE || type === TIME_EXCEEDED || type === PARAMETER_PROBLEM
  const quote = next + ICMP_LEN
  if (!isError || quote + IPV4_MIN > end) return FIRST_WORKER
  const segment = quote + (view.getUint8(quote) & 0xf) * 4
  const isTcp = view.getUint8(quote + IPV4_PROTOCOL) === TCP
  if (!isTcp || segment + PORTS_LEN > end) return FIRST_WORKER
  return workerOf(spread, view.getUint32(quote + IPV4_DST), swapPorts(view.getUint32(segment)))
}

function workerOfIpv6(spread: Spread, view: DataView, ip: number, end: number): number {
  let protocol = view.getUint8(ip + IPV6_NEXT)
  let next = ip + IPV6_LEN
  for (let i = 0; isExtension(protocol) && next + PORTS_LEN <= end && i < EXTENSIONS_MAX; i++) {
    protocol = view.getUint8(next)
    next += (view.getUint8(next + 1) + 1) * 8
  }
  if (next + PORTS_LEN > end) return FIRST_WORKER
  if (protocol === TCP) {
    return workerOf(spread, addressBits(view, ip + IPV6_SRC), view.getUint32(next))
  }
  const isError = protocol === ICMPV6 && view.getUint8(next) < ICMPV6_INFORMATIONAL
  const quote = next + ICMP_LEN
  const segment = quote + IPV6_LEN
  if (!isError || segment + PORTS_LEN > end) return FIRST_WORKER
  if (view.getUint8(quote + IPV6_NEXT) !== TCP) return FIRST_WORKER
  const ports = swapPorts(view.getUint32(segment))
  return workerOf(spread, addressBits(view, quote + IPV6_DST), ports)
}

const isExtension = (header: number): boolean =>
  header === HOP_BY_HOP || header === ROUTING || header === DESTINATION

const addressBits = (view: DataView, at: number): number =>
  view.getInt32(at) ^ view.getInt32(at + 4) ^ view.getInt32(at + 8) ^ view.getInt32(at + 12)

/** In what we sent, the ports stand the other way round. */
const swapPorts = (ports: number): number => (ports << 16) | (ports >>> 16)
