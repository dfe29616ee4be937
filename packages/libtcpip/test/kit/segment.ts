/**
 * Raw frames of a scripted peer: what it sends, written field by field, and what it received, read
 * into an object. Nothing here knows a connection; numbers are absolute.
 */
import { ethernet } from '@sandstorm/libeth'
import { checksum, formatFrame, ipv4, ipv6, pad, tcp } from '../../src/index.ts'
import { wordsOf } from './packet6.ts'

export const FIN: number = tcp.FIN
export const SYN: number = tcp.SYN
export const RST: number = tcp.RST
export const PSH: number = tcp.PSH
export const ACK: number = tcp.ACK
export const URG: number = tcp.URG

/** An IPv4 address as a number, an IPv6 address as text. */
export type Address = number | string

/** One TCP segment in an Ethernet frame, of IPv4 or IPv6 as its addresses are. */
export interface RawSegment {
  src: Address
  dst: Address
  srcPort: number
  dstPort: number
  seq: number
  ack: number
  flags: number
  win: number
  data: Uint8Array
  /** Option bytes, padded here. */
  options: Uint8Array
}

/** Hardware addresses as pairs of numbers. */
export interface Link {
  dstHi: number
  dstLo: number
  srcHi: number
  srcLo: number
}

/** Writes the frame at `off`, checksums right, and returns its length. */
export function writeSegment(view: DataView, off: number, link: Link, seg: RawSegment): number {
  const { src, dst } = seg
  const header = off + ethernet.HEADER_LEN + ipHeaderLen(src)
  for (let i = 0; i < seg.options.length; i++) {
    view.setUint8(header + tcp.HEADER_LEN + i, seg.options[i])
  }
  const body = pad(view, header, header + tcp.HEADER_LEN + seg.options.length)
  for (let i = 0; i < seg.data.length; i++) view.setUint8(body + i, seg.data[i])
  const len = body + seg.data.length - header
  tcp.setSrcPort(view, header, seg.srcPort)
  tcp.setDstPort(view, header, seg.dstPort)
  tcp.setSeq(view, header, seg.seq)
  tcp.setAck(view, header, seg.ack)
  tcp.setHeaderLen(view, header, body - header)
  tcp.setFlags(view, header, seg.flags)
  tcp.setWindow(view, header, seg.win)
  tcp.setUrgent(view, header, 0)
  if (typeof src === 'number') {
    writeIpv4(view, off, link, src, Number(dst), ipv4.PROTO_TCP, len)
  } else {
    writeIpv6(view, off, link, src, String(dst), len)
  }
  setTcpChecksum(view, off)
  return header + len - off
}

/** Ethernet and IPv4 headers in front of `len` payload bytes. */
export function writeIpv4(
  view: DataView,
  off: number,
  link: Link,
  src: number,
  dst: number,
  protocol: number,
  len: number,
): void {
  ethernet.setDst(view, off, link.dstHi, link.dstLo)
  ethernet.setSrc(view, off, link.srcHi, link.srcLo)
  ethernet.setType(view, off, ethernet.TYPE_IPV4)
  const ip = off + ethernet.HEADER_LEN
  ipv4.setHeaderLen(view, ip, ipv4.HEADER_LEN)
  ipv4.setTos(view, ip, 0)
  ipv4.setTotalLen(view, ip, ipv4.HEADER_LEN + len)
  ipv4.setId(view, ip, 0x1234)
  ipv4.setFragment(view, ip, 0)
  ipv4.setTtl(view, ip, 63)
  ipv4.setProtocol(view, ip, protocol)
  ipv4.setSrc(view, ip, src)
  ipv4.setDst(view, ip, dst)
  setIpChecksum(view, off)
}

const ipHeaderLen = (address: Address): number =>
  typeof address === 'number' ? ipv4.HEADER_LEN : ipv6.HEADER_LEN

/** Ethernet and IPv6 headers in front of `len` bytes of TCP. */
function writeIpv6(
  view: DataView,
  off: number,
  link: Link,
  src: string,
  dst: string,
  len: number,
): void {
  ethernet.setDst(view, off, link.dstHi, link.dstLo)
  ethernet.setSrc(view, off, link.srcHi, link.srcLo)
  ethernet.setType(view, off, ethernet.TYPE_IPV6)
  const ip = off + ethernet.HEADER_LEN
  ipv6.setClassAndFlow(view, ip, 0, 0x12345)
  ipv6.setPayloadLen(view, ip, len)
  ipv6.setNextHeader(view, ip, ipv6.PROTO_TCP)
  ipv6.setHopLimit(view, ip, 63)
  for (const [at, text] of [
    [ipv6.srcOff(ip), src],
    [ipv6.dstOff(ip), dst],
  ] as const) {
    const [w0, w1, w2, w3] = wordsOf(text)
    ipv6.setAddress(view, at, w0, w1, w2, w3)
  }
}

