/**
 * IPv4 header accessors (RFC 791 §3.1; checks: RFC 1122 §3.2.1).
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-------+-------+---------------+-------------------------------+
 *   |Version|  IHL  |Type of Service|          Total Length         |
 *   +-------+-------+---------------+-----+-------------------------+
 *   |         Identification        |Flags|      Fragment Offset    |
 *   +---------------+---------------+-----+-------------------------+
 *   |  Time to Live |    Protocol   |         Header Checksum       |
 *   +---------------+---------------+-------------------------------+
 *   |                       Source Address                          |
 *   +---------------------------------------------------------------+
 *   |                    Destination Address                        |
 *   +---------------------------------------------------------------+
 *
 * A header is (view, off); addresses are int32. Call `check` once per packet; accessors trust it.
 */

import { OK } from '@sandstorm/libeth'
import {
  IP_CHECKSUM,
  IP_FRAGMENT,
  IP_HEADER_LEN,
  IP_OPTIONS_MALFORMED,
  IP_OPTIONS_SOURCE_ROUTE,
  IP_TOTAL_LEN,
  IP_TRUNCATED,
  IP_VERSION,
} from '../drops.ts'
import { fold } from './checksum.ts'

const VERSION_IHL = 0
const TOS = 1
const TOTAL_LEN = 2
const ID = 4
const FRAGMENT = 6
const TTL = 8
const PROTOCOL = 9
const CHECKSUM = 10
const SRC = 12
const DST = 16
/** Bytes of a header without options. */
export const HEADER_LEN = 20

export const PROTO_ICMP = 1
export const PROTO_TCP = 6
export const PROTO_UDP = 17

/**
 * The last two bits of `tos` (RFC 3168 §5): ECN-capable transport or not, congestion experienced.
 */
export const ECN_MASK = 3
export const ECT_1 = 1
export const ECT_0 = 2
export const CE = 3

/** Bits of `fragment`. */
export const DONT_FRAGMENT = 0x4000
export const MORE_FRAGMENTS = 0x2000
export const FRAGMENT_OFFSET_MASK = 0x1fff

const OPTION_END = 0
const OPTION_NOP = 1
const OPTION_LSRR = 131
const OPTION_SSRR = 137

export const version = (view: DataView, off: number): number => view.getUint8(off) >> 4
/** Header length in bytes, options included. */
export const headerLen = (view: DataView, off: number): number => (view.getUint8(off) & 15) << 2
export const tos = (view: DataView, off: number): number => view.getUint8(off + TOS)
export const totalLen = (view: DataView, off: number): number => view.getUint16(off + TOTAL_LEN)
export const id = (view: DataView, off: number): number => view.getUint16(off + ID)
/** Flags and fragment offset, as they lie there. */
export const fragment = (view: DataView, off: number): number => view.getUint16(off + FRAGMENT)
export const ttl = (view: DataView, off: number): number => view.getUint8(off + TTL)
export const protocol = (view: DataView, off: number): number => view.getUint8(off + PROTOCOL)
export const checksum = (view: DataView, off: number): number => view.getUint16(off + CHECKSUM)
export const src = (view: DataView, off: number): number => view.getInt32(off + SRC)
export const dst = (view: DataView, off: number): number => view.getInt32(off + DST)
/** Offset of what the packet carries. */
export const payloadOff = (view: DataView, off: number): number => off + headerLen(view, off)

/** Writes version 4 and the header length, in bytes. */
export const setHeaderLen = (view: DataView, off: number, len: number): void =>
  view.setUint8(off + VERSION_IHL, 0x40 | (len >> 2))
export const setTos = (view: DataView, off: number, v: number): void => view.setUint8(off + TOS, v)
export const setTotalLen = (view: DataView, off: number, v: number): void =>
  view.setUint16(off + TOTAL_LEN, v)
export const setId = (view: DataView, off: number, v: number): void => view.setUint16(off + ID, v)
export const setFragment = (view: DataView, off: number, v: number): void =>
  view.setUint16(off + FRAGMENT, v)
export const setTtl = (view: DataView, off: number, v: number): void => view.setUint8(off + TTL, v)
export const setProtocol = (view: DataView, off: number, v: number): void =>
  view.setUint8(off + PROTOCOL, v)
export const setChecksum = (view: DataView, off: number, v: number): void =>
  view.setUint16(off + CHECKSUM, v)
export const setSrc = (view: DataView, off: number, v: number): void => view.setInt32(off + SRC, v)
export const setDst = (view: DataView, off: number, v: number): void => view.setInt32(off + DST, v)

/**
 * Validates the packet in the `len` bytes at `off`. After OK the header lies inside, its checksum
 * is right, and `totalLen` is at most `len`: what is behind it is Ethernet padding, not data.
 */
export function check(view: DataView, off: number, len: number): number {
  if (len < HEADER_LEN) return IP_TRUNCATED
  if (version(view, off) !== 4) return IP_VERSION
  const hdr = headerLen(view, off)
  if (hdr < HEADER_LEN || hdr > len) return IP_HEADER_LEN
  const total = totalLen(view, off)
  if (total < hdr || total > len) return IP_TOTAL_LEN
  if (!isSumRight(view, off, hdr)) return IP_CHECKSUM
  if ((fragment(view, off) & (MORE_FRAGMENTS | FRAGMENT_OFFSET_MASK)) !== 0) return IP_FRAGMENT
  return hdr === HEADER_LEN ? OK : checkOptions(view, off + HEADER_LEN, off + hdr)
}

/**
 * Is the sum of the `len` bytes at `off` 0xffff, whatever the byte order (RFC 1071 §2 (B))? For so
 * few bytes 16-bit words and integers cost less than what `sum` does.
 */
function isSumRight(view: DataView, off: number, len: number): boolean {
  let s = 0
  for (const end = off + len; off < end; off += 4) {
    s += view.getUint16(off, true) + view.getUint16(off + 2, true)
  }
  return fold(s) === 0xffff
}

/** Options are skipped, but a source route is refused, and an impossible length ends the packet. */
function checkOptions(view: DataView, off: number, end: number): number {
  while (off < end) {
    const kind = view.getUint8(off)
    if (kind === OPTION_END) return OK
    if (kind === OPTION_NOP) {
      off++
      continue
    }
    if (kind === OPTION_LSRR || kind === OPTION_SSRR) return IP_OPTIONS_SOURCE_ROUTE
    const len = off + 1 < end ? view.getUint8(off + 1) : 0
    if (len < 2 || off + len > end) return IP_OPTIONS_MALFORMED
    off += len
  }
  return OK
}

/** The pseudo-header's part of a TCP or UDP checksum (RFC 9293 §3.1); `len`: header and data. */
export function pseudoSum(from: number, to: number, proto: number, len: number): number {
  return fold((from >>> 16) + (from & 0xffff) + (to >>> 16) + (to & 0xffff) + proto + len)
}

/** Can no unicast packet come from here? 0/8, 127/8, 224/4 and 240/4 with 255.255.255.255. */
export function isBadSource(address: number): boolean {
  const first = address >>> 24
  return first === 0 || first === 127 || first >= 224
}

/** Set-up only: "10.77.0.2" as int32. Throws an Error that quotes the text if it is no address. */
export function parse(text: string): number {
  const parts = text.split('.')
  let address = 0
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) address = Number.NaN
    address = address * 256 + Number(part)
  }
  if (parts.length !== 4 || Number.isNaN(address)) {
    throw new Error(`not an IPv4 address: ${JSON.stringify(text)}`)
  }
  return address | 0
}

/** Set-up and traces only: an int32 as "10.77.0.2". */
export function formatAddress(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`
}
