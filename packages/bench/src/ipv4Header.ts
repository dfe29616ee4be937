/**
 * The IPv4 header of clients that have no TCP of their own (RFC 791): nothing in it but what is
 * needed.
 */
import { checksum, ipv4 } from '@sandstorm/libtcpip'

/** Writes all of it at `ip`, checksum included, in front of a TCP segment of `tcpLen` bytes. */
export function writeIpv4(
  view: DataView,
  ip: number,
  from: number,
  to: number,
  tcpLen: number,
): void {
  ipv4.setHeaderLen(view, ip, ipv4.HEADER_LEN)
  ipv4.setTos(view, ip, 0)
  ipv4.setTotalLen(view, ip, ipv4.HEADER_LEN + tcpLen)
  ipv4.setId(view, ip, 0)
  ipv4.setFragment(view, ip, ipv4.DONT_FRAGMENT)
  ipv4.setTtl(view, ip, 64)
  ipv4.setProtocol(view, ip, ipv4.PROTO_TCP)
  ipv4.setChecksum(view, ip, 0)
  ipv4.setSrc(view, ip, from)
  ipv4.setDst(view, ip, to)
  ipv4.setChecksum(view, ip, checksum.finish(checksum.sum(view, ip, ipv4.HEADER_LEN)))
}
