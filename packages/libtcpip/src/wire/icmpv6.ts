/**
 * ICMPv6 header accessors (RFC 4443 §2.1, §3, §4; the messages of neighbour discovery: ndp.ts).
 *
 *    0       1       2               4                               8
 *   +-------+-------+---------------+-------------------------------+--------
 *   | type  | code  |   checksum    | id, sequence | MTU | pointer  | data …
 *   +-------+-------+---------------+-------------------------------+--------
 *
 * The checksum covers a pseudo-header and the whole message. An error's data is as much of the
 * packet that caused it as fits in 1280 bytes. Call `check` first.
 */
import { OK } from '@sandstorm/libeth'
import { ICMP6_CHECKSUM, ICMP6_TRUNCATED } from '../drops.ts'
import { add, finish, sum } from './checksum.ts'
import { setChecksum } from './icmp.ts'
import * as ipv6 from './ipv6.ts'

/** Type, code, checksum and an echo's two numbers lie where ICMP has them (RFC 4443 §2.1, §4.1). */
export {
  checksum,
  code,
  id,
  sequence,
  setChecksum,
  setCode,
  setId,
  setSequence,
  setType,
  type,
} from './icmp.ts'

const INFO = 4
/** Bytes in front of an echo's or an error's data; no message here is shorter. */
export const HEADER_LEN = 8

export const DESTINATION_UNREACHABLE = 1
export const PACKET_TOO_BIG = 2
export const TIME_EXCEEDED = 3
export const PARAMETER_PROBLEM = 4
export const ECHO_REQUEST = 128
export const ECHO_REPLY = 129
export const MLD_QUERY = 130
export const ROUTER_SOLICITATION = 133
export const ROUTER_ADVERTISEMENT = 134
export const NEIGHBOUR_SOLICITATION = 135
export const NEIGHBOUR_ADVERTISEMENT = 136
export const REDIRECT = 137
export const MLD2_REPORT = 143

/** Code of a destination unreachable: nobody listens on the port. */
export const PORT_UNREACHABLE = 4
/** Codes of a parameter problem (§3.4). */
export const BAD_FIELD = 0
export const UNKNOWN_NEXT_HEADER = 1
export const UNKNOWN_OPTION = 2

/** An error's second word: the MTU of a packet too big, the pointer of a parameter problem. */
export const info = (view: DataView, off: number): number => view.getUint32(off + INFO)

export const setInfo = (view: DataView, off: number, v: number): void =>
  view.setUint32(off + INFO, v)

/** Is a type an error message's? The others inform (§2.1). */
export const isError = (type: number): boolean => type < 128

/** Writes the checksum of the message of `len` bytes at `off`, behind the IPv6 header at `ip`. */
export function seal(view: DataView, ip: number, off: number, len: number): void {
  setChecksum(view, off, 0)
  const pseudo = ipv6.pseudoSum(view, ip, ipv6.PROTO_ICMPV6, len)
  setChecksum(view, off, finish(add(pseudo, sum(view, off, len))))
}

/** Validates the message of `len` bytes at `off`, checksum included; `ip`: its IPv6 header. */
export function check(view: DataView, ip: number, off: number, len: number): number {
  if (len < HEADER_LEN) return ICMP6_TRUNCATED
  const pseudo = ipv6.pseudoSum(view, ip, ipv6.PROTO_ICMPV6, len)
  return add(pseudo, sum(view, off, len)) === 0xffff ? OK : ICMP6_CHECKSUM
}
