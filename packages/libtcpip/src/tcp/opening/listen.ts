/**
 * Passive open (RFC 9293 §3.10.7.2): a SYN on a listening port makes a connection in SYN-RECEIVED
 * and is answered with SYN-ACK; the ACK of that establishes it (RFC 9293 §3.10.7.4, fifth check).
 * When no more half-open connections are allowed, synCookies.ts answers. When there is no TCB left,
 * the SYN is dropped in silence: the client tries again, and an RST would turn it away.
 */
import { ethernet, OK } from '@sandstorm/libeth'
import { NO_FRAME, OFFLOAD_NONE } from '@sandstorm/libnmio'
import { NOT_LOCAL } from '../../addresses.ts'
import { IP_NO_ROUTE, TCP_LAND, TCP_SOURCE_FULL, TCP_TABLE_FULL } from '../../drops.ts'
import * as tcpHeader from '../../wire/tcp.ts'
import {
  ALIGNED_TIMESTAMPS_LEN,
  writeMss,
  writeSackPermitted,
  writeSackPermittedAndTimestamps,
  writeTimestamps,
  writeWindowScale,
} from '../../wire/tcpOptions.ts'
import { agreeOnEcn } from '../congestion/ecn.ts'
import { writeSynAck } from '../control.ts'
import { timestamp } from '../headers.ts'
import { tcpOff } from '../ipHeader.ts'
import { hasRoute, initPath, isReachable, setStation } from '../path/neighbour.ts'
import { pathMtu } from '../path/segmentSize.ts'
import { waitForNeighbour } from '../path/unresolved.ts'
import { RTO_AFTER_SYN_LOSS_US, RTO_INITIAL_US, sampleRtt } from '../recovery/rtt.ts'
import type { Segment } from '../segmentVariables.ts'
import { le } from '../seq.ts'
import * as state from '../state.ts'
import {
  ACK_SENT,
  FIN_QUEUED,
  FLAGS,
  FRAME_KEY,
  frameKey,
  HEARD_AT,
  KIND_IPV6,
  KIND_TIMESTAMPS,
  MAX_WND,
  MSS,
  MSS_BEFORE,
  NEED_OUTPUT,
  NO_CONN,
  OPENED,
  PASSIVE,
  PORTS,
  RCV_ADV,
  RCV_NXT,
  RCV_SPACE,
  REMOTE,
  RETRIES,
  RTO_US,
  SACK,
  SCALES,
  SND_END,
  SND_NXT,
  SND_UNA,
  SND_WL1,
  SND_WL2,
  SND_WND,
  SRTT_US,
  STATE,
  SYN_AT_US,
  SYN_RESENT,
  TIMESTAMPS,
  TS_OFFSET,
  TS_RECENT,
  WINDOW_SCALE,
} from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import { startTimer, stopTimer } from '../timers/rtxTimer.ts'
import { initScales, receiveScale, scaleFor, WINDOW_MAX } from '../window.ts'

/** RFC 9293 §3.7.1: without an MSS option the peer takes 536 bytes, over IPv6 1220. */
const MSS_DEFAULT = 536
const MSS_DEFAULT_IPV6 = 1220
/** A smaller MSS would make us send mostly headers (CVE-2019-11479): it is taken for this. */
const MSS_MIN = 48

/**
 * `tcp.segment` is a SYN to a listening port. `issMin`: the ISN must be later than this, if not 0.
 */
export function onSyn(tcp: Tcp, issMin: number): number {
  const seg = tcp.segment
  const refusal = admit(tcp)
  if (refusal !== OK) return tcp.drop(refusal)
  const c = tcp.pool.alloc()
  if (c === NO_CONN) return tcp.drop(TCP_TABLE_FULL)
  let iss = tcp.isn.next(seg, tcp.isnTicks)
  if (issMin !== 0 && le(iss, issMin)) iss = (issMin + 1) | 0
  tcp.options.parse(tcp.frames.region.view, seg.headerOff)
  prepare(tcp, c, seg.seq, iss)
  agreeOnEcn(tcp, c)
  enter(tcp, c)
  startTimer(tcp, c, 0, tcp.tcb[c + RTO_US])
  sendSynAck(tcp, c)
  tcp.tcb[c + SYN_AT_US] = tcp.nowUs
  return OK
}

/** May whoever sent `tcp.segment` open a connection? OK, or why not. */
export function admit(tcp: Tcp): number {
  if (isFromUs(tcp)) return TCP_LAND
  if (!hasRoute(tcp, tcp.segment)) return IP_NO_ROUTE
  return tcp.sources.open.isFull(tcp.sources.keyOfSegment(tcp.segment)) ? TCP_SOURCE_FULL : OK
}

