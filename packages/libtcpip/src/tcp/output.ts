/**
 * Output (RFC 9293 §3.8.6.2, RFC 5681): sends everything that the congestion window and the peer's
 * window allow, in the same pass in which the ACK that allowed it is processed (paper §2.1). There
 * is no send queue: the application frames the bytes, and a full ring only puts the connection on
 * the work list until there is space again.
 *
 * Lost bytes (flight.ts) go first.
 *
 * Whoever has much to send takes turns: so much at once and then back to the work list, and once a
 * batch has sent of such what it may, only there. A short answer is thus never behind the windows
 * of many downloads.
 */
import { ACK, FIN } from '../wire/tcp.ts'
import { BUSY } from './application.ts'
import { notePaced, paced } from './congestion/pacing.ts'
import { sendControl } from './control.ts'
import { dataFlags } from './headers.ts'
import { isReachable } from './path/neighbour.ts'
import { tryLargerSegments } from './path/segmentSize.ts'
import { waitForNeighbour } from './path/unresolved.ts'
import { END, FRTO, LAST, LOST, NO_FLIGHT, PRR_OUT, SEQ } from './recovery/flight.ts'
import { waitForFlight } from './recovery/flightQueue.ts'
import { hasNew, hasUnsent, pipe } from './recovery/pipe.ts'
import { noteResent } from './recovery/undo.ts'
import { gt, lt, min } from './seq.ts'
import * as state from './state.ts'
import {
  CWND,
  FLAGS,
  FLIGHT,
  MAX_WND,
  MSS,
  MSS_BEFORE,
  NEED_OUTPUT,
  NO_CONN,
  ON_LIST,
  PERSIST,
  REDUCING,
  RTO_US,
  RTX_ARMED,
  SENT_AT,
  SND_END,
  SND_NXT,
  SND_UNA,
  SND_WND,
  SRTT_US,
  STATE,
  TLP,
} from './tcb.ts'
import { type Tcp, TURN_BYTES } from './tcp.ts'
import { armTimer, stopTimer } from './timers/rtxTimer.ts'

/** Bursts that follow each other by less than SRTT/32 are one record (flight.ts). */
const CLOSE_SHIFT = 5
/** What the application is asked for in one go: a device's largest frame, or a row of them. */
const RUN_BYTES = 64 << 10

/**
 * Sends what may be sent now, or puts the connection where its turn will come; sees to it that a
 * timer runs while something is outstanding.
 */
export function output(tcp: Tcp, c: number): void {
  const isFree = tcp.batchLeft > 0 && tcp.workHead === NO_CONN
  if (isFree || !isLong(tcp.tcb, c)) takeTurn(tcp, c)
  else if (state.isSynchronized(tcp.tcb[c + STATE])) {
    tcp.addWork(c, NEED_OUTPUT)
    keepTimer(tcp, c)
  }
}

const isLong = (tcb: Int32Array, c: number): boolean =>
  ((tcb[c + SND_END] - tcb[c + SND_NXT]) | 0) > TURN_BYTES

/** As output, for one whose turn has come; returns the bytes that were sent. */
export function takeTurn(tcp: Tcp, c: number): number {
  if (!state.isSynchronized(tcp.tcb[c + STATE])) return 0
  if (!hasUnsent(tcp, c)) return 0
  let sent = 0
  if (isReachable(tcp, c)) {
    restartAfterIdle(tcp, c)
    sent = sendTurn(tcp, c)
  } else waitForNeighbour(tcp, c, NEED_OUTPUT)
  keepTimer(tcp, c)
  return sent
}

/**
 * Only who has much to send draws on what the batch may send: else short answers would hold up
 * others.
 */
function sendTurn(tcp: Tcp, c: number): number {
  const draws = isLong(tcp.tcb, c)
  let done = 0
  while (done < TURN_BYTES) {
    const sent = sendNext(tcp, c)
    if (sent === 0) return done
    done += sent
    if (draws) tcp.batchLeft -= sent
    // Once anything is out, it is not the peer's window that is waited for.
    if (tcp.tcb[c + FLAGS] & PERSIST) stopTimer(tcp, c)
  }
  if (hasUnsent(tcp, c)) tcp.addWork(c, NEED_OUTPUT)
  return done
}

