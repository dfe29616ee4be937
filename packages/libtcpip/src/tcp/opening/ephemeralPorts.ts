/**
 * Local ports for connections that we open: algorithm 3 of RFC 6056 (§3.3.3), a counter that begins
 * at a secret place for each destination. Nobody else can guess the next port, and towards one
 * destination a port comes back only after all others.
 */
import { SipHash } from '../../siphash.ts'
import type { Segment } from '../segmentVariables.ts'

/**
 * The whole range that RFC 6056 §3.2 asks for; ports that we listen on are left out by the caller.
 */
const FIRST = 1024
const COUNT: number = 65536 - FIRST

/** Can it be a TCP port's number? */
export const isPort = (port: number): boolean => port > 0 && port < 65536 && Number.isInteger(port)

export class EphemeralPorts {
  /** How many ports there are to try. */
  readonly count: number = COUNT
  readonly #hash: SipHash
  #next: number

  /** `random`: secret int32s. */
  constructor(random: () => number) {
    this.#hash = new SipHash(Int32Array.of(random(), random(), random(), random()))
    this.#next = (random() >>> 0) % COUNT
  }

  /** Where the ports for the connection of `to` begin: F(local, remote, remote port). */
  offset(to: Segment): number {
    const low = this.#hash.hash(to.remote0, to.remote1, to.remote2, to.remote3)
    return (this.#hash.hash(low, this.#hash.high, to.local, to.ports >>> 16) >>> 0) % COUNT
  }

  /** The next port to try for a destination with this `offset`. */
  next(offset: number): number {
    const port = FIRST + ((this.#next + offset) % COUNT)
    this.#next = (this.#next + 1) % COUNT
    return port
  }
}
