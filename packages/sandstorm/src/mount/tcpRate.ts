/** The rate of requests of one client, as the mount on our own TCP keeps to it (requestRate.ts). */
import { type Tcp, tcb } from '@sandstorm/libtcpip'
import type { HttpMachine } from '../http/machine.ts'
import type { MountStats } from './mountStats.ts'
import type { RequestRate } from './requestRate.ts'

export class TcpRate {
  readonly #rate: RequestRate | undefined
  readonly #http: HttpMachine
  readonly #stats: MountStats
  #tcp!: Tcp

  /** `rate` undefined: clients may send as many requests as they like. */
  constructor(rate: RequestRate | undefined, http: HttpMachine, stats: MountStats) {
    this.#rate = rate
    this.#http = http
    this.#stats = stats
  }

  /** The TCP below. */
  attach(tcp: Tcp): void {
    this.#tcp = tcp
  }

  /**
   * The machine has answered a request of connection `c`: with 429 instead if its client has no
   * more to ask.
   */
  bound(c: number): void {
    if (this.#rate === undefined) return
    const { tcb: table, nowUs } = this.#tcp
    const w1 = table[c + tcb.FRAME_KEY] & tcb.KIND_IPV6 ? table[c + tcb.REMOTE + 1] : 0
    // Of all threads the same clock.
    if (this.#rate.take(table[c + tcb.REMOTE], w1, performance.timeOrigin + nowUs / 1000)) return
    this.#http.refuse(429)
    this.#stats.limited++
  }
}
