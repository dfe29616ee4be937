/**
 * The receive window that we advertise (RFC 9293 §3.8.6.2.2, RFC 7323 §2). Its right edge never
 * moves back (SHLD-14) and moves on only by a useful step, so that no silly windows are offered.
 *
 * Whoever sends a window sends an ACK of RCV.NXT with it: no other is due then, and it is noted as
 * Last.ACK.sent (RFC 7323 §4.3).
 */
import { max } from './seq.ts'
import {
  ACK_DELAYED,
  ACK_SENT,
  FLAGS,
  NEED_ACK,
  RCV_ADV,
  RCV_NXT,
  RCV_SPACE,
  RECEIVE_SCALE_SHIFT,
  SCALES,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** A window field has 16 bits. */
export const WINDOW_MAX = 65535

/** The least shift with which a window of `bytes` fits its field, rounded up. */
export function scaleFor(bytes: number): number {
  let scale = 0
  while (Math.ceil(bytes / 2 ** scale) > WINDOW_MAX) scale++
  return scale
}

/** Notes both window scales. */
export function initScales(tcb: Int32Array, c: number, send: number, receive: number): void {
  tcb[c + SCALES] = send | (receive << RECEIVE_SCALE_SHIFT)
}

/** By how many bits the windows that we advertise are shifted. */
export const receiveScale = (tcb: Int32Array, c: number): number =>
  (tcb[c + SCALES] >>> RECEIVE_SCALE_SHIFT) & 0xff

/** The window field of a segment that leaves now; `noteAdvertised` when it does. */
export function windowToAdvertise(tcp: Tcp, c: number): number {
  const tcb = tcp.tcb
  const open = (tcb[c + RCV_ADV] - tcb[c + RCV_NXT]) | 0
  const space = tcb[c + RCV_SPACE]
  const window = space - open >= tcp.windowStep(c) ? space : open
  // Rounded up: rounded down, the edge would move back with every odd byte that arrives.
  const scale = receiveScale(tcb, c)
  return (window + (1 << scale) - 1) >> scale
}

/** A segment with this window field, and an ACK, leaves. */
export function noteAdvertised(tcb: Int32Array, c: number, window: number): void {
  const rcvNxt = tcb[c + RCV_NXT]
  tcb[c + FLAGS] &= ~(NEED_ACK | ACK_DELAYED)
  tcb[c + ACK_SENT] = rcvNxt
  tcb[c + RCV_ADV] = (rcvNxt + (window << receiveScale(tcb, c))) | 0
}

/** That of a SYN, which is never scaled (RFC 7323 §2.2); the rest is offered later. */
export function advertiseUnscaled(tcp: Tcp, c: number): number {
  const tcb = tcp.tcb
  const rcvNxt = tcb[c + RCV_NXT]
  const space = tcb[c + RCV_SPACE]
  const window = space < WINDOW_MAX ? space : WINDOW_MAX
  tcb[c + FLAGS] &= ~(NEED_ACK | ACK_DELAYED)
  tcb[c + ACK_SENT] = rcvNxt
  tcb[c + RCV_ADV] = max(tcb[c + RCV_ADV], (rcvNxt + window) | 0)
  return window
}
