/**
 * Transport checksums that a sender on this machine left to hardware that was never there: the
 * field holds the folded sum of the pseudo-header (linux/virtio_net.h: VIRTIO_NET_HDR_F_NEEDS_CSUM;
 * RFC 1071, RFC 9293 §3.1); and TCP segments that it left to such hardware to cut. Frames of TCP
 * and UDP that are whole, without IPv6 extension headers, with a VLAN tag or without.
 */
import { ETHERNET_HEADER_LEN, VLAN_TAG_LEN } from './device.ts'

const ETHERTYPE = 12
const VLAN = 0x8100
const IPV4 = 0x0800
const IPV4_TOTAL_LEN = 2
const IPV4_ID = 4
const IPV4_FRAGMENT = 6
const IPV4_PROTOCOL = 9
const IPV4_CHECKSUM = 10
const IPV4_ADDRESSES = 12
const IPV6 = 0x86dd
const IPV6_HEADER_LEN = 40
const IPV6_PAYLOAD_LEN = 4
const IPV6_NEXT_HEADER = 6
const IPV6_ADDRESSES = 8
const TCP = 6
const TCP_SEQ = 4
const TCP_DATA_OFF = 12
const TCP_FLAGS = 13
const FIN = 0x01
const PSH = 0x08
const CWR = 0x80
const TCP_CHECKSUM = 16
const TCP_HEADER_LEN = 20
const UDP = 17
const UDP_CHECKSUM = 6
const UDP_HEADER_LEN = 8
/** There is no such header or field. */
const NONE = 0

/**
 * Folded sum of the 16-bit words of [off, end), RFC 1071; an odd last byte counts as a high byte.
 */
function sum(view: DataView, off: number, end: number): number {
  let total = 0
  let at = off
  for (; at + 1 < end; at += 2) total += view.getUint16(at)
  if (at < end) total += view.getUint8(at) << 8
  return fold(total)
}

function fold(total: number): number {
  let folded = total
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000)
  return folded
}

/** Offset of the IP header of the frame [off, end), if it has one; NONE: too short for that. */
function ipOff(view: DataView, off: number, end: number): number {
  const ip = off + ETHERNET_HEADER_LEN
  if (ip > end) return NONE
  const at = view.getUint16(off + ETHERTYPE) === VLAN ? ip + VLAN_TAG_LEN : ip
  return at + 20 <= end ? at : NONE
}

/** The type stands right before the packet. */
const typeOf = (view: DataView, ip: number): number => view.getUint16(ip - 2)
const isIpv4 = (view: DataView, ip: number): boolean => typeOf(view, ip) === IPV4

/** Offset of the transport header behind the IP header at `ip`, or NONE. */
function transport(view: DataView, ip: number): number {
  if (ip === NONE) return NONE
  if (isIpv4(view, ip)) {
    const isFragment = (view.getUint16(ip + IPV4_FRAGMENT) & 0x3fff) !== 0
    return isFragment ? NONE : ip + (view.getUint8(ip) & 0x0f) * 4
  }
  return typeOf(view, ip) === IPV6 ? ip + IPV6_HEADER_LEN : NONE
}

const protocolOf = (view: DataView, ip: number): number =>
  view.getUint8(ip + (isIpv4(view, ip) ? IPV4_PROTOCOL : IPV6_NEXT_HEADER))

/** Offset of the checksum field, or NONE. */
function field(view: DataView, ip: number, l4: number, end: number): number {
  if (l4 === NONE) return NONE
  const protocol = protocolOf(view, ip)
  if (protocol === TCP && l4 + TCP_HEADER_LEN <= end) return l4 + TCP_CHECKSUM
  return protocol === UDP && l4 + UDP_HEADER_LEN <= end ? l4 + UDP_CHECKSUM : NONE
}

