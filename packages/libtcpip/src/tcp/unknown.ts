/**
 * Segments of no connection (RFC 9293 §3.10.7.1, §3.10.7.2): they belong to TIME-WAIT, to a
 * listener, or to nobody, and then they are answered with RST.
 */
import { OK } from '@sandstorm/libeth'
import { TCP_BAD_FLAGS, TCP_NO_CONNECTION, TCP_NO_LISTENER, TCP_RST_IGNORED } from '../drops.ts'
import { ACK, FIN, RST, SYN } from '../wire/tcp.ts'
import { segmentLen } from './acceptance.ts'
import { onSyn } from './listen.ts'
import { sendBare } from './segment.ts'
import { gt } from './seq.ts'
import { isCookieDue, needsCookie, sendCookie } from './synCookies.ts'
import type { Tcp } from './tcp.ts'
import { NOT_WAITING, TW_RCV_NXT, TW_SND_NXT } from './timeWait.ts'
import { WINDOW_MAX } from './window.ts'

/** Processes `tcp.segment`; returns OK or the reason why it was dropped. */
export function onUnknown(tcp: Tcp): number {
  const seg = tcp.segment
  if (tcp.timeWait.count > 0) {
    const hash = tcp.table.hash(seg.remoteAddr, seg.localAddr, seg.ports)
    const e = tcp.timeWait.find(hash, seg.remoteAddr, seg.localAddr, seg.ports)
    if (e !== NOT_WAITING) return onTimeWait(tcp, e, hash)
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
  if (tcp.bareLimit.take(tcp.sourceKey(tcp.segment.remoteAddr), tcp.nowMs)) return true
  tcp.stats.limitedAnswers++
  return false
}

/**
 * TIME-WAIT: a new SYN beyond the old sequence numbers reopens the connection (RFC 9293 §3.6.1), an
 * RST does not end the wait (RFC 1337), a FIN that came again is acknowledged and the wait begins anew.
 */
function onTimeWait(tcp: Tcp, e: number, hash: number): number {
  const seg = tcp.segment
  const sndNxt = tcp.timeWait.entries[e + TW_SND_NXT]
  const rcvNxt = tcp.timeWait.entries[e + TW_RCV_NXT]
  if (seg.flags & RST) return tcp.drop(TCP_RST_IGNORED)
  const fresh = (seg.flags & (SYN | ACK | FIN)) === SYN && gt(seg.seq, rcvNxt)
  if (fresh && tcp.isListening(seg.ports & 0xffff)) {
    const reason = open(tcp, sndNxt)
    if (reason !== OK) return reason
    tcp.timeWait.remove(e)
    tcp.stats.timeWaitReuses++
    return OK
  }
  if (seg.flags & FIN) {
    tcp.timeWait.remove(e)
    const { remoteAddr, localAddr, ports } = seg
    tcp.timeWait.add(hash, remoteAddr, localAddr, ports, sndNxt, rcvNxt, tcp.nowMs)
  }
  // Nothing new and nothing wrong: no answer, or two ends in TIME-WAIT would answer each other for ever.
  if (segmentLen(tcp) === 0 && seg.seq === rcvNxt) return OK
  if (!mayAnswer(tcp)) return OK
  const window = tcp.config.receiveWindow
  sendBare(tcp, sndNxt, rcvNxt, ACK, window < WINDOW_MAX ? window : WINDOW_MAX)
  return OK
}
