/** The phases of a connection (generator.ts); from OPENING on the transport has one. */

/** It does nothing any more. */
export const RETIRED = 0
/** To be opened: at its deadline, or when its turn comes for the first time. */
export const IDLE = 1
export const OPENING = 2
/** Ready for a request: open with keep-alive, not open without. */
export const WAITING = 3
export const ASKED = 4
export const READING = 5
/** Its answer is whole, and the server is to close. */
export const ENDING = 6
