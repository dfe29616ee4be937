/**
 * Segments for no connection: an RST, or an ACK from TIME-WAIT. Each answers `tcp.segment`, from
 * the address it came to; without room or a known neighbour it is left out, and the peer asks
 * again.
 */
import { NO_FRAME, OFFLOAD_NONE } from '@sandstorm/libnmio'
import { fold, sum } from '../../wire/checksum.ts'
import * as ipv4 from '../../wire/ipv4.ts'
import * as tcpHeader from '../../wire/tcp.ts'
import { ALIGNED_TIMESTAMPS_LEN, writeTimestamps } from '../../wire/tcpOptions.ts'
import { ipv4HeaderSum, patchIpv4, patchIpv6, sum32, tcpOff, writeIpHeader } from '../ipHeader.ts'
import { neighbourOfSegment, setDestination } from '../path/neighbour.ts'
import type { Segment } from '../segmentVariables.ts'
import { frameKey, KIND_IPV6 } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'

/** Pushes a segment without options; false if it was left out. */
export function sendBare(
  tcp: Tcp,
  seq: number,
  ack: number,
  flags: number,
  window: number,
): boolean {
  const neighbour = neighbourOfSegment(tcp)
  const frame = neighbour >= 0 && tcp.device.txSpace() > 0 ? tcp.frames.alloc() : NO_FRAME
  if (frame === NO_FRAME) return false
  push(tcp, frame, neighbour, 0, seq, ack, flags, window)
  return true
}

/** Pushes an ACK with timestamps, for a connection that had them (RFC 7323 §3.2). */
export function sendBareAck(
  tcp: Tcp,
  seq: number,
  ack: number,
  window: number,
  tsVal: number,
  tsEcr: number,
): void {
  const neighbour = neighbourOfSegment(tcp)
  const frame = neighbour >= 0 && tcp.device.txSpace() > 0 ? tcp.frames.alloc() : NO_FRAME
  if (frame === NO_FRAME) return
  writeTimestamps(tcp.frames.region.view, tcp.frames.payloadOff(frame), tsVal, tsEcr)
  const { ACK } = tcpHeader
  push(tcp, frame, neighbour, ALIGNED_TIMESTAMPS_LEN, seq, ack, ACK, window)
}

/** Options, `optionsLen` bytes in whole words, lie where a payload would. */
function push(
  tcp: Tcp,
  frame: number,
  neighbour: number,
  optionsLen: number,
  seq: number,
  ack: number,
  flags: number,
  window: number,
): void {
  const view = tcp.frames.region.view
  const seg = tcp.segment
  const key = frameKey(seg.local, seg.kind, seg.ports)
  const optionsOff = tcp.frames.payloadOff(frame)
  const header = optionsOff - tcpHeader.HEADER_LEN
  const off = header - tcpOff(key)
  const tcpLen = tcpHeader.HEADER_LEN + optionsLen
  const addresses = addressSum(tcp, seg)
  writeIpHeader(tcp, off, key, tcpLen)
  setDestination(tcp, off, key, neighbour)
  if (key & KIND_IPV6) patchIpv6(view, off, seg.remote0, seg.remote1, seg.remote2, seg.remote3)
  else patchIpv4(view, off, seg.remote0, ipv4HeaderSum(tcp, key) + addresses + tcpLen)
  tcpHeader.setSrcPort(view, header, seg.ports & 0xffff)
  tcpHeader.setDstPort(view, header, seg.ports >>> 16)
  tcpHeader.setSeq(view, header, seq)
  tcpHeader.setAck(view, header, ack)
  tcpHeader.setHeaderLen(view, header, tcpLen)
  tcpHeader.setFlags(view, header, flags)
  tcpHeader.setWindow(view, header, window)
  tcpHeader.setUrgent(view, header, 0)
  tcpHeader.setChecksum(view, header, 0)
  const pseudo = addresses + ipv4.PROTO_TCP + tcpLen
  tcpHeader.setChecksum(view, header, ~fold(pseudo + sum(view, header, tcpLen)))
  tcp.stats.outSegs++
  tcp.frames.sent(frame)
  tcp.device.push(off, optionsOff + optionsLen - off, OFFLOAD_NONE)
}

/** Both addresses' share of a checksum; the words that IPv4 does not have are 0. */
function addressSum(tcp: Tcp, seg: Segment): number {
  let total = sum32(seg.remote0) + sum32(seg.remote1) + sum32(seg.remote2) + sum32(seg.remote3)
  for (let i = 0; i < 4; i++) total += sum32(tcp.addresses.word(seg.local, i))
  return fold(total)
}
