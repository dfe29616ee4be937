/**
 * Keep-alives (RFC 9293 §3.8.4): off unless the application asks (MUST-25). A connection on which
 * nothing is outstanding, and nothing was heard for `keepAliveIdleMs` (MUST-26 to MUST-28), is
 * asked with an empty segment one number below SND.NXT, which makes any peer say where it is. One
 * lost answer proves nothing (MUST-29): only `keepAliveCount` of them end the connection.
 *
 * The timer is lazy: RTX_AT while RTX_ARMED is off, moved on by what was heard only when it is due.
 */
import { ACK } from '../../wire/tcp.ts'
import { abort } from '../abort.ts'
import { sendControl } from '../control.ts'
import { TIMED_OUT } from '../ending.ts'
import { HEARD_AT, RTX_AT, SND_NXT } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'

/** After so long an idleness the first hop's hardware address may have to be asked for first. */
const UNSENT_RETRY_MS = 1000

/** RTX_AT has come while nothing is outstanding; false if the connection is gone. */
export function onKeepAlive(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  const { keepAliveIdleMs, keepAliveIntervalMs, keepAliveCount } = tcp.config
  const silentMs = (tcp.nowMs - tcb[c + HEARD_AT]) | 0
  if (silentMs < keepAliveIdleMs) {
    tcb[c + RTX_AT] = (tcb[c + HEARD_AT] + keepAliveIdleMs) | 0
    return true
  }
  if (silentMs >= keepAliveIdleMs + keepAliveCount * keepAliveIntervalMs) {
    tcp.stats.abortsOnTimeout++
    abort(tcp, c, TIMED_OUT)
    return false
  }
  const isSent = sendControl(tcp, c, (tcb[c + SND_NXT] - 1) | 0, ACK)
  if (isSent) tcp.stats.keepAlives++
  tcb[c + RTX_AT] = (tcp.nowMs + (isSent ? keepAliveIntervalMs : UNSENT_RETRY_MS)) | 0
  return true
}
