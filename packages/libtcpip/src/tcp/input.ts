/**
 * Segment input (RFC 9293 §3.10.7): one segment, from its checksum to everything it makes us send.
 * The order of the checks is the RFC's; RFC 5961 hardens those for RST, SYN and ACK. Nothing here
 * throws for what a segment contains; one that is dropped returns its reason.
 */
import { OK } from '@sandstorm/libeth'
import { RX_CSUM_GOOD, RX_CSUM_PARTIAL } from '@sandstorm/libnmio'
import {
  TCP_BAD_ACK,
  TCP_BAD_FLAGS,
  TCP_CHECKSUM,
  TCP_DATA_AFTER_CLOSE,
  TCP_OUT_OF_ORDER,
  TCP_OUT_OF_WINDOW,
  TCP_RST_IGNORED,
  TCP_SYN_IGNORED,
} from '../drops.ts'
import { fold, sum } from '../wire/checksum.ts'
import * as ipv4 from '../wire/ipv4.ts'
import * as header from '../wire/tcp.ts'
import { ACK, check, FIN, RST, SYN } from '../wire/tcp.ts'
import { isAcceptable } from './acceptance.ts'
import { establish, repeatSynAck } from './listen.ts'
import { output, stopTimer } from './output.ts'
import { onDupAck, onNewAck } from './recovery.ts'
import { resetRto } from './rtt.ts'
import { sendBare, sendControl } from './segment.ts'
import { gt, le, lt, max } from './seq.ts'
import * as state from './state.ts'
import {
  FIN_QUEUED,
  FLAGS,
  MAX_WND,
  NEED_ACK,
  NEIGHBOUR,
  NEXT_HOP,
  NO_CONN,
  PERSIST,
  RCV_ADV,
  RCV_NXT,
  RETRIES,
  SCALES,
  SND_END,
  SND_NXT,
  SND_UNA,
  SND_WL1,
  SND_WL2,
  SND_WND,
  STATE,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { onUnknown } from './unknown.ts'

const SEND_SCALE_MASK = 0xff

/**
 * Takes the TCP segment at `off`, `len` bytes long, out of the IPv4 packet at `ipOff`, which is
 * addressed to us. Returns OK or the reason why it was dropped.
 */
export function input(tcp: Tcp, ipOff: number, off: number, len: number, rxFlags: number): number {
  const view = tcp.frames.region.view
  tcp.stats.inSegs++
  const reason = check(view, off, len)
  if (reason !== OK) return reject(tcp, reason)
  const remoteAddr = ipv4.src(view, ipOff)
  const localAddr = ipv4.dst(view, ipOff)
  if ((rxFlags & (RX_CSUM_GOOD | RX_CSUM_PARTIAL)) === 0) {
    const pseudo = ipv4.pseudoSum(remoteAddr, localAddr, ipv4.PROTO_TCP, len)
    if (fold(pseudo + sum(view, off, len)) !== 0xffff) return reject(tcp, TCP_CHECKSUM)
  }
  const seg = tcp.segment
  const headerLen = header.headerLen(view, off)
  seg.seq = header.seq(view, off)
  seg.ack = header.ack(view, off)
  seg.flags = header.flags(view, off)
  seg.window = header.window(view, off)
  seg.payloadOff = off + headerLen
  seg.payloadLen = len - headerLen
  seg.remoteAddr = remoteAddr
  seg.localAddr = localAddr
  seg.ports = (header.srcPort(view, off) << 16) | header.dstPort(view, off)
  seg.headerOff = off
  const c = tcp.table.find(remoteAddr, localAddr, seg.ports)
  return c === NO_CONN ? onUnknown(tcp) : onSegment(tcp, c)
}

function reject(tcp: Tcp, reason: number): number {
  tcp.stats.inErrs++
  return tcp.drop(reason)
}

/** RFC 9293 §3.10.7.4: a connection of ours, SYN-RECEIVED or later. */
function onSegment(tcp: Tcp, c: number): number {
  const tcb = tcp.tcb
  const seg = tcp.segment
  if (tcb[c + STATE] === state.SYN_RCVD && isRepeatedSyn(tcp, c)) {
    repeatSynAck(tcp, c)
    return OK
  }
  if (!isAcceptable(tcp, c)) {
    if ((seg.flags & RST) === 0) tcp.addWork(c, NEED_ACK)
    return tcp.drop(TCP_OUT_OF_WINDOW)
  }
  if (seg.flags & RST) return onReset(tcp, c)
  if (seg.flags & SYN) return challenge(tcp, c, TCP_SYN_IGNORED)
  if ((seg.flags & ACK) === 0) return tcp.drop(TCP_BAD_FLAGS)
  if (tcb[c + STATE] === state.SYN_RCVD) {
    if (!gt(seg.ack, tcb[c + SND_UNA]) || gt(seg.ack, tcb[c + SND_NXT])) {
      tcp.stats.outRsts++
      sendBare(tcp, seg.ack, 0, RST, 0)
      return tcp.drop(TCP_BAD_ACK)
    }
    establish(tcp, c)
    if (tcb[c + STATE] === state.CLOSED) return OK
  }
  const reason = acknowledge(tcp, c)
  if (reason !== OK) return reason
  if (tcb[c + STATE] === state.CLOSED) return OK
  const taken = takePayload(tcp, c)
  if (tcb[c + STATE] === state.CLOSED) return taken
  output(tcp, c)
  return taken
}

const isRepeatedSyn = (tcp: Tcp, c: number): boolean =>
  (tcp.segment.flags & (SYN | ACK | RST)) === SYN &&
  ((tcp.segment.seq + 1) | 0) === tcp.tcb[c + RCV_NXT]

/** Second check (RFC 5961 §3): only the exact next sequence number resets. */
function onReset(tcp: Tcp, c: number): number {
  const tcb = tcp.tcb
  if (tcp.segment.seq !== tcb[c + RCV_NXT]) return challenge(tcp, c, TCP_RST_IGNORED)
  if (tcb[c + STATE] === state.SYN_RCVD) tcp.stats.attemptFails++
  else tcp.stats.estabResets++
  tcp.setState(c, state.ABORT)
  tcp.release(c)
  return OK
}

/** RFC 5961: an ACK that only the true peer can make use of; at most one a batch. */
function challenge(tcp: Tcp, c: number, reason: number): number {
  tcp.stats.challengeAcks++
  tcp.addWork(c, NEED_ACK)
  return tcp.drop(reason)
}

/** Fifth check: what the ACK acknowledges, and the peer's window. */
function acknowledge(tcp: Tcp, c: number): number {
  const tcb = tcp.tcb
  const seg = tcp.segment
  const una = tcb[c + SND_UNA]
  if (gt(seg.ack, tcb[c + SND_NXT])) {
    tcp.addWork(c, NEED_ACK)
    return tcp.drop(TCP_BAD_ACK)
  }
  // RFC 5961 §5: an ACK older than any window the peer ever had is no ACK of ours.
  if (lt(seg.ack, (una - tcb[c + MAX_WND]) | 0)) return challenge(tcp, c, TCP_BAD_ACK)
  if (lt(seg.ack, una)) return OK
  const windowBefore = tcb[c + SND_WND]
  updateWindow(tcp, c)
  if (gt(seg.ack, una)) {
    onNewAck(tcp, c, seg.ack)
    const neighbour = tcb[c + NEIGHBOUR]
    if (tcp.arp.holds(neighbour, tcb[c + NEXT_HOP])) tcp.arp.confirm(neighbour, tcp.clockMs)
    onProgress(tcp, c)
  } else if (isDuplicateAck(tcp, c, windowBefore)) {
    onDupAck(tcp, c)
  }
  return OK
}

/** RFC 5681 §2: no data, no FIN, no new window, and something outstanding. */
const isDuplicateAck = (tcp: Tcp, c: number, windowBefore: number): boolean =>
  tcp.segment.payloadLen === 0 &&
  (tcp.segment.flags & FIN) === 0 &&
  tcp.tcb[c + SND_WND] === windowBefore &&
  tcp.tcb[c + SND_NXT] !== tcp.tcb[c + SND_UNA] &&
  (tcp.tcb[c + FLAGS] & PERSIST) === 0

/** SND.WND, from the newest segment only (RFC 9293 §3.10.7.4). */
function updateWindow(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const seg = tcp.segment
  const newer =
    lt(tcb[c + SND_WL1], seg.seq) || (tcb[c + SND_WL1] === seg.seq && le(tcb[c + SND_WL2], seg.ack))
  if (!newer) return
  const window = seg.window << (tcb[c + SCALES] & SEND_SCALE_MASK)
  tcb[c + SND_WND] = window
  tcb[c + SND_WL1] = seg.seq
  tcb[c + SND_WL2] = seg.ack
  if (window > tcb[c + MAX_WND]) tcb[c + MAX_WND] = window
  // A peer that answers, though its window is shut, is alive: it may keep us for ever (MUST-37).
  if (window === 0) tcb[c + RETRIES] = 0
  else if (tcb[c + FLAGS] & PERSIST) reopenWindow(tcp, c)
}

/** The window opened: the persist timer's work is done, and its back-off forgotten. */
function reopenWindow(tcp: Tcp, c: number): void {
  tcp.tcb[c + RETRIES] = 0
  resetRto(tcp.tcb, c)
  stopTimer(tcp, c)
}

/** SND.UNA moved: tell the application, and see whether our FIN is acknowledged. */
function onProgress(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  tcp.app.onAcked(c)
  if (tcb[c + STATE] === state.CLOSED || (tcb[c + FLAGS] & FIN_QUEUED) === 0) return
  if (!gt(tcb[c + SND_UNA], tcb[c + SND_END])) return
  tcp.setState(c, state.RCV_ACK_OF_FIN)
  const after = tcb[c + STATE]
  if (after === state.TIME_WAIT || after === state.CLOSED) tcp.release(c)
}

/** Seventh and eighth check: payload, then FIN, both only in order. */
function takePayload(tcp: Tcp, c: number): number {
  const tcb = tcp.tcb
  const seg = tcp.segment
  if (seg.payloadLen === 0 && (seg.flags & FIN) === 0) return OK
  tcp.addWork(c, NEED_ACK)
  if (seg.seq !== tcb[c + RCV_NXT]) return tcp.drop(TCP_OUT_OF_ORDER)
  if (!state.canReceive(tcb[c + STATE])) return tcp.drop(TCP_DATA_AFTER_CLOSE)
  if (seg.payloadLen > 0) {
    const taken = tcp.app.onData(c, seg.payloadOff, seg.payloadLen)
    if (tcb[c + STATE] === state.CLOSED) return OK
    tcb[c + RCV_NXT] = (tcb[c + RCV_NXT] + taken) | 0
    if (taken < seg.payloadLen) return OK
  }
  if (seg.flags & FIN) onFin(tcp, c)
  return OK
}

function onFin(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  tcb[c + RCV_NXT] = (tcb[c + RCV_NXT] + 1) | 0
  // A FIN needs no buffer: it is taken at the very edge of the window, which is then moved by it.
  tcb[c + RCV_ADV] = max(tcb[c + RCV_ADV], tcb[c + RCV_NXT])
  tcp.setState(c, state.RCV_FIN)
  if (tcb[c + STATE] === state.TIME_WAIT) {
    sendControl(tcp, c, tcb[c + SND_NXT], ACK)
    tcp.release(c)
    return
  }
  if (tcb[c + STATE] === state.CLOSE_WAIT) tcp.app.onFin(c)
}
