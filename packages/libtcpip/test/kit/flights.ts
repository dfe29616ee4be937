/** What flight.ts promises, looked at from outside: called after every poll of a test host. */
import assert from 'node:assert/strict'
import {
  AT,
  BITS,
  COUNT,
  END,
  FIRST,
  IS_LOST,
  IS_SACKED,
  LAST,
  LOST,
  NEXT,
  NO_FLIGHT,
  NO_RECORD,
  SACKED,
  SEQ,
  STAMP,
} from '../../src/tcp/recovery/flight.ts'
import * as tcb from '../../src/tcp/tcb.ts'
import type { Tcp } from '../../src/tcp/tcp.ts'

/** Every connection's records cover [SND_UNA, SND_NXT) in order, and its sums are those of them. */
export function checkFlights(tcp: Tcp): void {
  for (let c = 0; c < tcp.tcb.length; c += tcb.TCB_STRIDE) {
    if (tcp.tcb[c + tcb.STATE] !== 0 && tcp.tcb[c + tcb.FLIGHT] !== NO_FLIGHT) checkFlight(tcp, c)
  }
}

function checkFlight(tcp: Tcp, c: number): void {
  const { flights, records } = tcp.flights
  const f = tcp.tcb[c + tcb.FLIGHT]
  let [at, last, count, lost, sacked] = [tcp.tcb[c + tcb.SND_UNA], NO_RECORD, 0, 0, 0]
  for (let r = flights[f + FIRST]; r !== NO_RECORD; r = records[r + NEXT]) {
    assert.equal(records[r + SEQ], at, 'records follow each other without gaps')
    at = records[r + END]
    const len = (at - records[r + SEQ]) | 0
    assert.ok(len > 0, 'no record is empty')
    assert.ok(((flights[f + STAMP] - records[r + AT]) | 0) >= 0, 'nothing left after the latest')
    assert.ok((records[r + BITS] & (IS_LOST | IS_SACKED)) !== (IS_LOST | IS_SACKED))
    if (records[r + BITS] & IS_LOST) lost += len
    if (records[r + BITS] & IS_SACKED) sacked += len
    last = r
    count++
  }
  assert.equal(at, tcp.tcb[c + tcb.SND_NXT], 'records reach up to SND_NXT')
  assert.deepEqual([flights[f + LAST], flights[f + COUNT]], [last, count])
  assert.equal(flights[f + LOST], lost, 'LOST is the bytes of lost records')
  if (tcp.tcb[c + tcb.FLAGS] & tcb.SACK) assert.equal(flights[f + SACKED], sacked)
}
