/**
 * UDP (RFC 768): nobody listens on any port, so all that a datagram can bring about is an error,
 * port unreachable. One that was damaged on its way earns none, since nobody knows whom it was for
 * (RFC 1122 §4.1.3.4), nor does one over IPv6 without a checksum (RFC 8200 §8.1).
 */
import { OK } from '@sandstorm/libeth'
import { RX_CSUM_GOOD, RX_CSUM_PARTIAL } from '@sandstorm/libnmio'
import { UDP_CHECKSUM } from '../drops.ts'
import { fold, sum } from '../wire/checksum.ts'
import * as udp from '../wire/udp.ts'

/**
 * May the sender of the datagram in the `room` bytes at `off` be told? OK, or why it is dropped in
 * silence. `pseudoSum`: the pseudo-header's sum, without the length.
 */
export function udpCheck(
  view: DataView,
  off: number,
  room: number,
  pseudoSum: number,
  needsChecksum: boolean,
  rxFlags: number,
): number {
  const reason = udp.check(view, off, room)
  if (reason !== OK) return reason
  if (!udp.hasChecksum(view, off)) return needsChecksum ? UDP_CHECKSUM : OK
  if (rxFlags & (RX_CSUM_GOOD | RX_CSUM_PARTIAL)) return OK
  const len = udp.length(view, off)
  return fold(pseudoSum + len + sum(view, off, len)) === 0xffff ? OK : UDP_CHECKSUM
}
