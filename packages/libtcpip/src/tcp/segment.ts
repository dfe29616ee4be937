/**
 * Headers in front of a payload: Ethernet and IP (ipHeader.ts), TCP (RFC 9293 §3.1) with timestamps
 * once both sides send them (RFC 7323 §3), right-aligned before `payloadOff`. A finished packet is
 * sent again by rewriting only what differs between two sends (paper §2.1): `patchHeaders`.
 * `writeHeaders` writes everything; after either the bytes are the same.
 *
 * No payload is touched for a checksum: its sum is passed in, known since the content was loaded,
 * and that of the addresses was summed when the connection opened.
 */
import { ethernet, NO_NEIGHBOUR } from '@sandstorm/libeth'
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
import { echoFlag, ecnMarks, synAckFlag, synFlags } from './ecn.ts'
import { patchIpv4, patchIpv6, sum32, tcpOff, writeIpHeader } from './ipHeader.ts'
import { isReachable, neighbourOf, setDestination } from './neighbour.ts'
import { writeSackOption } from './sackBlocks.ts'
import { SYN_SENT } from './state.ts'
import {
  ECN,
  FIN_QUEUED,
  FLAGS,
  FRAME_KEY,
  KIND_IPV6,
  KIND_TIMESTAMPS,
  localOf,
  PATH,
  PORTS,
  RCV_NXT,
  RECEIVE_SCALE_SHIFT,
  REMOTE,
  SCALES,
  SND_END,
  SND_UNA,
  STATE,
  TS_OFFSET,
  TS_RECENT,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { advertise, advertiseUnscaled } from './window.ts'

/** Ethernet, IPv4 and TCP without options; of a connection's headers `headersLen` tells. */
export const HEADERS_LEN: number = ethernet.HEADER_LEN + ipv4.HEADER_LEN + tcpHeader.HEADER_LEN
/** Payload sum to pass when the device completes the checksum. */
export const SUM_BY_DEVICE = -1

/** Notes both window scales. */
export function initScales(tcb: Int32Array, c: number, send: number, receive: number): void {
  tcb[c + SCALES] = send | (receive << RECEIVE_SCALE_SHIFT)
}

/** Bytes of Ethernet, IP and TCP headers before the payload of connection `c`, options included. */
export function headersLen(tcb: Int32Array, c: number): number {
  const key = tcb[c + FRAME_KEY]
  return tcpOff(key) + tcpHeader.HEADER_LEN + optionsLen(key)
}

const optionsLen = (key: number): number => (key & KIND_TIMESTAMPS ? ALIGNED_TIMESTAMPS_LEN : 0)

/** Sums the addresses of a connection once, which must be set, and forgets its first hop. */
export function initPath(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const local = localOf(tcb[c + FRAME_KEY])
  let addresses = 0
  for (let i = 0; i < 4; i++) {
    addresses += sum32(tcb[c + REMOTE + i]) + sum32(tcp.addresses.word(local, i))
  }
  tcb[c + PATH] = (NO_NEIGHBOUR << 16) | fold(addresses)
}

/** ACK, and PSH or FIN as the segment that ends at `endSeq` needs (RFC 9293 §3.9.1.2). */
export function dataFlags(tcp: Tcp, c: number, endSeq: number): number {
  const tcb = tcp.tcb
  if (endSeq !== tcb[c + SND_END]) return tcpHeader.ACK
  const fin = tcb[c + FLAGS] & FIN_QUEUED ? tcpHeader.FIN : 0
  return tcpHeader.ACK | tcpHeader.PSH | fin
}

/**
 * Writes all headers of a data segment of connection `c` (which must be reachable) and returns the
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
  writeConstants(tcp, c, payloadOff, payloadLen)
  return patchHeaders(tcp, c, payloadOff, seq, payloadLen, flags, payloadSum)
}

function writeConstants(tcp: Tcp, c: number, payloadOff: number, payloadLen: number): void {
  const key = tcp.tcb[c + FRAME_KEY]
  const tcpHeaderLen = tcpHeader.HEADER_LEN + optionsLen(key)
  writeConstantFields(tcp, payloadOff - tcpHeaderLen, tcpHeaderLen, key, payloadLen)
  if (key & KIND_TIMESTAMPS) {
    writeTimestamps(tcp.frames.region.view, payloadOff - ALIGNED_TIMESTAMPS_LEN, 0, 0)
  }
}

/**
 * Rewrites what changes when a frame that `writeHeaders` made for the same frame key (tcb.ts) and
 * payload length is sent again: 11 stores, 13 with timestamps, no read of the packet.
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
  const marks = tcp.tcb[c + FLAGS] & ECN ? ecnMarks(tcp, c, seq) : 0
  const flagsNow = flags | (marks & 0xff)
  return patch(tcp, c, payloadOff, marks >> 8, seq, payloadLen, flagsNow, payloadSum)
}

function patch(
  tcp: Tcp,
  c: number,
  payloadOff: number,
  tos: number,
  seq: number,
  payloadLen: number,
  flags: number,
  payloadSum: number,
): number {
  const key = tcp.tcb[c + FRAME_KEY]
  const window = advertise(tcp, c)
  const headerLen = tcpHeader.HEADER_LEN + optionsLen(key)
  let total = payloadSum
  if (key & KIND_TIMESTAMPS) {
    const optionsSum = patchTimestamps(tcp, c, payloadOff - ALIGNED_TIMESTAMPS_LEN)
    if (total !== SUM_BY_DEVICE) total += optionsSum
  }
  return patchFields(
    tcp,
    c,
    payloadOff - headerLen,
    headerLen,
    tos,
    seq,
    payloadLen,
    flags,
    window,
    total,
  )
}

/**
 * Writes all headers of the SYN-ACK, or in SYN-SENT of the SYN, whose options, `len` bytes in whole
 * words, lie at `optionsOff`, and returns the offset of the frame's first byte.
 */
export function writeSynAck(tcp: Tcp, c: number, optionsOff: number, len: number): number {
  const tcb = tcp.tcb
  const header = optionsOff - tcpHeader.HEADER_LEN
  const headerLen = tcpHeader.HEADER_LEN + len
  writeConstantFields(tcp, header, headerLen, tcb[c + FRAME_KEY], 0)
  const optionsSum = sum(tcp.frames.region.view, optionsOff, len)
  const isSyn = tcb[c + STATE] === SYN_SENT
  const flags = isSyn
    ? tcpHeader.SYN | synFlags(tcb, c)
    : tcpHeader.SYN | tcpHeader.ACK | synAckFlag(tcb, c)
  const window = advertiseUnscaled(tcp, c)
  return patchFields(tcp, c, header, headerLen, 0, tcb[c + SND_UNA], 0, flags, window, optionsSum)
}

/**
 * The fields that differ between two sends, in the frame whose TCP header, `headerLen` bytes long
 * with options, begins at `header`; returns the offset of its first byte. The options' sum is part
 * of `optionsAndPayloadSum`.
 */
function patchFields(
  tcp: Tcp,
  c: number,
  header: number,
  headerLen: number,
  tos: number,
  seq: number,
  payloadLen: number,
  flags: number,
  window: number,
  optionsAndPayloadSum: number,
): number {
  const view = tcp.frames.region.view
  const tcb = tcp.tcb
  const key = tcb[c + FRAME_KEY]
  const off = header - tcpOff(key)
  const tcpLen = headerLen + payloadLen
  const addresses = tcb[c + PATH] & 0xffff
  setDestination(tcp, off, key, neighbourOf(tcb, c))
  const r = c + REMOTE
  if (key & KIND_IPV6) patchIpv6(tcp, off, tos, tcb[r], tcb[r + 1], tcb[r + 2], tcb[r + 3])
  else patchIpv4(tcp, off, tos, tcb[r], addresses, tcpLen)

  const ack = tcb[c + RCV_NXT]
  tcpHeader.setDstPort(view, header, tcb[c + PORTS] >>> 16)
  tcpHeader.setSeq(view, header, seq)
  tcpHeader.setAck(view, header, ack)
  tcpHeader.setFlags(view, header, flags)
  tcpHeader.setWindow(view, header, window)
  const pseudo = addresses + ipv4.PROTO_TCP + tcpLen
  if (optionsAndPayloadSum === SUM_BY_DEVICE) {
    tcpHeader.setChecksum(view, header, fold(pseudo))
  } else {
    // Data offset and flags share a word: the length in bytes, from its bit 10 on, is words from 12.
    const offsetFlags = (headerLen << 10) | flags
    const fields = sum32(tcb[c + PORTS]) + sum32(seq) + sum32(ack) + offsetFlags + window
    tcpHeader.setChecksum(view, header, ~fold(pseudo + fields + optionsAndPayloadSum))
  }
  return off
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

/** What `patchFields` leaves out, for the same frame. */
function writeConstantFields(
  tcp: Tcp,
  header: number,
  headerLen: number,
  key: number,
  payloadLen: number,
): void {
  const view = tcp.frames.region.view
  writeIpHeader(tcp, header - tcpOff(key), key, headerLen + payloadLen)
  tcpHeader.setSrcPort(view, header, key & 0xffff)
  tcpHeader.setHeaderLen(view, header, headerLen)
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
  writeConstants(tcp, c, optionOff, len)
  const flagsNow = flags | echoFlag(tcp.tcb, c)
  const off = patch(tcp, c, optionOff, 0, seq, len, flagsNow, optionSum)
  const header = off + tcpOff(tcp.tcb[c + FRAME_KEY])
  if (len > 0) tcpHeader.setHeaderLen(view, header, optionOff + len - header)
  tcp.stats.outSegs++
  tcp.frames.sent(frame)
  tcp.device.push(off, optionOff + len - off, OFFLOAD_NONE)
  return true
}
