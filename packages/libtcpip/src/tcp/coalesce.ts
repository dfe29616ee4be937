/**
 * ACK coalescing: of several pure ACKs of one connection that follow each other in a batch, the
 * last says everything (RFC 9293 §3.4: acknowledgements are cumulative), so the ones before it need
 * no processing. The paper names what LRO does for a kernel (§2); this is the part a server has use
 * for.
 *
 * Nothing is lost if the last one turns out damaged: then it is as if ACKs had been lost on the
 * way. A duplicate ACK is never taken for superseded, since each one counts (RFC 5681 §3.2). Window
 * growth counts bytes, not ACKs.
 */
import { ethernet } from '@sandstorm/libeth'
import * as ipv4 from '../wire/ipv4.ts'
import * as ipv6 from '../wire/ipv6.ts'
import * as tcp from '../wire/tcp.ts'
import { hasTimestampsAlone, tsValAlone } from '../wire/tcpOptions.ts'
import { ge, gt } from './seq.ts'

const IP = ethernet.HEADER_LEN
const IPV4_TCP = IP + ipv4.HEADER_LEN
const IPV6_TCP = IP + ipv6.HEADER_LEN
const NOT_PURE = 0

/**
 * Is the frame at `off` a pure ACK that the one at `next` makes superfluous: the same connection,
 * sequence number and window, more acknowledged, and either no options or timestamps alone, of
 * which the later is not the older?
 */
export function isSuperseded(
  view: DataView,
  off: number,
  len: number,
  next: number,
  nextLen: number,
): boolean {
  if (len < IPV4_TCP || nextLen < IPV4_TCP) return false
  const type = ethernet.type(view, off)
  if (type !== ethernet.type(view, next)) return false
  if (type === ethernet.TYPE_IPV4) {
    const headerLen = pureAckLen4(view, off, len)
    return (
      headerLen !== NOT_PURE &&
      headerLen === pureAckLen4(view, next, nextLen) &&
      ipv4.src(view, off + IP) === ipv4.src(view, next + IP) &&
      ipv4.dst(view, off + IP) === ipv4.dst(view, next + IP) &&
      isOlder(view, off + IPV4_TCP, next + IPV4_TCP, headerLen)
    )
  }
  const headerLen = pureAckLen6(view, off, len)
  return (
    headerLen !== NOT_PURE &&
    headerLen === pureAckLen6(view, next, nextLen) &&
    ipv6.sameAddress(view, ipv6.srcOff(off + IP), ipv6.srcOff(next + IP)) &&
    ipv6.sameAddress(view, ipv6.dstOff(off + IP), ipv6.dstOff(next + IP)) &&
    isOlder(view, off + IPV6_TCP, next + IPV6_TCP, headerLen)
  )
}

/**
 * Says the pure ACK at `header` less than the one at `next`, as long and between the same hosts?
 */
const isOlder = (view: DataView, header: number, next: number, headerLen: number): boolean =>
  tcp.srcPort(view, header) === tcp.srcPort(view, next) &&
  tcp.dstPort(view, header) === tcp.dstPort(view, next) &&
  tcp.seq(view, header) === tcp.seq(view, next) &&
  tcp.window(view, header) === tcp.window(view, next) &&
  gt(tcp.ack(view, next), tcp.ack(view, header)) &&
  (headerLen === tcp.HEADER_LEN || ge(tsValAlone(view, next), tsValAlone(view, header)))

/**
 * The length of a pure ACK's TCP header; NOT_PURE with payload, other flags or other options, or
 * IP options.
 */
function pureAckLen4(view: DataView, off: number, len: number): number {
  const headerLen = ackLen(view, off + IPV4_TCP, len - IPV4_TCP)
  const isPure =
    headerLen !== NOT_PURE &&
    ipv4.totalLen(view, off + IP) === ipv4.HEADER_LEN + headerLen &&
    ipv4.headerLen(view, off + IP) === ipv4.HEADER_LEN &&
    ipv4.protocol(view, off + IP) === ipv4.PROTO_TCP
  return isPure ? headerLen : NOT_PURE
}

/** Likewise, in a packet without extension headers; NOT_PURE if it is no IPv6. */
function pureAckLen6(view: DataView, off: number, len: number): number {
  const headerLen = ackLen(view, off + IPV6_TCP, len - IPV6_TCP)
  const isPure =
    headerLen !== NOT_PURE &&
    ipv6.payloadLen(view, off + IP) === headerLen &&
    ipv6.nextHeader(view, off + IP) === ipv6.PROTO_TCP &&
    ethernet.type(view, off) === ethernet.TYPE_IPV6
  return isPure ? headerLen : NOT_PURE
}

/** The length of the TCP header at `header` if it could be an ACK's, of `room` bytes at most. */
function ackLen(view: DataView, header: number, room: number): number {
  if (room < tcp.HEADER_LEN || tcp.flags(view, header) !== tcp.ACK) return NOT_PURE
  const headerLen = tcp.headerLen(view, header)
  if (headerLen > room) return NOT_PURE
  return headerLen === tcp.HEADER_LEN || hasTimestampsAlone(view, header) ? headerLen : NOT_PURE
}
