/**
 * ACK coalescing: of several pure ACKs of one connection that follow each other in a batch, the last
 * says everything (RFC 9293 §3.4: acknowledgements are cumulative), so the ones before it need no
 * processing. The paper names what LRO does for a kernel (§2); this is the part a server has use for.
 *
 * Nothing is lost if the last one turns out damaged: then it is as if ACKs had been lost on the way.
 * A duplicate ACK is never taken for superseded, since each one counts (RFC 5681 §3.2). Window
 * growth counts bytes, not ACKs.
 */
import { ethernet } from '@sandstorm/libeth'
import * as ipv4 from '../wire/ipv4.ts'
import * as tcp from '../wire/tcp.ts'
import { hasTimestampsAlone, tsValAlone } from '../wire/tcpOptions.ts'
import { ge, gt } from './seq.ts'

const IP = ethernet.HEADER_LEN
const TCP = IP + ipv4.HEADER_LEN
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
  const headerLen = pureAckLen(view, off, len)
  return (
    headerLen !== NOT_PURE &&
    headerLen === pureAckLen(view, next, nextLen) &&
    ipv4.src(view, off + IP) === ipv4.src(view, next + IP) &&
    ipv4.dst(view, off + IP) === ipv4.dst(view, next + IP) &&
    tcp.srcPort(view, off + TCP) === tcp.srcPort(view, next + TCP) &&
    tcp.dstPort(view, off + TCP) === tcp.dstPort(view, next + TCP) &&
    tcp.seq(view, off + TCP) === tcp.seq(view, next + TCP) &&
    tcp.window(view, off + TCP) === tcp.window(view, next + TCP) &&
    gt(tcp.ack(view, next + TCP), tcp.ack(view, off + TCP)) &&
    (headerLen === tcp.HEADER_LEN || ge(tsValAlone(view, next + TCP), tsValAlone(view, off + TCP)))
  )
}

/** The length of a pure ACK's TCP header; NOT_PURE with payload, other flags or other options. */
function pureAckLen(view: DataView, off: number, len: number): number {
  if (len < TCP + tcp.HEADER_LEN || tcp.flags(view, off + TCP) !== tcp.ACK) return NOT_PURE
  const headerLen = tcp.headerLen(view, off + TCP)
  const isPure =
    len >= TCP + headerLen &&
    ipv4.totalLen(view, off + IP) === ipv4.HEADER_LEN + headerLen &&
    ipv4.headerLen(view, off + IP) === ipv4.HEADER_LEN &&
    ipv4.protocol(view, off + IP) === ipv4.PROTO_TCP &&
    ethernet.type(view, off) === ethernet.TYPE_IPV4 &&
    (headerLen === tcp.HEADER_LEN || hasTimestampsAlone(view, off + TCP))
  return isPure ? headerLen : NOT_PURE
}
