/**
 * A walk over all TCBs in steps: each step looks at so many and no more, since the packet thread
 * takes it between two batches, and packets wait meanwhile. What changes between steps shows as it
 * is when its step comes, as in /proc/net/tcp: the whole is no snapshot of one moment.
 */
import { type Stack, state, tcb } from '@sandstorm/libtcpip'
import { ROW_STRIDE, writeRow } from './row.ts'

/** TCBs that one step looks at: a cache line each. */
export const SCAN_MAX = 4096
/**
 * Rows that one step writes at most. Either limit keeps a step at some 0.15 ms (2 virtual cores,
 * 2026-11-23).
 */
export const ROWS_MAX = 1024

/** Where the walk begins, and where it is over. */
export const FIRST = 0
export const OVER = -1

/** What a step found. */
export interface Step {
  /** Rows written, from the beginning of `rows` on. */
  readonly count: number
  /** The next step's `from`, or OVER. */
  readonly next: number
}

/** Memory for the rows of one step. */
export const newRows = (): Int32Array<SharedArrayBuffer> =>
  new Int32Array(new SharedArrayBuffer(ROWS_MAX * ROW_STRIDE * 4))

/** Writes the open connections from handle `from` on, as many as one step may, to `rows`. */
export function scan(stack: Stack, from: number, rows: Int32Array): Step {
  const table = stack.tcp.tcb
  const end = Math.min(table.length, from + SCAN_MAX * tcb.TCB_STRIDE)
  let count = 0
  let c = from
  for (; c < end && count < ROWS_MAX; c += tcb.TCB_STRIDE) {
    if (table[c + tcb.STATE] !== state.CLOSED) writeRow(stack, c, rows, count++ * ROW_STRIDE)
  }
  return { count, next: c < table.length ? c : OVER }
}
