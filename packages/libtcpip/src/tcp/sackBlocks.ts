/**
 * Selective acknowledgements that we send: which bytes beyond RCV.NXT have arrived (RFC 2018 §4),
 * and which have arrived twice (RFC 2883 §4). They are read off the out-of-order queue when an ACK
 * is written; nothing is kept about what was reported before, since the order in which pieces were
 * touched says it.
 */
import { KIND_NOP, KIND_SACK, SACK_BLOCKS_MAX } from '../wire/tcpOptions.ts'
import { END, NEXT, NO_PIECE, SEQ, STAMP } from './reassembly.ts'
import { gt, max } from './seq.ts'
import { FLAGS, NO_CONN, OUT_OF_ORDER, SACK, TIMESTAMPS } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Beside timestamps there is room for one block less. */
const BLOCKS_WITH_TIMESTAMPS = 3

/** What the next ACK reports; one object per stack. */
export class SackBlocks {
  /** The connection that got [dupStart, dupEnd) once more, until an ACK has said so. */
  dupOf: number = NO_CONN
  dupStart = 0
  dupEnd = 0
  /** The blocks of the option being written, latest touched first. */
  readonly starts: Int32Array = new Int32Array(SACK_BLOCKS_MAX)
  readonly ends: Int32Array = new Int32Array(SACK_BLOCKS_MAX)
  readonly stamps: Int32Array = new Int32Array(SACK_BLOCKS_MAX)
}

/**
 * A segment brought [start, end), which had arrived before: its ACK says so, if the peer knows
 * SACK.
 */
export function noteDuplicate(tcp: Tcp, c: number, start: number, end: number): void {
  if ((tcp.tcb[c + FLAGS] & SACK) === 0) return
  tcp.sack.dupOf = c
  tcp.sack.dupStart = start
  tcp.sack.dupEnd = end
}

/** Has connection `c` a duplicate to report? */
export const hasDuplicate = (tcp: Tcp, c: number): boolean => tcp.sack.dupOf === c

/**
 * Writes the SACK option of connection `c` at `off`, behind two NOPs, so that it takes whole words;
 * returns its length in bytes, 0 if there is nothing to report. A duplicate is reported once.
 */
export function writeSackOption(tcp: Tcp, c: number, view: DataView, off: number): number {
  const flags = tcp.tcb[c + FLAGS]
  if ((flags & SACK) === 0) return 0
  const { sack } = tcp
  const most = flags & TIMESTAMPS ? BLOCKS_WITH_TIMESTAMPS : SACK_BLOCKS_MAX
  const dup = sack.dupOf === c ? 1 : 0
  const count = collect(tcp, c, most - dup)
  if (count + dup === 0) return 0
  view.setUint8(off, KIND_NOP)
  view.setUint8(off + 1, KIND_NOP)
  view.setUint8(off + 2, KIND_SACK)
  view.setUint8(off + 3, 2 + 8 * (count + dup))
  let at = off + 4
  if (dup > 0) at = writeBlock(view, at, sack.dupStart, sack.dupEnd)
  for (let i = 0; i < count; i++) at = writeBlock(view, at, sack.starts[i], sack.ends[i])
  if (dup > 0) sack.dupOf = NO_CONN
  return at - off
}

function writeBlock(view: DataView, off: number, start: number, end: number): number {
  view.setInt32(off, start)
  view.setInt32(off + 4, end)
  return off + 8
}

/** Finds the `most` blocks that were touched last; a block is a run of pieces without a hole. */
function collect(tcp: Tcp, c: number, most: number): number {
  const { pieces } = tcp.reassembly
  let count = 0
  let piece = tcp.tcb[c + OUT_OF_ORDER]
  while (piece !== NO_PIECE) {
    const start = pieces[piece + SEQ]
    let end = pieces[piece + END]
    let stamp = pieces[piece + STAMP]
    piece = pieces[piece + NEXT]
    while (piece !== NO_PIECE && pieces[piece + SEQ] === end) {
      end = pieces[piece + END]
      stamp = max(stamp, pieces[piece + STAMP])
      piece = pieces[piece + NEXT]
    }
    count = place(tcp.sack, count, most, start, end, stamp)
  }
  return count
}

/**
 * Puts a block among the `count` latest, of which there are at most `most`; returns their number.
 */
function place(
  sack: SackBlocks,
  count: number,
  most: number,
  start: number,
  end: number,
  stamp: number,
): number {
  const { starts, ends, stamps } = sack
  if (count === most && !gt(stamp, stamps[count - 1])) return count
  let i = count < most ? count : most - 1
  for (; i > 0 && gt(stamp, stamps[i - 1]); i--) {
    starts[i] = starts[i - 1]
    ends[i] = ends[i - 1]
    stamps[i] = stamps[i - 1]
  }
  starts[i] = start
  ends[i] = end
  stamps[i] = stamp
  return count < most ? count + 1 : count
}
