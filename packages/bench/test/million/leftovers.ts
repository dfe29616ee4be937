/**
 * What a server still holds, by name: all zero when every connection has ended and 2 MSL are over.
 */
import { tcb } from '@sandstorm/libtcpip'
import type { Server } from 'sandstorm'

/** `sources`: addresses that connections came from. */
export function leftovers(server: Server, sources: readonly number[]): Record<string, number> {
  const { tcp } = server.stack
  const { frames, mount, transmitter } = server
  const { templatesBuilt, templatesEvicted } = transmitter.ledger
  const count = (of: (key: number) => number): number =>
    sources.reduce((sum, address) => sum + of(tcp.sources.key(address)), 0)
  return {
    connections: tcp.table.count,
    TCBs: tcp.pool.usedCount,
    timers: tcp.timers.count,
    flights: tcp.flights.usedCount,
    'send records': tcp.flights.usedRecordCount,
    'pieces out of order': tcp.reassembly.usedCount,
    'on the work list': tcp.workHead === tcb.NO_CONN ? 0 : 1,
    'half open': tcp.halfOpen,
    'half open by source': count(key => tcp.sources.halfOpen.count(key)),
    'open by source': count(key => tcp.sources.open.count(key)),
    'in TIME-WAIT': tcp.timeWait.count,
    answers: mount.answers.usedCount,
    'request buffers': mount.buffersUsed,
    'frames in flight': frames.inFlightCount,
    'frames lost': frames.capacity - frames.freeCount - (templatesBuilt - templatesEvicted),
  }
}