/**
 * Fills a new TCB for a SYN with number `irs` from where `tcp.segment` came, and with the options
 * in `tcp.options`, to be answered with a SYN-ACK with number `iss`. Nothing else knows of it yet.
 */
export function prepare(tcp: Tcp, c: number, irs: number, iss: number): void {
  initIdentity(tcp, c, tcp.segment)
  initSequences(tcp, c, irs, iss)
  takeSynOptions(tcp, c)
}

/** A prepared TCB becomes a half-open connection. */
export function enter(tcp: Tcp, c: number): void {
  tcp.table.insert(c)
  tcp.tcb[c + FLAGS] |= PASSIVE
  tcp.stats.passiveOpens++
  tcp.setState(c, state.PASSIVE_OPEN)
}

/** As sendSynAck, once more, after a time-out or a SYN: its round trip cannot be told now. */
export function repeatSynAck(tcp: Tcp, c: number): void {
  tcp.tcb[c + SYN_AT_US] = 0
  tcp.stats.retransSegs++
  sendSynAck(tcp, c)
}

/** Does the segment claim to come from an address of our own? */
function isFromUs(tcp: Tcp): boolean {
  const { remote0, remote1, remote2, remote3, kind } = tcp.segment
  const { addresses } = tcp
  const from =
    kind & KIND_IPV6
      ? addresses.findV6(remote0, remote1, remote2, remote3)
      : addresses.findV4(remote0)
  return from !== NOT_LOCAL
}

/**
 * Who the segment is from, and which of our addresses it came to: the one that answers (MUST-45).
 */
export function initIdentity(tcp: Tcp, c: number, seg: Segment): void {
  const tcb = tcp.tcb
  tcb[c + REMOTE] = seg.remote0
  tcb[c + REMOTE + 1] = seg.remote1
  tcb[c + REMOTE + 2] = seg.remote2
  tcb[c + REMOTE + 3] = seg.remote3
  tcb[c + PORTS] = seg.ports
  tcb[c + FRAME_KEY] = frameKey(seg.local, seg.kind, seg.ports)
  initPath(tcp, c)
  if (tcp.takesReturnPath) setStation(tcb, c, seg)
}

function initSequences(tcp: Tcp, c: number, irs: number, iss: number): void {
  const tcb = tcp.tcb
  const seg = tcp.segment
  const first = (iss + 1) | 0
  tcb[c + SND_UNA] = iss
  tcb[c + SND_NXT] = first
  tcb[c + SND_END] = first
  tcb[c + RCV_NXT] = (irs + 1) | 0
  tcb[c + RCV_ADV] = tcb[c + RCV_NXT]
  tcb[c + ACK_SENT] = tcb[c + RCV_NXT]
  tcb[c + SND_WL1] = irs
  tcb[c + SND_WL2] = iss
  tcb[c + SND_WND] = seg.window // never scaled in a SYN (RFC 7323 §2.2)
  tcb[c + MAX_WND] = seg.window
  tcb[c + RTO_US] = RTO_INITIAL_US
  tcb[c + HEARD_AT] = tcp.nowMs
}

/** Agrees to every option that the SYN in `tcp.segment` offers and the configuration allows. */
export function takeSynOptions(tcp: Tcp, c: number): void {
  const { tcb, config, options } = tcp
  tcb[c + FLAGS] &= ~(SACK | TIMESTAMPS)
  if (config.sack && options.sackPermitted) tcb[c + FLAGS] |= SACK
  if (config.timestamps && options.timestamps) agreeOnTimestamps(tcp, c)
  let window = config.receiveWindow
  if (config.windowScale && options.windowScale >= 0) {
    initScales(tcb, c, options.windowScale, scaleFor(window))
    tcb[c + SCALES] |= WINDOW_SCALE
  } else {
    initScales(tcb, c, 0, 0)
    if (window > WINDOW_MAX) window = WINDOW_MAX
  }
  tcb[c + RCV_SPACE] = window
  tcb[c + MSS] = tcp.app.segmentBytes(sendMss(tcp, c, options.mss))
}

function agreeOnTimestamps(tcp: Tcp, c: number): void {
  const { tcb, options, segment: seg } = tcp
  tcb[c + FLAGS] |= TIMESTAMPS
  tcb[c + FRAME_KEY] |= KIND_TIMESTAMPS
  tcb[c + TS_RECENT] = options.tsVal
  tcb[c + TS_OFFSET] = tcp.isn.timestampOffset(seg)
}

/**
 * Payload of a full segment (RFC 9293 §3.7.1): an MSS leaves out that options take room (RFC 6691).
 */
function sendMss(tcp: Tcp, c: number, offered: number): number {
  const ours = mssOf(tcp, c, pathMtu(tcp, c))
  const theirs = offeredMss(offered, tcp.tcb[c + FRAME_KEY])
  const options = tcp.tcb[c + FLAGS] & TIMESTAMPS ? ALIGNED_TIMESTAMPS_LEN : 0
  const mss = (theirs < ours ? theirs : ours) - options
  return mss < MSS_MIN ? MSS_MIN : mss
}

