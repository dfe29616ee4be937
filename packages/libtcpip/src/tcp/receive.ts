/**
 * Receiving (RFC 9293 §3.10.7.4, seventh and eighth check): the segment's bytes go up to the
 * application from where they lie, then its FIN counts. What came before its predecessor waits in
 * reassembly.ts, and goes up in the pass in which the hole is filled.
 *
 * When it is acknowledged (RFC 5681 §4.2): at once, segment by segment, whatever shows a hole or a
 * duplicate; at the end of the batch what ends a hole, and every second segment; the rest with what
 * the application answers, or after `delayedAckMs`.
 */
import { OK } from '@sandstorm/libeth'
import { TCP_DATA_AFTER_CLOSE, TCP_OUT_OF_ORDER } from '../drops.ts'
import { ACK, FIN } from '../wire/tcp.ts'
import { sendControl } from './control.ts'
import { NO_PIECE, SEQ } from './reassembly.ts'
import { hasDuplicate, noteDuplicate } from './sackBlocks.ts'
import { max } from './seq.ts'
import * as state from './state.ts'
import {
  ACK_AT,
  ACK_DELAYED,
  ANSWERED,
  FLAGS,
  MSS,
  NEED_ACK,
  OUT_OF_ORDER,
  RCV_ADV,
  RCV_NXT,
  SND_NXT,
  STATE,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Seventh and eighth check: payload, then FIN. */
export function takePayload(tcp: Tcp, c: number): number {
  const tcb = tcp.tcb
  const seg = tcp.segment
  const fin = seg.flags & FIN
  if (seg.payloadLen === 0 && fin === 0) return OK
  if (!state.canReceive(tcb[c + STATE])) {
    tcp.addWork(c, NEED_ACK)
    return tcp.drop(TCP_DATA_AFTER_CLOSE)
  }
  if (seg.seq !== tcb[c + RCV_NXT]) return queueSegment(tcp, c)
  if (tcb[c + OUT_OF_ORDER] !== NO_PIECE || hasDuplicate(tcp, c)) return fillHole(tcp, c)
  oweAck(tcp, c, seg.payloadLen)
  deliver(tcp, c, seg.payloadOff, seg.payloadLen, fin)
  return OK
}

/** Acknowledges now, before what follows in the batch; if that cannot be, when it can. */
export function acknowledgeNow(tcp: Tcp, c: number): void {
  if (!sendControl(tcp, c, tcp.tcb[c + SND_NXT], ACK)) tcp.addWork(c, NEED_ACK)
}

/**
 * In-order bytes: their ACK may wait for the application's answer, but not that of a second
 * segment, and not before the application has ever answered: a client that sends its first request
 * in pieces may be waiting for it (Nagle), and one that uploads lives on ACKs (RFC 1122 §4.2.3.2).
 */
function oweAck(tcp: Tcp, c: number, len: number): void {
  const tcb = tcp.tcb
  const flags = tcb[c + FLAGS]
  const { delayedAckMs } = tcp.config
  const isSecond = (flags & ACK_DELAYED) !== 0 || len >= 2 * tcb[c + MSS]
  if (isSecond || (flags & ANSWERED) === 0 || delayedAckMs === 0) {
    tcp.addWork(c, NEED_ACK)
  } else {
    tcb[c + ACK_AT] = (tcp.nowMs + delayedAckMs) | 0
    tcp.addWork(c, ACK_DELAYED)
  }
}

/** The segment lies beyond a hole: it waits, and the peer is told of the hole. */
function queueSegment(tcp: Tcp, c: number): number {
  const seg = tcp.segment
  const isQueued = insertFrom(tcp, c, seg.seq)
  acknowledgeNow(tcp, c)
  if (!isQueued) return tcp.drop(TCP_OUT_OF_ORDER)
  tcp.stats.outOfOrderSegs++
  return OK
}

/** The segment is next and others wait behind it, or it brings bytes that came before. */
function fillHole(tcp: Tcp, c: number): number {
  const tcb = tcp.tcb
  const seg = tcp.segment
  const first = tcb[c + OUT_OF_ORDER]
  let len = seg.payloadLen
  let fin = seg.flags & FIN
  if (first !== NO_PIECE) {
    // Bytes that wait already are not replaced: of the segment only those before and between count.
    const hole = (tcp.reassembly.pieces[first + SEQ] - seg.seq) | 0
    if (len + fin > hole) {
      insertFrom(tcp, c, (seg.seq + hole) | 0)
      len = hole
      fin = 0
    }
  }
  tcp.addWork(c, NEED_ACK)
  if (deliver(tcp, c, seg.payloadOff, len, fin)) deliverQueued(tcp, c)
  if (tcb[c + STATE] === state.CLOSED) return OK
  if (tcb[c + OUT_OF_ORDER] !== NO_PIECE || hasDuplicate(tcp, c)) acknowledgeNow(tcp, c)
  return OK
}

/** Queues the segment from sequence number `from` on; false if not all of it had room. */
function insertFrom(tcp: Tcp, c: number, from: number): boolean {
  const seg = tcp.segment
  const queue = tcp.reassembly
  const skip = (from - seg.seq) | 0
  const off = seg.payloadOff + skip
  const isQueued = queue.insert(tcp.tcb, c, from, off, seg.payloadLen - skip, seg.flags & FIN)
  // RFC 2883 §4: a segment's first duplicate run is the one to report.
  const isFirst = queue.dupStart !== queue.dupEnd && !hasDuplicate(tcp, c)
  if (isFirst) noteDuplicate(tcp, c, queue.dupStart, queue.dupEnd)
  return isQueued
}

/**
 * Delivers what waited and is next now. A piece that is not taken whole is given up: it comes
 * again.
 */
function deliverQueued(tcp: Tcp, c: number): void {
  const queue = tcp.reassembly
  let goesOn = true
  while (goesOn) {
    const piece = queue.take(tcp.tcb, c, tcp.tcb[c + RCV_NXT])
    if (piece === NO_PIECE) return
    const len = queue.bytes(piece)
    goesOn = deliver(tcp, c, len > 0 ? queue.off(piece) : 0, len, queue.fin(piece))
    queue.free(piece)
  }
}

/**
 * Hands the next `len` bytes, and the FIN behind them if `fin` is not 0, to the application. False
 * if it did not take all, or if nothing can follow.
 */
function deliver(tcp: Tcp, c: number, off: number, len: number, fin: number): boolean {
  const tcb = tcp.tcb
  if (len > 0) {
    const taken = tcp.app.onData(c, off, len)
    if (tcb[c + STATE] === state.CLOSED) return false
    tcb[c + RCV_NXT] = (tcb[c + RCV_NXT] + taken) | 0
    if (taken < len) {
      tcp.addWork(c, NEED_ACK)
      return false
    }
  }
  if (fin === 0) return true
  onFin(tcp, c)
  return false
}

function onFin(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  tcb[c + RCV_NXT] = (tcb[c + RCV_NXT] + 1) | 0
  // A FIN needs no buffer: it is taken at the very edge of the window, which is then moved by it.
  tcb[c + RCV_ADV] = max(tcb[c + RCV_ADV], tcb[c + RCV_NXT])
  tcp.reassembly.release(tcb, c)
  tcp.addWork(c, NEED_ACK)
  tcp.setState(c, state.RCV_FIN)
  if (tcb[c + STATE] === state.TIME_WAIT) {
    sendControl(tcp, c, tcb[c + SND_NXT], ACK)
    tcp.release(c)
    return
  }
  if (tcb[c + STATE] === state.CLOSE_WAIT) tcp.app.onFin(c)
}