export function setIpChecksum(view: DataView, off: number): void {
  const ip = off + ethernet.HEADER_LEN
  ipv4.setChecksum(view, ip, 0)
  ipv4.setChecksum(view, ip, checksum.finish(checksum.sum(view, ip, ipv4.headerLen(view, ip))))
}

export function setTcpChecksum(view: DataView, off: number): void {
  const header = segmentOff(view, off)
  const len = segmentLen(view, off)
  tcp.setChecksum(view, header, 0)
  tcp.setChecksum(view, header, checksum.finish(segmentSum(view, off, header, len)))
}

/** Where the TCP segment of a frame begins; the IPv6 packet has no extension headers. */
export function segmentOff(view: DataView, off: number): number {
  const ip = off + ethernet.HEADER_LEN
  return isIpv6(view, off) ? ip + ipv6.HEADER_LEN : ipv4.payloadOff(view, ip)
}

/** Bytes of the TCP segment of a frame. */
export function segmentLen(view: DataView, off: number): number {
  const ip = off + ethernet.HEADER_LEN
  if (isIpv6(view, off)) return ipv6.payloadLen(view, ip)
  return ipv4.totalLen(view, ip) - ipv4.headerLen(view, ip)
}

/** The sum of pseudo-header and segment: 0xffff if its checksum is right. */
export function segmentSum(view: DataView, off: number, header: number, len: number): number {
  const ip = off + ethernet.HEADER_LEN
  const pseudo = isIpv6(view, off)
    ? ipv6.pseudoSum(view, ip, ipv6.PROTO_TCP, len)
    : ipv4.pseudoSum(ipv4.src(view, ip), ipv4.dst(view, ip), ipv4.PROTO_TCP, len)
  return checksum.fold(pseudo + checksum.sum(view, header, len))
}

export const isIpv6 = (view: DataView, off: number): boolean =>
  ethernet.type(view, off) === ethernet.TYPE_IPV6

/** A frame that the stack has sent. */
export interface SentFrame {
  /** `formatFrame` of it. */
  line: string
  /** A copy of its bytes. */
  bytes: Uint8Array
  /** Its TCP segment, if it holds one. */
  segment: RawSegment | undefined
}

/** Copies and reads the frame of `len` bytes at `off`. */
export function readFrame(view: DataView, off: number, len: number): SentFrame {
  const bytes = new Uint8Array(len)
  bytes.set(new Uint8Array(view.buffer, off, len))
  const line = formatFrame(view, off, len)
  const ip = off + ethernet.HEADER_LEN
  const six = isIpv6(view, off)
  const isTcp = six
    ? ipv6.nextHeader(view, ip) === ipv6.PROTO_TCP
    : ethernet.type(view, off) === ethernet.TYPE_IPV4 && ipv4.protocol(view, ip) === ipv4.PROTO_TCP
  if (!isTcp) return { line, bytes, segment: undefined }
  const header = segmentOff(view, off)
  const tcpLen = segmentLen(view, off)
  const body = header + tcp.headerLen(view, header)
  const end = header + tcpLen
  const segment = {
    src: six ? ipv6.formatAt(view, ipv6.srcOff(ip)) : ipv4.src(view, ip),
    dst: six ? ipv6.formatAt(view, ipv6.dstOff(ip)) : ipv4.dst(view, ip),
    srcPort: tcp.srcPort(view, header),
    dstPort: tcp.dstPort(view, header),
    seq: tcp.seq(view, header),
    ack: tcp.ack(view, header),
    flags: tcp.flags(view, header),
    win: tcp.window(view, header),
    options: bytes.slice(header + tcp.HEADER_LEN - off, body - off),
    data: bytes.slice(body - off, end - off),
  }
  return { line, bytes, segment }
}

/** TSval and TSecr of a segment, uint32; undefined if it has no timestamps. */
export function timestampsIn(seg: RawSegment): [tsVal: number, tsEcr: number] | undefined {
  const view = new DataView(seg.options.buffer, seg.options.byteOffset, seg.options.length)
  for (let at = 0; at < seg.options.length && seg.options[at] !== 0; ) {
    if (seg.options[at] === 8) return [view.getUint32(at + 2), view.getUint32(at + 6)]
    at += seg.options[at] === 1 ? 1 : seg.options[at + 1]
  }
  return undefined
}

export const mssOption = (mss: number): number[] => [2, 4, mss >> 8, mss & 255]
export const wscaleOption = (shift: number): number[] => [1, 3, 3, shift]
export const sackOption: readonly number[] = [1, 1, 4, 2]
export const timestampsOption = (tsVal: number, tsEcr: number): number[] => [
  ...[1, 1, 8, 10, ...be32(tsVal), ...be32(tsEcr)],
]
const be32 = (n: number): number[] => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]
