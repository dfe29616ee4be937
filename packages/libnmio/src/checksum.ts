/**
 * Finishes transport checksums that were left to hardware, as that hardware would: the field holds
 * the folded sum of the pseudo-header; the sum over the segment, field included, is complemented
 * and takes its place (linux/virtio_net.h: VIRTIO_NET_HDR_F_NEEDS_CSUM; RFC 1071, RFC 9293 §3.1).
 * For captures and fault injection; the stack has faster ways and never comes here.
 */

const ETHERNET_HEADER_LEN = 14
const ETHERTYPE = 12
const IPV4 = 0x0800
const IPV6 = 0x86dd
const IPV6_HEADER_LEN = 40
const TCP = 6
const TCP_CHECKSUM = 16
const TCP_HEADER_LEN = 20
const UDP = 17
const UDP_CHECKSUM = 6
const UDP_HEADER_LEN = 8

/** Folded sum of the 16-bit words of [off, end), RFC 1071; an odd last byte counts as a high byte. */
function sum(view: DataView, off: number, end: number): number {
  let total = 0
  let at = off
  for (; at + 1 < end; at += 2) total += view.getUint16(at)
  if (at < end) total += view.getUint8(at) << 8
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000)
  return total
}

/**
 * Completes the TCP or UDP checksum of the frame [off, off+len) in place. A frame that is neither,
 * is a fragment, carries IPv6 extension headers or is cut short stays as it is.
 */
export function completeChecksum(view: DataView, off: number, len: number): void {
  const ip = off + ETHERNET_HEADER_LEN
  const end = off + len
  if (end < ip + 20) return
  const type = view.getUint16(off + ETHERTYPE)
  let l4 = end
  let protocol = 0
  if (type === IPV4 && (view.getUint16(ip + 6) & 0x3fff) === 0) {
    l4 = ip + (view.getUint8(ip) & 0x0f) * 4
    protocol = view.getUint8(ip + 9)
  } else if (type === IPV6) {
    l4 = ip + IPV6_HEADER_LEN
    protocol = view.getUint8(ip + 6)
  }
  if (protocol === TCP && l4 + TCP_HEADER_LEN <= end) {
    view.setUint16(l4 + TCP_CHECKSUM, ~sum(view, l4, end) & 0xffff)
  } else if (protocol === UDP && l4 + UDP_HEADER_LEN <= end) {
    // RFC 768: a sum of zero is sent as ones, since zero means that there is none.
    view.setUint16(l4 + UDP_CHECKSUM, ~sum(view, l4, end) & 0xffff || 0xffff)
  }
}
