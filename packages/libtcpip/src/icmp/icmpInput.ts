/**
 * ICMP (RFC 792): echo requests are answered with the same data (RFC 1122 §3.2.2.6), errors about
 * our TCP segments taken apart for TCP, everything else is counted. An answer is a copy of the
 * request in a frame of ours, its checksum corrected for the changed type; no room for it means no
 * answer, as with any lost packet.
 */
import { ethernet, OK } from '@sandstorm/libeth'
import { NO_FRAME, PAYLOAD_OFF } from '@sandstorm/libnmio'
import {
  ICMP_NOT_ABOUT_US,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  ICMP_TYPE,
  NO_FRAME_LEFT,
  NO_TX_SPACE,
} from '../drops.ts'
import type { IpHost } from '../ip/ipHost.ts'
import { onIcmpError } from '../tcp/path/icmpErrors.ts'
import { update16 } from '../wire/checksum.ts'
import * as icmp from '../wire/icmp.ts'
import * as ipv4 from '../wire/ipv4.ts'
import * as tcp from '../wire/tcp.ts'
import { TCP_QUOTE_LEN } from './icmpError.ts'
import { pushReply } from './icmpReply.ts'

/** Takes the ICMP message at `off`, `len` bytes long, of the Ethernet frame at `frameOff`. */
export function icmpInput(host: IpHost, frameOff: number, off: number, len: number): number {
  const view = host.device.region.view
  const reason = icmp.check(view, off, len)
  if (reason !== OK) return host.drop(reason)
  const type = icmp.type(view, off)
  if (type === icmp.SOURCE_QUENCH) return host.drop(ICMP_SOURCE_QUENCH)
  if (type === icmp.REDIRECT) return host.drop(ICMP_REDIRECT)
  if (isError(type)) {
    const refusal = takeError(host, frameOff + ethernet.HEADER_LEN, off, len)
    return refusal === OK ? OK : host.drop(refusal)
  }
  if (type !== icmp.ECHO_REQUEST || icmp.code(view, off) !== 0) return host.drop(ICMP_TYPE)
  if (len > host.frames.frameSize - PAYLOAD_OFF) return host.drop(NO_FRAME_LEFT)
  return answerEcho(host, frameOff, off, len)
}

const isError = (type: number): boolean =>
  type === icmp.DESTINATION_UNREACHABLE ||
  type === icmp.TIME_EXCEEDED ||
  type === icmp.PARAMETER_PROBLEM

/**
 * An error that quotes a TCP segment from the address it was sent to; `ip`: its own IPv4 header.
 */
function takeError(host: IpHost, ip: number, off: number, len: number): number {
  const view = host.device.region.view
  const quote = off + icmp.HEADER_LEN
  if (quote + ipv4.HEADER_LEN > off + len || ipv4.version(view, quote) !== 4) {
    return ICMP_NOT_ABOUT_US
  }
  const headerLen = ipv4.headerLen(view, quote)
  const segment = quote + headerLen
  const isWhole = headerLen >= ipv4.HEADER_LEN && segment + TCP_QUOTE_LEN <= off + len
  // We send no fragments, and whoever made some of our packets has not the first one here.
  const isFirst = (ipv4.fragment(view, quote) & ipv4.FRAGMENT_OFFSET_MASK) === 0
  const isTcp = ipv4.protocol(view, quote) === ipv4.PROTO_TCP
  if (!isWhole || !isFirst || !isTcp || ipv4.src(view, quote) !== ipv4.dst(view, ip)) {
    return ICMP_NOT_ABOUT_US
  }
  const error = host.icmpError
  error.version = 4
  error.type = icmp.type(view, off)
  error.code = icmp.code(view, off)
  const isTooBig =
    error.type === icmp.DESTINATION_UNREACHABLE && error.code === icmp.FRAGMENTATION_NEEDED
  error.mtu = isTooBig ? icmp.nextHopMtu(view, off) : 0
  error.local[0] = ipv4.src(view, quote)
  error.remote[0] = ipv4.dst(view, quote)
  for (let i = 1; i < 4; i++) {
    error.local[i] = 0
    error.remote[i] = 0
  }
  error.localPort = tcp.srcPort(view, segment)
  error.remotePort = tcp.dstPort(view, segment)
  error.seq = tcp.seq(view, segment)
  return onIcmpError(host.tcp, error)
}

function answerEcho(host: IpHost, frameOff: number, off: number, len: number): number {
  if (host.device.txSpace() === 0) return host.drop(NO_TX_SPACE)
  const frame = host.frames.alloc()
  if (frame === NO_FRAME) return host.drop(NO_FRAME_LEFT)
  const { region } = host.device
  const { view } = region
  const reply = host.frames.payloadOff(frame)
  region.copy(reply, off, len)
  icmp.setType(view, reply, icmp.ECHO_REPLY)
  icmp.setChecksum(
    view,
    reply,
    update16(icmp.checksum(view, off), icmp.ECHO_REQUEST << 8, icmp.ECHO_REPLY << 8),
  )
  pushReply(host, frameOff, frame, len, ipv4.tos(view, frameOff + ethernet.HEADER_LEN))
  return OK
}
