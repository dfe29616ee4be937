/**
 * Frames as text, one tcpdump-like line each: the only place where packets become words. Traces,
 * tests and failure messages use it; the hot path never does.
 *
 * Invariant: any bytes give a line. A header that is cut off or makes no sense is written as
 * tcpdump does, `[|tcp]` or `[bad hdr length 8]`; no byte outside the frame is read.
 */
import { arpPacket, ethernet, OK } from '@sandstorm/libeth'
import { formatIcmpv6 } from './formatIcmpv6.ts'
import * as icmp from './icmp.ts'
import * as ipv4 from './ipv4.ts'
import * as ipv6 from './ipv6.ts'
import * as tcp from './tcp.ts'
import * as options from './tcpOptions.ts'
import * as udp from './udp.ts'

const TAGGED_HEADER_LEN: number = ethernet.HEADER_LEN + ethernet.TAG_LEN

const FLAG_LETTERS = 'FSRP.UEW'

const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')

function formatMac(hi: number, lo: number): string {
  const digits = hex(hi, 4) + hex(lo >>> 0, 8)
  return digits.replace(/..(?=.)/g, '$&:')
}

/**
 * The frame of `len` bytes at `off` as a line of text. `totalLen` is the length of the whole frame
 * when only its headers are at hand (the payload of a gathered frame lies elsewhere).
 */
export function formatFrame(
  view: DataView,
  off: number,
  len: number,
  totalLen: number = len,
): string {
  const end = Math.min(off + len, view.byteLength)
  if (end - off < ethernet.HEADER_LEN) return `[|ether], length ${totalLen}`
  const isTagged = ethernet.type(view, off) === ethernet.TYPE_VLAN
  const tagLen = isTagged && end - off >= TAGGED_HEADER_LEN ? ethernet.TAG_LEN : 0
  const vlan = tagLen > 0 ? `vlan ${ethernet.vlanId(view, off)}, ` : ''
  const type = ethernet.type(view, off + tagLen)
  const headerLen = ethernet.HEADER_LEN + tagLen
  const payload = off + headerLen
  const payloadLen = totalLen - headerLen
  if (type === ethernet.TYPE_ARP) return vlan + formatArp(view, payload, end, payloadLen)
  if (type === ethernet.TYPE_IPV4) return vlan + formatIpv4(view, payload, end, payloadLen)
  if (type === ethernet.TYPE_IPV6) return vlan + formatIpv6(view, payload, end, payloadLen)
  const from = formatMac(ethernet.srcHi(view, off), ethernet.srcLo(view, off))
  const to = formatMac(ethernet.dstHi(view, off), ethernet.dstLo(view, off))
  return `${vlan}${from} > ${to}, ethertype 0x${hex(type, 4)}, length ${totalLen}`
}

function formatArp(view: DataView, off: number, end: number, len: number): string {
  if (end - off < arpPacket.PACKET_LEN) return `ARP [|arp], length ${len}`
  if (arpPacket.check(view, off, end - off) !== OK) return `ARP, unknown, length ${len}`
  const sender = ipv4.formatAddress(arpPacket.senderIp(view, off))
  const target = ipv4.formatAddress(arpPacket.targetIp(view, off))
  const mac = formatMac(arpPacket.senderHi(view, off), arpPacket.senderLo(view, off))
  if (arpPacket.operation(view, off) === arpPacket.REPLY) {
    return `ARP, Reply ${sender} is-at ${mac}, length ${len}`
  }
  if (sender === target) return `ARP, Announcement ${sender}, length ${len}`
  if (sender === '0.0.0.0') return `ARP, Probe ${target}, length ${len}`
  return `ARP, Request who-has ${target} tell ${sender}, length ${len}`
}

function formatIpv4(view: DataView, off: number, end: number, len: number): string {
  if (end - off < ipv4.HEADER_LEN) return `IP [|ip], length ${len}`
  const version = ipv4.version(view, off)
  if (version !== 4) return `IP [bad version ${version}], length ${len}`
  const hdr = ipv4.headerLen(view, off)
  if (hdr < ipv4.HEADER_LEN) return `IP [bad hdr length ${hdr}], length ${len}`
  const from = ipv4.formatAddress(ipv4.src(view, off))
  const to = ipv4.formatAddress(ipv4.dst(view, off))
  const total = ipv4.totalLen(view, off)
  const dataLen = total - hdr
  if (dataLen < 0) return `IP ${from} > ${to}: [bad total length ${total}]`
  const data = off + hdr
  // Behind the total length there is padding, not packet.
  const dataEnd = Math.min(end, off + total)
  const missing = total > len ? `, [${total - len} bytes missing]` : ''
  const fragmentOff = (ipv4.fragment(view, off) & ipv4.FRAGMENT_OFFSET_MASK) * 8
  if (fragmentOff !== 0) {
    const id = ipv4.id(view, off)
    return `IP ${from} > ${to}: frag id ${id} offset ${fragmentOff}, length ${dataLen}${missing}`
  }
  const protocol = ipv4.protocol(view, off)
  return formatTransport(view, protocol, data, dataEnd, dataLen, from, to, 'IP', '') + missing
}

