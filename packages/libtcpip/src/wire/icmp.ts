/**
 * ICMP header accessors (RFC 792; RFC 1122 §3.2.2), as echo has them; an error has the first bytes
 * of the packet that it is about where the data is, and "fragmentation needed" an MTU where the
 * sequence number is (RFC 1191 §4).
 *
 *    0       1       2               4               6               8
 *   +-------+-------+---------------+---------------+---------------+--------
 *   | type  | code  |   checksum    |      id       |   sequence    | data …
 *   +-------+-------+---------------+---------------+---------------+--------
 *
 * The checksum covers the whole message and has no pseudo-header. Call `check` first.
 */
import { OK } from '@sandstorm/libeth'
import { ICMP_CHECKSUM, ICMP_TRUNCATED } from '../drops.ts'
import { sum } from './checksum.ts'

const TYPE = 0
const CODE = 1
const CHECKSUM = 2
const ID = 4
const SEQUENCE = 6
/** Bytes in front of an echo's data. */
export const HEADER_LEN = 8

export const ECHO_REPLY = 0
export const ECHO_REQUEST = 8
// Errors
export const DESTINATION_UNREACHABLE = 3
export const SOURCE_QUENCH = 4
export const REDIRECT = 5
export const TIME_EXCEEDED = 11
export const PARAMETER_PROBLEM = 12
// Codes of "destination unreachable"
export const PROTOCOL_UNREACHABLE = 2
export const PORT_UNREACHABLE = 3
export const FRAGMENTATION_NEEDED = 4

export const type = (view: DataView, off: number): number => view.getUint8(off + TYPE)
export const code = (view: DataView, off: number): number => view.getUint8(off + CODE)
export const checksum = (view: DataView, off: number): number => view.getUint16(off + CHECKSUM)
export const id = (view: DataView, off: number): number => view.getUint16(off + ID)
export const sequence = (view: DataView, off: number): number => view.getUint16(off + SEQUENCE)
/** Of "fragmentation needed": the next hop's, or 0 from a router that does not say. */
export const nextHopMtu = (view: DataView, off: number): number => view.getUint16(off + SEQUENCE)

export const setType = (view: DataView, off: number, v: number): void =>
  view.setUint8(off + TYPE, v)
export const setCode = (view: DataView, off: number, v: number): void =>
  view.setUint8(off + CODE, v)
export const setChecksum = (view: DataView, off: number, v: number): void =>
  view.setUint16(off + CHECKSUM, v)
export const setId = (view: DataView, off: number, v: number): void => view.setUint16(off + ID, v)
export const setSequence = (view: DataView, off: number, v: number): void =>
  view.setUint16(off + SEQUENCE, v)

/** Validates the message of `len` bytes at `off`, checksum included. */
export function check(view: DataView, off: number, len: number): number {
  if (len < HEADER_LEN) return ICMP_TRUNCATED
  return sum(view, off, len) === 0xffff ? OK : ICMP_CHECKSUM
}
