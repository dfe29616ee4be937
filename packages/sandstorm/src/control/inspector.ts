/**
 * What the control socket can ask of an instance on our own stack. A packet thread is asked one
 * thing at a time, and the next only when the last is answered: however many people look, it does
 * one step of work between two batches.
 */
import { type ServerStats, sumOfStats } from '../stats.ts'
import { type Connection, readConnection } from './connection.ts'
import type { Inquiry, Reply, RowsReply, StatsReply } from './inquiry.ts'
import { ROW_STRIDE } from './row.ts'
import { FIRST, newRows, OVER } from './scan.ts'

/** Hands an inquiry to the packet thread; rejects if that ends before it answers. */
export type Ask = (inquiry: Inquiry) => Promise<Reply>

/** A part of all connections, and what is known besides. */
export interface Part {
  readonly connections: readonly Connection[]
  /** Connections in TIME-WAIT by then. */
  readonly timeWait: number
}

export class Inspector {
  readonly #asks: readonly Ask[]
  #last: Promise<unknown> = Promise.resolve()

  /** `asks`: of each packet thread. */
  constructor(asks: readonly Ask[]) {
    this.#asks = asks
  }

  /** All connections, in parts; the caller sets the pace. */
  async *connections(): AsyncGenerator<Part> {
    const rows = newRows()
    let before = 0
    for (const ask of this.#asks) {
      let timeWait = 0
      for (let from = FIRST; from !== OVER; ) {
        const reply = (await this.#inTurn(ask, { kind: 'rows', rows, from })) as RowsReply
        timeWait = before + reply.timeWait
        yield { connections: readAll(rows, reply), timeWait }
        from = reply.next
      }
      before = timeWait
    }
  }

  async stats(): Promise<ServerStats> {
    const all: ServerStats[] = []
    for (const ask of this.#asks) {
      const { stats } = (await this.#inTurn(ask, { kind: 'stats' })) as StatsReply
      all.push(stats)
    }
    return sumOfStats(all)
  }

  #inTurn(ask: Ask, inquiry: Inquiry): Promise<Reply> {
    const reply = this.#last.then(() => ask(inquiry))
    this.#last = reply.catch(() => {})
    return reply
  }
}

function readAll(rows: Int32Array, { count, nowMs, congestion }: RowsReply): Connection[] {
  const connections: Connection[] = []
  for (let i = 0; i < count; i++) {
    connections.push(readConnection(rows, i * ROW_STRIDE, nowMs, congestion))
  }
  return connections
}