/**
 * The tail loss probe counts from the last transmission (RFC 8985 §7.2). With nothing outstanding a
 * timer would be for the peer's window, and whoever has a turn to come does not wait for that.
 */
function keepTimer(tcp: Tcp, c: number): void {
  const flags = tcp.tcb[c + FLAGS]
  const hasTurn = (flags & ON_LIST) !== 0 && (flags & NEED_OUTPUT) !== 0
  if (hasTurn && tcp.tcb[c + FLIGHT] === NO_FLIGHT) return
  if ((flags & RTX_ARMED) === 0 || flags & TLP) armTimer(tcp, c)
}

/** RFC 5681 §4.1: after an idle RTO the ACK clock is gone, and so is the large window. */
function restartAfterIdle(tcp: Tcp, c: number): void {
  const tcb = tcp.tcb
  if (tcb[c + FLIGHT] !== NO_FLIGHT) return
  if (((tcp.nowMs - tcb[c + SENT_AT]) | 0) * 1000 > tcb[c + RTO_US]) {
    tcp.cc.onIdle(tcb, c, tcp.nowUs)
    if (tcb[c + MSS_BEFORE] !== 0) tryLargerSegments(tcp, c)
  }
}

/** Sends what the application frames in one go, if there is room for it; 0: it is time to stop. */
function sendNext(tcp: Tcp, c: number): number {
  const tcb = tcp.tcb
  if (!hasUnsent(tcp, c)) return 0
  if (tcp.device.txSpace() === 0) {
    tcp.addWork(c, NEED_OUTPUT)
    return 0
  }
  const f = tcb[c + FLIGHT]
  let sent = 0
  if (f === NO_FLIGHT || tcp.flights.flights[f + LOST] === 0) sent = sendNew(tcp, c, f)
  else if (tcp.flights.flights[f + FRTO] === 2) sent = sendInDoubt(tcp, c, f)
  else sent = sendLost(tcp, c, f)
  if (sent === BUSY) tcp.addWork(c, NEED_OUTPUT)
  if (sent <= 0) return 0
  if (tcp.isPaced) notePaced(tcp, c, sent, f === NO_FLIGHT)
  return sent
}

/** Bytes that the congestion window lets out now, and that go out in one go. */
function congestionRoom(tcp: Tcp, c: number): number {
  const open = tcp.tcb[c + CWND] - pipe(tcp, c)
  const room = tcp.isPaced ? paced(tcp, c, open) : open
  return room < RUN_BYTES ? room : RUN_BYTES
}

/** New data, or the FIN; the bytes sent, 0 if there is no room, BUSY if there is no frame. */
function sendNew(tcp: Tcp, c: number, f: number): number {
  const tcb = tcp.tcb
  const seq = tcb[c + SND_NXT]
  const byCwnd = congestionRoom(tcp, c)
  const byWindow = (tcb[c + SND_UNA] + tcb[c + SND_WND] - seq) | 0
  const room = byCwnd < byWindow ? byCwnd : byWindow
  if (room <= 0) return 0
  if (f === NO_FLIGHT && tcp.flights.isFull) {
    waitForFlight(tcp, c)
    return 0
  }
  // Without a record for it, an ACK must come first.
  if (f !== NO_FLIGHT && !tcp.flights.canAppend(f)) return 0
  const left = (tcb[c + SND_END] - seq) | 0
  let sent = 0
  if (left === 0) sent = sendControl(tcp, c, seq, ACK | FIN) ? 1 : BUSY
  else sent = sendData(tcp, c, seq, room < left ? room : left, f === NO_FLIGHT)
  if (sent > 0) advance(tcp, c, seq, left === 0 ? 0 : sent)
  return sent
}

/** F-RTO: new data, though much seems lost; if there is none, or no window, the lost after all. */
function sendInDoubt(tcp: Tcp, c: number, f: number): number {
  const { flights } = tcp.flights
  const sent = hasNew(tcp.tcb, c) ? sendNew(tcp, c, f) : 0
  if (sent === 0 && pipe(tcp, c) < tcp.tcb[c + MSS]) flights[f + FRTO] = 0
  return sent === 0 && flights[f + FRTO] === 0 ? sendLost(tcp, c, f) : sent
}

