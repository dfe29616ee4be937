/** Abort (RFC 9293 §3.10.5): the connection ends at once, and the peer is told with an RST. */
import { ACK, RST } from '../wire/tcp.ts'
import { sendControl } from './control.ts'
import { ABORTED } from './ending.ts'
import * as state from './state.ts'
import { FLAGS, PASSIVE, SND_NXT, STATE, TCB_STRIDE } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** May be called from any callback; the application hears `onClosed(c, why)` before it returns. */
export function abort(tcp: Tcp, c: number, why: number = ABORTED): void {
  // In SYN-SENT the peer has nothing that could be reset.
  if (tcp.tcb[c + STATE] >= state.SYN_RCVD) {
    tcp.stats.outRsts++
    sendControl(tcp, c, tcp.tcb[c + SND_NXT], RST | ACK)
  }
  tcp.setState(c, state.ABORT)
  tcp.release(c, why)
}

/** Forgets every client whose handshake is not complete, in silence: for the end of service. */
export function forgetHalfOpen(tcp: Tcp): void {
  const tcb = tcp.tcb
  for (let c = 0; c < tcb.length && tcp.halfOpen > 0; c += TCB_STRIDE) {
    if (tcb[c + STATE] !== state.SYN_RCVD || (tcb[c + FLAGS] & PASSIVE) === 0) continue
    tcp.setState(c, state.ABORT)
    tcp.release(c)
  }
}
