/** What the mount on our own TCP counts; never reset. */
import { DOUBLE_ZERO } from '@sandstorm/libnmio'
import type { StreamStats } from './answerStreams.ts'

export interface MountStats extends StreamStats {
  requests: number
  /** Connections ended by a time-out: no request, half a head, or an answer not taken. */
  idleTimeouts: number
  headTimeouts: number
  stallTimeouts: number
  /** Requests over the rate of one client (429). */
  limited: number
  /** Answered with what is stored of an origin, without the main thread. */
  storeHits: number
}

/** Nothing counted yet. */
export const noMountStats = (): MountStats => ({
  requests: 0,
  answerBytes: DOUBLE_ZERO,
  idleTimeouts: 0,
  headTimeouts: 0,
  stallTimeouts: 0,
  limited: 0,
  storeHits: 0,
  partsGivenUp: 0,
  feeds: 0,
  forwards: 0,
  feedsRefused: 0,
  feedsFailed: 0,
})