function formatIpv6(view: DataView, off: number, end: number, len: number): string {
  if (end - off < ipv6.HEADER_LEN) return `IP6 [|ip6], length ${len}`
  const version = ipv6.version(view, off)
  if (version !== 6) return `IP6 [bad version ${version}], length ${len}`
  const from = ipv6.formatAt(view, ipv6.srcOff(off))
  const to = ipv6.formatAt(view, ipv6.dstOff(off))
  const total = ipv6.HEADER_LEN + ipv6.payloadLen(view, off)
  const dataEnd = Math.min(end, off + total)
  const missing = total > len ? `, [${total - len} bytes missing]` : ''
  let protocol = ipv6.nextHeader(view, off)
  let at = off + ipv6.HEADER_LEN
  let headers = ''
  while (isExtension(protocol)) {
    if (dataEnd - at < 8) return `IP6 ${from} > ${to}: ${headers}[|ip6]${missing}`
    const isFragment = protocol === ipv6.PROTO_FRAGMENT
    headers += formatExtension(view, at, protocol, off + total - at)
    // Behind the first fragment's headers there is nothing to be read.
    if (isFragment && view.getUint16(at + 2) >= 8) return `IP6 ${from} > ${to}: ${headers}`.trim()
    protocol = view.getUint8(at)
    at += isFragment ? 8 : 8 + view.getUint8(at + 1) * 8
  }
  const dataLen = off + total - at
  if (dataLen < 0) return `IP6 ${from} > ${to}: ${headers}[bad header length]${missing}`
  return formatTransport(view, protocol, at, dataEnd, dataLen, from, to, 'IP6', headers) + missing
}

const isExtension = (protocol: number): boolean =>
  protocol === ipv6.PROTO_HOP_BY_HOP ||
  protocol === ipv6.PROTO_DESTINATION ||
  protocol === ipv6.PROTO_ROUTING ||
  protocol === ipv6.PROTO_FRAGMENT

/**
 * One IPv6 extension header, of which eight bytes are there; `len`: from it to the packet's end.
 */
function formatExtension(view: DataView, off: number, kind: number, len: number): string {
  if (kind === ipv6.PROTO_HOP_BY_HOP) return 'HBH '
  if (kind === ipv6.PROTO_DESTINATION) return 'DSTOPT '
  if (kind === ipv6.PROTO_ROUTING) {
    return `srcrt (type=${view.getUint8(off + 2)}, segleft=${view.getUint8(off + 3)}) `
  }
  return `frag (${view.getUint16(off + 2) & 0xfff8}|${len - 8}) `
}

/** What an IP packet carries; `headers`: the text of extension headers before it. */
function formatTransport(
  view: DataView,
  proto: number,
  off: number,
  end: number,
  len: number,
  from: string,
  to: string,
  ip: 'IP' | 'IP6',
  headers: string,
): string {
  const hosts = `${ip} ${from} > ${to}: ${headers}`
  if (ip === 'IP' && proto === ipv4.PROTO_ICMP) return hosts + formatIcmp(view, off, end, len)
  if (ip === 'IP6' && proto === ipv6.PROTO_ICMPV6) return hosts + formatIcmpv6(view, off, end, len)
  if (proto !== ipv4.PROTO_TCP && proto !== ipv4.PROTO_UDP) {
    return `${hosts}${ip === 'IP' ? 'ip-proto' : 'ip6-next'}-${proto}, length ${len}`
  }
  const headerLen = proto === ipv4.PROTO_TCP ? tcp.HEADER_LEN : udp.HEADER_LEN
  if (end - off < headerLen) {
    return `${hosts}[|${proto === ipv4.PROTO_TCP ? 'tcp' : 'udp'}], length ${len}`
  }
  // UDP has its ports where TCP has them.
  const peers = `${from}.${tcp.srcPort(view, off)} > ${to}.${tcp.dstPort(view, off)}`
  const text =
    proto === ipv4.PROTO_TCP
      ? formatTcp(view, off, end, len)
      : `UDP, length ${Math.max(len - udp.HEADER_LEN, 0)}`
  return `${ip} ${peers}: ${headers}${text}`
}

