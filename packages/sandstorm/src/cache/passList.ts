/**
 * URLs whose answers were lately not to be stored. Requests for them do not wait for each other,
 * and keep their conditions, since each will get an answer of its own. Bounded: the oldest is
 * forgotten, which costs one request its wait.
 */
const URLS_MAX = 10_000

export class PassList {
  readonly #untilMs = new Map<string, number>()
  readonly #durationMs: number

  constructor(durationMs: number) {
    this.#durationMs = durationMs
  }

  add(key: string, nowMs: number): void {
    this.#untilMs.delete(key)
    if (this.#untilMs.size >= URLS_MAX) this.#untilMs.delete(this.#untilMs.keys().next().value!)
    this.#untilMs.set(key, nowMs + this.#durationMs)
  }

  has(key: string, nowMs: number): boolean {
    const until = this.#untilMs.get(key)
    if (until === undefined) return false
    if (nowMs < until) return true
    this.#untilMs.delete(key)
    return false
  }

  delete(key: string): void {
    this.#untilMs.delete(key)
  }
}
