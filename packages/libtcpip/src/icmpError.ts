/**
 * An ICMP error about a TCP segment of ours, taken apart and checked as far as IP can (RFC 5927 §4
 * leaves the sequence number to TCP). One object, filled anew for each.
 */
export class IcmpError {
  /** ICMPv6 type and code (RFC 4443 §3). */
  type = 0
  code = 0
  /** Packet too big: the MTU of the next hop, at least 1280; otherwise 0. */
  mtu = 0
  /** The segment's addresses, four words each: ours, the peer's. */
  readonly local: Int32Array = new Int32Array(4)
  readonly remote: Int32Array = new Int32Array(4)
  localPort = 0
  remotePort = 0
  /** The segment's sequence number, int32. */
  seq = 0
}
