/**
 * Active open (RFC 9293 §3.10.1): we send a SYN, and a SYN-ACK establishes the connection; a bare
 * SYN that meets ours makes it SYN-RECEIVED first (simultaneous open, RFC 9293 §3.5, figure 7).
 * Read RFC 9293 §3.10.7.3 beside `onSynSent`: the order of the checks is the RFC's.
 *
 * What FLAGS and SCALES say in SYN-SENT is what we offer; the peer's SYN makes it what is agreed.
 */
import { OK } from '@sandstorm/libeth'
import { assert, workerOf } from '@sandstorm/libnmio'
import { type IpAddress, NOT_LOCAL } from '../../addresses.ts'
import { TCP_BAD_ACK, TCP_BAD_FLAGS, TCP_RST_IGNORED } from '../../drops.ts'
import * as ipv4 from '../../wire/ipv4.ts'
import { ACK, RST, SYN } from '../../wire/tcp.ts'
import { segmentLen, trimToWindow } from '../acceptance.ts'
import { settleEcn } from '../congestion/ecn.ts'
import { RESET } from '../ending.ts'
import { output } from '../output.ts'
import { hasRoute } from '../path/neighbour.ts'
import { noteTimestamp } from '../paws.ts'
import { takePayload } from '../receive.ts'
import { RTO_INITIAL_US } from '../recovery/rtt.ts'
import type { Segment } from '../segmentVariables.ts'
import * as state from '../state.ts'
import { reset } from '../stray/unknown.ts'
import {
  ACK_SENT,
  ECN,
  FLAGS,
  HEARD_AT,
  KIND_IPV6,
  MAX_WND,
  NEED_ACK,
  NEED_OUTPUT,
  NO_CONN,
  PASSIVE,
  RCV_ADV,
  RCV_NXT,
  RCV_SPACE,
  RTO_US,
  RTX_ARMED,
  SACK,
  SCALES,
  SND_END,
  SND_NXT,
  SND_UNA,
  SND_WL1,
  SND_WL2,
  SND_WND,
  STATE,
  TIMESTAMPS,
  TS_OFFSET,
  WINDOW_SCALE,
} from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import { startTimer } from '../timers/rtxTimer.ts'
import { NOT_WAITING } from '../timers/timeWait.ts'
import { initScales, scaleFor } from '../window.ts'
import { isPort } from './ephemeralPorts.ts'
import { establish, initIdentity, repeatSynAck, sendSynAck, takeSynOptions } from './listen.ts'

/**
 * Opens a connection from our address `local` (its place among the stack's, addresses.ts) to a port
 * of `remote`; `localPort` 0: one is chosen, of a flow that comes to us. Returns its handle, or
 * NO_CONN if there is no such peer (ourselves, a group, no route), no free port or no TCB left. May
 * be called from any callback; the SYN leaves with the batch, or with the next `poll`. The
 * application hears `onOpen`, or `onClosed` alone if it comes to nothing.
 */
export function connect(
  tcp: Tcp,
  local: number,
  remote: IpAddress,
  remotePort: number,
  localPort = 0,
): number {
  assert(isPort(remotePort), 'a port is 1 to 65535')
  assert(localPort === 0 || isPort(localPort), 'a port is 1 to 65535, or 0 for any')
  const to = tcp.opening
  setPeer(to, local, remote)
  if (!isHost(tcp, to) || !hasRoute(tcp, to)) return NO_CONN
  to.ports = (remotePort << 16) | localPort
  if (localPort === 0 ? !choosePort(tcp, to) : isInUse(tcp, to)) return NO_CONN
  const c = tcp.pool.alloc()
  if (c === NO_CONN) return NO_CONN
  initIdentity(tcp, c, to)
  initSequences(tcp, c, tcp.isn.next(to, tcp.isnTicks))
  offerOptions(tcp, c, to)
  tcp.table.insert(c)
  tcp.stats.activeOpens++
  tcp.setState(c, state.ACTIVE_OPEN)
  tcp.addWork(c, NEED_OUTPUT)
  return c
}

