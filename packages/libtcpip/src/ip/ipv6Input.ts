/**
 * IPv6 input (RFC 8200, RFC 8504): header checks, extension headers, then ICMPv6 or TCP. TCP is
 * unicast only; groups are for neighbour discovery, multicast listener queries and echo. What
 * nobody here speaks is answered with an error, as far as RFC 4443 §2.4 allows.
 */
import { ethernet, OK } from '@sandstorm/libeth'
import { IP6_BAD_SOURCE, IP6_MULTICAST, IP6_NOT_OURS, IP6_PROTOCOL } from '../drops.ts'
import { sendError } from '../icmp/icmpv6Error.ts'
import { icmpv6Input } from '../icmp/icmpv6Input.ts'
import { NO_ADDRESS } from '../ndp/ownAddresses.ts'
import * as icmpv6 from '../wire/icmpv6.ts'
import * as ipv6 from '../wire/ipv6.ts'
import { isFromNobody } from '../wire/ndp.ts'
import { NO_PROBLEM } from './ipv6Headers.ts'
import type { Ipv6Host } from './ipv6Host.ts'
import { udpCheck } from './udpCheck.ts'

/** Takes the Ethernet frame at `off`, `len` bytes long, that holds an IPv6 packet. */
export function ipv6Input(
  host: Ipv6Host,
  off: number,
  len: number,
  rxFlags: number,
  nowMs: number,
): number {
  const { view } = host.output
  const ip = off + ethernet.HEADER_LEN
  const bad = ipv6.check(view, ip, len - ethernet.HEADER_LEN)
  if (bad !== OK) return host.drop(bad)
  const notForUs = checkDestination(host, off, ip)
  if (notForUs !== OK) return host.drop(notForUs)
  const headers = host.headers
  const reason = headers.walk(view, ip)
  if (isBadSource(host, ip, reason === OK ? headers.protocol : ipv6.PROTO_NONE)) {
    return host.drop(IP6_BAD_SOURCE)
  }
  if (reason !== OK) {
    if (headers.problem !== NO_PROBLEM) {
      sendError(host, ip, icmpv6.PARAMETER_PROBLEM, headers.problem, headers.pointer, nowMs)
    }
    return host.drop(reason)
  }
  if (headers.protocol === ipv6.PROTO_ICMPV6) {
    return icmpv6Input(host, ip, headers.off, headers.len, nowMs)
  }
  if (ipv6.isMulticast(ipv6.dst(view, ip, 0))) return host.drop(IP6_MULTICAST)
  if (headers.protocol === ipv6.PROTO_TCP) return host.onTcp6(ip, headers.off, headers.len, rxFlags)
  // UDP: nobody listens on any port.
  const pseudo = ipv6.pseudoSum(view, ip, ipv6.PROTO_UDP, 0)
  const badUdp = udpCheck(view, headers.off, headers.len, pseudo, true, rxFlags)
  if (badUdp !== OK) return host.drop(badUdp)
  sendError(host, ip, icmpv6.DESTINATION_UNREACHABLE, icmpv6.PORT_UNREACHABLE, 0, nowMs)
  return host.drop(IP6_PROTOCOL)
}

/** Is it for us: an address that may be used, in a frame to us, or a group that we are in? */
function checkDestination(host: Ipv6Host, off: number, ip: number): number {
  const { view } = host.output
  const { own } = host.ndp
  const dst = ipv6.dstOff(ip)
  if (ipv6.isMulticast(view.getInt32(dst))) return own.isOurGroup(view, dst) ? OK : IP6_NOT_OURS
  if (!own.isValidAt(view, dst)) return IP6_NOT_OURS
  // A unicast packet in a multicast frame would let one sender reach many (as RFC 1122 §3.3.6).
  return ethernet.isMulticast(view, off) ? IP6_MULTICAST : OK
}

/**
 * Can nobody else have sent it? From :: and from an address of ours only ICMPv6 may come: somebody
 * looks for the address before use, or has it already (RFC 4862 §5.4).
 */
function isBadSource(host: Ipv6Host, ip: number, protocol: number): boolean {
  const { view } = host.output
  if (isFromNobody(view, ip) || host.ndp.own.find(view, ipv6.srcOff(ip)) !== NO_ADDRESS) {
    return protocol !== ipv6.PROTO_ICMPV6
  }
  return ipv6.isBadSource(ipv6.src(view, ip, 0), ipv6.src(view, ip, 1), ipv6.src(view, ip, 2))
}
