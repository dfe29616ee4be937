/**
 * An ICMP error about a TCP segment of ours, taken apart and checked as far as IP can (RFC 5927 §4
 * leaves the sequence number to TCP). One object, filled anew for each.
 */

/** Bytes of a TCP header that tell which segment it was: ports and sequence number (RFC 792). */
export const TCP_QUOTE_LEN = 8

export class IcmpError {
  /** 4 or 6: whose types and codes the next two are (RFC 792, RFC 4443 §3). */
  version = 0
  type = 0
  code = 0
  /**
   * The packet was too big: the MTU of the next hop. At least 1280 in IPv6; in IPv4 whatever the
   * router wrote, 0 from one that knows no more (RFC 1191 §5). Otherwise 0.
   */
  mtu = 0
  /**
   * The segment's addresses, four words each: ours, the peer's. IPv4 in the first, the others 0.
   */
  readonly local: Int32Array = new Int32Array(4)
  readonly remote: Int32Array = new Int32Array(4)
  localPort = 0
  remotePort = 0
  /** The segment's sequence number, int32. */
  seq = 0
}
