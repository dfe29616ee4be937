/**
 * One direction of a network path: a sender of limited rate with a drop-tail queue before it, then
 * a wire with a delay, and what goes wrong on it. A packet is lost, doubled or delayed by chance
 * (the seed decides), or as a script says.
 */
import { Random } from '../kit/random.ts'
import type { Events } from './events.ts'

export interface LinkOptions {
  /** 0: unlimited, and then no queue ever forms. */
  bytesPerSecond: number
  /** What may wait for the sender, bytes; a packet that does not fit is lost. */
  queueBytes: number
  /** From the sender's end to the receiver's. */
  delayUs: number
  /** Added to the delay, uniform in [0, jitterUs], without changing the order of packets. */
  jitterUs: number
  /** Probabilities of a packet. */
  loss: number
  dup: number
  reorder: number
  /** A reordered packet comes this much later, and others pass it. */
  reorderUs: number
  seed: number
}

export const GOOD_LINK: LinkOptions = {
  bytesPerSecond: 0,
  queueBytes: Number.POSITIVE_INFINITY,
  delayUs: 0,
  jitterUs: 0,
  loss: 0,
  dup: 0,
  reorder: 0,
  reorderUs: 0,
  seed: 1,
}

/** What happened on the link, in packets. */
export interface LinkStats {
  sent: number
  delivered: number
  lost: number
  /** Lost for want of room in the queue. */
  overflowed: number
  doubled: number
  reordered: number
}

export class Link<T> {
  readonly options: LinkOptions
  readonly stats: LinkStats = {
    sent: 0,
    delivered: 0,
    lost: 0,
    overflowed: 0,
    doubled: 0,
    reordered: 0,
  }
  /** A script: true loses the packet; `index` counts the packets sent, from 0. */
  drop: (packet: T, index: number) => boolean = () => false
  /** A script: added to the delay of what is sent from now on; the order stays. */
  extraUs = 0
  readonly #events: Events
  readonly #random: Random
  readonly #deliver: (packet: T, isCopy: boolean) => void
  /** When the sender will be done with everything that was given to it; not a whole number. */
  #busyUntilUs = 0
  /** The latest arrival of a packet that keeps its place. */
  #lastArrivalUs = 0

  constructor(
    events: Events,
    options: Partial<LinkOptions>,
    deliver: (packet: T, isCopy: boolean) => void,
  ) {
    this.options = { ...GOOD_LINK, ...options }
    this.#events = events
    this.#random = new Random(this.options.seed)
    this.#deliver = deliver
    // The first numbers of small seeds resemble each other.
    for (let i = 0; i < 16; i++) this.#random.int32()
  }

  /** Gives the link a packet of `bytes`, headers included. */
  send(packet: T, bytes: number): void {
    const { loss, dup } = this.options
    const index = this.stats.sent++
    if (!this.#queue(bytes)) {
      this.stats.overflowed++
      return
    }
    if (this.drop(packet, index) || this.#random.chance(loss)) {
      this.stats.lost++
      return
    }
    this.#carry(packet, false)
    if (this.#random.chance(dup)) {
      this.stats.doubled++
      this.#carry(packet, true)
    }
  }

  /** The sender's queue: takes the packet's time; false if there is no room. */
  #queue(bytes: number): boolean {
    const { bytesPerSecond, queueBytes } = this.options
    const { nowUs } = this.#events
    if (bytesPerSecond === 0) {
      this.#busyUntilUs = nowUs
      return true
    }
    const waitingUs = Math.max(0, this.#busyUntilUs - nowUs)
    if ((waitingUs * bytesPerSecond) / 1e6 + bytes > queueBytes) return false
    this.#busyUntilUs = nowUs + waitingUs + (bytes * 1e6) / bytesPerSecond
    return true
  }

  #carry(packet: T, isCopy: boolean): void {
    const { delayUs, jitterUs, reorder, reorderUs } = this.options
    const jitter = jitterUs > 0 ? this.#random.below(jitterUs + 1) : 0
    let arrivalUs = Math.ceil(this.#busyUntilUs) + delayUs + jitter + this.extraUs
    if (this.#random.chance(reorder)) {
      this.stats.reordered++
      arrivalUs += reorderUs
    } else {
      arrivalUs = Math.max(arrivalUs, this.#lastArrivalUs)
      this.#lastArrivalUs = arrivalUs
    }
    this.#events.at(arrivalUs, () => {
      this.stats.delivered++
      this.#deliver(packet, isCopy)
    })
  }
}