/** What the peer can receive, by its MSS option (0 for none) and the kind of its headers. */
export function offeredMss(option: number, kind: number): number {
  if (option === 0) return kind & KIND_IPV6 ? MSS_DEFAULT_IPV6 : MSS_DEFAULT
  return option < MSS_MIN ? MSS_MIN : option
}

/** An MTU without IP and TCP headers (RFC 9293 §3.7.1, RFC 6691). */
function mssOf(tcp: Tcp, c: number, mtu: number): number {
  const ipHeaderLen = tcpOff(tcp.tcb[c + FRAME_KEY]) - ethernet.HEADER_LEN
  return mtu - ipHeaderLen - tcpHeader.HEADER_LEN
}

/**
 * Sends the SYN-ACK, or in SYN-SENT the SYN (again); without room or an address now, the work list
 * does it. Its timer is the caller's business: a peer that repeats its SYN, or has no hardware
 * address, must not put off the end.
 */
export function sendSynAck(tcp: Tcp, c: number): void {
  if (!isReachable(tcp, c)) {
    waitForNeighbour(tcp, c, NEED_OUTPUT)
    return
  }
  if (!pushSynAck(tcp, c)) tcp.addWork(c, NEED_OUTPUT)
}

/** Pushes the SYN-ACK of a reachable peer; false if there is no room for it now. */
export function pushSynAck(tcp: Tcp, c: number): boolean {
  const frame = tcp.device.txSpace() > 0 ? tcp.frames.alloc() : NO_FRAME
  if (frame === NO_FRAME) return false
  // Options lie where a payload would.
  const optionsOff = tcp.frames.payloadOff(frame)
  const len = writeSynAckOptions(tcp, c, optionsOff) - optionsOff
  const off = writeSynAck(tcp, c, optionsOff, len)
  if (tcp.tcb[c + STATE] === state.SYN_SENT) noteSynSent(tcp, c)
  tcp.stats.outSegs++
  tcp.frames.sent(frame)
  tcp.device.push(off, optionsOff + len - off, OFFLOAD_NONE)
  return true
}

/** Our own SYN leaves only now: the way to its neighbour may have been asked for first. */
function noteSynSent(tcp: Tcp, c: number): void {
  if ((tcp.tcb[c + FLAGS] & SYN_RESENT) === 0) tcp.tcb[c + SYN_AT_US] = tcp.nowUs
}

/**
 * What was agreed, or in SYN-SENT is offered: in Linux's order, filled up to whole words with NOPs.
 */
function writeSynAckOptions(tcp: Tcp, c: number, off: number): number {
  const tcb = tcp.tcb
  const view = tcp.frames.region.view
  const flags = tcb[c + FLAGS]
  // What we can receive, whatever fits on the way to the peer.
  let end = writeMss(view, off, mssOf(tcp, c, tcp.device.mtu))
  if (flags & TIMESTAMPS) {
    const write = flags & SACK ? writeSackPermittedAndTimestamps : writeTimestamps
    end = write(view, end, timestamp(tcp, c), tcb[c + TS_RECENT])
  } else if (flags & SACK) {
    end = writeSackPermitted(view, end)
  }
  return tcb[c + SCALES] & WINDOW_SCALE ? writeWindowScale(view, end, receiveScale(tcb, c)) : end
}

/** `tcp.segment` acknowledges our SYN: the connection is established. */
export function establish(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  const seg = tcp.segment
  const resent = (tcb[c + FLAGS] & SYN_RESENT) !== 0
  if (tcb[c + SYN_AT_US] !== 0) {
    const rttUs = (tcp.nowUs - tcb[c + SYN_AT_US]) | 0
    sampleRtt(tcb, c, rttUs, rttUs)
  }
  tcb[c + MSS_BEFORE] = 0
  if (tcb[c + SRTT_US] === 0) tcb[c + RTO_US] = resent ? RTO_AFTER_SYN_LOSS_US : RTO_INITIAL_US
  tcb[c + SND_UNA] = seg.ack
  tcb[c + RETRIES] = 0
  stopTimer(tcp, c)
  tcp.cc.onOpen(tcb, c, resent)
  tcb[c + FLAGS] |= OPENED
  tcp.setState(c, state.RCV_ACK_OF_SYN)
  tcp.app.onOpen(c)
  const isClosed = (tcb[c + FLAGS] & FIN_QUEUED) !== 0
  // A close that came before the handshake was over (RFC 9293 §3.10.4).
  if (isClosed && tcb[c + STATE] === state.ESTABLISHED) tcp.setState(c, state.CLOSE)
}
