/**
 * Passive open without a half-open connection (RFC 4987 §3.6): while the SYN table is full, or
 * holds as many of one source as it may, a SYN is answered with a cookie and forgotten (cookie.ts
 * has the numbers). The ACK that brings it back opens a half-open connection as the SYN would have,
 * and is then processed like any: nothing after the handshake knows the difference.
 */
import { OK } from '@sandstorm/libeth'
import { TCP_BACKLOG_FULL, TCP_TABLE_FULL } from '../../drops.ts'
import { ACK, RST, SYN } from '../../wire/tcp.ts'
import { agreeOnEcn } from '../congestion/ecn.ts'
import { timestamp } from '../headers.ts'
import { isReachable } from '../path/neighbour.ts'
import {
  ECN,
  FLAGS,
  NO_CONN,
  SACK,
  SCALES,
  SND_UNA,
  TIMESTAMPS,
  TS_OFFSET,
  WINDOW_SCALE,
} from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import { advertiseUnscaled } from '../window.ts'
import {
  cookieOptions,
  cookieTsVal,
  hasEcn,
  hasSack,
  NO_COOKIE_OPTIONS,
  optionsOf,
  windowScaleOf,
} from './cookie.ts'
import { admit, enter, offeredMss, prepare, pushSynAck } from './listen.ts'

/** Is there no room to remember the handshake of `tcp.segment`, a SYN? */
export const needsCookie = (tcp: Tcp): boolean =>
  tcp.halfOpen >= tcp.backlog || tcp.sources.halfOpen.isFull(tcp.sources.keyOfSegment(tcp.segment))

/** Answers `tcp.segment`, a SYN to a listening port; returns OK or the reason why not. */
export function sendCookie(tcp: Tcp): number {
  const { tcb, options, segment: seg } = tcp
  const refusal = admit(tcp)
  if (refusal !== OK) return tcp.drop(refusal)
  // A TCB to write the SYN-ACK from, given back at once; and if none is left, no cookie would help.
  const c = tcp.pool.alloc()
  if (c === NO_CONN) return tcp.drop(TCP_TABLE_FULL)
  options.parse(tcp.frames.region.view, seg.headerOff)
  const mss = offeredMss(options.mss, seg.kind)
  if (!options.timestamps || !tcp.config.timestamps) {
    // No timestamp will bring these back, so they are not agreed on.
    options.windowScale = -1
    options.sackPermitted = false
  }
  prepare(tcp, c, seg.seq, 0)
  let kept = NO_COOKIE_OPTIONS
  if (tcb[c + FLAGS] & TIMESTAMPS) {
    agreeOnEcn(tcp, c)
    const flags = tcb[c + FLAGS]
    const scale = tcb[c + SCALES] & WINDOW_SCALE ? options.windowScale : -1
    kept = cookieOptions(scale, (flags & SACK) !== 0, (flags & ECN) !== 0)
    tcb[c + TS_OFFSET] = (cookieTsVal(timestamp(tcp, c), kept) - tcp.nowMs) | 0
  }
  const { local, ports } = seg
  const remote = tcp.isn.remoteWord(seg)
  tcb[c + SND_UNA] = tcp.cookies.make(remote, local, ports, seg.seq, mss, kept)
  const sent = isReachable(tcp, c) && pushSynAck(tcp, c)
  tcp.pool.free(c)
  if (!sent) return tcp.drop(TCP_BACKLOG_FULL)
  tcp.stats.syncookiesSent++
  return OK
}

/**
 * May the segment, of no connection, be the answer to a cookie? In peace this costs one compare.
 */
export const isCookieDue = (tcp: Tcp): boolean =>
  tcp.cookies.isExpected &&
  (tcp.segment.flags & (SYN | RST | ACK)) === ACK &&
  tcp.isListening(tcp.segment.ports & 0xffff)

/** The MSS in the cookie that `tcp.segment` acknowledges, or NO_COOKIE. Parses `tcp.options`. */
export function mssOfCookie(tcp: Tcp): number {
  const { options, segment: seg } = tcp
  const { local, ports } = seg
  const irs = (seg.seq - 1) | 0
  const iss = (seg.ack - 1) | 0
  options.parse(tcp.frames.region.view, seg.headerOff)
  const kept = keptOptions(tcp)
  return tcp.cookies.check(tcp.isn.remoteWord(seg), local, ports, irs, iss, kept)
}

const keptOptions = (tcp: Tcp): number =>
  tcp.options.timestamps && tcp.config.timestamps ? optionsOf(tcp.options.tsEcr) : NO_COOKIE_OPTIONS

/**
 * Opens the connection whose cookie, with `mss` in it, `tcp.segment` has brought back: half-open,
 * the SYN-ACK sent. NO_CONN if there is no TCB for it.
 */
export function openFromCookie(tcp: Tcp, mss: number): number {
  const { tcb, options, segment: seg } = tcp
  const c = tcp.pool.alloc()
  if (c === NO_CONN) return NO_CONN
  const kept = keptOptions(tcp)
  const has = kept !== NO_COOKIE_OPTIONS
  options.mss = mss
  options.windowScale = has ? windowScaleOf(kept) : -1
  options.sackPermitted = has && hasSack(kept)
  prepare(tcp, c, (seg.seq - 1) | 0, (seg.ack - 1) | 0)
  if (has && hasEcn(kept)) tcb[c + FLAGS] |= ECN
  advertiseUnscaled(tcp, c) // as the SYN-ACK has done
  enter(tcp, c)
  tcp.stats.syncookiesRecv++
  return c
}
