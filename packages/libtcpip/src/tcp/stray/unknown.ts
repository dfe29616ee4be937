/**
 * Segments of no connection (RFC 9293 §3.10.7.1, §3.10.7.2): they belong to TIME-WAIT, to a
 * listener, or to nobody, and then they are answered with RST.
 */
import { OK } from '@sandstorm/libeth'
import { TCP_BAD_FLAGS, TCP_NO_CONNECTION, TCP_NO_LISTENER, TCP_RST_IGNORED } from '../../drops.ts'
import { ACK, FIN, RST, SYN } from '../../wire/tcp.ts'
import { segmentLen } from '../acceptance.ts'
import { onSyn } from '../opening/listen.ts'
import { isCookieDue, needsCookie, sendCookie } from '../opening/synCookies.ts'
import { gt } from '../seq.ts'
import { KIND_TIMESTAMPS } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import {
  NOT_WAITING,
  TW_FRAME_KEY,
  TW_RCV_NXT,
  TW_REFUSED,
  TW_SND_NXT,
  TW_TS_OFFSET,
  TW_TS_RECENT,
} from '../timers/timeWait.ts'
import { WINDOW_MAX } from '../window.ts'
import { sendBare, sendBareAck } from './bare.ts'

/** Processes `tcp.segment`; returns OK or the reason why it was dropped. */
export function onUnknown(tcp: Tcp): number {
  const seg = tcp.segment
  if (tcp.timeWait.count > 0) {
    const e = tcp.timeWait.find(tcp.table.hashFor(seg), seg)
    if (e !== NOT_WAITING) return onTimeWait(tcp, e)
  }
  if (seg.flags & RST) return tcp.drop(TCP_NO_CONNECTION)
  if (tcp.isListening(seg.ports & 0xffff)) {
    if ((seg.flags & (SYN | ACK)) === SYN) {
      return seg.flags & FIN ? tcp.drop(TCP_BAD_FLAGS) : open(tcp, 0)
    }
    if ((seg.flags & ACK) === 0) return tcp.drop(TCP_BAD_FLAGS)
    if (isCookieDue(tcp)) onFailedCookie(tcp)
    else reset(tcp)
    return tcp.drop(TCP_NO_CONNECTION)
  }
  reset(tcp)
  return tcp.drop(TCP_NO_LISTENER)
}

/** A SYN to a listener; `issMin` as in `onSyn`. A cookie cannot heed it: its number is a hash. */
const open = (tcp: Tcp, issMin: number): number =>
  needsCookie(tcp) ? sendCookie(tcp) : onSyn(tcp, issMin)

/**
 * While cookies are about, data may come whose predecessors were lost, handshake and all. It is not
 * reset: the first of it, sent again, has the cookie in the right place.
 */
function onFailedCookie(tcp: Tcp): void {
  tcp.stats.syncookiesFailed++
  if (tcp.segment.payloadLen === 0) reset(tcp)
}

/** Answers `tcp.segment` with the RST of RFC 9293 §3.10.7.1, if not too many are. */
export function reset(tcp: Tcp): void {
  const seg = tcp.segment
  if (!mayAnswer(tcp)) return
  tcp.stats.outRsts++
  if (seg.flags & ACK) sendBare(tcp, seg.ack, 0, RST, 0)
  else sendBare(tcp, 0, (seg.seq + segmentLen(tcp)) | 0, RST | ACK, 0)
}

function mayAnswer(tcp: Tcp): boolean {
  if (tcp.bareLimit.take(tcp.sources.keyOfSegment(tcp.segment), tcp.nowMs)) return true
  tcp.stats.limitedAnswers++
  return false
}

/**
 * TIME-WAIT: a new SYN that cannot be an old one reopens the connection (RFC 6191), one that can is
 * refused; the FIN that came again is acknowledged and the wait begins anew.
 */
function onTimeWait(tcp: Tcp, e: number): number {
  const seg = tcp.segment
  const { entries } = tcp.timeWait
  if (seg.flags & RST) return onWaitReset(tcp, e)
  tcp.options.parse(tcp.frames.region.view, seg.headerOff)
  const isSyn = (seg.flags & (SYN | ACK | FIN)) === SYN
  if (isSyn && isNew(tcp, e) && tcp.isListening(seg.ports & 0xffff)) {
    const reason = open(tcp, entries[e + TW_SND_NXT])
    if (reason !== OK) return reason
    tcp.timeWait.remove(e)
    tcp.stats.timeWaitReuses++
    return OK
  }
  if (isSyn) entries[e + TW_FRAME_KEY] |= TW_REFUSED
  if (isRepeatedFin(tcp, e)) e = tcp.timeWait.renew(e, tcp.nowMs)
  // Nothing new and nothing wrong: no answer, or two ends in TIME-WAIT would answer each other for
  // ever.
  if (segmentLen(tcp) === 0 && seg.seq === entries[e + TW_RCV_NXT]) return OK
  if (mayAnswer(tcp)) acknowledgeAgain(tcp, e)
  return OK
}

/**
 * An RST does not end the wait (RFC 1337 §3), but for the one with which a peer whose SYN was
 * refused answers our ACK: it has forgotten the connection, and its next SYN is to open another.
 */
function onWaitReset(tcp: Tcp, e: number): number {
  const { entries } = tcp.timeWait
  const isRefused = (entries[e + TW_FRAME_KEY] & TW_REFUSED) !== 0
  if (!isRefused || tcp.segment.seq !== entries[e + TW_RCV_NXT]) return tcp.drop(TCP_RST_IGNORED)
  tcp.timeWait.remove(e)
  return OK
}

/**
 * Does the segment end with the very FIN that was received? Another one is forged, or not the
 * peer's.
 */
const isRepeatedFin = (tcp: Tcp, e: number): boolean =>
  (tcp.segment.flags & (SYN | FIN)) === FIN &&
  ((tcp.segment.seq + segmentLen(tcp)) | 0) === tcp.timeWait.entries[e + TW_RCV_NXT]

/**
 * Can the SYN be none of the old connection's (RFC 6191 §2)? Its timestamp tells, if both have one;
 * otherwise, or between equals, its sequence number (RFC 9293 §3.6.1).
 */
function isNew(tcp: Tcp, e: number): boolean {
  const { options } = tcp
  const { entries } = tcp.timeWait
  if (options.timestamps && entries[e + TW_FRAME_KEY] & KIND_TIMESTAMPS) {
    const recent = entries[e + TW_TS_RECENT]
    if (options.tsVal !== recent) return gt(options.tsVal, recent)
  }
  return gt(tcp.segment.seq, entries[e + TW_RCV_NXT])
}

/** The last ACK once more, with timestamps if the connection had them (RFC 7323 §3.2). */
function acknowledgeAgain(tcp: Tcp, e: number): void {
  const { entries } = tcp.timeWait
  const { receiveWindow } = tcp.config
  const seq = entries[e + TW_SND_NXT]
  const ack = entries[e + TW_RCV_NXT]
  const window = receiveWindow < WINDOW_MAX ? receiveWindow : WINDOW_MAX
  if (entries[e + TW_FRAME_KEY] & KIND_TIMESTAMPS) {
    const tsVal = (tcp.nowMs + entries[e + TW_TS_OFFSET]) | 0
    sendBareAck(tcp, seq, ack, window, tsVal, entries[e + TW_TS_RECENT])
  } else {
    sendBare(tcp, seq, ack, ACK, window)
  }
}
