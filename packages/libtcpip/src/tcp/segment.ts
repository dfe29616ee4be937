/**
 * Headers in front of a payload: Ethernet, IPv4 (RFC 791) and TCP (RFC 9293 §3.1), with timestamps
 * once both sides send them (RFC 7323 §3), right-aligned before `payloadOff`. A finished packet is sent again by rewriting only what differs between two
 * sends (paper §2.1): `patchHeaders`. `writeHeaders` writes everything; after either the bytes are
 * the same.
 *
 * No payload is touched for a checksum: its sum is passed in, known since the content was loaded,
 * and the constant part of the headers was summed when the connection opened.
 */
import { ethernet } from '@sandstorm/libeth'
import { NO_FRAME, OFFLOAD_NONE } from '@sandstorm/libnmio'
import { fold, sum } from '../wire/checksum.ts'
import * as ipv4 from '../wire/ipv4.ts'
import * as tcpHeader from '../wire/tcp.ts'
import {
  ALIGNED_TIMESTAMPS_LEN,
  ALIGNED_TIMESTAMPS_SUM,
  setTimestamps,
  writeTimestamps,
} from '../wire/tcpOptions.ts'
import { writeSackOption } from './sackBlocks.ts'
import {
  FIN_QUEUED,
  FLAGS,
  HEADERS_LEN_SHIFT,
  IP_SUM,
  LOCAL_ADDR,
  NEIGHBOUR,
  NEXT_HOP,
  PORTS,
  PSEUDO_SUM,
  RCV_NXT,
  RECEIVE_SCALE_SHIFT,
  REMOTE_ADDR,
  SCALES,
  SND_END,
  SND_UNA,
  TIMESTAMPS,
  TS_OFFSET,
  TS_RECENT,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { advertise, advertiseUnscaled } from './window.ts'

/** Ethernet, IPv4 and TCP without options; of a connection's headers `headersLen` tells. */
export const HEADERS_LEN: number = ethernet.HEADER_LEN + ipv4.HEADER_LEN + tcpHeader.HEADER_LEN
const IP_OFF = ethernet.HEADER_LEN
const TCP_OFF = ethernet.HEADER_LEN + ipv4.HEADER_LEN
/** Payload sum to pass when the device completes the checksum. */
export const SUM_BY_DEVICE = -1

const VERSION_IHL_TOS = 0x4500
/** Atomic datagrams: DF set, never fragmented, so the ID means nothing and is 0 (RFC 6864 §4.1). */
const DONT_FRAGMENT = 0x4000
const DATA_OFF_5 = 0x5000

/** Notes what was agreed: both window scales, and from FLAGS how long our headers are. */
export function initScales(tcb: Int32Array, c: number, send: number, receive: number): void {
  const len = HEADERS_LEN + (tcb[c + FLAGS] & TIMESTAMPS ? ALIGNED_TIMESTAMPS_LEN : 0)
  tcb[c + SCALES] = send | (receive << RECEIVE_SCALE_SHIFT) | (len << HEADERS_LEN_SHIFT)
}

/** Bytes of Ethernet, IP and TCP headers before the payload of connection `c`, options included. */
export const headersLen = (tcb: Int32Array, c: number): number =>
  (tcb[c + SCALES] >>> HEADERS_LEN_SHIFT) & 0xff

/** Sums the constant header fields of a connection once; addresses and ports must be set. */
export function initHeaderSums(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const addresses = sum32(tcb[c + REMOTE_ADDR]) + sum32(tcb[c + LOCAL_ADDR])
  const ttlProtocol = (tcp.config.ttl << 8) | ipv4.PROTO_TCP
  tcb[c + IP_SUM] = fold(VERSION_IHL_TOS + DONT_FRAGMENT + ttlProtocol + addresses)
  tcb[c + PSEUDO_SUM] = fold(addresses + ipv4.PROTO_TCP)
}

const sum32 = (n: number): number => (n >>> 16) + (n & 0xffff)

/** Is the first hop's hardware address known? If not, it has been asked for. */
export function isReachable(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  if (tcp.arp.holds(tcb[c + NEIGHBOUR], tcb[c + NEXT_HOP])) return true
  tcb[c + NEIGHBOUR] = tcp.arp.lookup(tcb[c + NEXT_HOP], tcp.clockMs)
  return tcb[c + NEIGHBOUR] >= 0
}

/** ACK, and PSH or FIN as the segment that ends at `endSeq` needs (RFC 9293 §3.9.1.2). */
export function dataFlags(tcp: Tcp, c: number, endSeq: number): number {
  const tcb = tcp.tcb
  if (endSeq !== tcb[c + SND_END]) return tcpHeader.ACK
  const fin = tcb[c + FLAGS] & FIN_QUEUED ? tcpHeader.FIN : 0
  return tcpHeader.ACK | tcpHeader.PSH | fin
}

/**
 * Writes all headers of a segment of connection `c` (which must be reachable) and returns the
 * offset of the frame's first byte. `payloadSum`: checksum share of the payload, or SUM_BY_DEVICE.
 */
export function writeHeaders(
  tcp: Tcp,
  c: number,
  payloadOff: number,
  seq: number,
  payloadLen: number,
  flags: number,
  payloadSum: number,
): number {
  const tcb = tcp.tcb
  const len = headersLen(tcb, c)
  writeConstantFields(tcp, payloadOff - len, len, tcb[c + LOCAL_ADDR], tcb[c + PORTS], payloadLen)
  if (tcb[c + FLAGS] & TIMESTAMPS) {
    writeTimestamps(tcp.frames.region.view, payloadOff - ALIGNED_TIMESTAMPS_LEN, 0, 0)
  }
  return patchHeaders(tcp, c, payloadOff, seq, payloadLen, flags, payloadSum)
}

/**
 * Rewrites what changes when a frame that `writeHeaders` made for the same local address, local
 * port, length of headers and of payload is sent again: 10 stores, 12 with timestamps, no read of
 * the packet.
 */
export function patchHeaders(
  tcp: Tcp,
  c: number,
  payloadOff: number,
  seq: number,
  payloadLen: number,
  flags: number,
  payloadSum: number,
): number {
  const len = headersLen(tcp.tcb, c)
  const off = payloadOff - len
  const window = advertise(tcp, c)
  let total = payloadSum
  if (tcp.tcb[c + FLAGS] & TIMESTAMPS) {
    const optionsSum = patchTimestamps(tcp, c, payloadOff - ALIGNED_TIMESTAMPS_LEN)
    if (total !== SUM_BY_DEVICE) total += optionsSum
  }
  patchFields(tcp, c, off, len, seq, payloadLen, flags, window, total)
  return off
}

/**
 * Writes all headers of the SYN-ACK whose options, `optionsLen` bytes in whole words, lie at
 * `optionsOff`, and returns the offset of the frame's first byte.
 */
export function writeSynAck(tcp: Tcp, c: number, optionsOff: number, optionsLen: number): number {
  const tcb = tcp.tcb
  const off = optionsOff - HEADERS_LEN
  const len = HEADERS_LEN + optionsLen
  writeConstantFields(tcp, off, len, tcb[c + LOCAL_ADDR], tcb[c + PORTS], 0)
  const optionsSum = sum(tcp.frames.region.view, optionsOff, optionsLen)
  const flags = tcpHeader.SYN | tcpHeader.ACK
  patchFields(tcp, c, off, len, tcb[c + SND_UNA], 0, flags, advertiseUnscaled(tcp, c), optionsSum)
  return off
}

/**
 * The fields that differ between two sends. `len`: all headers, TCP options included, whose sum is
 * part of `optionsAndPayloadSum`.
 */
function patchFields(
  tcp: Tcp,
  c: number,
  off: number,
  len: number,
  seq: number,
  payloadLen: number,
  flags: number,
  window: number,
  optionsAndPayloadSum: number,
): void {
  const view = tcp.frames.region.view
  const tcb = tcp.tcb
  const neighbour = tcb[c + NEIGHBOUR]
  ethernet.setDst(view, off, tcp.arp.macHi[neighbour], tcp.arp.macLo[neighbour])

  const ip = off + IP_OFF
  const tcpHeaderLen = len - TCP_OFF
  const tcpLen = tcpHeaderLen + payloadLen
  ipv4.setChecksum(view, ip, ~fold(tcb[c + IP_SUM] + ipv4.HEADER_LEN + tcpLen))
  ipv4.setDst(view, ip, tcb[c + REMOTE_ADDR])

  const header = off + TCP_OFF
  const ack = tcb[c + RCV_NXT]
  tcpHeader.setDstPort(view, header, tcb[c + PORTS] >>> 16)
  tcpHeader.setSeq(view, header, seq)
  tcpHeader.setAck(view, header, ack)
  tcpHeader.setFlags(view, header, flags)
  tcpHeader.setWindow(view, header, window)
  const pseudo = tcb[c + PSEUDO_SUM] + tcpLen
  if (optionsAndPayloadSum === SUM_BY_DEVICE) {
    tcpHeader.setChecksum(view, header, fold(pseudo))
  } else {
    // Data offset and flags share a word: the length in bytes, from its bit 10 on, is words from 12.
    const offsetFlags = (tcpHeaderLen << 10) | flags
    const fields = sum32(tcb[c + PORTS]) + sum32(seq) + sum32(ack) + offsetFlags + window
    tcpHeader.setChecksum(view, header, ~fold(pseudo + fields + optionsAndPayloadSum))
  }
}

/** Renews the timestamps at `off` and returns what the whole option adds to the checksum. */
function patchTimestamps(tcp: Tcp, c: number, off: number): number {
  const tsVal = timestamp(tcp, c)
  const tsEcr = tcp.tcb[c + TS_RECENT]
  setTimestamps(tcp.frames.region.view, off, tsVal, tsEcr)
  return ALIGNED_TIMESTAMPS_SUM + sum32(tsVal) + sum32(tsEcr)
}

/** TSval now: one tick a millisecond, from a beginning of its own for each connection (isn.ts). */
export const timestamp = (tcp: Tcp, c: number): number => (tcp.nowMs + tcp.tcb[c + TS_OFFSET]) | 0

function writeConstantFields(
  tcp: Tcp,
  off: number,
  len: number,
  localAddr: number,
  ports: number,
  payloadLen: number,
): void {
  const view = tcp.frames.region.view
  ethernet.setSrc(view, off, tcp.macHi, tcp.macLo)
  ethernet.setType(view, off, ethernet.TYPE_IPV4)
  const ip = off + IP_OFF
  ipv4.setHeaderLen(view, ip, ipv4.HEADER_LEN)
  ipv4.setTos(view, ip, 0)
  ipv4.setTotalLen(view, ip, len - IP_OFF + payloadLen)
  ipv4.setId(view, ip, 0)
  ipv4.setFragment(view, ip, DONT_FRAGMENT)
  ipv4.setTtl(view, ip, tcp.config.ttl)
  ipv4.setProtocol(view, ip, ipv4.PROTO_TCP)
  ipv4.setSrc(view, ip, localAddr)
  const header = off + TCP_OFF
  tcpHeader.setSrcPort(view, header, ports & 0xffff)
  tcpHeader.setHeaderLen(view, header, len - TCP_OFF)
  tcpHeader.setUrgent(view, header, 0)
}

/** Pushes a segment without payload on a connection; false if there is no room for it now. */
export function sendControl(tcp: Tcp, c: number, seq: number, flags: number): boolean {
  if (tcp.device.txSpace() === 0 || !isReachable(tcp, c)) return false
  const frame = tcp.frames.alloc()
  if (frame === NO_FRAME) return false
  const { view } = tcp.frames.region
  // The option lies where a payload would: it is summed and counted as one, then the header grows.
  const optionOff = tcp.frames.payloadOff(frame)
  const len = flags === tcpHeader.ACK ? writeSackOption(tcp, c, view, optionOff) : 0
  const optionSum = len > 0 ? fold(sum(view, optionOff, len) + (len << 10)) : 0
  const off = writeHeaders(tcp, c, optionOff, seq, len, flags, optionSum)
  const all = headersLen(tcp.tcb, c) + len
  if (len > 0) tcpHeader.setHeaderLen(view, off + TCP_OFF, all - TCP_OFF)
  tcp.stats.outSegs++
  tcp.frames.sent(frame)
  tcp.device.push(off, all, OFFLOAD_NONE)
  return true
}

/**
 * Pushes a segment for no connection: an RST, or an ACK from TIME-WAIT. It answers
 * `tcp.segment`; without room or a known neighbour it is left out, and the peer asks again.
 */
export function sendBare(tcp: Tcp, seq: number, ack: number, flags: number, window: number): void {
  const to = tcp.segment
  const neighbour = tcp.arp.lookup(tcp.ports.nextHop(to.remoteAddr), tcp.clockMs)
  if (neighbour < 0 || tcp.device.txSpace() === 0) return
  const frame = tcp.frames.alloc()
  if (frame === NO_FRAME) return
  const view = tcp.frames.region.view
  const off = tcp.frames.payloadOff(frame) - HEADERS_LEN
  writeConstantFields(tcp, off, HEADERS_LEN, to.localAddr, to.ports, 0)
  ethernet.setDst(view, off, tcp.arp.macHi[neighbour], tcp.arp.macLo[neighbour])
  const addresses = sum32(to.remoteAddr) + sum32(to.localAddr)
  const ttlProtocol = (tcp.config.ttl << 8) | ipv4.PROTO_TCP
  const ip = off + IP_OFF
  ipv4.setDst(view, ip, to.remoteAddr)
  ipv4.setChecksum(
    view,
    ip,
    ~fold(VERSION_IHL_TOS + DONT_FRAGMENT + ttlProtocol + addresses + HEADERS_LEN - IP_OFF),
  )
  const header = off + TCP_OFF
  tcpHeader.setDstPort(view, header, to.ports >>> 16)
  tcpHeader.setSeq(view, header, seq)
  tcpHeader.setAck(view, header, ack)
  tcpHeader.setFlags(view, header, flags)
  tcpHeader.setWindow(view, header, window)
  const pseudo = addresses + ipv4.PROTO_TCP + sum32(to.ports) + tcpHeader.HEADER_LEN
  const fields = sum32(seq) + sum32(ack) + (DATA_OFF_5 | flags) + window
  tcpHeader.setChecksum(view, header, ~fold(pseudo + fields))
  tcp.stats.outSegs++
  tcp.frames.sent(frame)
  tcp.device.push(off, HEADERS_LEN, OFFLOAD_NONE)
}
