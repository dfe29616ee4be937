/** What the connections of a kernel mount share, and what they count. */
import type { Content } from '../content/content.ts'
import type { Piece } from '../content/pager.ts'
import type { Slice } from '../content/slices.ts'
import type { Fronts } from '../front/fronts.ts'
import type { HttpMachine } from '../http/machine.ts'
import type { AccessLog } from '../log/accessLog.ts'
import type { RequestRate } from './requestRate.ts'
import type { Turns } from './turns.ts'

/** What the connections of a mount share. */
export interface KernelContext {
  readonly content: Content
  readonly machine: HttpMachine
  readonly stats: KernelStats
  readonly headTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly requestsPerConnection: number
  /** Milliseconds since 1970. */
  readonly clock: () => number
  readonly accessLog: AccessLog | undefined
  /** Slices of the body of an image that is not in memory (LiveContent.pieces). */
  readonly pieces: (image: number, slices: readonly Slice[]) => AsyncGenerator<Piece>
  /** Of all that are sent bodies from disk. */
  readonly turns: Turns
  /** undefined: a client may send as many requests as it likes. */
  readonly rate: RequestRate | undefined
  /** undefined: no site has an origin. */
  readonly fronts: Fronts | undefined
}

/** Counters of a mount; read from outside, never reset. */
export interface KernelStats {
  accepted: number
  /** Connections over the limit, or that could not be accepted. */
  refused: number
  /** Connections that are open now. */
  open: number
  /** Answers, of any status. */
  answers: number
  /** Heads and bodies that did not come in time. */
  slow: number
  /** Connections that were closed because nothing moved, in either direction. */
  idle: number
  /** Connections that ended with a socket error. */
  errors: number
  /** Requests over the rate of one client (429). */
  limited: number
  /** Answered with what is stored of an origin, without asking its cache. */
  storeHits: number
}
