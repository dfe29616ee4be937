/**
 * The headers of the segments that a connection sends in one go: Ethernet and IP (ipHeader.ts), TCP
 * (RFC 9293 §3.1) with timestamps once both sides send them (RFC 7323 §3), right-aligned before the
 * payload. `begin` works out what all of them have in common; after it a finished packet is sent
 * again by rewriting only what differs between two sends (paper §2.1): `patch`. `write` writes
 * everything; after either the bytes are the same.
 *
 * No payload is touched for a checksum: its sum is passed in, known since the content was loaded,
 * and that of the addresses was summed when the connection opened.
 */
import { ethernet } from '@sandstorm/libeth'
import { fold } from '../wire/checksum.ts'
import * as ipv4 from '../wire/ipv4.ts'
import * as wire from '../wire/tcp.ts'
import {
  ALIGNED_TIMESTAMPS_LEN,
  ALIGNED_TIMESTAMPS_SUM,
  setTimestamps,
  writeTimestamps,
} from '../wire/tcpOptions.ts'
import { echoFlag, ecnMarks, noteReductionSent } from './congestion/ecn.ts'
import {
  ECN_SHIFT,
  ipv4HeaderSum,
  patchIpv4,
  patchIpv6,
  sum32,
  tcpOff,
  writeIpHeader,
} from './ipHeader.ts'
import { hopHi, hopLo } from './path/neighbour.ts'
import {
  ECN,
  FIN_QUEUED,
  FLAGS,
  FRAME_KEY,
  KIND_IPV6,
  KIND_TIMESTAMPS,
  NO_CONN,
  PATH,
  PORTS,
  RCV_NXT,
  REMOTE,
  SND_END,
  TS_OFFSET,
  TS_RECENT,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { noteAdvertised, windowToAdvertise } from './window.ts'

/** Ethernet, IPv4 and TCP without options; of a connection's headers `headersLen` tells. */
export const HEADERS_LEN: number = ethernet.HEADER_LEN + ipv4.HEADER_LEN + wire.HEADER_LEN
/** Payload sum to pass when the device completes the checksum. */
export const SUM_BY_DEVICE = -1

/** Bytes of TCP options in a data segment. */
const optionsLen = (key: number): number => (key & KIND_TIMESTAMPS ? ALIGNED_TIMESTAMPS_LEN : 0)

/** Bytes of Ethernet, IP and TCP headers before the payload of connection `c`, options included. */
export function headersLen(tcb: Int32Array, c: number): number {
  const key = tcb[c + FRAME_KEY]
  return tcpOff(key) + wire.HEADER_LEN + optionsLen(key)
}

/** ACK, and PSH or FIN as the segment that ends at `endSeq` needs (RFC 9293 §3.9.1.2). */
export function dataFlags(tcb: Int32Array, c: number, endSeq: number): number {
  if (endSeq !== tcb[c + SND_END]) return wire.ACK
  const fin = tcb[c + FLAGS] & FIN_QUEUED ? wire.FIN : 0
  return wire.ACK | wire.PSH | fin
}

/** TSval now: one tick a millisecond, from a beginning of its own for each connection (isn.ts). */
export const timestamp = (tcp: Tcp, c: number): number => (tcp.nowMs + tcp.tcb[c + TS_OFFSET]) | 0

/** Writes the headers of a connection's segments. */
export class Headers {
  /** Bytes in front of the payload. */
  len = 0
  /**
   * Frames that were written with the same key and as long a payload have the same constant fields:
   * patching them is enough. A frame key (tcb.ts) with the ECN bits of the IP header.
   */
  key = 0
  readonly #tcp: Tcp
  readonly #view: DataView
  #c: number = NO_CONN
  /** Nothing of this run was written yet: the peer has not been told of an ACK or a window. */
  #isUnused = false
  #isIpv6 = false
  #hasTimestamps = false
  #tcpOff = 0
  /** Bytes of the TCP header. */
  #tcpLen = 0
  #dstHi = 0
  #dstLo = 0
  #remote0 = 0
  #remote1 = 0
  #remote2 = 0
  #remote3 = 0
  #dstPort = 0
  #ack = 0
  #window = 0
  #tsVal = 0
  #tsEcr = 0
  /** Flags that every segment, and that only the first adds (ecn.ts). */
  #flags = 0
  /** The number behind the last byte, and the flags of the segment that ends there. */
  #end = 0
  #endFlags = 0
  // Checksum shares: of the IPv4 header, the pseudo-header and the TCP header, lengths left out
  #ipSum = 0
  #pseudoSum = 0
  #tcpSum = 0

  constructor(tcp: Tcp) {
    this.#tcp = tcp
    this.#view = tcp.frames.region.view
  }

  /**
   * Prepares for data segments of connection `c` (which must be reachable), beginning with the one
   * at `seq`: all of them new, or all of them sent before. What the headers say, an ACK and a
   * window, counts as said from the first `write` or `patch` on.
   */
  begin(c: number, seq: number): void {
    const { tcb } = this.#tcp
    const marks = tcb[c + FLAGS] & ECN ? ecnMarks(tcb, c, seq) : 0
    const key = tcb[c + FRAME_KEY]
    const window = windowToAdvertise(this.#tcp, c)
    this.#begin(c, key | ((marks >> 8) << ECN_SHIFT), wire.HEADER_LEN + optionsLen(key), window)
    this.#flags = marks & 0xff
    this.#end = tcb[c + SND_END]
    this.#endFlags = dataFlags(tcb, c, this.#end)
    this.#takeTimestamps(c, key)
  }

  /** Likewise for a segment without payload, which is never marked as ECN-capable. */
  beginControl(c: number): void {
    const { tcb } = this.#tcp
    const key = tcb[c + FRAME_KEY]
    const window = windowToAdvertise(this.#tcp, c)
    this.#begin(c, key, wire.HEADER_LEN + optionsLen(key), window)
    this.#flags = echoFlag(tcb, c)
    this.#takeTimestamps(c, key)
  }

  /**
   * Likewise for a SYN, whose options, `len` bytes, are the caller's, and whose window is not
   * scaled.
   */
  beginSyn(c: number, len: number, window: number): void {
    this.#begin(c, this.#tcp.tcb[c + FRAME_KEY], wire.HEADER_LEN + len, window)
    this.#flags = 0
    this.#hasTimestamps = false
    this.#isUnused = false
  }

  #begin(c: number, key: number, tcpLen: number, window: number): void {
    const { tcb } = this.#tcp
    const ack = tcb[c + RCV_NXT]
    const ports = tcb[c + PORTS]
    const addresses = tcb[c + PATH] & 0xffff
    const isIpv6 = (key & KIND_IPV6) !== 0
    this.#c = c
    this.#isUnused = true
    this.#isIpv6 = isIpv6
    this.key = key
    this.len = tcpOff(key) + tcpLen
    this.#tcpOff = tcpOff(key)
    this.#tcpLen = tcpLen
    this.#dstHi = hopHi(this.#tcp, c)
    this.#dstLo = hopLo(this.#tcp, c)
    this.#remote0 = tcb[c + REMOTE]
    this.#dstPort = ports >>> 16
    this.#ack = ack
    this.#window = window
    this.#pseudoSum = addresses + ipv4.PROTO_TCP + tcpLen
    // Data offset and flags share a word: bytes of length shifted by 10 are words shifted by 12.
    this.#tcpSum = this.#pseudoSum + sum32(ports) + sum32(ack) + (tcpLen << 10) + window
    if (isIpv6) {
      this.#remote1 = tcb[c + REMOTE + 1]
      this.#remote2 = tcb[c + REMOTE + 2]
      this.#remote3 = tcb[c + REMOTE + 3]
    } else {
      this.#ipSum = addresses + ipv4HeaderSum(this.#tcp, key) + tcpLen
    }
  }

  #takeTimestamps(c: number, key: number): void {
    this.#hasTimestamps = (key & KIND_TIMESTAMPS) !== 0
    if (!this.#hasTimestamps) return
    this.#tsVal = timestamp(this.#tcp, c)
    this.#tsEcr = this.#tcp.tcb[c + TS_RECENT]
    this.#tcpSum += ALIGNED_TIMESTAMPS_SUM + sum32(this.#tsVal) + sum32(this.#tsEcr)
  }

  /**
   * Writes all headers in front of a payload and returns the offset of the frame's first byte.
   * `payloadSum`: checksum share of the payload, or SUM_BY_DEVICE.
   */
  write(payloadOff: number, seq: number, payloadLen: number, payloadSum: number): number {
    this.#writeConstants(payloadOff, payloadLen)
    return this.patch(payloadOff, seq, payloadLen, payloadSum)
  }

  /**
   * Rewrites what changes when a frame that `write` made for the same `key` and payload length is
   * sent again: 10 stores, 12 with timestamps, no read of the packet.
   */
  patch(payloadOff: number, seq: number, payloadLen: number, payloadSum: number): number {
    const flags = ((seq + payloadLen) | 0) === this.#end ? this.#endFlags : wire.ACK
    return this.#patch(payloadOff, seq, payloadLen, flags, payloadSum)
  }

  /** As `write`, with other flags than a data segment's; of a SYN `sum` is that of its options. */
  writeControl(payloadOff: number, seq: number, len: number, flags: number, sum: number): number {
    this.#writeConstants(payloadOff, len)
    return this.#patch(payloadOff, seq, len, flags, sum)
  }

  #writeConstants(payloadOff: number, payloadLen: number): void {
    const view = this.#view
    const { key } = this
    const header = payloadOff - this.#tcpLen
    writeIpHeader(this.#tcp, header - this.#tcpOff, key, this.#tcpLen + payloadLen)
    wire.setSrcPort(view, header, key & 0xffff)
    wire.setHeaderLen(view, header, this.#tcpLen)
    wire.setUrgent(view, header, 0)
    if (this.#hasTimestamps) writeTimestamps(view, payloadOff - ALIGNED_TIMESTAMPS_LEN, 0, 0)
  }

  #patch(payloadOff: number, seq: number, len: number, flags: number, payloadSum: number): number {
    const view = this.#view
    const header = payloadOff - this.#tcpLen
    const off = header - this.#tcpOff
    const allFlags = flags | this.#flags
    if (this.#isUnused) this.#noteUse()
    ethernet.setDst(view, off, this.#dstHi, this.#dstLo)
    if (this.#isIpv6) {
      patchIpv6(view, off, this.#remote0, this.#remote1, this.#remote2, this.#remote3)
    } else {
      patchIpv4(view, off, this.#remote0, this.#ipSum + len)
    }
    wire.setDstPort(view, header, this.#dstPort)
    wire.setSeq(view, header, seq)
    wire.setAck(view, header, this.#ack)
    wire.setFlags(view, header, allFlags)
    wire.setWindow(view, header, this.#window)
    if (this.#hasTimestamps) {
      setTimestamps(view, payloadOff - ALIGNED_TIMESTAMPS_LEN, this.#tsVal, this.#tsEcr)
    }
    const checksum =
      payloadSum === SUM_BY_DEVICE
        ? fold(this.#pseudoSum + len)
        : ~fold(this.#tcpSum + len + sum32(seq) + allFlags + payloadSum)
    wire.setChecksum(view, header, checksum)
    return off
  }

  /** The first segment leaves: it carries the ACK, and says it if the window was reduced. */
  #noteUse(): void {
    this.#isUnused = false
    noteAdvertised(this.#tcp.tcb, this.#c, this.#window)
    if ((this.#flags & wire.CWR) === 0) return
    this.#flags &= ~wire.CWR
    noteReductionSent(this.#tcp.tcb, this.#c)
  }
}
