/**
 * ACK processing (RFC 9293 §3.10.7.4, fifth check): is the acknowledgement believable
 * (RFC 5961 §5), what does it acknowledge, and how far has the peer's window moved? What that says
 * about losses is recovery.ts's business.
 */
import { OK } from '@sandstorm/libeth'
import { TCP_BAD_ACK } from '../drops.ts'
import { FIN } from '../wire/tcp.ts'
import { confirmNeighbour } from './path/neighbour.ts'
import { onAck } from './recovery/recovery.ts'
import { gt, le, lt } from './seq.ts'
import * as state from './state.ts'
import { challenge } from './stray/challenge.ts'
import {
  FIN_QUEUED,
  FLAGS,
  MAX_WND,
  PERSIST,
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
import { onWindowOpen } from './timers/persist.ts'

const SEND_SCALE_MASK = 0xff

/** Fifth check: what the ACK acknowledges, and the peer's window. */
export function acknowledge(tcp: Tcp, c: number): number {
  const tcb = tcp.tcb
  const seg = tcp.segment
  const una = tcb[c + SND_UNA]
  if (gt(seg.ack, tcb[c + SND_NXT])) return challenge(tcp, c, TCP_BAD_ACK)
  // RFC 5961 §5: an ACK older than any window the peer ever had is no ACK of ours.
  if (lt(seg.ack, (una - tcb[c + MAX_WND]) | 0)) return challenge(tcp, c, TCP_BAD_ACK)
  if (lt(seg.ack, una)) return OK
  const windowBefore = tcb[c + SND_WND]
  updateWindow(tcp, c)
  onAck(tcp, c, seg.ack === una && isDuplicateAck(tcp, c, windowBefore))
  if (gt(seg.ack, una)) {
    confirmNeighbour(tcp, c)
    onProgress(tcp, c)
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
  else if (tcb[c + FLAGS] & PERSIST) onWindowOpen(tcp, c)
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
