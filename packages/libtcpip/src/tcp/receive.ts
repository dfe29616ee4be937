/**
 * Receiving (RFC 9293 §3.10.7.4, seventh and eighth check): the segment's bytes go up to the
 * application from where they lie, then its FIN counts.
 */
import { OK } from '@sandstorm/libeth'
import { TCP_DATA_AFTER_CLOSE, TCP_OUT_OF_ORDER } from '../drops.ts'
import { ACK, FIN } from '../wire/tcp.ts'
import { sendControl } from './segment.ts'
import { max } from './seq.ts'
import * as state from './state.ts'
import { NEED_ACK, RCV_ADV, RCV_NXT, SND_NXT, STATE } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Seventh and eighth check: payload, then FIN, both only in order. */
export function takePayload(tcp: Tcp, c: number): number {
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