function formatIcmp(view: DataView, off: number, end: number, len: number): string {
  if (end - off < icmp.HEADER_LEN) return `ICMP [|icmp], length ${len}`
  const type = icmp.type(view, off)
  if (type !== icmp.ECHO_REQUEST && type !== icmp.ECHO_REPLY) {
    return `ICMP type ${type} code ${icmp.code(view, off)}, length ${len}`
  }
  const kind = type === icmp.ECHO_REQUEST ? 'request' : 'reply'
  const id = icmp.id(view, off)
  return `ICMP echo ${kind}, id ${id}, seq ${icmp.sequence(view, off)}, length ${len}`
}

/** The part of a TCP line behind the addresses; a whole header is there, its options maybe not. */
function formatTcp(view: DataView, off: number, end: number, len: number): string {
  const hdr = tcp.headerLen(view, off)
  const flags = tcp.flags(view, off)
  const start = `Flags [${formatFlags(flags)}]`
  if (hdr < tcp.HEADER_LEN || hdr > len) return `${start} [bad hdr length ${hdr}], length ${len}`
  const dataLen = len - hdr
  const seq = tcp.seq(view, off) >>> 0
  let line = start
  if (dataLen > 0) line += `, seq ${seq}:${(seq + dataLen) >>> 0}`
  else if ((flags & (tcp.SYN | tcp.FIN | tcp.RST)) !== 0) line += `, seq ${seq}`
  if ((flags & tcp.ACK) !== 0) line += `, ack ${tcp.ack(view, off) >>> 0}`
  line += `, win ${tcp.window(view, off)}`
  if ((flags & tcp.URG) !== 0) line += `, urg ${tcp.urgent(view, off)}`
  if (hdr > tcp.HEADER_LEN) {
    line += `, options [${formatOptions(view, off + tcp.HEADER_LEN, off + hdr, end)}]`
  }
  return `${line}, length ${dataLen}`
}

function formatFlags(flags: number): string {
  let text = ''
  for (let bit = 0; bit < 8; bit++) if ((flags & (1 << bit)) !== 0) text += FLAG_LETTERS[bit]
  return text === '' ? 'none' : text
}

function formatOptions(view: DataView, off: number, headerEnd: number, end: number): string {
  const parts: string[] = []
  while (off < headerEnd) {
    if (off >= end) return [...parts, '[|tcp]'].join(',')
    const kind = view.getUint8(off)
    if (kind === options.KIND_EOL) return [...parts, 'eol'].join(',')
    if (kind === options.KIND_NOP) {
      parts.push('nop')
      off++
      continue
    }
    if (off + 1 === end && end < headerEnd) return [...parts, '[|tcp]'].join(',')
    const len = off + 1 < end ? view.getUint8(off + 1) : 0
    if (len < 2 || off + len > headerEnd) return [...parts, '[bad opt]'].join(',')
    if (off + len > end) return [...parts, '[|tcp]'].join(',')
    parts.push(formatOption(view, off, kind, len))
    off += len
  }
  return parts.join(',')
}

/** One option that lies wholly inside the frame. */
function formatOption(view: DataView, off: number, kind: number, len: number): string {
  if (kind === options.KIND_MSS && len === options.MSS_LEN) return `mss ${view.getUint16(off + 2)}`
  if (kind === options.KIND_WINDOW_SCALE && len === options.WINDOW_SCALE_LEN) {
    return `wscale ${view.getUint8(off + 2)}`
  }
  if (kind === options.KIND_SACK_PERMITTED && len === options.SACK_PERMITTED_LEN) return 'sackOK'
  if (kind === options.KIND_TIMESTAMPS && len === options.TIMESTAMPS_LEN) {
    return `TS val ${view.getUint32(off + 2)} ecr ${view.getUint32(off + 6)}`
  }
  if (kind === options.KIND_SACK && len % 8 === 2) {
    let blocks = ''
    for (let at = off + 2; at < off + len; at += 8) {
      blocks += `{${view.getUint32(at)}:${view.getUint32(at + 4)}}`
    }
    return `sack ${(len - 2) / 8} ${blocks}`
  }
  return `unknown-${kind}`
}
