/**
 * Frames the slow way: every byte written by hand from RFC 894, 791, 8200 and 9293, every checksum
 * computed over the bytes (RFC 1071). Nothing here uses the library, so it can stand against it.
 */

/** An IPv4 address as an int32, an IPv6 address as 32 hexadecimal digits. */
export type Address = number | string

/** What a TCP segment in a frame says; `options`: a multiple of four bytes. */
export interface FrameFields {
  srcMac: Uint8Array
  dstMac: Uint8Array
  srcAddr: Address
  dstAddr: Address
  srcPort: number
  dstPort: number
  seq: number
  ack: number
  flags: number
  window: number
  /** Type of service; 0 unless given. */
  tos?: number
  options: Uint8Array
  payload: Uint8Array
}

export const FIN = 1
export const SYN = 2
export const RST = 4
export const PSH = 8
export const ACK = 16

/** ECN-capable transport, in the type of service. */
export const ECT_0 = 2

const IP = 14
const IPV4_LEN = 20
const IPV6_LEN = 40

/** The one's complement sum of big-endian words, an odd last byte padded with zero; 16 bits. */
export function naiveSum(bytes: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i] * 256 + (i + 1 < bytes.length ? bytes[i + 1] : 0)
    if (sum > 0xffff) sum -= 0xffff
  }
  return sum
}

const be = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => (value >>> (8 * (bytes - 1 - i))) & 0xff)

/** NOP, NOP and timestamps, as every sender writes them (RFC 7323 appendix A). */
export const timestampsOption = (tsVal: number, tsEcr: number): number[] => [
  ...[1, 1, 8, 10, ...be(tsVal, 4), ...be(tsEcr, 4)],
]

/** TSval among option bytes, int32; undefined without timestamps. */
export function tsValOf(options: Uint8Array): number | undefined {
  for (let at = 0; at < options.length && options[at] !== 0; ) {
    if (options[at] === 8) return i32(options, at + 2)
    at += options[at] === 1 ? 1 : options[at + 1]
  }
  return undefined
}

const addressBytes = (address: Address): number[] =>
  typeof address === 'number' ? be(address, 4) : [...Buffer.from(address, 'hex')]

/** RFC 9293 §3.1, RFC 8200 §8.1. */
export const pseudoHeader = (srcAddr: Address, dstAddr: Address, tcpLen: number): number[] => [
  ...[...addressBytes(srcAddr), ...addressBytes(dstAddr)],
  ...(typeof srcAddr === 'number' ? [0, 6, ...be(tcpLen, 2)] : [...be(tcpLen, 4), 0, 0, 0, 6]),
]

/** The TCP checksum field of `segment` (its own field must be zero). */
function tcpChecksum(srcAddr: Address, dstAddr: Address, segment: Uint8Array): number {
  const pseudo = pseudoHeader(srcAddr, dstAddr, segment.length)
  return ~naiveSum(Uint8Array.from([...pseudo, ...segment])) & 0xffff
}

/** No options, DF, TTL 64, ID 0. */
function ipv4Header(f: FrameFields, tcpLen: number): Uint8Array {
  const ip = Uint8Array.from([
    ...[0x45, f.tos ?? 0, ...be(20 + tcpLen, 2), 0, 0, 0x40, 0, 64, 6, 0, 0],
    ...addressBytes(f.srcAddr),
    ...addressBytes(f.dstAddr),
  ])
  ip.set(be(~naiveSum(ip) & 0xffff, 2), 10)
  return ip
}

/** No extension headers, no flow label, hop limit 64. */
function ipv6Header(f: FrameFields, tcpLen: number): Uint8Array {
  const tos = f.tos ?? 0
  return Uint8Array.from([
    ...[0x60 | (tos >> 4), (tos & 15) << 4, 0, 0, ...be(tcpLen, 2), 6, 64],
    ...addressBytes(f.srcAddr),
    ...addressBytes(f.dstAddr),
  ])
}

