/**
 * ICMPv6 input (RFC 4443): echo requests are answered with the same data, neighbour discovery and
 * listener queries handed on, errors about our TCP segments taken apart for TCP. Everything else is
 * counted.
 */
import { ethernet, OK } from '@sandstorm/libeth'
import { PAYLOAD_OFF } from '@sandstorm/libnmio'
import {
  ICMP6_MTU,
  ICMP6_NOT_ABOUT_US,
  ICMP6_TYPE,
  IP6_BAD_SOURCE,
  IP6_FRAGMENT,
  IP6_NOT_OURS,
  NO_FRAME_LEFT,
} from '../drops.ts'
import type { Ipv6Host } from '../ip/ipv6Host.ts'
import { NO_ADDRESS } from '../ndp/ownAddresses.ts'
import * as icmpv6 from '../wire/icmpv6.ts'
import * as ipv6 from '../wire/ipv6.ts'
import * as ndp from '../wire/ndp.ts'
import * as tcp from '../wire/tcp.ts'
import { TCP_QUOTE_LEN } from './icmpError.ts'
import { sourceOf } from './icmpv6Error.ts'

/** Takes the message of `len` bytes at `off`; `ip`: its IPv6 header. */
export function icmpv6Input(
  host: Ipv6Host,
  ip: number,
  off: number,
  len: number,
  nowMs: number,
): number {
  const { view } = host.output
  const bad = icmpv6.check(view, ip, off, len)
  const reason = bad === OK ? dispatch(host, ip, off, len, nowMs) : bad
  return reason === OK ? OK : host.drop(reason)
}

function dispatch(host: Ipv6Host, ip: number, off: number, len: number, nowMs: number): number {
  const { view } = host.output
  const type = icmpv6.type(view, off)
  // Neighbours need no fragments; filters that guard a link look into none (RFC 6980 §5).
  if (ndp.isNdp(type)) {
    return host.headers.isFragment ? IP6_FRAGMENT : host.ndp.input(ip, off, len, nowMs)
  }
  // From :: and from an address of ours comes nothing else.
  const isOurs = host.ndp.own.find(view, ipv6.srcOff(ip)) !== NO_ADDRESS
  if (isOurs || ndp.isFromNobody(view, ip)) return IP6_BAD_SOURCE
  if (type === icmpv6.ECHO_REQUEST) return answerEcho(host, ip, off, len)
  if (type === icmpv6.MLD_QUERY) return host.ndp.query(ip, off, len, nowMs)
  const isKnownError = type >= icmpv6.DESTINATION_UNREACHABLE && type <= icmpv6.PARAMETER_PROBLEM
  return isKnownError ? takeError(host, ip, off, len) : ICMP6_TYPE
}

/** RFC 4443 §4.2; a request to a group is answered from an address of our own. */
function answerEcho(host: Ipv6Host, ip: number, off: number, len: number): number {
  const { view, frames, device } = host.output
  if (icmpv6.code(view, off) !== 0) return ICMP6_TYPE
  if (PAYLOAD_OFF + len > frames.frameSize) return NO_FRAME_LEFT
  const source = sourceOf(host, ip)
  if (source === NO_ADDRESS) return IP6_NOT_OURS
  const bad = host.output.room()
  if (bad !== OK) return bad
  const frame = frames.alloc()
  const reply = frames.payloadOff(frame)
  const header = reply - ipv6.HEADER_LEN
  device.region.copy(reply, off, len)
  icmpv6.setType(view, reply, icmpv6.ECHO_REPLY)
  host.ndp.own.write(view, ipv6.srcOff(header), source)
  ipv6.copyAddress(view, ipv6.dstOff(header), ipv6.srcOff(ip))
  // The answer goes back the way the request came.
  const eth = ip - ethernet.HEADER_LEN
  const hi = ethernet.srcHi(view, eth)
  const lo = ethernet.srcLo(view, eth)
  host.output.send(frame, header, reply, len, host.hopLimit, hi, lo)
  return OK
}

/**
 * An error that quotes a TCP segment from the address it was sent to. We send no extension headers,
 * so behind one that quotes some is no segment of ours.
 */
function takeError(host: Ipv6Host, ip: number, off: number, len: number): number {
  const { view } = host.output
  const quote = off + icmpv6.HEADER_LEN
  const segment = quote + ipv6.HEADER_LEN
  if (segment + TCP_QUOTE_LEN > off + len) return ICMP6_NOT_ABOUT_US
  const isTcp = ipv6.version(view, quote) === 6 && ipv6.nextHeader(view, quote) === ipv6.PROTO_TCP
  if (!isTcp || !ipv6.sameAddress(view, ipv6.srcOff(quote), ipv6.dstOff(ip))) {
    return ICMP6_NOT_ABOUT_US
  }
  const error = host.icmpError
  error.version = 6
  error.type = icmpv6.type(view, off)
  error.code = icmpv6.code(view, off)
  error.mtu = error.type === icmpv6.PACKET_TOO_BIG ? icmpv6.info(view, off) : 0
  if (error.type === icmpv6.PACKET_TOO_BIG && error.mtu < ipv6.MTU_MIN) return ICMP6_MTU
  for (let i = 0; i < 4; i++) {
    error.local[i] = ipv6.src(view, quote, i)
    error.remote[i] = ipv6.dst(view, quote, i)
  }
  error.localPort = tcp.srcPort(view, segment)
  error.remotePort = tcp.dstPort(view, segment)
  error.seq = tcp.seq(view, segment)
  return host.onIcmpError(error)
}
