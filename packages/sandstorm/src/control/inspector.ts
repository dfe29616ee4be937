/**
 * What the control socket can ask of an instance on our own stack. The packet thread is asked one
 * thing at a time, and the next only when the last is answered: however many people look, it does
 * one step of work between two batches.
 */
import type { ServerStats } from '../stats.ts'
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
  readonly #ask: Ask
  #last: Promise<unknown> = Promise.resolve()

  constructor(ask: Ask) {
    this.#ask = ask
  }

  /** All connections, in parts; the caller sets the pace. */
  async *connections(): AsyncGenerator<Part> {
    const rows = newRows()
    let from = FIRST
    while (from !== OVER) {
      const reply = (await this.#inTurn({ kind: 'rows', rows, from })) as RowsReply
      yield { connections: readAll(rows, reply), timeWait: reply.timeWait }
      from = reply.next
    }
  }

  async stats(): Promise<ServerStats> {
    const { stats } = (await this.#inTurn({ kind: 'stats' })) as StatsReply
    return stats
  }

  #inTurn(inquiry: Inquiry): Promise<Reply> {
    const reply = this.#last.then(() => this.#ask(inquiry))
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
