/**
 * Reads a frame that a target has sent into fields, and notes what is wrong with it: lengths,
 * checksums, padding. A frame of a target that carries a fault fails the case that sees it.
 */
import {
  type ArpFields,
  addressText,
  ETH_ARP,
  ETH_IPV4,
  ETH_IPV6,
  flagLetters,
  onesSum,
  PROTO_ICMP,
  PROTO_ICMPV6,
  PROTO_TCP,
  u16,
  u32,
} from './frames.ts'

export interface TcpOption {
  readonly kind: number
  /** Without kind and length. */
  readonly data: Uint8Array
}

export interface SeenTcp {
  readonly srcPort: number
  readonly dstPort: number
  readonly seq: number
  readonly ack: number
  readonly flags: string
  readonly reserved: number
  readonly win: number
  readonly urgent: number
  readonly options: readonly TcpOption[]
  readonly headerLen: number
  readonly data: Uint8Array
}

export interface SeenIp {
  readonly version: 4 | 6
  readonly src: string
  readonly dst: string
  readonly ttl: number
  readonly tos: number
  readonly id: number
  /** DF, MF and offset of IPv4. */
  readonly fragment: number
  readonly protocol: number
  readonly len: number
}

export interface SeenIcmp {
  readonly type: number
  readonly code: number
  /** Behind type, code and checksum. */
  readonly rest: Uint8Array
}

export interface Seen {
  readonly atMs: number
  readonly bytes: Uint8Array
  readonly dstMac: Uint8Array
  readonly srcMac: Uint8Array
  readonly type: number
  readonly arp?: ArpFields
  readonly ip?: SeenIp
  readonly tcp?: SeenTcp
  /** ICMP or ICMPv6. */
  readonly icmp?: SeenIcmp
  readonly faults: readonly string[]
}

const ETHERNET_LEN = 14
const word = (bytes: Uint8Array, at: number): number => (bytes[at] << 8) | bytes[at + 1]
const long = (bytes: Uint8Array, at: number): number =>
  ((word(bytes, at) << 16) | word(bytes, at + 2)) >>> 0

/** Reads one frame; nothing is thrown, whatever it holds. */
export function readFrame(bytes: Uint8Array, atMs: number): Seen {
  const seen = {
    atMs,
    bytes,
    dstMac: bytes.subarray(0, 6),
    srcMac: bytes.subarray(6, 12),
    type: word(bytes, 12),
  }
  const packet = bytes.subarray(ETHERNET_LEN)
  if (seen.type === ETH_ARP) return { ...seen, arp: readArp(packet), faults: [] }
  if (seen.type === ETH_IPV4) return { ...seen, ...readIpv4(packet) }
  if (seen.type === ETH_IPV6) return { ...seen, ...readIpv6(packet) }
  return { ...seen, faults: [] }
}

const readArp = (packet: Uint8Array): ArpFields => ({
  operation: word(packet, 6),
  senderMac: packet.subarray(8, 14),
  senderIp: packet.subarray(14, 18),
  targetMac: packet.subarray(18, 24),
  targetIp: packet.subarray(24, 28),
})

type Inner = Pick<Seen, 'faults'> & Partial<Pick<Seen, 'ip' | 'tcp' | 'icmp'>>

function readIpv4(packet: Uint8Array): Inner {
  const faults: string[] = []
  const headerLen = (packet[0] & 15) * 4
  const len = word(packet, 2)
  if (packet[0] >> 4 !== 4) faults.push('the version is not 4')
  if (len > packet.length) faults.push('the total length is beyond the frame')
  if (onesSum(packet.subarray(0, headerLen)) !== 0xffff) faults.push('the IP checksum is wrong')
  const ip: SeenIp = {
    version: 4,
    src: addressText(packet.subarray(12, 16)),
    dst: addressText(packet.subarray(16, 20)),
    ttl: packet[8],
    tos: packet[1],
    id: word(packet, 4),
    fragment: word(packet, 6),
    protocol: packet[9],
    len,
  }
  const payload = packet.subarray(headerLen, len)
  if ((ip.fragment & 0x1fff) !== 0) return { ip, faults }
  if (ip.protocol === PROTO_ICMP) {
    if (onesSum(payload) !== 0xffff) faults.push('the ICMP checksum is wrong')
    return { ip, icmp: readIcmp(payload), faults }
  }
  if (ip.protocol !== PROTO_TCP) return { ip, faults }
  const pseudo = [packet.subarray(12, 20), u16(PROTO_TCP), u16(payload.length)]
  return { ip, tcp: readTcp(pseudo, payload, faults), faults }
}

function readIpv6(packet: Uint8Array): Inner {
  const faults: string[] = []
  const len = word(packet, 4)
  if (len + 40 > packet.length) faults.push('the payload length is beyond the frame')
  const ip: SeenIp = {
    version: 6,
    src: addressText(packet.subarray(8, 24)),
    dst: addressText(packet.subarray(24, 40)),
    ttl: packet[7],
    tos: (word(packet, 0) >> 4) & 255,
    id: 0,
    fragment: 0,
    protocol: packet[6],
    len: len + 40,
  }
  const payload = packet.subarray(40, 40 + len)
  const pseudo = [packet.subarray(8, 40), u32(len), u32(ip.protocol)]
  if (ip.protocol === PROTO_ICMPV6) {
    if (onesSum(...pseudo, payload) !== 0xffff) faults.push('the ICMPv6 checksum is wrong')
    return { ip, icmp: readIcmp(payload), faults }
  }
  if (ip.protocol !== PROTO_TCP) return { ip, faults }
  return { ip, tcp: readTcp(pseudo, payload, faults), faults }
}

const readIcmp = (message: Uint8Array): SeenIcmp => ({
  type: message[0],
  code: message[1],
  rest: message.subarray(4),
})

function readTcp(pseudo: Uint8Array[], segment: Uint8Array, faults: string[]): SeenTcp {
  const headerLen = (segment[12] >> 4) * 4
  if (onesSum(...pseudo, segment) !== 0xffff) faults.push('the TCP checksum is wrong')
  if (headerLen < 20 || headerLen > segment.length) faults.push('the TCP header length is wrong')
  return {
    srcPort: word(segment, 0),
    dstPort: word(segment, 2),
    seq: long(segment, 4),
    ack: long(segment, 8),
    flags: flagLetters(segment[13]),
    reserved: segment[12] & 15,
    win: word(segment, 14),
    urgent: word(segment, 18),
    options: readOptions(segment.subarray(20, headerLen), faults),
    headerLen,
    data: segment.subarray(headerLen),
  }
}

function readOptions(bytes: Uint8Array, faults: string[]): TcpOption[] {
  const options: TcpOption[] = []
  for (let at = 0; at < bytes.length; ) {
    const kind = bytes[at]
    if (kind === 0) {
      // MUST-69: what follows the end of the options is zeros.
      if (bytes.subarray(at).some(byte => byte !== 0)) faults.push('the padding is not zero')
      break
    }
    if (kind === 1) {
      at++
      continue
    }
    const len = bytes[at + 1]
    if (!(len >= 2 && at + len <= bytes.length)) {
      faults.push('an option has an illegal length')
      break
    }
    options.push({ kind, data: bytes.subarray(at + 2, at + len) })
    at += len
  }
  return options
}
