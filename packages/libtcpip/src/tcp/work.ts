/**
 * The work list: connections that still have something to send when a batch is over, because an ACK
 * was carried by no data (so one ACK answers a whole batch, RFC 9293 MUST-58), because the ring was
 * full, the batch had sent enough, the first hop's address has just become known, or a flight has
 * been given back. First come, first served.
 */
import { ACK } from '../wire/tcp.ts'
import { sendControl } from './control.ts'
import { sendSyn } from './opening/connect.ts'
import { sendSynAck } from './opening/listen.ts'
import { takeTurn } from './output.ts'
import { isReachable } from './path/neighbour.ts'
import { waitForNeighbour, wakeResolved } from './path/unresolved.ts'
import { wakeForFlights } from './recovery/flightQueue.ts'
import * as state from './state.ts'
import {
  ACK_AT,
  ACK_DELAYED,
  FLAGS,
  LIST_NEXT,
  NEED_ACK,
  NEED_OUTPUT,
  NO_CONN,
  ON_LIST,
  SND_NXT,
  STATE,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'

/**
 * Serves everybody on the list in turn, for as long as the ring has space, the batch may send, and
 * anybody can. True if somebody is left because the ring or the frames ran out: worth another call
 * when some are back.
 */
export function runWork(tcp: Tcp): boolean {
  wakeResolved(tcp)
  wakeForFlights(tcp)
  while (tcp.workHead !== NO_CONN && serveRound(tcp) && mayServe(tcp));
  const exhausted = tcp.device.txSpace() === 0 || tcp.frames.freeCount === 0
  return tcp.workHead !== NO_CONN && exhausted
}

const mayServe = (tcp: Tcp): boolean => tcp.batchLeft > 0 && tcp.turnsLeft > 0

/** Serves those who are on the list when the call begins; true: data was sent. */
function serveRound(tcp: Tcp): boolean {
  const last = tcp.workTail
  let sent = 0
  let c = NO_CONN
  while (c !== last && tcp.device.txSpace() > 0 && mayServe(tcp)) {
    c = tcp.workHead
    tcp.turnsLeft--
    tcp.workHead = tcp.tcb[c + LIST_NEXT]
    if (tcp.workHead === NO_CONN) tcp.workTail = NO_CONN
    sent += serve(tcp, c)
  }
  return sent > 0
}

/** Returns the bytes of data that were sent. */
function serve(tcp: Tcp, c: number): number {
  const tcb = tcp.tcb
  const needsOutput = (tcb[c + FLAGS] & NEED_OUTPUT) !== 0
  tcb[c + FLAGS] &= ~(ON_LIST | NEED_OUTPUT)
  if (tcb[c + STATE] === state.CLOSED) {
    tcp.pool.free(c)
    return 0
  }
  let sent = 0
  if (needsOutput) {
    if (tcb[c + STATE] === state.SYN_SENT) sendSyn(tcp, c)
    else if (tcb[c + STATE] === state.SYN_RCVD) sendSynAck(tcp, c)
    else sent = takeTurn(tcp, c)
  }
  if (tcb[c + FLAGS] & NEED_ACK) {
    if (!isReachable(tcp, c)) waitForNeighbour(tcp, c, NEED_ACK)
    else if (!sendControl(tcp, c, tcb[c + SND_NXT], ACK)) tcp.addWork(c, NEED_ACK)
  } else if (tcb[c + FLAGS] & ACK_DELAYED) {
    tcp.timers.schedule(c, tcb[c + ACK_AT])
  }
  return sent
}
