/**
 * The chain of IPv6 extension headers (RFC 8200 §4; RFC 5095, RFC 6946, RFC 8504 §5.3): from the
 * IPv6 header to the one that somebody here speaks. Any order is accepted but for hop-by-hop
 * options, which come first or not at all.
 *
 * Invariant: bounded work. At most HEADERS_MAX headers and OPTION_BYTES_MAX bytes of options are
 * looked at, no byte behind the packet, and nothing is allocated.
 *
 * Deviation (RFC 8504 §5.1): fragments are dropped and counted, since there is no reassembly; a
 * packet that only carries a fragment header is whole (RFC 6946) and accepted.
 */
import { OK } from '@sandstorm/libeth'
import {
  IP6_EXTENSION,
  IP6_FRAGMENT,
  IP6_NO_NEXT_HEADER,
  IP6_OPTION,
  IP6_PROTOCOL,
  IP6_ROUTING_HEADER,
} from '../drops.ts'
import * as icmpv6 from '../wire/icmpv6.ts'
import * as ipv6 from '../wire/ipv6.ts'

/** RFC 8504 §5.3 lets a host refuse longer chains; 8 is the least it may choose. */
const HEADERS_MAX = 8
/** Bytes of options headers in a packet; RFC 8504 §5.3 wants at least 64 in each. */
const OPTION_BYTES_MAX = 256

/** Every extension header is a multiple of this, and at least as long. */
const UNIT = 8
const ROUTING_TYPE = 2
const SEGMENTS_LEFT = 3
const FRAGMENT_OFFSET = 2
/** Offset and M flag; the two bits between are reserved, and ignored. */
const FRAGMENT_BITS = 0xfff9

const PAD1 = 0
const PADN = 1
/** What to do with an option that is not known: the two high bits of its type (RFC 8200 §4.2). */
const ACTION_SHIFT = 6
const ACTION_SKIP = 0
const ACTION_DISCARD = 1
const ACTION_PROBLEM = 2

/** No parameter problem is to be reported. */
export const NO_PROBLEM = -1

export class Ipv6Headers {
  /** The upper-layer protocol: TCP, UDP or ICMPv6. */
  protocol = 0
  /** Offset of its header, in the region. */
  off = 0
  /** Its length, to the end of the packet. */
  len = 0
  /** Whether a fragment header was passed, that of a packet which is its only fragment. */
  isFragment = false
  /** Not OK: the code of the parameter problem to report (RFC 4443 §3.4), or NO_PROBLEM. */
  problem: number = NO_PROBLEM
  /** Where the problem is: bytes from the start of the IPv6 header. */
  pointer = 0

  #optionBytes = 0

  /**
   * Walks the packet at `ip`, which `ipv6.check` found right. Returns OK and sets the first four
   * fields, or a drop reason and sets the last two.
   */
  walk(view: DataView, ip: number): number {
    const end = ip + ipv6.HEADER_LEN + ipv6.payloadLen(view, ip)
    let next = ipv6.nextHeader(view, ip)
    // Where `next` was read: what a parameter problem points at.
    let nextOff = ip + ipv6.NEXT_HEADER
    let off = ip + ipv6.HEADER_LEN
    this.isFragment = false
    this.problem = NO_PROBLEM
    this.pointer = 0
    this.#optionBytes = 0
    for (let count = 0; ; count++) {
      if (isUpper(next)) {
        this.protocol = next
        this.off = off
        this.len = end - off
        return OK
      }
      if (next === ipv6.PROTO_NONE) return IP6_NO_NEXT_HEADER
      const misplaced = next === ipv6.PROTO_HOP_BY_HOP && count > 0
      if (misplaced || !isExtension(next)) {
        return this.#report(IP6_PROTOCOL, icmpv6.UNKNOWN_NEXT_HEADER, nextOff - ip)
      }
      const len = extensionLen(view, next, off, end)
      if (len === 0 || count === HEADERS_MAX) return IP6_EXTENSION
      const reason = this.#extension(view, ip, next, off, len)
      if (reason !== OK) return reason
      next = view.getUint8(off)
      nextOff = off
      off += len
    }
  }

