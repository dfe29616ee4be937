/**
 * Segments of a script: what is to be sent, what is expected, and what came. Numbers are relative
 * (script.ts).
 */
import type { IpFields } from './frames.ts'
import type { Seen, TcpOption } from './seen.ts'

/** A segment to send. What is left out: the next number, all that came is acknowledged, 65535. */
export interface Send {
  seq?: number
  ack?: number
  win?: number
  /** Bytes, or how many of them. */
  data?: number | Uint8Array
  options?: readonly number[]
  urgent?: number
  reserved?: number
  /** Data offset in words, if it is to lie. */
  offset?: number
  checksumError?: number
  /** TSval, and TSecr if it is not what came last; where timestamps are on. */
  ts?: number
  tsEcho?: number
  /** False: without timestamps, though they were agreed on. */
  timestamps?: boolean
  ip?: Partial<IpFields>
  dstMac?: Uint8Array
  /** Bytes of Ethernet padding behind the packet. */
  padding?: number
}

/** What a segment must be like; `len` counts payload. */
export interface Expectation {
  seq?: number
  ack?: number
  len?: number
  win?: number
}

/** A segment of the target, numbers relative. */
export interface Segment {
  readonly atMs: number
  readonly flags: string
  readonly seq: number
  readonly ack: number
  readonly len: number
  readonly win: number
  readonly options: readonly TcpOption[]
  readonly seen: Seen
}

/** How a connection is opened; what is left out is not offered. */
export interface Open {
  /** 0: no option. */
  mss?: number
  wscale?: number
  sack?: boolean
  /** Timestamps, beginning with this value. */
  ts?: number
  /** Unscaled in the SYN, scaled afterwards. */
  win?: number
  /** The round trip of the handshake, milliseconds. */
  rttMs?: number
}

export interface FlowOptions {
  port?: number
  dstPort?: number
  /** The probe's ISN; default: the next of the probe's numbers. */
  isn?: number
  ipVersion?: 4 | 6
  /** Another address of the peer's. */
  src?: string
  dst?: string
}

/** One connection, or what could become one: a pair of addresses and ports. */

/** Is a segment as wanted? PSH counts only where it is asked for. */
export const matches = (segment: Segment, flags: string, wanted: Expectation): boolean =>
  sameFlags(segment.flags, flags) &&
  (wanted.seq === undefined || segment.seq === wanted.seq) &&
  (wanted.ack === undefined || segment.ack === wanted.ack) &&
  (wanted.len === undefined || segment.len === wanted.len) &&
  (wanted.win === undefined || segment.win === wanted.win)

function sameFlags(actual: string, wanted: string): boolean {
  const order = (flags: string): string => [...flags].sort().join('')
  return order(wanted.includes('P') ? actual : actual.replace('P', '')) === order(wanted)
}

/** `. seq 1 len 1460`. */
export const describe = (flags: string, wanted: Expectation): string =>
  `${flags}${Object.entries(wanted)
    .map(([name, value]) => ` ${name} ${value}`)
    .join('')}`