/** The folded sum of the pseudo-header: RFC 9293 §3.1, RFC 8200 §8.1. */
function pseudoSum(view: DataView, ip: number, l4: number): number {
  const pseudo = isIpv4(view, ip)
    ? sum(view, ip + IPV4_ADDRESSES, ip + IPV4_ADDRESSES + 8) +
      view.getUint16(ip + IPV4_TOTAL_LEN) -
      (l4 - ip)
    : sum(view, ip + IPV6_ADDRESSES, l4) + view.getUint16(ip + IPV6_PAYLOAD_LEN)
  return fold(pseudo + protocolOf(view, ip))
}

/**
 * Was the checksum of the frame [off, off+len) left to hardware? A complete one can look the same,
 * once in 65536; to complete that leaves it as it is.
 */
export function isChecksumPartial(view: DataView, off: number, len: number): boolean {
  const end = off + len
  const ip = ipOff(view, off, end)
  const l4 = transport(view, ip)
  const at = field(view, ip, l4, end)
  return at !== NONE && view.getUint16(at) === pseudoSum(view, ip, l4)
}

/**
 * Completes the checksum of the frame [off, off+len) in place, as the hardware would: the sum over
 * the segment, field included, is complemented and takes the field's place. Other frames stay as
 * they are. For captures and fault injection; the stack has faster ways and never comes here.
 */
export function completeChecksum(view: DataView, off: number, len: number): void {
  const end = off + len
  const ip = ipOff(view, off, end)
  const l4 = transport(view, ip)
  const at = field(view, ip, l4, end)
  if (at === NONE) return
  const complete = ~sum(view, l4, end) & 0xffff
  // RFC 768: a UDP sum of zero is sent as ones, since zero means that there is none.
  view.setUint16(at, at - l4 === UDP_CHECKSUM ? complete || 0xffff : complete)
}

/** Takes each segment of a super-frame: the first `headLen` bytes of it, and a piece of its body. */
export type SegmentSink = (headLen: number, bodyOff: number, bodyLen: number) => void

/**
 * Cuts the super-frame [off, off+len) of TCP into frames of `most` bytes, as the hardware would:
 * for each, writes its header over that of the whole, with a partial checksum, and calls `sink`.
 * False, and nothing is done: it is none that can be cut.
 */
export function cutSuperFrame(
  view: DataView,
  off: number,
  len: number,
  most: number,
  sink: SegmentSink,
): boolean {
  const end = off + len
  const ip = ipOff(view, off, end)
  const l4 = transport(view, ip)
  if (field(view, ip, l4, end) !== l4 + TCP_CHECKSUM) return false
  const body = l4 + (view.getUint8(l4 + TCP_DATA_OFF) >> 4) * 4
  const step = most - (body - off)
  if (step <= 0 || body >= end) return false
  const seq = view.getInt32(l4 + TCP_SEQ)
  const id = view.getUint16(ip + IPV4_ID)
  const flags = view.getUint8(l4 + TCP_FLAGS)
  for (let at = body, n = 0; at < end; at += step, n++) {
    const bodyLen = Math.min(step, end - at)
    setIpLen(view, ip, body + bodyLen, id + n)
    view.setInt32(l4 + TCP_SEQ, seq + at - body)
    const notFirst = n > 0 ? CWR : 0
    const notLast = at + bodyLen < end ? FIN | PSH : 0
    view.setUint8(l4 + TCP_FLAGS, flags & ~(notFirst | notLast))
    view.setUint16(l4 + TCP_CHECKSUM, pseudoSum(view, ip, l4))
    sink(body - off, at, bodyLen)
  }
  return true
}

/** The packet at `ip` ends at `end`, and is IPv4's number `id`. */
function setIpLen(view: DataView, ip: number, end: number, id: number): void {
  if (!isIpv4(view, ip)) {
    view.setUint16(ip + IPV6_PAYLOAD_LEN, end - ip - IPV6_HEADER_LEN)
    return
  }
  view.setUint16(ip + IPV4_TOTAL_LEN, end - ip)
  view.setUint16(ip + IPV4_ID, id)
  view.setUint16(ip + IPV4_CHECKSUM, 0)
  view.setUint16(ip + IPV4_CHECKSUM, ~sum(view, ip, transport(view, ip)) & 0xffff)
}
