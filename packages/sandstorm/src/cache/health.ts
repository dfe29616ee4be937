/**
 * Is the origin up? After some failures in a row it is taken to be down, and nobody waits for it
 * but one probe after each pause; a probe that is answered ends that. Pauses double up to a
 * maximum.
 *
 * A failure is a connection that could not be made, or silence. An origin that answers nonsense, or
 * closes, for one URL may be well for all others.
 */
export interface HealthConfig {
  /** Failures in a row that make it down. */
  readonly failures: number
  readonly pauseMs: number
  readonly pauseMaxMs: number
}

export const DEFAULT_HEALTH: HealthConfig = { failures: 5, pauseMs: 500, pauseMaxMs: 30_000 }

export class Health {
  readonly #config: HealthConfig
  /** In [0, 1); spreads the probes of several servers. */
  readonly #random: () => number
  #failures = 0
  #pauseMs = 0
  #nextProbeMs = 0
  #isProbing = false

  constructor(config: HealthConfig, random: () => number) {
    this.#config = config
    this.#random = random
  }

  get isDown(): boolean {
    return this.#pauseMs > 0
  }

  /** May a request be sent? While the origin is down, true for one request after each pause. */
  mayTry(nowMs: number): boolean {
    if (!this.isDown) return true
    if (this.#isProbing || nowMs < this.#nextProbeMs) return false
    this.#isProbing = true
    return true
  }

  onSuccess(): void {
    this.#failures = 0
    this.#pauseMs = 0
    this.#isProbing = false
  }

  onFailure(nowMs: number): void {
    this.#isProbing = false
    if (++this.#failures < this.#config.failures) return
    const { pauseMs, pauseMaxMs } = this.#config
    this.#pauseMs = this.isDown ? Math.min(this.#pauseMs * 2, pauseMaxMs) : pauseMs
    this.#nextProbeMs = nowMs + this.#pauseMs * (1 + this.#random() / 2)
  }

  /** A request ended without saying anything of the origin. */
  onAbort(): void {
    this.#isProbing = false
  }
}
