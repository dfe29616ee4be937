/**
 * IPv6 header accessors (RFC 8200 §3; addresses: RFC 4291, their text: RFC 5952).
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-------+---------------+---------------------------------------+
 *   |Version| Traffic Class |              Flow Label               |
 *   +-------+---------------+-------+---------------+---------------+
 *   |         Payload Length        |  Next Header  |   Hop Limit   |
 *   +-------------------------------+---------------+---------------+
 *   |                    Source Address, 4 words                    |
 *   +---------------------------------------------------------------+
 *   |                 Destination Address, 4 words                  |
 *   +---------------------------------------------------------------+
 *
 * A header is (view, off); an address is four int32 words, w0 the first on the wire. Call `check`
 * once per packet; accessors trust it. Extension headers: ipv6Headers.ts.
 */
import { isIPv6 } from 'node:net'
import { OK } from '@sandstorm/libeth'
import { IP6_PAYLOAD_LEN, IP6_TRUNCATED, IP6_VERSION } from '../drops.ts'
import { add, fold, sum } from './checksum.ts'
import * as ipv4 from './ipv4.ts'

const PAYLOAD_LEN = 4
/** Offset of the next header field; a parameter problem points at it. */
export const NEXT_HEADER = 6
const HOP_LIMIT = 7
const SRC = 8
const DST = 24
/** Bytes of a header, without extension headers. */
export const HEADER_LEN = 40
/** Bytes of an address. */
export const ADDRESS_LEN = 16
/** Every link takes packets of this size (RFC 8200 §5). */
export const MTU_MIN = 1280

export const PROTO_HOP_BY_HOP = 0
export const PROTO_TCP = 6
export const PROTO_UDP = 17
export const PROTO_ROUTING = 43
export const PROTO_FRAGMENT = 44
export const PROTO_ICMPV6 = 58
export const PROTO_NONE = 59
export const PROTO_DESTINATION = 60

export const version = (view: DataView, off: number): number => view.getUint8(off) >> 4
/** Differentiated services and ECN, as IPv4's TOS. */
export const trafficClass = (view: DataView, off: number): number =>
  (view.getUint16(off) >> 4) & 0xff
export const flowLabel = (view: DataView, off: number): number => view.getInt32(off) & 0xfffff
/** Bytes behind the header, extension headers included. */
export const payloadLen = (view: DataView, off: number): number => view.getUint16(off + PAYLOAD_LEN)
export const nextHeader = (view: DataView, off: number): number => view.getUint8(off + NEXT_HEADER)
export const hopLimit = (view: DataView, off: number): number => view.getUint8(off + HOP_LIMIT)
/** Word `i`, 0 … 3, of the source address. */
export const src = (view: DataView, off: number, i: number): number =>
  view.getInt32(off + SRC + (i << 2))
/** Word `i`, 0 … 3, of the destination address. */
export const dst = (view: DataView, off: number, i: number): number =>
  view.getInt32(off + DST + (i << 2))
/** Offset of the source address. */
export const srcOff = (off: number): number => off + SRC
/** Offset of the destination address. */
export const dstOff = (off: number): number => off + DST

/** Writes version 6, the traffic class and the flow label (20 bits). */
export const setClassAndFlow = (view: DataView, off: number, cls: number, flow: number): void =>
  view.setInt32(off, (6 << 28) | (cls << 20) | flow)
export const setPayloadLen = (view: DataView, off: number, v: number): void =>
  view.setUint16(off + PAYLOAD_LEN, v)
export const setNextHeader = (view: DataView, off: number, v: number): void =>
  view.setUint8(off + NEXT_HEADER, v)
export const setHopLimit = (view: DataView, off: number, v: number): void =>
  view.setUint8(off + HOP_LIMIT, v)
export function setSrc(
  view: DataView,
  off: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): void {
  setAddress(view, off + SRC, w0, w1, w2, w3)
}
export function setDst(
  view: DataView,
  off: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): void {
  setAddress(view, off + DST, w0, w1, w2, w3)
}

/** Writes an address at byte offset `at`. */
export function setAddress(
  view: DataView,
  at: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): void {
  view.setInt32(at, w0)
  view.setInt32(at + 4, w1)
  view.setInt32(at + 8, w2)
  view.setInt32(at + 12, w3)
}

/** Copies an address from byte offset `from` to byte offset `to`. */
export function copyAddress(view: DataView, to: number, from: number): void {
  for (let i = 0; i < ADDRESS_LEN; i += 4) view.setInt32(to + i, view.getInt32(from + i))
}

/** Are the addresses at these byte offsets the same? */
export function sameAddress(view: DataView, a: number, b: number): boolean {
  for (let i = 0; i < ADDRESS_LEN; i += 4) {
    if (view.getInt32(a + i) !== view.getInt32(b + i)) return false
  }
  return true
}

/**
 * Validates the packet in the `len` bytes at `off`. After OK the header lies inside, and so do the
 * `payloadLen` bytes behind it; what follows those is Ethernet padding, not data. There are no
 * jumbograms: a payload length of 0 means that nothing follows.
 */
export function check(view: DataView, off: number, len: number): number {
  if (len < HEADER_LEN) return IP6_TRUNCATED
  if (version(view, off) !== 6) return IP6_VERSION
  return HEADER_LEN + payloadLen(view, off) <= len ? OK : IP6_PAYLOAD_LEN
}

/** An address's part of a pseudo-header's sum. */
export function addressSum(w0: number, w1: number, w2: number, w3: number): number {
  return add(addWords(w0, w1), addWords(w2, w3))
}

