/**
 * The end of a run (generator.ts): in which order its connections are let go, and how fast. What is
 * still open at the server is in the way of the next run, so nothing that tells it may be lost.
 *
 * First go those that carry a request, by a reset: what the server has to say to them would be in
 * the way of the others' end. Then these: each brings back a FIN, and that wants an ACK.
 */
import { BURST } from './limits.ts'
import type { Transport } from './transport.ts'

export class Leaving {
  readonly #transport: Transport
  readonly #isBusy: Uint8Array
  /** Of the connections before it none carries a request, and none is left. */
  #aborted = 0
  #left = 0

  /** `isBusy`: by connection, whether it carries a request. */
  constructor(transport: Transport, isBusy: Uint8Array) {
    this.#transport = transport
    this.#isBusy = isBusy
  }

  /** Nobody is left. */
  get isOver(): boolean {
    return this.#left === this.#isBusy.length
  }

  /** How many connections may go now; with none of them, time will bring more. */
  get room(): number {
    return Math.max(0, Math.min(BURST, this.#transport.endRoom))
  }

  /** Lets go of as many as may go now; `letGo` is false of a connection that there is not. */
  step(letGo: (i: number) => boolean): void {
    let { room } = this
    const connections = this.#isBusy.length
    for (; room > 0 && this.#aborted < connections; this.#aborted++) {
      if (this.#isBusy[this.#aborted] === 1 && letGo(this.#aborted)) room--
    }
    if (this.#aborted < connections) return
    for (; room > 0 && this.#left < connections; this.#left++) {
      if (letGo(this.#left)) room--
    }
  }
}