/** Enters between whom a connection is to be. */
export function setPeer(to: Segment, local: number, remote: IpAddress): void {
  to.remote0 = remote.w0
  to.remote1 = remote.w1
  to.remote2 = remote.w2
  to.remote3 = remote.w3
  to.local = local
  to.kind = remote.version === 6 ? KIND_IPV6 : 0
}

/**
 * May a single host, and not ourselves, have this address (RFC 9293 §3.9.2.3, RFC 1122 §3.2.1.3)?
 */
function isHost(tcp: Tcp, to: Segment): boolean {
  const { addresses } = tcp
  if (to.kind & KIND_IPV6) {
    const isGroup = to.remote0 >>> 24 === 0xff
    const isNobody = (to.remote0 | to.remote1 | to.remote2 | (to.remote3 >>> 1)) === 0
    const { remote0, remote1, remote2, remote3 } = to
    return (
      !isGroup && !isNobody && addresses.findV6(remote0, remote1, remote2, remote3) === NOT_LOCAL
    )
  }
  const address = to.remote0
  if (ipv4.isBadSource(address) || addresses.isBroadcast(address)) return false
  return addresses.findV4(address) === NOT_LOCAL
}

/** Enters a free local port into `to`; false if there is none. */
function choosePort(tcp: Tcp, to: Segment): boolean {
  const { ephemeralPorts } = tcp
  const offset = ephemeralPorts.offset(to)
  for (let left = ephemeralPorts.count; left > 0; left--) {
    const port = ephemeralPorts.next(offset)
    to.ports = (to.ports & ~0xffff) | port
    if (isOurFlow(tcp, to) && !tcp.isListening(port) && !isInUse(tcp, to)) return true
  }
  return false
}

/** Will what the peer sends come to us, and not to another worker (libnmio spread/flow.ts)? */
function isOurFlow({ flows }: Tcp, to: Segment): boolean {
  const address = to.remote0 ^ to.remote1 ^ to.remote2 ^ to.remote3
  return workerOf(flows.spread, address, to.ports) === flows.worker
}

/** Is there such a connection already, or was there one less than 2 MSL ago? */
const isInUse = (tcp: Tcp, to: Segment): boolean =>
  tcp.table.findFor(to) !== NO_CONN || tcp.timeWait.find(tcp.table.hashFor(to), to) !== NOT_WAITING

function initSequences(tcp: Tcp, c: number, iss: number): void {
  const tcb = tcp.tcb
  const first = (iss + 1) | 0
  tcb[c + SND_UNA] = iss
  tcb[c + SND_NXT] = first
  tcb[c + SND_END] = first
  tcb[c + RTO_US] = RTO_INITIAL_US
  tcb[c + HEARD_AT] = tcp.nowMs
}

/** All that the configuration allows. */
function offerOptions(tcp: Tcp, c: number, to: Segment): void {
  const { tcb, config } = tcp
  if (config.sack) tcb[c + FLAGS] |= SACK
  if (config.timestamps) tcb[c + FLAGS] |= TIMESTAMPS
  if (config.ecn) tcb[c + FLAGS] |= ECN
  tcb[c + TS_OFFSET] = tcp.isn.timestampOffset(to)
  initScales(tcb, c, 0, config.windowScale ? scaleFor(config.receiveWindow) : 0)
  if (config.windowScale) tcb[c + SCALES] |= WINDOW_SCALE
  tcb[c + RCV_SPACE] = config.receiveWindow
}

/** Sends our SYN; its timer runs from the first attempt, whatever becomes of that. */
export function sendSyn(tcp: Tcp, c: number): void {
  if ((tcp.tcb[c + FLAGS] & RTX_ARMED) === 0) startTimer(tcp, c, 0, tcp.tcb[c + RTO_US])
  sendSynAck(tcp, c)
}

