/** The generator's own times and amounts (generator.ts), which nobody chooses. */
import { BATCH_MAX } from '@sandstorm/libnmio'

/** Every so many answers one is hashed. */
export const SAMPLE = 64
/** How often deadlines are looked at. */
export const LOOK_US = 20_000
/** After a failure to connect. */
export const RETRY_US = 100_000
/** A server that has said `close` closes in so much time, or we do. */
export const ENDING_US = 1_000_000
/** As long as not all are open, so many open at the same time: listen queues have an end. */
export const OPENING_MAX = 256
/**
 * In the end so many close at the same time on our own stack: were it all, the ACKs of the server's
 * FINs would have no room in the device's ring, and nobody would repeat them once we are gone.
 */
export const ENDING_MAX = 256
/**
 * Of one kind of work, requests that begin or connections that end, a call of `poll` does so much: what
 * that brings back, an ACK and an answer or a FIN, is read as fast as it comes.
 */
export const BURST: number = BATCH_MAX >> 1
