/**
 * What the main thread asks the packet thread between two batches, and what it is told. An inquiry
 * is answered within one step of bounded work, so whoever wants more asks again.
 */
import type { Stack } from '@sandstorm/libtcpip'
import type { ServerStats } from '../stats.ts'
import { type Step, scan } from './scan.ts'

export type Inquiry =
  /**
   * One step of scan.ts from `from` on; `rows` is the asker's, and the packet thread's until it
   * answers.
   */
  | { readonly kind: 'rows'; readonly rows: Int32Array; readonly from: number }
  /** All counters. */
  | { readonly kind: 'stats' }

/** An answer to `rows`. */
export interface RowsReply extends Step {
  readonly kind: 'rows'
  /** The stack's clock. */
  readonly nowMs: number
  /** Congestion control. */
  readonly congestion: string
  /** Connections in TIME-WAIT, which have no TCB and so no row. */
  readonly timeWait: number
}

/** An answer to `stats`. */
export interface StatsReply {
  readonly kind: 'stats'
  readonly stats: ServerStats
}

export type Reply = RowsReply | StatsReply

/** Whom to ask: a Server, or the part of one that a test has. */
export interface Asked {
  readonly stack: Stack
  stats(): ServerStats
}

/** Answers on the packet thread. */
export function reply(server: Asked, inquiry: Inquiry): Reply {
  if (inquiry.kind === 'stats') return { kind: 'stats', stats: server.stats() }
  const { count, next } = scan(server.stack, inquiry.from, inquiry.rows)
  const { nowMs, cc, timeWait } = server.stack.tcp
  return { kind: 'rows', count, next, nowMs, congestion: cc.name, timeWait: timeWait.count }
}
