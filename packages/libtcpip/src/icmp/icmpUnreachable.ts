/**
 * Destination unreachable (RFC 792, RFC 1122 §3.2.2.1): who sends UDP, or a protocol that nobody
 * here speaks, is told so, within a limit. The caller has seen to it that the packet came from a
 * host, to an address of ours alone, whole (RFC 1122 §3.2.2: no errors about anything else); it is
 * not ICMP, so no error is about an error.
 */
import { ethernet } from '@sandstorm/libeth'
import { NO_FRAME } from '@sandstorm/libnmio'
import type { IpHost } from '../ip/ipHost.ts'
import { sum } from '../wire/checksum.ts'
import * as icmp from '../wire/icmp.ts'
import * as ipv4 from '../wire/ipv4.ts'
import { pushReply } from './icmpReply.ts'

/**
 * Of the packet as much is quoted as the smallest that every host takes can hold
 * (RFC 1812 §4.3.2.3).
 */
const QUOTE_MAX = 576 - ipv4.HEADER_LEN - icmp.HEADER_LEN
/** Precedence 6, internetwork control, is for routers; a host's errors are ordinary. */
const TOS = 0

/**
 * Answers the IPv4 packet in the Ethernet frame at `frameOff`; without room or leave it does not.
 */
export function answerUnreachable(host: IpHost, frameOff: number, code: number): void {
  if (host.device.txSpace() === 0 || !host.errorLimit.take(host.tcp.nowMs)) return
  const frame = host.frames.alloc()
  if (frame === NO_FRAME) return
  const { region } = host.device
  const { view, bytes } = region
  const packet = frameOff + ethernet.HEADER_LEN
  const total = ipv4.totalLen(view, packet)
  const quoted = total < QUOTE_MAX ? total : QUOTE_MAX
  const message = host.frames.payloadOff(frame)
  const len = icmp.HEADER_LEN + quoted
  bytes.fill(0, message, message + icmp.HEADER_LEN)
  icmp.setType(view, message, icmp.DESTINATION_UNREACHABLE)
  icmp.setCode(view, message, code)
  region.copy(message + icmp.HEADER_LEN, packet, quoted)
  icmp.setChecksum(view, message, ~sum(view, message, len))
  pushReply(host, frameOff, frame, len, TOS)
}
