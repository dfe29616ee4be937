/**
 * Is a segment acceptable, in the receive window (RFC 9293 §3.10.7.4, table 6)? One that is gets
 * trimmed to it, so that what follows sees only bytes that are new and that we have room for.
 */
import { FIN, RST, SYN } from '../wire/tcp.ts'
import { noteDuplicate } from './sackBlocks.ts'
import { min } from './seq.ts'
import { NEED_ACK, RCV_ADV, RCV_NXT } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Sequence space that the segment takes: payload, SYN and FIN. */
export function segmentLen(tcp: Tcp): number {
  const { flags, payloadLen } = tcp.segment
  return payloadLen + (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0)
}

/**
 * First check: trims the segment to the window; false if none of it is in there (RFC 9293 table 6).
 * An RST or SYN is left whole: its own number decides what it may do (RFC 5961 §3, §4).
 */
export function trimToWindow(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  const seg = tcp.segment
  const window = (tcb[c + RCV_ADV] - tcb[c + RCV_NXT]) | 0
  const ahead = (seg.seq - tcb[c + RCV_NXT]) | 0
  const len = segmentLen(tcp)
  if (ahead < 0 && len > 0) noteOld(tcp, c, (seg.seq + len) | 0)
  if (len === 0) return ahead === 0 || (ahead > 0 && ahead < window)
  // With a shut window an RST or ACK at RCV.NXT still counts (MUST-66); its data does not.
  if (window === 0 ? ahead !== 0 : ahead >= window || ahead + len <= 0) return false
  if (seg.flags & (RST | SYN)) return true
  if (ahead < 0) trimHead(tcp, -ahead)
  trimTail(tcp, c, window - (ahead > 0 ? ahead : 0))
  return true
}

/** The segment, which ends at `end`, begins with what was received before. */
function noteOld(tcp: Tcp, c: number, end: number): void {
  const { seq, flags } = tcp.segment
  if ((flags & (RST | SYN)) === 0) noteDuplicate(tcp, c, seq, min(end, tcp.tcb[c + RCV_NXT]))
}

/** Leaves out the first `count` of sequence space, which was received before. */
function trimHead(tcp: Tcp, count: number): void {
  const seg = tcp.segment
  seg.seq = (seg.seq + count) | 0
  seg.payloadOff += count
  seg.payloadLen -= count
}

/**
 * Leaves out what lies beyond `room`; a FIN behind it comes again later. If nothing remains, it was
 * a probe of our window, and is answered like any data.
 */
function trimTail(tcp: Tcp, c: number, room: number): void {
  const seg = tcp.segment
  if (seg.payloadLen <= room) return
  seg.payloadLen = room
  seg.flags &= ~FIN
  tcp.addWork(c, NEED_ACK)
}