  #extension(view: DataView, ip: number, kind: number, off: number, len: number): number {
    if (kind === ipv6.PROTO_FRAGMENT) {
      this.isFragment = true
      const whole = (view.getUint16(off + FRAGMENT_OFFSET) & FRAGMENT_BITS) === 0
      return whole ? OK : IP6_FRAGMENT
    }
    if (kind === ipv6.PROTO_ROUTING) {
      // No type is known here; with no segments left it does not matter (RFC 8200 §4.4).
      if (view.getUint8(off + SEGMENTS_LEFT) === 0) return OK
      return this.#report(IP6_ROUTING_HEADER, icmpv6.BAD_FIELD, off + ROUTING_TYPE - ip)
    }
    this.#optionBytes += len
    if (this.#optionBytes > OPTION_BYTES_MAX) return IP6_EXTENSION
    return this.#options(view, ip, off + 2, off + len)
  }

  /** Hop-by-hop or destination options: none but padding is known. */
  #options(view: DataView, ip: number, off: number, end: number): number {
    while (off < end) {
      const type = view.getUint8(off)
      if (type === PAD1) {
        off++
        continue
      }
      if (off + 2 > end) return IP6_EXTENSION
      const next = off + 2 + view.getUint8(off + 1)
      if (next > end) return IP6_EXTENSION
      const action = type >> ACTION_SHIFT
      if (type !== PADN && action !== ACTION_SKIP) {
        // The fourth action is the third, but silent about what was sent to a group.
        const silent = action !== ACTION_PROBLEM && ipv6.isMulticast(ipv6.dst(view, ip, 0))
        if (action === ACTION_DISCARD || silent) return IP6_OPTION
        return this.#report(IP6_OPTION, icmpv6.UNKNOWN_OPTION, off - ip)
      }
      off = next
    }
    return OK
  }

  #report(reason: number, problem: number, pointer: number): number {
    this.problem = problem
    this.pointer = pointer
    return reason
  }
}

/**
 * Is the packet at `ip` an ICMPv6 error or a redirect, which no error may answer (RFC 4443 §2.4
 * (e))? Looks through the same headers as `walk`, but not into them, since one of them may be what
 * is wrong; where the chain cannot be followed the answer is no.
 */
export function carriesIcmpError(view: DataView, ip: number): boolean {
  const end = ip + ipv6.HEADER_LEN + ipv6.payloadLen(view, ip)
  let next = ipv6.nextHeader(view, ip)
  let off = ip + ipv6.HEADER_LEN
  for (let count = 0; count < HEADERS_MAX && isExtension(next); count++) {
    const len = extensionLen(view, next, off, end)
    if (len === 0) return false
    next = view.getUint8(off)
    off += len
  }
  if (next !== ipv6.PROTO_ICMPV6 || off >= end) return false
  const type = view.getUint8(off)
  return icmpv6.isError(type) || type === icmpv6.REDIRECT
}

const isUpper = (next: number): boolean =>
  next === ipv6.PROTO_TCP || next === ipv6.PROTO_ICMPV6 || next === ipv6.PROTO_UDP

const isExtension = (next: number): boolean =>
  next === ipv6.PROTO_HOP_BY_HOP ||
  next === ipv6.PROTO_DESTINATION ||
  next === ipv6.PROTO_ROUTING ||
  next === ipv6.PROTO_FRAGMENT

/** Bytes of the extension header at `off`; 0: it does not end inside the packet. */
function extensionLen(view: DataView, kind: number, off: number, end: number): number {
  if (off + UNIT > end) return 0
  // A fragment header has no length field.
  const len = kind === ipv6.PROTO_FRAGMENT ? UNIT : UNIT + view.getUint8(off + 1) * UNIT
  return off + len <= end ? len : 0
}
