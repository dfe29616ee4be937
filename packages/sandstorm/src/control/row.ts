/**
 * A connection as the packet thread hands it over: its TCB, word by word, and behind it what lies
 * elsewhere in the stack. Rows are in shared memory; what they mean is worked out by whoever reads
 * them (connection.ts), so that the packet thread does nothing but copy.
 */
import { flight, type Stack, tcb } from '@sandstorm/libtcpip'
import { LOCAL_WORDS, writeLocal } from './endpoint.ts'

// Words of a row: first those of tcb.ts under their own names, then
export const SACKED: number = tcb.TCB_STRIDE // bytes selectively acknowledged
export const LOST: number = SACKED + 1 // bytes taken for lost and not sent again yet
export const LOCAL: number = LOST + 1 // … our address (endpoint.ts)
export const ROW_STRIDE: number = LOCAL + LOCAL_WORDS

/** Copies connection `c` to `rows` from `r` on. */
export function writeRow(stack: Stack, c: number, rows: Int32Array, r: number): void {
  const { tcb: table, flights } = stack.tcp
  for (let i = 0; i < tcb.TCB_STRIDE; i++) rows[r + i] = table[c + i]
  const f = table[c + tcb.FLIGHT]
  rows[r + SACKED] = f === flight.NO_FLIGHT ? 0 : flights.flights[f + flight.SACKED]
  rows[r + LOST] = f === flight.NO_FLIGHT ? 0 : flights.flights[f + flight.LOST]
  writeLocal(stack, c, rows, r + LOCAL)
}
