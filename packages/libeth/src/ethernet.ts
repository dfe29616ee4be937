/**
 * Ethernet II header accessors (RFC 894; IEEE 802.3 clause 3.2.6 for the type/length split).
 *
 *    0               6              12      14
 *   +---------------+---------------+-------+----------
 *   |  destination  |    source     | type  | payload …
 *   +---------------+---------------+-------+----------
 *
 * A header is (view, off). A hardware address is a pair of numbers: `hi`, its first two bytes as
 * uint16, and `lo`, its last four as int32, so that neither reading nor comparing one allocates.
 */
import { ETH_BAD_SOURCE, ETH_LENGTH, ETH_TRUNCATED, ETH_VLAN, OK } from './drops.ts'

const DST = 0
const SRC = 6
const TYPE = 12
/** Of a tag (IEEE 802.1Q §9.6): what names its VLAN, and the type of what follows. */
const TAG_CONTROL = 14
const TAGGED_TYPE = 16
const VLAN_ID_MASK = 0x0fff
/** Bytes of an Ethernet II header, and of a tag in it, before the type. */
export const HEADER_LEN = 14
export const TAG_LEN = 4

export const TYPE_IPV4 = 0x0800
export const TYPE_ARP = 0x0806
export const TYPE_IPV6 = 0x86dd

/** Below this the field is an 802.3 length. */
const TYPE_MIN = 0x0600
export const TYPE_VLAN = 0x8100
const TYPE_SERVICE_VLAN = 0x88a8
const TYPE_QINQ = 0x9100

/** The group bit (I/G) as it lies in `hi`. */
export const GROUP_BIT = 0x0100
/** ff:ff:ff:ff:ff:ff. */
export const BROADCAST_HI = 0xffff
export const BROADCAST_LO: number = -1

export const dstHi = (view: DataView, off: number): number => view.getUint16(off + DST)
export const dstLo = (view: DataView, off: number): number => view.getInt32(off + DST + 2)
export const srcHi = (view: DataView, off: number): number => view.getUint16(off + SRC)
export const srcLo = (view: DataView, off: number): number => view.getInt32(off + SRC + 2)
export const type = (view: DataView, off: number): number => view.getUint16(off + TYPE)

export function setDst(view: DataView, off: number, hi: number, lo: number): void {
  view.setUint16(off + DST, hi)
  view.setInt32(off + DST + 2, lo)
}
export function setSrc(view: DataView, off: number, hi: number, lo: number): void {
  view.setUint16(off + SRC, hi)
  view.setInt32(off + SRC + 2, lo)
}
export const setType = (view: DataView, off: number, v: number): void =>
  view.setUint16(off + TYPE, v)

/** Is the destination a group (multicast or broadcast) address? */
export const isMulticast = (view: DataView, off: number): boolean =>
  (dstHi(view, off) & GROUP_BIT) !== 0

/** `hi` of a six-byte address, for set-up. */
export const hiOf = (mac: Uint8Array): number => (mac[0] << 8) | mac[1]
/** `lo` of a six-byte address, for set-up. */
export const loOf = (mac: Uint8Array): number =>
  (mac[2] << 24) | (mac[3] << 16) | (mac[4] << 8) | mac[5]

/**
 * Validates the frame of `len` bytes at `off`; after OK every accessor above may be used. Whether
 * the frame is for us, and whether its type is spoken here, is the stack's question.
 */
export function check(view: DataView, off: number, len: number): number {
  if (len < HEADER_LEN) return ETH_TRUNCATED
  const t = type(view, off)
  if (t < TYPE_MIN) return ETH_LENGTH
  if (isTagType(t)) return ETH_VLAN
  if ((srcHi(view, off) & GROUP_BIT) !== 0) return ETH_BAD_SOURCE
  return OK
}

const isTagType = (t: number): boolean =>
  t === TYPE_VLAN || t === TYPE_SERVICE_VLAN || t === TYPE_QINQ

/** The VLAN of a tagged frame; 0: of none, the tag has only a priority. */
export const vlanId = (view: DataView, off: number): number =>
  view.getUint16(off + TAG_CONTROL) & VLAN_ID_MASK

/** Has the frame of `len` bytes at `off` a tag, and one alone, that names no VLAN? */
export function isPriorityTagged(view: DataView, off: number, len: number): boolean {
  if (len < HEADER_LEN + TAG_LEN || type(view, off) !== TYPE_VLAN) return false
  return vlanId(view, off) === 0 && !isTagType(view.getUint16(off + TAGGED_TYPE))
}

/** Takes the tag out: the addresses move over it, so that the frame begins TAG_LEN bytes later. */
export function removeTag(view: DataView, off: number): void {
  const hi = srcHi(view, off)
  const lo = srcLo(view, off)
  setDst(view, off + TAG_LEN, dstHi(view, off), dstLo(view, off))
  setSrc(view, off + TAG_LEN, hi, lo)
}