/** RFC 9293 §3.10.7.3: `tcp.segment`, its options parsed, is for a connection in SYN-SENT. */
export function onSynSent(tcp: Tcp, c: number): number {
  const { tcb, segment: seg } = tcp
  const isAck = (seg.flags & ACK) !== 0
  // Our SYN is all that can be acknowledged.
  if (isAck && seg.ack !== tcb[c + SND_NXT]) {
    if ((seg.flags & RST) === 0) reset(tcp)
    return tcp.drop(TCP_BAD_ACK)
  }
  if (seg.flags & RST) {
    // Who has not seen our SYN cannot refuse it (RFC 5961 §3.2).
    if (!isAck) return tcp.drop(TCP_RST_IGNORED)
    tcp.stats.attemptFails++
    tcp.setState(c, state.ABORT)
    tcp.release(c, RESET)
    return OK
  }
  if ((seg.flags & SYN) === 0) return tcp.drop(TCP_BAD_FLAGS)
  takeSyn(tcp, c)
  if (isAck) return onSynAck(tcp, c)
  tcp.setState(c, state.RCV_SYN)
  // What else a bare SYN brings is not acknowledged, and comes again.
  repeatSynAck(tcp, c)
  return OK
}

/** `tcp.segment` is the peer's first SYN. */
function takeSyn(tcp: Tcp, c: number): void {
  const { tcb, segment: seg } = tcp
  const irsNext = (seg.seq + 1) | 0
  // As long as RCV.NXT was unknown it was 0, so the edge is the window that our SYN has offered.
  tcb[c + RCV_ADV] = (irsNext + tcb[c + RCV_ADV]) | 0
  tcb[c + RCV_NXT] = irsNext
  tcb[c + ACK_SENT] = irsNext
  tcb[c + HEARD_AT] = tcp.nowMs
  takeSynOptions(tcp, c)
  settleEcn(tcp, c)
  tcb[c + SND_WL2] = tcb[c + SND_UNA]
  takeWindow(tcp, c)
}

/** The window of a SYN is never scaled (RFC 7323 §2.2). */
function takeWindow(tcp: Tcp, c: number): void {
  const { tcb, segment: seg } = tcp
  tcb[c + SND_WND] = seg.window
  tcb[c + SND_WL1] = seg.seq
  if (seg.window > tcb[c + MAX_WND]) tcb[c + MAX_WND] = seg.window
}

/**
 * In SYN-RECEIVED after a simultaneous open: is this the SYN-ACK with which the peer, there too,
 * answers our SYN? Its SYN lies before the window, its ACK is the one that we wait for.
 */
export const isCrossingSynAck = (tcp: Tcp, c: number): boolean =>
  (tcp.segment.flags & (SYN | ACK | RST)) === (SYN | ACK) &&
  (tcp.tcb[c + FLAGS] & PASSIVE) === 0 &&
  tcp.tcb[c + STATE] === state.SYN_RCVD &&
  ((tcp.segment.seq + 1) | 0) === tcp.tcb[c + RCV_NXT] &&
  tcp.segment.ack === tcp.tcb[c + SND_NXT]

/** `tcp.segment` is a SYN-ACK; its SYN is taken, its ACK is our SYN's. */
export function onSynAck(tcp: Tcp, c: number): number {
  const { tcb, segment: seg } = tcp
  noteTimestamp(tcp, c)
  takeWindow(tcp, c)
  tcb[c + SND_WL2] = seg.ack
  establish(tcp, c)
  if (tcb[c + STATE] === state.CLOSED) return OK
  tcp.addWork(c, NEED_ACK)
  // Behind the SYN there may be data, or even a FIN.
  seg.seq = (seg.seq + 1) | 0
  seg.flags &= ~SYN
  const hasMore = segmentLen(tcp) > 0 && trimToWindow(tcp, c)
  const taken = hasMore ? takePayload(tcp, c) : OK
  if (tcb[c + STATE] !== state.CLOSED) output(tcp, c)
  return taken
}
