/** Why a connection ended: what `onClosed` (application.ts) is told. */

/** Both sides have closed. */
export const FINISHED = 0
/** The peer reset it; before `onOpen`: the peer refused (RFC 9293 §3.10.7.3). */
export const RESET = 1
/**
 * The peer gave no answer for too long (RFC 9293 §3.8.3), before `onOpen` to our SYN; or it did not
 * close in turn while FIN-WAIT-2 lasted.
 */
export const TIMED_OUT = 2
/** The application ended it: `abort`, or `close` before the handshake was over. */
export const ABORTED = 3

/** For people, by number. */
export const ENDING_NAMES: readonly string[] = ['finished', 'reset', 'timed out', 'aborted']
