/**
 * The TCP state machine as one pure table (RFC 9293 §3.3.2, Figure 5). An event that has no arrow
 * leaves the state as it is. `setState` in tcp.ts is its only user, and nothing else assigns a
 * connection's state but `release` there, which gives a TCB back as CLOSED: in TIME-WAIT a
 * connection has none, and its end is timeWait.ts's.
 */
export const CLOSED = 0
export const SYN_SENT = 1
export const SYN_RCVD = 2
export const ESTABLISHED = 3
export const FIN_WAIT_1 = 4
export const FIN_WAIT_2 = 5
export const CLOSE_WAIT = 6
export const CLOSING = 7
export const LAST_ACK = 8
export const TIME_WAIT = 9
export const STATE_COUNT = 10

export const STATE_NAMES: readonly string[] = [
  'CLOSED',
  'SYN-SENT',
  'SYN-RECEIVED',
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
  'TIME-WAIT',
]

/** What can happen to a connection. */
export const PASSIVE_OPEN = 0 // a SYN reached a listener; we answer SYN-ACK
export const ACTIVE_OPEN = 1 // the application connects; we send SYN
export const RCV_SYN = 2 // a bare SYN meets our SYN (simultaneous open)
export const RCV_ACK_OF_SYN = 3 // our SYN is acknowledged and the peer's is known
export const RCV_FIN = 4 // the peer's FIN, all data before it taken
export const RCV_ACK_OF_FIN = 5 // our FIN is acknowledged
export const CLOSE = 6 // the application has nothing more to send
export const ABORT = 7 // RST either way, retransmission given up, application abort
export const EVENT_COUNT = 8

export const EVENT_NAMES: readonly string[] = [
  'PASSIVE-OPEN',
  'ACTIVE-OPEN',
  'rcv-SYN',
  'rcv-ACK-of-SYN',
  'rcv-FIN',
  'rcv-ACK-of-FIN',
  'CLOSE',
  'ABORT',
]

const table = new Uint8Array(STATE_COUNT * EVENT_COUNT)
for (let state = 0; state < STATE_COUNT; state++) {
  for (let event = 0; event < EVENT_COUNT; event++) table[state * EVENT_COUNT + event] = state
  arrow(state, ABORT, CLOSED)
}
arrow(CLOSED, PASSIVE_OPEN, SYN_RCVD) // LISTEN is the listener's state; its connections begin here
arrow(CLOSED, ACTIVE_OPEN, SYN_SENT)
arrow(SYN_SENT, RCV_SYN, SYN_RCVD)
arrow(SYN_SENT, RCV_ACK_OF_SYN, ESTABLISHED)
arrow(SYN_SENT, CLOSE, CLOSED)
arrow(SYN_RCVD, RCV_ACK_OF_SYN, ESTABLISHED)
arrow(SYN_RCVD, CLOSE, FIN_WAIT_1)
arrow(SYN_RCVD, RCV_FIN, CLOSE_WAIT)
arrow(ESTABLISHED, CLOSE, FIN_WAIT_1)
arrow(ESTABLISHED, RCV_FIN, CLOSE_WAIT)
arrow(FIN_WAIT_1, RCV_ACK_OF_FIN, FIN_WAIT_2)
arrow(FIN_WAIT_1, RCV_FIN, CLOSING)
arrow(FIN_WAIT_2, RCV_FIN, TIME_WAIT)
arrow(CLOSING, RCV_ACK_OF_FIN, TIME_WAIT)
arrow(CLOSE_WAIT, CLOSE, LAST_ACK)
arrow(LAST_ACK, RCV_ACK_OF_FIN, CLOSED)

function arrow(from: number, event: number, to: number): void {
  table[from * EVENT_COUNT + event] = to
}

/** The state after `event`. Pure. */
export const next = (state: number, event: number): number => table[state * EVENT_COUNT + event]

/** From ESTABLISHED on both sides know each other's sequence numbers (RFC 9293 §3.3.2). */
export const isSynchronized = (state: number): boolean => state >= ESTABLISHED
/** May the application still add bytes to the stream? */
export const canSend = (state: number): boolean => state === ESTABLISHED || state === CLOSE_WAIT
/** May the peer still send bytes? */
export const canReceive = (state: number): boolean =>
  state === ESTABLISHED || state === FIN_WAIT_1 || state === FIN_WAIT_2
