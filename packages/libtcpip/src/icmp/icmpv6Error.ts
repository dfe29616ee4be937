/**
 * The ICMPv6 errors that we send (RFC 4443 §2.4, §3): as much of the packet that caused one as
 * fits in 1280 bytes, behind an eight-byte header, back the way it came.
 *
 * Invariant: no error answers an error, a group (but for unknown options that ask for it), or
 * somebody who cannot be told from others; a token bucket bounds the rest.
 */
import { ethernet, OK } from '@sandstorm/libeth'
import { carriesIcmpError } from '../ip/ipv6Headers.ts'
import type { Ipv6Host } from '../ip/ipv6Host.ts'
import { NO_ADDRESS } from '../ndp/ownAddresses.ts'
import * as icmpv6 from '../wire/icmpv6.ts'
import * as ipv6 from '../wire/ipv6.ts'

/** Errors a second, and at once: what RFC 4443 §2.4 (f) suggests for a small host. */
export const ERRORS_PER_SECOND = 10
export const ERRORS_BURST = 10

/** Bytes of the packet in an error of 1280. */
const QUOTE_MAX: number = ipv6.MTU_MIN - ipv6.HEADER_LEN - icmpv6.HEADER_LEN

/** Answers the packet at `ip` with an error, if one may be sent and there is room for it. */
export function sendError(
  host: Ipv6Host,
  ip: number,
  type: number,
  code: number,
  info: number,
  nowMs: number,
): void {
  const { view, frames, device } = host.output
  if (!mayAnswer(view, ip, type, code)) return
  const source = sourceOf(host, ip)
  if (source === NO_ADDRESS || !host.errorLimit.take(nowMs) || host.output.room() !== OK) return
  const frame = frames.alloc()
  const message = frames.payloadOff(frame)
  const header = message - ipv6.HEADER_LEN
  const quoteLen = Math.min(ipv6.HEADER_LEN + ipv6.payloadLen(view, ip), QUOTE_MAX)
  device.region.copy(message + icmpv6.HEADER_LEN, ip, quoteLen)
  icmpv6.setType(view, message, type)
  icmpv6.setCode(view, message, code)
  icmpv6.setInfo(view, message, info)
  host.ndp.own.write(view, ipv6.srcOff(header), source)
  ipv6.copyAddress(view, ipv6.dstOff(header), ipv6.srcOff(ip))
  const len = icmpv6.HEADER_LEN + quoteLen
  const eth = ip - ethernet.HEADER_LEN
  const hi = ethernet.srcHi(view, eth)
  const lo = ethernet.srcLo(view, eth)
  host.output.send(frame, header, message, len, host.hopLimit, hi, lo)
}

/**
 * RFC 4443 §2.4 (e). `ipv6Input` saw to the rest: the source is one that a host can have, and a
 * unicast packet did not come in a group's frame.
 */
function mayAnswer(view: DataView, ip: number, type: number, code: number): boolean {
  const toGroup = ipv6.isMulticast(ipv6.dst(view, ip, 0))
  const groupMayHear = type === icmpv6.PARAMETER_PROBLEM && code === icmpv6.UNKNOWN_OPTION
  return (!toGroup || groupMayHear) && !carriesIcmpError(view, ip)
}

/**
 * The address that answers the packet at `ip`: the one it was sent to, or for a group one of ours
 * that suits the sender (RFC 4443 §2.2).
 */
export function sourceOf(host: Ipv6Host, ip: number): number {
  const { view } = host.output
  const own = host.ndp.own
  const i = own.find(view, ipv6.dstOff(ip))
  return i !== NO_ADDRESS ? i : own.sourceFor(ipv6.src(view, ip, 0), ipv6.src(view, ip, 1))
}
