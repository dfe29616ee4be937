/**
 * Single flight: of the requests that want the same answer, one goes upstream and the others wait
 * for its head. They are woken by it, not by a clock. Keys have two parts, so that a purge of a URL
 * finds all that is under way for it: who comes after a purge must not wait for what began before
 * it.
 */

export interface Flight<T> {
  /** Resolves once the head has decided; rejects for everyone if the fetch failed. */
  readonly result: Promise<T>
  /** From now on, nobody joins. */
  land(): void
}

export class Flights<T> {
  readonly #byUrl = new Map<string, Map<string, Flight<T>>>()

  /** Flights that can be joined. */
  get count(): number {
    let count = 0
    for (const flights of this.#byUrl.values()) count += flights.size
    return count
  }

  /** The flight for a URL and what Vary selects, if one is under way. */
  find(key: string, secondary: string): Flight<T> | undefined {
    return this.#byUrl.get(key)?.get(secondary)
  }

  /** Begins one in its place. `fetch` is called at once, and given the flight's `land`. */
  begin(key: string, secondary: string, fetch: (land: () => void) => Promise<T>): Flight<T> {
    const land = (): void => this.#land(key, secondary, flight)
    const started = Promise.resolve().then(() => fetch(land))
    const flight: Flight<T> = { result: started, land }
    const flights = this.#byUrl.get(key) ?? new Map()
    this.#byUrl.set(key, flights.set(secondary, flight))
    started.catch(land)
    return flight
  }

  /** Nobody joins a flight for the URL that is under way now; without a URL, none at all. */
  detach(key?: string): void {
    if (key === undefined) this.#byUrl.clear()
    else this.#byUrl.delete(key)
  }

  #land(key: string, secondary: string, flight: Flight<T>): void {
    const flights = this.#byUrl.get(key)
    if (flights?.get(secondary) !== flight) return
    flights.delete(secondary)
    if (flights.size === 0) this.#byUrl.delete(key)
  }
}

/** What `promise` settles to, or a rejection as soon as the signal is aborted. */
export function unlessAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
