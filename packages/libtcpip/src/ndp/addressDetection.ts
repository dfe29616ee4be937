/**
 * Duplicate address detection (RFC 4862 §5.4), for configured addresses as for any: an address is
 * asked for before it is used. Nobody answers within a second: it is ours, and told to everybody.
 * Somebody has it, or asks for it too: it is never used.
 *
 * Deviation: the first question is not delayed at random (§5.4.2); a server is seldom one of many
 * that start at the same moment, and waits long enough already.
 */
import { OK } from '@sandstorm/libeth'
import type { NdpSender } from './ndpSender.ts'
import { DUPLICATE, type OwnAddresses, TENTATIVE, VALID } from './ownAddresses.ts'

/** When a question found no ring space or no frame. */
const RETRY_MS = 10

export class AddressDetection {
  /** When `sweep` has something to do. */
  nextMs: number = Infinity
  readonly #own: OwnAddresses
  readonly #sender: NdpSender
  readonly #transmits: number
  readonly #retransMs: number
  readonly #onConflict: (i: number) => void
  readonly #left: Uint8Array
  readonly #dueMs: Float64Array

  /** `transmits`: DupAddrDetectTransmits, questions for each address; 0: used at once. */
  constructor(
    own: OwnAddresses,
    sender: NdpSender,
    transmits: number,
    retransMs: number,
    onConflict: (i: number) => void,
  ) {
    this.#own = own
    this.#sender = sender
    this.#transmits = transmits
    this.#retransMs = retransMs
    this.#onConflict = onConflict
    this.#left = new Uint8Array(own.count)
    this.#dueMs = new Float64Array(own.count)
  }

  /** Begins for all our addresses, which are tentative. */
  start(nowMs: number): void {
    this.#left.fill(this.#transmits)
    this.#dueMs.fill(nowMs)
    this.sweep(nowMs)
  }

  /** Somebody else has, or wants, our address `i`. One that is in use already stays in use. */
  conflict(i: number): void {
    if (this.#own.state[i] === TENTATIVE) this.#own.state[i] = DUPLICATE
    this.#sender.stats.conflicts++
    this.#onConflict(i)
  }

  /** Takes what is due a step further, and sets `nextMs`. */
  sweep(nowMs: number): void {
    this.nextMs = Infinity
    for (let i = 0; i < this.#own.count; i++) {
      if (this.#own.state[i] !== TENTATIVE) continue
      if (nowMs >= this.#dueMs[i]) this.#step(i, nowMs)
      if (this.#own.state[i] === TENTATIVE && this.#dueMs[i] < this.nextMs) {
        this.nextMs = this.#dueMs[i]
      }
    }
  }

  #step(i: number, nowMs: number): void {
    if (this.#left[i] === 0) {
      this.#own.state[i] = VALID
      this.#sender.announce(i)
      return
    }
    const sent = this.#sender.detect(i) === OK
    if (sent) this.#left[i]--
    this.#dueMs[i] = nowMs + (sent ? this.#retransMs : RETRY_MS)
  }
}
