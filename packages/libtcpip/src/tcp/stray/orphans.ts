/**
 * Connections of a stack that died. Nobody answers for them any more, but their TCBs can still be
 * read, if they lie in memory that another thread has inherited. Each peer is told with an RST, as
 * of an abort (RFC 9293 §3.10.5): one that sends nothing, since it waits for data, would hear of it
 * never.
 *
 * What the dead stack has counted as sent may not have left it, and then SND_NXT is beyond what the
 * peer has: it answers such an RST with a challenge ACK (RFC 5961 §3.2), which is of no connection
 * and gets the right one (unknown.ts).
 */
import { ACK, RST } from '../../wire/tcp.ts'
import { CLOSED, isSynchronized } from '../state.ts'
import {
  FRAME_KEY,
  KIND_IPV6,
  localOf,
  NO_CONN,
  PATH,
  PORTS,
  RCV_NXT,
  REMOTE,
  SND_NXT,
  STATE,
  STATION,
  TCB_STRIDE,
} from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import { sendBare } from './bare.ts'

/** RSTs of a batch. */
const BATCH_RSTS = 64
/** TCBs that a batch looks at. */
const BATCH_TCBS = 1024
/** Neighbours have so long to answer who has been asked for; then all are tried again … */
const RETRY_MS = 100
/** … and so often in all. */
const PASSES_MAX = 10

export class Orphans {
  readonly #tcb: Int32Array
  #next = 0
  /** Of this pass, those to whom nothing could be sent: most often, the first hop is not known. */
  #unreached = 0
  #passes = 0
  #resumeAtMs = 0

  /** `memory`: TCBs of a stack with the same addresses, that runs no more. Ours from here on. */
  constructor(memory: ArrayBufferLike) {
    this.#tcb = new Int32Array(memory)
  }

  /** Resets a few, if it is time; false: there are no more. */
  reset(tcp: Tcp): boolean {
    if (this.delayMs(tcp) > 0) return true
    const end = Math.min(this.#next + BATCH_TCBS * TCB_STRIDE, this.#tcb.length)
    for (let rsts = 0; this.#next < end; this.#next += TCB_STRIDE) {
      // A TCB that was never used, and so none behind it was.
      if (this.#tcb[this.#next + PORTS] === 0) return this.#endPass(tcp)
      if (!isSynchronized(this.#tcb[this.#next + STATE])) continue
      if (rsts++ === BATCH_RSTS || tcp.device.txSpace() === 0) return true
      this.#resetOne(tcp, this.#next)
    }
    return this.#next < this.#tcb.length || this.#endPass(tcp)
  }

  /** Milliseconds until `reset` has something to do. */
  delayMs(tcp: Tcp): number {
    return this.#passes === 0 ? 0 : Math.max(0, this.#resumeAtMs - tcp.clockMs)
  }

  #resetOne(tcp: Tcp, c: number): void {
    const tcb = this.#tcb
    const seg = tcp.segment
    seg.remote0 = tcb[c + REMOTE]
    seg.remote1 = tcb[c + REMOTE + 1]
    seg.remote2 = tcb[c + REMOTE + 2]
    seg.remote3 = tcb[c + REMOTE + 3]
    seg.ports = tcb[c + PORTS]
    seg.local = localOf(tcb[c + FRAME_KEY])
    seg.kind = tcb[c + FRAME_KEY] & KIND_IPV6
    seg.stationHi = tcb[c + PATH] >>> 16
    seg.stationLo = tcb[c + STATION]
    // Whoever is here again knows, and has another connection.
    const isBack = tcp.table.findFor(seg) !== NO_CONN
    if (!isBack && !sendBare(tcp, tcb[c + SND_NXT], tcb[c + RCV_NXT], RST | ACK, 0)) {
      this.#unreached++
      return
    }
    if (!isBack) tcp.stats.outRsts++
    tcb[c + STATE] = CLOSED
  }

  #endPass(tcp: Tcp): boolean {
    const isOver = this.#unreached === 0 || ++this.#passes === PASSES_MAX
    this.#next = 0
    this.#unreached = 0
    this.#resumeAtMs = tcp.clockMs + RETRY_MS
    return !isOver
  }
}
