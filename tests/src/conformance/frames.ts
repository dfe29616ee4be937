/**
 * Raw frames of the conformance probe: Ethernet, ARP, IPv4, IPv6, ICMP, TCP, written and read byte
 * by byte. Nothing here is shared with the stack under test, so that a mistake in its header code
 * cannot hide itself; the Linux kernel, which takes these frames too, vouches for them.
 */

export const ETH_IPV4 = 0x0800
export const ETH_ARP = 0x0806
export const ETH_IPV6 = 0x86dd
export const PROTO_ICMP = 1
export const PROTO_TCP = 6
export const PROTO_UDP = 17
export const PROTO_ICMPV6 = 58

/** Flags as tcpdump writes them, lowest bit first; `.` is ACK. */
const FLAG_LETTERS = ['F', 'S', 'R', 'P', '.', 'U', 'E', 'W']
export const BROADCAST_MAC: Uint8Array = new Uint8Array(6).fill(0xff)

/** `S.` → 0x12. */
export function flagBits(letters: string): number {
  let bits = 0
  for (const letter of letters) {
    const bit = FLAG_LETTERS.indexOf(letter)
    if (bit < 0) throw new Error(`no such flag: ${letter}`)
    bits |= 1 << bit
  }
  return bits
}

export const flagLetters = (bits: number): string =>
  FLAG_LETTERS.filter((_, bit) => bits & (1 << bit)).join('')

/** Four or sixteen bytes of an address as text. */
export function address(text: string): Uint8Array {
  if (!text.includes(':')) return Uint8Array.from(text.split('.').map(Number))
  const [head, tail] = text.split('::')
  const words = (part: string | undefined): number[] =>
    part ? part.split(':').map(word => Number.parseInt(word, 16)) : []
  const first = words(head)
  const last = words(tail)
  const all = [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last]
  return Uint8Array.from(all.flatMap(word => [word >> 8, word & 255]))
}

export const addressText = (bytes: Uint8Array): string =>
  bytes.length === 4
    ? bytes.join('.')
    : Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] << 8) | bytes[2 * i + 1]).toString(16))
        .join(':')
        .replace(/\b0(:0)+\b/, ':')
        .replace(':::', '::')

export const mac = (text: string): Uint8Array =>
  Uint8Array.from(text.split(':').map(byte => Number.parseInt(byte, 16)))

export const concat = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts))
export const u16 = (n: number): Uint8Array => Uint8Array.of((n >> 8) & 255, n & 255)
export const u32 = (n: number): Uint8Array => concat(u16(n >>> 16), u16(n & 0xffff))

/** RFC 1071: the one's complement sum, not yet complemented. */
export function onesSum(...parts: Uint8Array[]): number {
  let sum = 0
  for (const part of parts) {
    for (let i = 0; i < part.length; i++) sum += i % 2 === 0 ? part[i] << 8 : part[i]
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536)
  return sum
}

/** Source and destination as the network layer has them: IPv4 or IPv6, told by their length. */
export interface Route {
  readonly src: Uint8Array
  readonly dst: Uint8Array
}

const pseudoHeader = ({ src, dst }: Route, protocol: number, len: number): Uint8Array =>
  src.length === 4
    ? concat(src, dst, u16(protocol), u16(len))
    : concat(src, dst, u32(len), u32(protocol))

export interface TcpFields {
  srcPort: number
  dstPort: number
  seq: number
  ack: number
  /** Letters. */
  flags: string
  win: number
  urgent?: number
  /** The four bits between data offset and flags. */
  reserved?: number
  options?: Uint8Array
  data?: Uint8Array
  /** Data offset in words, if it is to lie. */
  offset?: number
  /** Added to the right checksum. */
  checksumError?: number
}

