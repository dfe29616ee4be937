/**
 * Conflicts about our IPv4 addresses (RFC 5227). Each is asked for before it is used; nobody has
 * it: it is ours, and told to everybody, twice (§2.3). Somebody has it, or asks for it too: it is
 * not used, and asked for again after a minute (§2.1.1, RATE_LIMIT_INTERVAL). One in use is
 * defended for good, since a server cannot give it up, but at most once in `defendMs` (§2.4 (c)),
 * lest two such hosts fill the link.
 *
 * Deviation: three quarters of a second for it all instead of up to seven (§1.1 PROBE_WAIT,
 * PROBE_MIN, ANNOUNCE_WAIT): who has an address answers in milliseconds, and a server that is
 * started is expected to serve.
 */
import type { ArpSender } from './arpSender.ts'
import type { OwnAddresses } from './ownAddresses.ts'

export interface DetectionOptions {
  /** PROBE_NUM: questions for an address before it is used; 0: it is used at once. */
  probes: number
  /** Between two, and after the last. */
  probeMs: number
  /** Before one that somebody has is asked for again. */
  retryMs: number
  /** DEFEND_INTERVAL: between two defences of an address. */
  defendMs: number
}

export const DETECTION_DEFAULTS: DetectionOptions = {
  probes: 3,
  probeMs: 250,
  retryMs: 60_000,
  defendMs: 10_000,
}

/** §1.1 ANNOUNCE_NUM, ANNOUNCE_INTERVAL. */
const ANNOUNCE_COUNT = 2
const ANNOUNCE_INTERVAL_MS = 2000

export class AddressDetection {
  /** When `sweep` has something to do. */
  nextMs: number = Infinity
  readonly #own: OwnAddresses
  readonly #sender: ArpSender
  readonly #options: DetectionOptions
  readonly #onConflict: (i: number) => void
  /** By address: probes that are left or, of one in use, announcements. */
  readonly #left: Uint8Array
  readonly #dueMs: Float64Array
  readonly #defendedMs: Float64Array

  constructor(
    own: OwnAddresses,
    sender: ArpSender,
    options: DetectionOptions,
    onConflict: (i: number) => void,
  ) {
    this.#own = own
    this.#sender = sender
    this.#options = options
    this.#onConflict = onConflict
    this.#left = new Uint8Array(own.count)
    this.#dueMs = new Float64Array(own.count).fill(Infinity)
    this.#defendedMs = new Float64Array(own.count).fill(-Infinity)
  }

  /** Begins for all our addresses. */
  start(nowMs: number): void {
    for (let i = 0; i < this.#own.count; i++) this.#begin(i, nowMs)
    this.sweep(nowMs)
  }

  /** Somebody else has our address `i` or, while we may not use it yet, wants it. */
  conflict(i: number, nowMs: number): void {
    this.#sender.stats.conflicts++
    if (this.#own.isUsable(i)) this.#defend(i, nowMs)
    else this.#begin(i, nowMs + this.#options.retryMs)
    this.#due(i)
    this.#onConflict(i)
  }

  /** Takes what is due a step further, and sets `nextMs`. */
  sweep(nowMs: number): void {
    this.nextMs = Infinity
    for (let i = 0; i < this.#own.count; i++) {
      if (nowMs >= this.#dueMs[i]) this.#step(i, nowMs)
      this.#due(i)
    }
  }

  #defend(i: number, nowMs: number): void {
    if (nowMs - this.#defendedMs[i] < this.#options.defendMs) return
    this.#defendedMs[i] = nowMs
    this.#sender.announce(this.#own.at(i))
  }

  #begin(i: number, nowMs: number): void {
    this.#own.setUsable(i, false)
    this.#left[i] = this.#options.probes
    this.#dueMs[i] = nowMs
  }

  /** A frame for which there is no room is left out: each is sent more than once. */
  #step(i: number, nowMs: number): void {
    if (!this.#own.isUsable(i) && this.#left[i] > 0) {
      this.#left[i]--
      this.#sender.probe(this.#own.at(i))
      this.#dueMs[i] = nowMs + this.#options.probeMs
      return
    }
    if (!this.#own.isUsable(i)) this.#left[i] = ANNOUNCE_COUNT
    this.#own.setUsable(i, true)
    this.#left[i]--
    this.#sender.announce(this.#own.at(i))
    this.#dueMs[i] = this.#left[i] > 0 ? nowMs + ANNOUNCE_INTERVAL_MS : Infinity
  }

  #due(i: number): void {
    if (this.#dueMs[i] < this.nextMs) this.nextMs = this.#dueMs[i]
  }
}
