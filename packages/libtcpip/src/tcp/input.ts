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
  TCP_OUT_OF_WINDOW,
  TCP_RST_IGNORED,
  TCP_SYN_IGNORED,
  TCP_TABLE_FULL,
} from '../drops.ts'
import { fold, sum } from '../wire/checksum.ts'
import * as header from '../wire/tcp.ts'
import { ACK, check, RST, SYN } from '../wire/tcp.ts'
import { trimToWindow } from './acceptance.ts'
import { acknowledge } from './ack.ts'
import { confirmEcn, noteEcn } from './congestion/ecn.ts'
import { RESET } from './ending.ts'
import { isCrossingSynAck, onSynAck, onSynSent } from './opening/connect.ts'
import { NO_COOKIE } from './opening/cookie.ts'
import { admit, establish, repeatSynAck } from './opening/listen.ts'
import { isCookieDue, mssOfCookie, openFromCookie } from './opening/synCookies.ts'
import { output } from './output.ts'
import { checkTimestamp, noteTimestamp } from './paws.ts'
import { takePayload } from './receive.ts'
import { gt } from './seq.ts'
import * as state from './state.ts'
import { answerUnacceptable, challenge } from './stray/challenge.ts'
import { onUnknown, reset } from './stray/unknown.ts'
import { ECN, FLAGS, NO_CONN, PASSIVE, RCV_NXT, SND_NXT, SND_UNA, STATE } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/**
 * Takes the TCP segment at `off`, `len` bytes long. The IP layer has written to `tcp.segment` who
 * it is from and which of our addresses it came to; `pseudoSum` is the pseudo-header's sum. Returns
 * OK or the reason why it was dropped.
 */
export function input(
  tcp: Tcp,
  pseudoSum: number,
  off: number,
  len: number,
  rxFlags: number,
): number {
  const view = tcp.frames.region.view
  tcp.stats.inSegs++
  const reason = check(view, off, len)
  if (reason !== OK) return reject(tcp, reason)
  if ((rxFlags & (RX_CSUM_GOOD | RX_CSUM_PARTIAL)) === 0) {
    if (fold(pseudoSum + sum(view, off, len)) !== 0xffff) return reject(tcp, TCP_CHECKSUM)
  }
  const seg = tcp.segment
  const headerLen = header.headerLen(view, off)
  seg.seq = header.seq(view, off)
  seg.ack = header.ack(view, off)
  seg.flags = header.flags(view, off)
  seg.window = header.window(view, off)
  seg.payloadOff = off + headerLen
  seg.payloadLen = len - headerLen
  seg.ports = (header.srcPort(view, off) << 16) | header.dstPort(view, off)
  seg.headerOff = off
  const c = tcp.table.findFor(seg)
  return c === NO_CONN ? onStranger(tcp) : onSegment(tcp, c)
}

/** A segment of no connection, yet: it may be the answer to a cookie. */
function onStranger(tcp: Tcp): number {
  const mss = isCookieDue(tcp) ? mssOfCookie(tcp) : NO_COOKIE
  if (mss === NO_COOKIE) return onUnknown(tcp)
  const refusal = admit(tcp)
  if (refusal !== OK) return tcp.drop(refusal)
  const c = openFromCookie(tcp, mss)
  return c === NO_CONN ? tcp.drop(TCP_TABLE_FULL) : onSegment(tcp, c)
}

function reject(tcp: Tcp, reason: number): number {
  tcp.stats.inErrs++
  return tcp.drop(reason)
}

/**
 * RFC 9293 §3.10.7.4: a connection of ours; of one in SYN-SENT connect.ts takes care (§3.10.7.3).
 */
function onSegment(tcp: Tcp, c: number): number {
  const tcb = tcp.tcb
  const seg = tcp.segment
  tcp.options.parse(tcp.frames.region.view, seg.headerOff)
  if (tcb[c + STATE] === state.SYN_SENT) return onSynSent(tcp, c)
  if (isCrossingSynAck(tcp, c)) return onSynAck(tcp, c)
  if (tcb[c + STATE] === state.SYN_RCVD && isRepeatedSyn(tcp, c)) {
    noteTimestamp(tcp, c)
    confirmEcn(tcp, c)
    repeatSynAck(tcp, c)
    return OK
  }
  // A peer that begins anew may have no timestamps, or others: it is challenged, not ignored.
  if ((seg.flags & (RST | SYN)) === 0) {
    const reason = checkTimestamp(tcp, c)
    if (reason !== OK) return reason
  }
  if (!trimToWindow(tcp, c)) return answerUnacceptable(tcp, c, TCP_OUT_OF_WINDOW)
  if (seg.flags & RST) return onReset(tcp, c)
  if (seg.flags & SYN) return challenge(tcp, c, TCP_SYN_IGNORED)
  if ((seg.flags & ACK) === 0) return tcp.drop(TCP_BAD_FLAGS)
  if (tcb[c + STATE] === state.SYN_RCVD) {
    if (!gt(seg.ack, tcb[c + SND_UNA]) || gt(seg.ack, tcb[c + SND_NXT])) {
      return onWrongAck(tcp, c)
    }
    establish(tcp, c)
    if (tcb[c + STATE] === state.CLOSED) return OK
  }
  const reason = acknowledge(tcp, c)
  if (reason !== OK) return reason
  if (tcb[c + STATE] === state.CLOSED) return OK
  // Only now: whoever cannot tell what we have sent must not set the clock that PAWS goes by.
  noteTimestamp(tcp, c)
  if (tcb[c + FLAGS] & ECN) noteEcn(tcp, c)
  const taken = takePayload(tcp, c)
  if (tcb[c + STATE] === state.CLOSED) return taken
  output(tcp, c)
  return taken
}

/**
 * An ACK of another SYN-ACK than ours: of a cookie, if the SYN table was full at the client's first
 * SYN and was not at its second. The client's handshake is the one that counts.
 */
function onWrongAck(tcp: Tcp, c: number): number {
  const isClient = (tcp.tcb[c + FLAGS] & PASSIVE) !== 0
  if (isClient && isCookieDue(tcp) && mssOfCookie(tcp) !== NO_COOKIE) {
    tcp.setState(c, state.ABORT)
    tcp.release(c)
    return onStranger(tcp)
  }
  reset(tcp)
  return tcp.drop(TCP_BAD_ACK)
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
  tcp.release(c, RESET)
  return OK
}
