/**
 * What a peer can do wrong in shared memory: a small number on the packet path, a text for people.
 */

export type Violation = number

export const NONE = 0
/** The peer's index claims more than the ring holds, or than we have given. */
export const RING_OVERRUN = 1
/** A descriptor's region, offset or length leads out of shared memory. */
export const OUTSIDE = 2
/** A frame goes on in a descriptor that is not there. */
export const ENDLESS = 3
/** What is offered as a ring is none. */
export const NO_RING = 4
/** Its memory cannot be mapped. */
export const NO_MEMORY = 5

const TEXTS = [
  '',
  'its ring index claims more than the ring holds',
  'a descriptor leads out of shared memory',
  'a frame goes on in a descriptor that is not there',
  'a ring has the wrong cookie',
  'its memory cannot be mapped',
]

export const violationText = (what: Violation): string => TEXTS[what] ?? ''
