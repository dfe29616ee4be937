/**
 * Where link and device meet: a few words of shared memory for each queue. The link, on the thread
 * that opened the device, speaks with the peer and writes down where its rings are; the device, on
 * the packet thread, is the only one that touches them.
 *
 *         link              device            link               device
 *   OFF ───────→ OFFERED ───────→ ON ────────────────→ STOPPING ───────→ OFF
 *                          │       │                                      ↑
 *                          └───────┴──→ VIOLATED ─────────────────────────┘ link
 *                            device, which has let go of all
 *
 * Invariants: only the side over the arrow goes that way, and the words below are the link's while
 * OFF or VIOLATED, and the device's to read else. So nothing is closed or written anew that the
 * device still uses. A device that is closed, or made anew by another thread, is OFF at once.
 */
import { type Violation, violationText } from './violation.ts'

export const OFF = 0
export const OFFERED = 1
export const ON = 2
export const STOPPING = 3
export const VIOLATED = 4

/** Words. Bytes of memory that the device shares, 0: there is no device (yet). */
const STATE = 0
const MEMORY = 1
const VIOLATION = 2
/** Eventfds: of the ring that the peer sends on, and of ours. */
const RX_FD = 3
const TX_FD = 4
/** Region, offset and log2 of the size: of the ring to the server, and of that to the client. */
const S2M = 5
const M2S = 8
/** Descriptor and bytes of each of the peer's regions. */
const REGION_COUNT = 11
const REGIONS = 12
const REGION_WORDS = 2
/** The most regions that a peer may have. */
export const REGION_MAX = 64
const WORDS = REGIONS + REGION_MAX * REGION_WORDS

/** Memory that somebody shares with us. */
export interface PeerRegion {
  readonly fd: number
  readonly bytes: number
}

/** Where a ring lies: in which region, at which offset. */
export interface RingPlace {
  readonly region: number
  readonly offset: number
  readonly log2: number
}

/** What a device needs to know of its peer. */
export interface Offer {
  readonly rxFd: number
  readonly txFd: number
  readonly s2m: RingPlace
  readonly m2s: RingPlace
  /** Empty for a client, whose memory everything is in. */
  readonly regions: readonly PeerRegion[]
}

export const newPortWords = (): Int32Array =>
  new Int32Array(new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT))

export class Port {
  readonly #words: Int32Array

  constructor(words: Int32Array) {
    this.#words = words
  }

  get state(): number {
    return Atomics.load(this.#words, STATE)
  }
  set state(state: number) {
    Atomics.store(this.#words, STATE, state)
  }

  /** Goes from one state to the next, unless the other side was first. */
  change(from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, STATE, from, to) === from
  }

  /** Bytes of memory that the device shares (a server's: 1); 0: there is no device. */
  get memory(): number {
    return Atomics.load(this.#words, MEMORY)
  }
  set memory(bytes: number) {
    Atomics.store(this.#words, MEMORY, bytes)
  }

  /** The device has let go of its peer, because of `what`. */
  violate(what: Violation): void {
    Atomics.store(this.#words, VIOLATION, what)
    this.state = VIOLATED
  }
  get violation(): string {
    return violationText(Atomics.load(this.#words, VIOLATION))
  }

  /** The device does not use what was offered, or no more. */
  get isFree(): boolean {
    const { state } = this
    return state === OFF || state === VIOLATED || this.memory === 0
  }

  /** While OFF: tells the device of a peer. */
  offer({ rxFd, txFd, s2m, m2s, regions }: Offer): void {
    const words = this.#words
    words[RX_FD] = rxFd
    words[TX_FD] = txFd
    words.set([s2m.region, s2m.offset, s2m.log2], S2M)
    words.set([m2s.region, m2s.offset, m2s.log2], M2S)
    words[REGION_COUNT] = regions.length
    for (const [i, { fd, bytes }] of regions.entries()) {
      words.set([fd, bytes], REGIONS + i * REGION_WORDS)
    }
    this.state = OFFERED
  }

  /** While OFFERED: what was offered. */
  offered(): Offer {
    const words = this.#words
    const place = (at: number): RingPlace => ({
      region: words[at],
      offset: words[at + 1],
      log2: words[at + 2],
    })
    const regions = Array.from({ length: words[REGION_COUNT] }, (_, i) => ({
      fd: words[REGIONS + i * REGION_WORDS],
      bytes: words[REGIONS + i * REGION_WORDS + 1],
    }))
    return { rxFd: words[RX_FD], txFd: words[TX_FD], s2m: place(S2M), m2s: place(M2S), regions }
  }
}