export function tcp(route: Route, fields: TcpFields): Uint8Array {
  const options = fields.options ?? new Uint8Array(0)
  const padded = concat(options, new Uint8Array(-options.length & 3))
  const data = fields.data ?? new Uint8Array(0)
  const offset = fields.offset ?? 5 + padded.length / 4
  const segment = concat(
    u16(fields.srcPort),
    u16(fields.dstPort),
    u32(fields.seq),
    u32(fields.ack),
    Uint8Array.of((offset << 4) | (fields.reserved ?? 0), flagBits(fields.flags)),
    u16(fields.win),
    u16(0),
    u16(fields.urgent ?? 0),
    padded,
    data,
  )
  const sum = onesSum(pseudoHeader(route, PROTO_TCP, segment.length), segment)
  segment.set(u16(~sum + (fields.checksumError ?? 0)), 16)
  return segment
}

export interface IpFields extends Route {
  protocol: number
  ttl?: number
  /** DSCP and ECN; the traffic class of IPv6. */
  tos?: number
  id?: number
  /** DF, MF and offset of IPv4, as one word. */
  fragment?: number
  options?: Uint8Array
  /** Changes the header before its checksum is made. */
  spoil?: (header: Uint8Array) => void
  checksumError?: number
}

export function ip(fields: IpFields, payload: Uint8Array): Uint8Array {
  return fields.src.length === 4 ? ipv4(fields, payload) : ipv6(fields, payload)
}

function ipv4(fields: IpFields, payload: Uint8Array): Uint8Array {
  const options = fields.options ?? new Uint8Array(0)
  const headerLen = 20 + options.length
  const header = concat(
    Uint8Array.of(0x40 | (headerLen / 4), fields.tos ?? 0),
    u16(headerLen + payload.length),
    u16(fields.id ?? 0x1234),
    u16(fields.fragment ?? 0),
    Uint8Array.of(fields.ttl ?? 64, fields.protocol, 0, 0),
    fields.src,
    fields.dst,
    options,
  )
  fields.spoil?.(header)
  header.set(u16(~onesSum(header) + (fields.checksumError ?? 0)), 10)
  return concat(header, payload)
}

function ipv6(fields: IpFields, payload: Uint8Array): Uint8Array {
  const header = concat(
    u32((6 << 28) | ((fields.tos ?? 0) << 20)),
    u16(payload.length),
    Uint8Array.of(fields.protocol, fields.ttl ?? 64),
    fields.src,
    fields.dst,
  )
  fields.spoil?.(header)
  return concat(header, payload)
}

export const ethernet = (
  dst: Uint8Array,
  src: Uint8Array,
  type: number,
  payload: Uint8Array,
): Uint8Array => concat(dst, src, u16(type), payload)

export function icmp(type: number, code: number, rest: Uint8Array): Uint8Array {
  const message = concat(Uint8Array.of(type, code, 0, 0), rest)
  message.set(u16(~onesSum(message)), 2)
  return message
}

export function icmpv6(route: Route, type: number, code: number, rest: Uint8Array): Uint8Array {
  const message = concat(Uint8Array.of(type, code, 0, 0), rest)
  message.set(u16(~onesSum(pseudoHeader(route, PROTO_ICMPV6, message.length), message)), 2)
  return message
}

export function udp(route: Route, srcPort: number, dstPort: number, data: Uint8Array): Uint8Array {
  const datagram = concat(u16(srcPort), u16(dstPort), u16(8 + data.length), u16(0), data)
  datagram.set(u16(~onesSum(pseudoHeader(route, PROTO_UDP, datagram.length), datagram)), 6)
  return datagram
}

export interface ArpFields {
  operation: number
  senderMac: Uint8Array
  senderIp: Uint8Array
  targetMac: Uint8Array
  targetIp: Uint8Array
}

/** Hardware type 1, protocol 0x0800, lengths 6 and 4; `spoil` may make them something else. */
export function arp(fields: ArpFields, spoil?: (packet: Uint8Array) => void): Uint8Array {
  const packet = concat(
    Uint8Array.of(0, 1, 8, 0, 6, 4),
    u16(fields.operation),
    fields.senderMac,
    fields.senderIp,
    fields.targetMac,
    fields.targetIp,
  )
  spoil?.(packet)
  return packet
}