/** The whole frame, of IPv4 or IPv6 as its addresses are. */
export function buildFrame(f: FrameFields): Uint8Array {
  const tcpLen = 20 + f.options.length + f.payload.length
  const four = typeof f.srcAddr === 'number'
  const ip = four ? ipv4Header(f, tcpLen) : ipv6Header(f, tcpLen)
  const dataOff = (5 + f.options.length / 4) << 4
  const tcp = Uint8Array.from([
    ...[...be(f.srcPort, 2), ...be(f.dstPort, 2), ...be(f.seq, 4), ...be(f.ack, 4)],
    ...[dataOff, f.flags, ...be(f.window, 2), 0, 0, 0, 0],
    ...f.options,
    ...f.payload,
  ])
  tcp.set(be(tcpChecksum(f.srcAddr, f.dstAddr, tcp), 2), 16)
  const type = four ? [0x08, 0x00] : [0x86, 0xdd]
  return Uint8Array.from([...f.dstMac, ...f.srcMac, ...type, ...ip, ...tcp])
}

const u16 = (b: Uint8Array, i: number): number => (b[i] << 8) | b[i + 1]
const i32 = (b: Uint8Array, i: number): number => (u16(b, i) << 16) | u16(b, i + 2)

/** The IPv6 address at `off`. */
export const addressAt = (frame: Uint8Array, off: number): string =>
  Buffer.from(frame.subarray(off, off + 16)).toString('hex')

type Wrong = (what: string) => Error

function checkIpv4(frame: Uint8Array, wrong: Wrong): void {
  if (u16(frame, 12) !== 0x0800) throw wrong('not an IP frame')
  if (frame[IP] !== 0x45 || frame[IP + 9] !== 6) throw wrong('not TCP in plain IPv4')
  if (u16(frame, IP + 2) !== frame.length - IP) throw wrong('IP total length is not the frame')
  if (naiveSum(frame.subarray(IP, IP + IPV4_LEN)) !== 0xffff) throw wrong('bad IP checksum')
}

function checkIpv6(frame: Uint8Array, wrong: Wrong): void {
  if (frame[IP] >> 4 !== 6 || frame[IP + 6] !== 6) throw wrong('not TCP in plain IPv6')
  if (u16(frame, IP + 4) !== frame.length - IP - IPV6_LEN) throw wrong('not the payload length')
}

/** Takes a frame with a TCP segment apart; throws a sentence if anything in it is wrong. */
export function parseFrame(frame: Uint8Array): FrameFields {
  const wrong = (what: string): Error => new Error(`${what}: ${Buffer.from(frame).toString('hex')}`)
  const six = u16(frame, 12) === 0x86dd
  const tcpOff = IP + (six ? IPV6_LEN : IPV4_LEN)
  if (frame.length < tcpOff + 20) throw wrong('too short')
  if (six) checkIpv6(frame, wrong)
  else checkIpv4(frame, wrong)
  const srcAddr = six ? addressAt(frame, IP + 8) : i32(frame, IP + 12)
  const dstAddr = six ? addressAt(frame, IP + 24) : i32(frame, IP + 16)
  const segment = frame.slice(tcpOff)
  const found = u16(segment, 16)
  segment[16] = 0
  segment[17] = 0
  if (tcpChecksum(srcAddr, dstAddr, segment) !== found) throw wrong('bad TCP checksum')
  const headerLen = (segment[12] >> 4) * 4
  return {
    dstMac: frame.slice(0, 6),
    srcMac: frame.slice(6, 12),
    srcAddr,
    dstAddr,
    srcPort: u16(segment, 0),
    dstPort: u16(segment, 2),
    seq: i32(segment, 4),
    ack: i32(segment, 8),
    flags: segment[13],
    window: u16(segment, 14),
    options: segment.slice(20, headerLen),
    payload: segment.slice(headerLen),
  }
}
