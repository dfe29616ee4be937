/**
 * Neighbour discovery messages (RFC 4861 §4): ICMPv6, behind whose header lies
 *
 *    0               4                               24
 *   +---------------+-------------------------------+----------
 *   |R S O (advert.)|    target address, 4 words    | options …     solicitation, advertisement
 *   +---------------+-------------------------------+----------
 *
 * and options, each of `length` times eight bytes:
 *
 *    0       1       2                               8
 *   +-------+-------+-------------------------------+
 *   | type  |length |  hardware address (types 1, 2) …
 *   +-------+-------+-------------------------------+
 *
 * `off` is the offset of the ICMPv6 header. Call `check` once per message; accessors trust it.
 */
import { OK } from '@sandstorm/libeth'
import {
  NDP_ADDRESSES,
  NDP_CODE,
  NDP_HOP_LIMIT,
  NDP_OPTION_LENGTH,
  NDP_TRUNCATED,
} from '../drops.ts'
import * as icmpv6 from './icmpv6.ts'
import * as ipv6 from './ipv6.ts'

const FLAGS = 4
const TARGET = 8
const DESTINATION = 24
const OPTION_LEN = 1
const OPTION_MAC = 2
const OPTION_UNIT = 8

/** Bytes in front of the options of a solicitation or an advertisement. */
export const HEADER_LEN = 24
/** Bytes of an option that holds an Ethernet address. */
export const MAC_OPTION_LEN = 8
/** The hop limit of a message that no router forwarded. */
export const HOP_LIMIT = 255

/** Flags of an advertisement, as they lie in its first byte. */
export const SOLICITED = 0x40
export const OVERRIDE = 0x20

/** Option types (§4.6). */
export const SOURCE_MAC = 1
export const TARGET_MAC = 2

/** `option`: there is none. */
export const NO_OPTION = -1

export const flags = (view: DataView, off: number): number => view.getUint8(off + FLAGS)
/** Offset of the target address. */
export const targetOff = (off: number): number => off + TARGET
/** Offset of the destination address of a redirect. */
export const destinationOff = (off: number): number => off + DESTINATION
/** Hardware address in the option at `option`. */
export const macHi = (view: DataView, option: number): number => view.getUint16(option + OPTION_MAC)
export const macLo = (view: DataView, option: number): number =>
  view.getInt32(option + OPTION_MAC + 2)

/** Writes type, code 0 and flags of the message at `off`. */
export function setType(view: DataView, off: number, type: number, flags: number): void {
  icmpv6.setType(view, off, type)
  icmpv6.setCode(view, off, 0)
  icmpv6.setInfo(view, off, flags << 24)
}
/** Writes an option with a hardware address at `at`. */
export function setMacOption(
  view: DataView,
  at: number,
  kind: number,
  hi: number,
  lo: number,
): void {
  view.setUint8(at, kind)
  view.setUint8(at + OPTION_LEN, MAC_OPTION_LEN / OPTION_UNIT)
  view.setUint16(at + OPTION_MAC, hi)
  view.setInt32(at + OPTION_MAC + 2, lo)
}

/** Offset of the first option of this kind in the message of `len` bytes, or NO_OPTION. */
export function option(view: DataView, off: number, len: number, kind: number): number {
  const end = off + len
  let at = off + headerLen(icmpv6.type(view, off))
  while (at < end) {
    if (view.getUint8(at) === kind) return at
    at += view.getUint8(at + OPTION_LEN) * OPTION_UNIT
  }
  return NO_OPTION
}

/** Is a type one of these messages? */
export const isNdp = (type: number): boolean =>
  type >= icmpv6.ROUTER_SOLICITATION && type <= icmpv6.REDIRECT

/** Bytes in front of the options (§4.1 … §4.5). */
function headerLen(type: number): number {
  if (type === icmpv6.ROUTER_SOLICITATION) return 8
  if (type === icmpv6.ROUTER_ADVERTISEMENT) return 16
  return type === icmpv6.REDIRECT ? 40 : HEADER_LEN
}

/**
 * Validates the message of `len` bytes at `off`, whose checksum is right, behind the IPv6 header at
 * `ip` (RFC 4861 §6.1, §7.1, §8.1). After OK every option lies inside, and those with hardware
 * addresses have Ethernet's.
 */
export function check(view: DataView, ip: number, off: number, len: number): number {
  if (ipv6.hopLimit(view, ip) !== HOP_LIMIT) return NDP_HOP_LIMIT
  if (icmpv6.code(view, off) !== 0) return NDP_CODE
  const type = icmpv6.type(view, off)
  const hdr = headerLen(type)
  if (len < hdr) return NDP_TRUNCATED
  if (!optionsFit(view, off + hdr, off + len)) return NDP_OPTION_LENGTH
  return addressesFit(view, ip, off, len, type) ? OK : NDP_ADDRESSES
}

function optionsFit(view: DataView, at: number, end: number): boolean {
  while (at < end) {
    if (at + OPTION_UNIT > end) return false
    const kind = view.getUint8(at)
    const len = view.getUint8(at + OPTION_LEN) * OPTION_UNIT
    if (len === 0 || at + len > end) return false
    if ((kind === SOURCE_MAC || kind === TARGET_MAC) && len !== MAC_OPTION_LEN) return false
    at += len
  }
  return true
}

/** Do source, destination, target and flags go together? */
function addressesFit(view: DataView, ip: number, off: number, len: number, type: number): boolean {
  const isSolicitation = type === icmpv6.NEIGHBOUR_SOLICITATION
  const isAdvertisement = type === icmpv6.NEIGHBOUR_ADVERTISEMENT
  if (!isSolicitation && !isAdvertisement) {
    // Those of a router come from its link-local address.
    return type === icmpv6.ROUTER_SOLICITATION || ipv6.isLinkLocal(ipv6.src(view, ip, 0))
  }
  if (ipv6.isMulticast(view.getInt32(targetOff(off)))) return false
  if (isAdvertisement) {
    return !ipv6.isMulticast(ipv6.dst(view, ip, 0)) || (flags(view, off) & SOLICITED) === 0
  }
  if (!isFromNobody(view, ip)) return true
  const toGroup = ipv6.isSolicitedGroup(view, ipv6.dstOff(ip))
  return toGroup && option(view, off, len, SOURCE_MAC) === NO_OPTION
}

/** Does a packet come from ::, as in duplicate address detection? */
export const isFromNobody = (view: DataView, ip: number): boolean =>
  ipv6.isUnspecified(
    ipv6.src(view, ip, 0),
    ipv6.src(view, ip, 1),
    ipv6.src(view, ip, 2),
    ipv6.src(view, ip, 3),
  )
