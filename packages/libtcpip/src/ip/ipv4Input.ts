/**
 * IPv4 input (RFC 791, RFC 1122 §3.2): header checks, then ICMP or TCP. There is no reassembly:
 * fragments are dropped and counted. A packet for an address of ours that came in a broadcast
 * frame, or from an address that no host has, is discarded in silence (RFC 1122 §3.2.1.3, §3.3.6).
 */
import { ethernet, OK } from '@sandstorm/libeth'
import { NOT_LOCAL } from '../addresses.ts'
import { IP_BAD_SOURCE, IP_BROADCAST, IP_NOT_OURS, IP_PROTOCOL, IP_TRUNCATED } from '../drops.ts'
import { icmpInput } from '../icmp/icmpInput.ts'
import { answerUnreachable } from '../icmp/icmpUnreachable.ts'
import { input as tcpInput } from '../tcp/input.ts'
import type { Segment } from '../tcp/segmentVariables.ts'
import * as icmp from '../wire/icmp.ts'
import * as ipv4 from '../wire/ipv4.ts'
import type { IpHost } from './ipHost.ts'
import { udpCheck } from './udpCheck.ts'

/** Takes the Ethernet frame at `off`, `len` bytes long, that holds an IPv4 packet. */
export function ipv4Input(host: IpHost, off: number, len: number, rxFlags: number): number {
  const view = host.device.region.view
  const ip = off + ethernet.HEADER_LEN
  const room = len - ethernet.HEADER_LEN
  if (room < ipv4.HEADER_LEN) return host.drop(IP_TRUNCATED)
  const reason = ipv4.check(view, ip, room)
  if (reason !== OK) return host.drop(reason)
  const dst = ipv4.dst(view, ip)
  const local = host.addresses.findV4(dst)
  if (local === NOT_LOCAL) return host.drop(isGroup(host, dst) ? IP_BROADCAST : IP_NOT_OURS)
  if (ethernet.isMulticast(view, off)) return host.drop(IP_BROADCAST)
  const src = ipv4.src(view, ip)
  if (ipv4.isBadSource(src) || host.addresses.isBroadcast(src)) return host.drop(IP_BAD_SOURCE)
  const headerLen = ipv4.headerLen(view, ip)
  // The total length, not the frame's: what follows is Ethernet padding.
  const payloadLen = ipv4.totalLen(view, ip) - headerLen
  const protocol = ipv4.protocol(view, ip)
  if (protocol === ipv4.PROTO_TCP) {
    noteIdentity(host.tcp.segment, src, local)
    host.tcp.segment.ecn = ipv4.tos(view, ip) & ipv4.ECN_MASK
    const pseudo = ipv4.pseudoSum(src, dst, ipv4.PROTO_TCP, payloadLen)
    return tcpInput(host.tcp, pseudo, ip + headerLen, payloadLen, rxFlags)
  }
  // Nothing is answered to ourselves; what opens a connection sees to that by itself (listen.ts).
  if (host.addresses.findV4(src) !== NOT_LOCAL) return host.drop(IP_BAD_SOURCE)
  if (protocol === ipv4.PROTO_ICMP) return icmpInput(host, off, ip + headerLen, payloadLen)
  const isUdp = protocol === ipv4.PROTO_UDP
  if (isUdp) {
    const pseudo = ipv4.pseudoSum(src, dst, ipv4.PROTO_UDP, 0)
    const bad = udpCheck(view, ip + headerLen, payloadLen, pseudo, false, rxFlags)
    if (bad !== OK) return host.drop(bad)
  }
  answerUnreachable(host, off, isUdp ? icmp.PORT_UNREACHABLE : icmp.PROTOCOL_UNREACHABLE)
  return host.drop(IP_PROTOCOL)
}

/** Limited or subnet broadcast, or multicast. */
const isGroup = (host: IpHost, addr: number): boolean =>
  addr === -1 || addr >>> 28 === 14 || host.addresses.isBroadcast(addr)

/** Tells TCP between whom the segment goes. */
function noteIdentity(seg: Segment, src: number, local: number): void {
  seg.remote0 = src
  seg.remote1 = 0
  seg.remote2 = 0
  seg.remote3 = 0
  seg.local = local
  seg.kind = 0
}
