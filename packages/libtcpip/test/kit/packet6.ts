/**
 * IPv6 packets as a peer would send them, written byte by byte from the RFCs, without the library's
 * accessors; checksums are the naive twin's.
 */
import { ipv6 } from '../../src/index.ts'
import * as naive from '../reference/checksum.ts'

const ICMPV6 = 58

const parsed = new Map<string, Int32Array>()

/** The four words of an address; the same few are in all packets. */
export function wordsOf(text: string): Int32Array {
  const words = parsed.get(text) ?? ipv6.parse(text)
  parsed.set(text, words)
  return words
}

/** Sixteen bytes of an address. */
export function address(text: string): Buffer {
  const bytes = Buffer.alloc(16)
  wordsOf(text).forEach((word, i) => {
    bytes.writeInt32BE(word, 4 * i)
  })
  return bytes
}

export interface Packet6 {
  src?: string
  dst?: string
  hopLimit?: number
  /** Extension headers: protocol number and bytes, whose first is overwritten. */
  extensions?: [protocol: number, bytes: Buffer][]
  /** Upper-layer protocol; ICMPv6's checksum is filled in. */
  protocol?: number
  payload: Buffer
}

export const PEER = 'fd77::1'
export const OURS = 'fd77::2'

/** An IPv6 packet. */
export function packet6(p: Packet6): Buffer {
  const src = address(p.src ?? PEER)
  const dst = address(p.dst ?? OURS)
  const protocol = p.protocol ?? ICMPV6
  const payload = Buffer.from(p.payload)
  if (protocol === ICMPV6 && payload.length >= 4) {
    payload.writeUInt16BE(0, 2)
    payload.writeUInt16BE(~checksum6(src, dst, protocol, payload) & 0xffff, 2)
  }
  const chain = p.extensions ?? []
  const protocols = [...chain.map(([number]) => number), protocol]
  const headers = chain.map(([, bytes], i) => {
    const header = Buffer.from(bytes)
    header[0] = protocols[i + 1]
    return header
  })
  const rest = Buffer.concat([...headers, payload])
  const fixed = Buffer.from('6000000000000000', 'hex')
  fixed.writeUInt16BE(rest.length, 4)
  fixed[6] = protocols[0]
  fixed[7] = p.hopLimit ?? 64
  return Buffer.concat([fixed, src, dst, rest])
}

/** The sum of pseudo-header (RFC 8200 §8.1) and message. */
export function checksum6(src: Buffer, dst: Buffer, protocol: number, message: Buffer): number {
  const tail = Buffer.alloc(8)
  tail.writeUInt32BE(message.length, 0)
  tail[7] = protocol
  const all = Buffer.concat([src, dst, tail, message])
  return naive.sum(new DataView(all.buffer, all.byteOffset, all.length), 0, all.length)
}

/** Puts an Ethernet header, given as hex addresses, in front of a packet. */
export const frame6 = (dstMac: string, srcMac: string, packet: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${dstMac}${srcMac}86dd`, 'hex'), packet])

/** An options header (hop-by-hop or destination) with these options, padded to eight bytes. */
export function optionsHeader(...options: number[]): Buffer {
  const bytes = [0, 0, ...options]
  const missing = -bytes.length & 7
  if (missing === 1) bytes.push(0)
  else if (missing > 1) bytes.push(1, missing - 2, ...new Array<number>(missing - 2).fill(0))
  bytes[1] = bytes.length / 8 - 1
  return Buffer.from(bytes)
}

/** An ICMPv6 message: type, code, second word, data. */
export function message6(type: number, code: number, word: number, data: Buffer): Buffer {
  const bytes = Buffer.alloc(8 + data.length)
  bytes[0] = type
  bytes[1] = code
  bytes.writeUInt32BE(word >>> 0, 4)
  data.copy(bytes, 8)
  return bytes
}
