/**
 * A TCP segment on its way through the simulator, either way: its header read into an object, its
 * payload only as a length. Sequence numbers are relative to the ISN of the side they count.
 */
import { ethernet } from '@sandstorm/libeth'
import { ipv4, TcpOptions, tcp } from '../../src/index.ts'
import { mssOption, wscaleOption } from '../kit/segment.ts'
import type { Block } from './blocks.ts'

export interface Packet {
  /** The client's port: whose packet it is. */
  port: number
  flags: number
  seq: number
  ack: number
  /** Payload bytes. */
  len: number
  /** As in the header, unscaled. */
  window: number
  /** 0: no option. */
  mss: number
  /** -1: no option. */
  windowScale: number
  sackPermitted: boolean
  timestamps: boolean
  tsVal: number
  tsEcr: number
  /** Most recent first. */
  sack: Block[]
}

/** Ethernet, IPv4 and TCP without options: what a packet is longer than its payload, at least. */
export const HEADERS_LEN: number = ethernet.HEADER_LEN + ipv4.HEADER_LEN + tcp.HEADER_LEN

const parsed = new TcpOptions()

/** Reads the frame at `off`, a right one, of the server to its client. */
export function readPacket(view: DataView, off: number, iss: number, irs: number): Packet {
  const ip = off + ethernet.HEADER_LEN
  const header = ipv4.payloadOff(view, ip)
  parsed.parse(view, header)
  return {
    port: tcp.dstPort(view, header),
    flags: tcp.flags(view, header),
    seq: (tcp.seq(view, header) - iss) | 0,
    ack: (tcp.ack(view, header) - irs) | 0,
    len: ip + ipv4.totalLen(view, ip) - header - tcp.headerLen(view, header),
    window: tcp.window(view, header),
    mss: parsed.mss,
    windowScale: parsed.windowScale,
    sackPermitted: parsed.sackPermitted,
    timestamps: parsed.timestamps,
    tsVal: parsed.tsVal,
    tsEcr: parsed.tsEcr,
    sack: [],
  }
}

const int32 = (n: number): number[] => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]

/** The bytes of a client's options; `iss` is the server's. */
export function optionBytes(packet: Packet, iss: number): number[] {
  const { mss, sackPermitted, timestamps, tsVal, tsEcr, windowScale, sack } = packet
  const blocks = sack.flatMap(({ from, end }) => [...int32(iss + from), ...int32(iss + end)])
  return [
    ...(mss > 0 ? mssOption(mss) : []),
    ...(sackPermitted ? [1, 1, 4, 2] : []),
    ...(timestamps ? [1, 1, 8, 10, ...int32(tsVal), ...int32(tsEcr)] : []),
    ...(windowScale >= 0 ? wscaleOption(windowScale) : []),
    ...(blocks.length > 0 ? [1, 1, 5, 2 + blocks.length, ...blocks] : []),
  ]
}
