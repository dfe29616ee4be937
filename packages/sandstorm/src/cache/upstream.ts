/**
 * The origin behind a URL, over ordinary sockets and undici: connections are kept, everything has a
 * time-out and a bound, what never reached the origin is tried again, and an origin that keeps
 * failing is left alone for a while (health.ts).
 *
 * undici takes about 100 ms and 20 MB to load (Node 20, 2 virtual cores, 2026-11-28), so it is
 * loaded by `openUpstream`: a server without an origin never loads it.
 */
import { Readable } from 'node:stream'
import type { Dispatcher, Pool } from 'undici'
import { DEFAULT_FORWARD, type ForwardConfig, forwardedFields } from './forward.ts'
import { DEFAULT_HEALTH, Health, type HealthConfig } from './health.ts'
import type { CacheRequest } from './message.ts'
import { type Origin, type OriginAnswer, OriginError, type OriginFailure } from './origin.ts'
import { Receiver } from './receiver.ts'

export interface UpstreamConfig extends ForwardConfig {
  /** `http://host:port` or `https://…`, with nothing behind it. */
  readonly origin: string
  readonly connections: number
  /** Requests under way, waiting ones included; one more fails at once. */
  readonly pendingMax: number
  readonly connectMs: number
  /** From the request to the end of the head. */
  readonly headMs: number
  /** Between two pieces of the body. */
  readonly bodyMs: number
  readonly keepAliveMs: number
  /** Further tries of what the origin never answered. */
  readonly retries: number
  /** Longest pause before the first of them; it doubles. */
  readonly retryMs: number
  readonly health: HealthConfig
  /** Our name in Via. */
  readonly name: string
}

export const DEFAULT_UPSTREAM: Omit<UpstreamConfig, 'origin'> = {
  ...DEFAULT_FORWARD,
  connections: 128,
  pendingMax: 4096,
  connectMs: 3000,
  headMs: 30_000,
  bodyMs: 30_000,
  keepAliveMs: 10_000,
  retries: 2,
  retryMs: 50,
  health: DEFAULT_HEALTH,
  name: 'sandstorm',
}

/** Time and chance, so that tests decide both. */
export interface Surroundings {
  nowMs(): number
  random(): number
  sleep(ms: number): Promise<void>
}

const REAL: Surroundings = {
  nowMs: Date.now,
  random: Math.random,
  sleep: ms => new Promise(resolve => setTimeout(resolve, ms)),
}

/** RFC 9110 §9.2.2. */
const IDEMPOTENT: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
])

/** Opens no connection yet. Throws if the URL is none. */
export async function openUpstream(
  config: Partial<UpstreamConfig> & { origin: string },
  surroundings: Surroundings = REAL,
): Promise<Upstream> {
  const all = { ...DEFAULT_UPSTREAM, ...config }
  const url = new URL(all.origin)
  const undici = await import('undici')
  const pool = new undici.Pool(url.origin, {
    connections: all.connections,
    pipelining: 1,
    connect: { timeout: all.connectMs },
    headersTimeout: all.headMs,
    bodyTimeout: all.bodyMs,
    keepAliveTimeout: all.keepAliveMs,
  })
  return new Upstream(all, url.host, pool, surroundings)
}

export class Upstream implements Origin {
  readonly stats = { requests: 0, retries: 0, failures: 0, refused: 0 }
  readonly health: Health
  #pending = 0
  readonly #config: UpstreamConfig
  readonly #authority: string
  readonly #pool: Pool
  readonly #around: Surroundings

  constructor(config: UpstreamConfig, authority: string, pool: Pool, around: Surroundings) {
    this.#config = config
    this.#authority = authority
    this.#pool = pool
    this.#around = around
    this.health = new Health(config.health, around.random)
  }

  async fetch(request: CacheRequest): Promise<OriginAnswer> {
    if (this.#pending >= this.#config.pendingMax) {
      this.stats.refused++
      throw new OriginError('busy', 'too many requests wait for the origin')
    }
    if (!this.health.mayTry(this.#around.nowMs())) {
      this.stats.refused++
      throw new OriginError('down', 'the origin is down')
    }
    this.#pending++
    try {
      return await this.#tries(request)
    } finally {
      this.#pending--
    }
  }

  /** Closes all connections; what is under way fails. */
  async close(): Promise<void> {
    await this.#pool.destroy()
  }

  async #tries(request: CacheRequest): Promise<OriginAnswer> {
    const mayRepeat = IDEMPOTENT.has(request.method) && request.body === undefined
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await this.#try(request)
        this.health.onSuccess()
        return answer
      } catch (error) {
        const failure: OriginFailure = error instanceof OriginError ? error.failure : 'bad'
        const wasUnseen = failure === 'down' || failure === 'closed'
        const isLast = attempt === this.#config.retries || !mayRepeat || !wasUnseen
        if (isLast || request.signal?.aborted || this.health.isDown) {
          this.#onFailure(failure)
          throw error
        }
        this.stats.retries++
        await this.#around.sleep(this.#config.retryMs * 2 ** attempt * this.#around.random())
      }
    }
  }

  #onFailure(failure: OriginFailure): void {
    if (failure === 'down' || failure === 'timeout') {
      this.health.onFailure(this.#around.nowMs())
    } else this.health.onAbort()
    if (failure !== 'aborted' && failure !== 'invalid') this.stats.failures++
  }

  async #try(request: CacheRequest): Promise<OriginAnswer> {
    this.stats.requests++
    const fields = forwardedFields(request, this.#authority, this.#config, this.#config.name)
    const receiver = new Receiver(request)
    try {
      this.#pool.dispatch(
        {
          path: request.target,
          method: request.method as Dispatcher.HttpMethod,
          headers: fields.flat(),
          body: request.body ? Readable.from(clientBody(request.body)) : null,
        },
        receiver,
      )
    } catch (error) {
      receiver.fail(error)
    }
    return receiver.answer
  }
}

/** What goes wrong with it is no fault of the origin. */
async function* clientBody(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } catch (error) {
    throw new OriginError('invalid', 'the body of the request broke off', error)
  }
}
