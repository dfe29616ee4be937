/**
 * What the admin server answers: its pages, and the refusals of what is none of its business.
 * Whoever asks often, or reads slowly, costs the packet threads no more than one who does not.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Part } from '../control/inspector.ts'
import type { LimitedLog } from '../log/operatorLog.ts'
import { connectionLines } from './connectionLines.ts'
import { isOurHost } from './hostCheck.ts'
import { type Metrics, metricsPage } from './metrics.ts'
import { METRICS_TYPE } from './metricsText.ts'
import { JSON_LINES, send } from './reply.ts'
import { type AdminStore, answerList, answerPurge, isFromElsewhere } from './storeAnswers.ts'

/** `failed`: no device serves, and none will. */
export type Health = 'loading' | 'serving' | 'draining' | 'failed'

/** Where answers come from. */
export interface AdminSources {
  /** What there is to count now; may reject, while there is no instance or when it has ended. */
  readonly snapshot: () => Promise<Metrics>
  readonly health: () => Health
  /**
   * `Inspector.connections`; undefined where the kernel has them, or while there is no instance.
   */
  readonly connections: () => AsyncIterable<Part> | undefined
  /** Answers of origins that are stored; undefined where there is no origin. */
  readonly store?: () => AdminStore | undefined
  /** Names besides localhost by which it is asked, in lower case. */
  readonly hosts?: readonly string[]
  readonly log: LimitedLog
  /** For a snapshot; default 3000. */
  readonly snapshotMs?: number
}

const INDEX = `sandstorm

/metrics      counters, for Prometheus
/healthz      200 while the process works, 503 when no device serves
/readyz       200 while requests are answered, 503 while loading or draining
/connections  a line of JSON for each connection, as sandstorm conns --json
/cache        a line of JSON for each stored answer, 1000 a page: ?from=1000
/purge        POST: drops stored answers, ?url=…, ?tag=… or ?all; with soft they become stale
`

const SNAPSHOT_MS = 3000
/** Listings of connections at once. */
const LISTINGS_MAX = 2
const TELL_MS = 60_000

export class AdminAnswers {
  readonly #sources: AdminSources
  /** A snapshot under way is everybody's: however many ask, packet threads are asked once. */
  #snapshot: Promise<Metrics> | undefined
  #listings = 0

  constructor(sources: AdminSources) {
    this.#sources = sources
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => {}) // the client went away
    response.setHeader('X-Content-Type-Options', 'nosniff')
    response.setHeader('Cache-Control', 'no-store')
    const status = this.#refusal(request)
    if (status === 0) this.#route(request, response)
    else refuse(response, status, pathOf(request.url) === ORDER ? 'POST' : 'GET, HEAD')
  }

  /** The status of a request that is none of ours, or 0. */
  #refusal(request: IncomingMessage): number {
    const { headers, method, url } = request
    const { hosts = [] } = this.#sources
    if (!isOurHost(headers.host, hosts)) return 403
    if (!PATHS.includes(pathOf(url))) return 404
    if (pathOf(url) === ORDER) {
      if (method !== 'POST') return 405
      return isFromElsewhere(request) ? 403 : 0
    }
    if (method !== 'GET' && method !== 'HEAD') return 405
    const hasBody = headers['transfer-encoding'] !== undefined
    return hasBody || Number(headers['content-length'] ?? 0) > 0 ? 413 : 0
  }

  #route(request: IncomingMessage, response: ServerResponse): void {
    const health = this.#sources.health()
    switch (pathOf(request.url)) {
      case '/metrics':
        void this.#metrics(response)
        break
      case '/healthz':
        if (health === 'failed') send(response, 503, 'no device serves\n')
        else send(response, 200, 'ok\n')
        break
      case '/readyz':
        send(response, health === 'serving' ? 200 : 503, `${health}\n`)
        break
      case '/connections':
        void this.#connections(request, response)
        break
      case '/cache':
        answerList(request, response, this.#sources.store?.())
        break
      case ORDER:
        void answerPurge(request, response, this.#sources.store?.())
        break
      default:
        send(response, 200, INDEX)
    }
  }

  async #metrics(response: ServerResponse): Promise<void> {
    const { health, log, snapshotMs = SNAPSHOT_MS } = this.#sources
    try {
      const metrics = await within(snapshotMs, this.#take())
      send(response, 200, metricsPage(metrics, health() === 'serving'), METRICS_TYPE)
    } catch (error) {
      const why = (error as Error).message
      log.limited('admin: metrics', `no metrics for the admin server: ${why}`, TELL_MS)
      send(response, 503, `no metrics: ${why}\n`)
    }
  }

  #take(): Promise<Metrics> {
    this.#snapshot ??= this.#sources.snapshot().finally(() => {
      this.#snapshot = undefined
    })
    return this.#snapshot
  }

  async #connections({ method }: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#listings >= LISTINGS_MAX) {
      response.setHeader('Retry-After', '1')
      send(response, 503, 'others are listing connections already\n')
      return
    }
    const parts = this.#sources.connections()
    if (parts === undefined) {
      send(response, 404, 'no connections here: the kernel has them, or nothing serves yet\n')
      return
    }
    response.writeHead(200, { 'Content-Type': JSON_LINES })
    if (method === 'HEAD') {
      response.end()
      return
    }
    this.#listings++
    // Not when the pipeline settles: it may wait for parts that a client who went away does not.
    response.once('close', () => this.#listings--)
    try {
      await pipeline(Readable.from(connectionLines(parts), { highWaterMark: 1 }), response)
    } catch {
      response.destroy() // cut short, so that nobody takes it for whole
    }
  }
}

/** Rejects if it takes longer. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_, reject) => {
    const late = new Error('the packet threads do not answer')
    timer = setTimeout(() => reject(late), ms)
  })
  try {
    return await Promise.race([promise, limit])
  } finally {
    clearTimeout(timer)
  }
}

/** The one path that changes something. */
const ORDER = '/purge'
const PATHS: readonly string[] = [
  ...['/', '/metrics', '/healthz', '/readyz', '/connections', '/cache', ORDER],
]

const pathOf = (url = ''): string => url.split('?', 1)[0]

const REASONS: Readonly<Record<number, string>> = {
  403: 'this name is not ours (--admin-host), or a page of another sends this: ask by the address, or by localhost\n',
  404: 'no such page; / lists those there are\n',
  405: 'not with this method\n',
  413: 'no body is wanted\n',
}

/** The rest of such a request is not read. */
function refuse(response: ServerResponse, status: number, allow: string): void {
  if (status === 405) response.setHeader('Allow', allow)
  response.setHeader('Connection', 'close')
  send(response, status, REASONS[status])
}
