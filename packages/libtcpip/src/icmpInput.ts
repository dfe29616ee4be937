/**
 * ICMP (RFC 792): echo requests are answered with the same data (RFC 1122 §3.2.2.6), everything
 * else is counted. An answer is a copy of the request in a frame of ours, its checksum corrected for
 * the changed type; no room for it means no answer, as with any lost packet.
 */
import { ethernet } from '@sandstorm/libeth'
import { NO_FRAME, OFFLOAD_NONE, PAYLOAD_OFF } from '@sandstorm/libnmio'
import { ICMP_TYPE, NO_FRAME_LEFT, NO_TX_SPACE, OK } from './drops.ts'
import type { Stack } from './stack.ts'
import { sum, update16 } from './wire/checksum.ts'
import * as icmp from './wire/icmp.ts'
import * as ipv4 from './wire/ipv4.ts'

/** Takes the ICMP message at `off`, `len` bytes long, of the Ethernet frame at `frameOff`. */
export function icmpInput(stack: Stack, frameOff: number, off: number, len: number): number {
  const view = stack.device.region.view
  const reason = icmp.check(view, off, len)
  if (reason !== OK) return stack.drop(reason)
  if (icmp.type(view, off) !== icmp.ECHO_REQUEST || icmp.code(view, off) !== 0) {
    return stack.drop(ICMP_TYPE)
  }
  if (len > stack.frames.frameSize - PAYLOAD_OFF) return stack.drop(NO_FRAME_LEFT)
  return answerEcho(stack, frameOff, off, len)
}

function answerEcho(stack: Stack, frameOff: number, off: number, len: number): number {
  if (stack.device.txSpace() === 0) return stack.drop(NO_TX_SPACE)
  const frame = stack.frames.alloc()
  if (frame === NO_FRAME) return stack.drop(NO_FRAME_LEFT)
  const { view, bytes } = stack.device.region
  const reply = stack.frames.payloadOff(frame)
  bytes.copyWithin(reply, off, off + len)
  icmp.setType(view, reply, icmp.ECHO_REPLY)
  icmp.setChecksum(
    view,
    reply,
    update16(icmp.checksum(view, off), icmp.ECHO_REQUEST << 8, icmp.ECHO_REPLY << 8),
  )
  const ip = reply - ipv4.HEADER_LEN
  const request = frameOff + ethernet.HEADER_LEN
  ipv4.setHeaderLen(view, ip, ipv4.HEADER_LEN)
  ipv4.setTos(view, ip, ipv4.tos(view, request))
  ipv4.setTotalLen(view, ip, ipv4.HEADER_LEN + len)
  ipv4.setId(view, ip, 0)
  ipv4.setFragment(view, ip, ipv4.DONT_FRAGMENT)
  ipv4.setTtl(view, ip, stack.tcp.config.ttl)
  ipv4.setProtocol(view, ip, ipv4.PROTO_ICMP)
  ipv4.setSrc(view, ip, stack.address)
  ipv4.setDst(view, ip, ipv4.src(view, request))
  ipv4.setChecksum(view, ip, 0)
  ipv4.setChecksum(view, ip, ~sum(view, ip, ipv4.HEADER_LEN))
  // The answer goes back the way the request came (RFC 1122 §3.2.2.6).
  const eth = ip - ethernet.HEADER_LEN
  ethernet.setDst(view, eth, ethernet.srcHi(view, frameOff), ethernet.srcLo(view, frameOff))
  ethernet.setSrc(view, eth, stack.tcp.macHi, stack.tcp.macLo)
  ethernet.setType(view, eth, ethernet.TYPE_IPV4)
  stack.frames.sent(frame)
  stack.device.push(eth, ethernet.HEADER_LEN + ipv4.HEADER_LEN + len, OFFLOAD_NONE)
  return OK
}
