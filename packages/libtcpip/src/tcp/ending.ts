/** Why a connection ended: what `onClosed` (application.ts) is told. */

/** Both sides have closed; or, after our close, the peer was silent for longer than FIN-WAIT-2 lasts. */
export const FINISHED = 0
/** The peer reset it; before `onOpen`: the peer refused (RFC 9293 §3.10.7.3). */
export const RESET = 1
/** The peer gave no answer for too long (RFC 9293 §3.8.3); before `onOpen`: to our SYN. */
export const TIMED_OUT = 2
/** The application ended it: `abort`, or `close` before the handshake was over. */
export const ABORTED = 3

/** For people, by number. */
export const ENDING_NAMES: readonly string[] = ['finished', 'reset', 'timed out', 'aborted']