const addWords = (a: number, b: number): number =>
  fold((a >>> 16) + (a & 0xffff) + (b >>> 16) + (b & 0xffff))

/**
 * The pseudo-header's part of a TCP or ICMPv6 checksum (RFC 8200 §8.1), from the addresses of the
 * header at `off`; `len`: upper-layer header and data, below 65536.
 */
export const pseudoSum = (view: DataView, off: number, proto: number, len: number): number =>
  add(sum(view, off + SRC, 2 * ADDRESS_LEN), fold(proto + len))

/** ff00::/8 */
export const isMulticast = (w0: number): boolean => w0 >>> 24 === 0xff
/** fe80::/10 */
export const isLinkLocal = (w0: number): boolean => w0 >>> 22 === 0xfe80 >>> 6
/** :: */
export const isUnspecified = (w0: number, w1: number, w2: number, w3: number): boolean =>
  (w0 | w1 | w2 | w3) === 0
/** ::1 */
export const isLoopback = (w0: number, w1: number, w2: number, w3: number): boolean =>
  (w0 | w1 | w2) === 0 && w3 === 1
/** ::ffff:0:0/96: an IPv4 address in an API, never on a wire (RFC 4942 §2.2). */
export const isV4Mapped = (w0: number, w1: number, w2: number): boolean =>
  (w0 | w1) === 0 && w2 === 0xffff

/**
 * Can no unicast packet come from here? Multicast, IPv4-mapped, and ::/96 with :: (which a host
 * without an address may use in ICMPv6) and ::1.
 */
export const isBadSource = (w0: number, w1: number, w2: number): boolean =>
  isMulticast(w0) || ((w0 | w1) === 0 && (w2 === 0 || w2 === 0xffff))

/** First word of the link-local groups: ff02::1 (all nodes) and the others differ in the rest. */
export const LINK_GROUP_W0: number = 0xff02 << 16
/** ff02::1, all nodes: its last word; the two between are 0. */
export const ALL_NODES_W3 = 1
/** ff02::16, all MLDv2-capable routers (RFC 3810 §5.2.14): its last word. */
export const ALL_MLD_ROUTERS_W3 = 0x16
/** ff02::1:ff00:0/104, the solicited-node groups (RFC 4291 §2.7.1): their third word. */
export const SOLICITED_W2 = 1
/** The last word of an address's solicited-node group, by the address's last word. */
export const solicitedW3 = (w3: number): number => (0xff << 24) | (w3 & 0xffffff)
/** Is the address at byte offset `at` a solicited-node group? */
export const isSolicitedGroup = (view: DataView, at: number): boolean =>
  view.getInt32(at) === LINK_GROUP_W0 &&
  view.getInt32(at + 4) === 0 &&
  view.getInt32(at + 8) === SOLICITED_W2 &&
  view.getUint8(at + 12) === 0xff
/** The first two bytes of a group's hardware address; the other four are its w3 (RFC 2464 §7). */
export const GROUP_MAC_HI = 0x3333

/** Set-up only: the link-local address that comes with a hardware address (RFC 2464 §4, §5). */
export function linkLocalOf(mac: Uint8Array): Int32Array {
  const high = ((mac[0] ^ 2) << 24) | (mac[1] << 16) | (mac[2] << 8) | 0xff
  const low = (0xfe << 24) | (mac[3] << 16) | (mac[4] << 8) | mac[5]
  return Int32Array.of(0xfe80 << 16, 0, high, low)
}

/**
 * Set-up only: "fd77::2" as four words. Throws an Error that quotes the text if it is no address.
 */
export function parse(text: string): Int32Array {
  // A zone ("%eth0") is an interface's name, not part of an address.
  if (!isIPv6(text) || text.includes('%')) {
    throw new Error(`not an IPv6 address: ${JSON.stringify(text)}`)
  }
  const [head, tail] = text.split('::')
  const groups = parseGroups(head)
  if (tail !== undefined) {
    const last = parseGroups(tail)
    while (groups.length + last.length < 8) groups.push(0)
    groups.push(...last)
  }
  return Int32Array.from({ length: 4 }, (_, i) => (groups[2 * i] << 16) | groups[2 * i + 1])
}

/** "fd77:0:a" as numbers; a dotted quad at the end is two. */
function parseGroups(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap(group => {
    if (!group.includes('.')) return Number.parseInt(group, 16)
    const address = ipv4.parse(group)
    return [address >>> 16, address & 0xffff]
  })
}

/** Set-up and traces only: four words as RFC 5952 writes them. */
export function formatAddress(w0: number, w1: number, w2: number, w3: number): string {
  if (isV4Mapped(w0, w1, w2)) return `::ffff:${ipv4.formatAddress(w3)}`
  const groups = [w0, w1, w2, w3].flatMap(w => [w >>> 16, w & 0xffff])
  // §4.2: the longest run of zeros, at least two, the first of equals.
  let start = -1
  let best = 1
  for (let i = 0; i < 8; i++) {
    let run = 0
    while (i + run < 8 && groups[i + run] === 0) run++
    if (run > best) {
      start = i
      best = run
    }
  }
  const hex = groups.map(group => group.toString(16))
  if (start < 0) return hex.join(':')
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + best).join(':')}`
}

/** Set-up and traces only: the address at byte offset `at`. */
export const formatAt = (view: DataView, at: number): string =>
  formatAddress(
    view.getInt32(at),
    view.getInt32(at + 4),
    view.getInt32(at + 8),
    view.getInt32(at + 12),
  )