/** Frames of data. Silly windows wait, unless half of the largest window is open (MUST-38). */
function sendData(tcp: Tcp, c: number, seq: number, room: number, isIdle: boolean): number {
  const sent = tcp.app.transmit(c, seq, room)
  if (sent !== 0) return sent
  const tcb = tcp.tcb
  if (!isIdle || room < tcb[c + MAX_WND] >> 1) return 0
  return tcp.app.transmitExactly(c, seq, room < tcb[c + MSS] ? room : tcb[c + MSS])
}

/**
 * The first lost bytes once more. What was sent once may be sent again whatever the peer's window
 * is now (MUST-34); only a probe of a shut window waits for it to open.
 */
function sendLost(tcp: Tcp, c: number, f: number): number {
  const tcb = tcp.tcb
  const { records, flights } = tcp.flights
  const r = tcp.flights.firstLost(f)
  const seq = records[r + SEQ]
  const open = (tcb[c + SND_UNA] + tcb[c + SND_WND] - seq) | 0
  if (tcb[c + FLAGS] & PERSIST && open <= 0) return 0
  // A piece at the end, such as a probe's byte, goes out with the rest of its segment.
  const isShortTail = r === flights[f + LAST] && ((records[r + END] - seq) | 0) < tcb[c + MSS]
  const reach = isShortTail && open > 0 ? (seq + open) | 0 : records[r + END]
  const left = (min(reach, tcb[c + SND_END]) - seq) | 0
  const room = congestionRoom(tcp, c)
  const most = left < tcb[c + MSS] ? left : tcb[c + MSS]
  if (room <= 0 || room < most) return 0
  let sent = 0
  if (left <= 0) {
    sent = sendControl(tcp, c, tcb[c + SND_END], ACK | FIN) ? 1 : BUSY
  } else {
    sent = tcp.app.transmit(c, seq, room < left ? room : left)
    if (sent === 0) sent = tcp.app.transmitExactly(c, seq, most)
  }
  if (sent > 0) noteSentAgain(tcp, c, f, r, left <= 0 ? 0 : sent)
  return sent
}

/** `bytes` from the beginning of `r` (0: the FIN alone) left once more. */
function noteSentAgain(tcp: Tcp, c: number, f: number, r: number, bytes: number): void {
  const tcb = tcp.tcb
  const { flights, records } = tcp.flights
  const seq = records[r + SEQ]
  let end = endOf(tcp, c, (seq + bytes) | 0)
  // A FIN that once left behind the data has a record of its own, though now it rode along.
  if (r !== flights[f + LAST]) end = min(end, records[r + END])
  tcp.stats.retransSegs += bytes === 0 ? 1 : Math.ceil(bytes / tcb[c + MSS])
  tcb[c + SENT_AT] = tcp.nowMs
  if (tcb[c + FLAGS] & REDUCING) flights[f + PRR_OUT] += (end - seq) | 0
  noteResent(flights, f, (end - seq) | 0)
  // Without a record for the rest it counts as sent, and is found to be lost once more in time.
  if (lt(end, records[r + END])) tcp.flights.split(f, r, end)
  flights[f + LOST] -= (records[r + END] - seq) | 0
  if (gt(end, records[r + END])) {
    records[r + END] = end
    tcb[c + SND_NXT] = end
  }
  tcp.flights.noteSentAgain(f, r, tcp.nowUs, tcb[c + SRTT_US] >> CLOSE_SHIFT)
}

/** `bytes` of new data (0: the FIN alone) left from `seq` = SND_NXT on. */
export function advance(tcp: Tcp, c: number, seq: number, bytes: number): void {
  const tcb = tcp.tcb
  const end = endOf(tcp, c, (seq + bytes) | 0)
  if (tcb[c + FLIGHT] === NO_FLIGHT) tcb[c + FLIGHT] = tcp.flights.open(seq, tcp.nowUs)
  const f = tcb[c + FLIGHT]
  tcp.flights.append(f, seq, end, tcp.nowUs, tcb[c + SRTT_US] >> CLOSE_SHIFT)
  if (tcb[c + FLAGS] & REDUCING) tcp.flights.flights[f + PRR_OUT] += (end - seq) | 0
  tcb[c + SENT_AT] = tcp.nowMs
  tcb[c + SND_NXT] = end
}

/** A FIN rides on the last byte. */
function endOf(tcp: Tcp, c: number, end: number): number {
  return dataFlags(tcp.tcb, c, end) & FIN ? (end + 1) | 0 : end
}
