/**
 * What ICMP sends: the message goes back the way the packet that it answers came
 * (RFC 1122 §3.2.2.6), from the address that one was sent to.
 */
import { ethernet } from '@sandstorm/libeth'
import { OFFLOAD_NONE } from '@sandstorm/libnmio'
import type { IpHost } from '../ip/ipHost.ts'
import { sum } from '../wire/checksum.ts'
import * as ipv4 from '../wire/ipv4.ts'

/**
 * Pushes `frame`, whose payload is an ICMP message of `len` bytes, in answer to the IPv4 packet in
 * the Ethernet frame at `frameOff`. Needs txSpace() > 0.
 */
export function pushReply(
  host: IpHost,
  frameOff: number,
  frame: number,
  len: number,
  tos: number,
): void {
  const { view } = host.device.region
  const ip = host.frames.payloadOff(frame) - ipv4.HEADER_LEN
  const request = frameOff + ethernet.HEADER_LEN
  ipv4.setHeaderLen(view, ip, ipv4.HEADER_LEN)
  ipv4.setTos(view, ip, tos)
  ipv4.setTotalLen(view, ip, ipv4.HEADER_LEN + len)
  ipv4.setId(view, ip, 0)
  ipv4.setFragment(view, ip, ipv4.DONT_FRAGMENT)
  ipv4.setTtl(view, ip, host.tcp.config.ttl)
  ipv4.setProtocol(view, ip, ipv4.PROTO_ICMP)
  ipv4.setSrc(view, ip, ipv4.dst(view, request))
  ipv4.setDst(view, ip, ipv4.src(view, request))
  ipv4.setChecksum(view, ip, 0)
  ipv4.setChecksum(view, ip, ~sum(view, ip, ipv4.HEADER_LEN))
  const eth = ip - ethernet.HEADER_LEN
  ethernet.setDst(view, eth, ethernet.srcHi(view, frameOff), ethernet.srcLo(view, frameOff))
  ethernet.setSrc(view, eth, host.tcp.macHi, host.tcp.macLo)
  ethernet.setType(view, eth, ethernet.TYPE_IPV4)
  host.frames.sent(frame)
  host.device.push(eth, ethernet.HEADER_LEN + ipv4.HEADER_LEN + len, OFFLOAD_NONE)
}
