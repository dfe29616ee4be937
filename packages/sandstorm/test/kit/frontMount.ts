/**
 * A site with an origin, for tests: an origin's URL goes in, a server comes out, on the kernel's
 * TCP or on our own over a TAP (then the test file is in a namespace of its own).
 */
import { once } from 'node:events'
import http, { type IncomingMessage, type RequestOptions } from 'node:http'
import { before, describe, type TestContext } from 'node:test'
import { DEFAULT_LIMITS, type Limits } from '../../src/config/limits.ts'
import { checkConfig } from '../../src/config.ts'
import type { Fronts } from '../../src/front/fronts.ts'
import type { Instance } from '../../src/instance/instance.ts'
import { startKernelInstance } from '../../src/instance/kernel.ts'
import { type OwnStack, startOwnStack } from '../../src/instance/ownStack.ts'
import type { AccessRecord } from '../../src/log/accessLog.ts'
import { AccessRing } from '../../src/log/accessRing.ts'
import { plainSite, type Site, type SiteOrigin } from '../../src/site/site.ts'
import { makeTree } from '../contentTree.ts'
import { RawClient } from '../rawClient.ts'
import { needsTap, ownNamespaceWithLoopback } from './ownNamespace.ts'

export type MountName = 'kernel' | 'our TCP'

export interface FrontOptions {
  readonly files?: Record<string, string | Uint8Array>
  readonly site?: Partial<Site>
  readonly origin?: Partial<SiteOrigin>
  readonly limits?: Partial<Limits>
}

/** What both mounts count, by the same names. */
export interface FrontStats {
  readonly answers: number
  /** Heads and bodies that did not come in time. */
  readonly slow: number
  /** Connections without a request, or whose client took nothing. */
  readonly idle: number
  readonly open: number
}

export interface Whole {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** Opens a server on the mount that a suite is about. */
export type Open = (t: TestContext, url: string, options?: FrontOptions) => Promise<FrontMount>

/** Runs a suite on each mount; on ours where there can be a TAP. */
export function onEachMount(name: string, suite: (open: Open, mount: MountName) => void): void {
  const limit = { timeout: 300_000 }
  describe(`${name} (kernel)`, limit, () => {
    suite((t, url, options) => FrontMount.open('kernel', t, url, options), 'kernel')
  })
  describe(`${name} (our TCP)`, { ...needsTap(), ...limit }, () => {
    before(isolate)
    suite((t, url, options) => FrontMount.open('our TCP', t, url, options), 'our TCP')
  })
}

let isIsolated = false
function isolate(): void {
  if (!isIsolated) ownNamespaceWithLoopback()
  isIsolated = true
}

const QUIET = { info: () => {}, warn: () => {}, stats: () => {} }

export class FrontMount {
  readonly host: string
  readonly port: number
  /** The address that the server sees of us. */
  readonly clientAddress: string
  readonly instance: Instance | OwnStack
  readonly #mount: MountName
  readonly #log: AccessRing
  readonly #clients: RawClient[] = []

  static async open(
    mount: MountName,
    t: TestContext,
    url: string,
    options: FrontOptions = {},
  ): Promise<FrontMount> {
    const { files } = options
    const origin: SiteOrigin = {
      url,
      paths: [],
      folder: '',
      cache: {},
      ...options.origin,
      upstream: { retryMs: 1, ...options.origin?.upstream },
    }
    const root = files === undefined ? '' : makeTree(t, files)
    const sites = [{ ...plainSite(root), ...options.site, origin }]
    const limits = { ...DEFAULT_LIMITS, ...options.limits }
    const ring = AccessRing.allocate(1 << 20)
    const device = mount === 'kernel' ? 'kernel' : 'tap'
    const checked = checkConfig({ sites, limits, device: [device], memory: '256MiB' })
    const config = { ...checked, kernel: { ...checked.kernel, address: '127.0.0.1', port: 0 } }
    const start = mount === 'kernel' ? startKernelInstance : startOwnStack
    const opened = new FrontMount(mount, await start(config, QUIET, [ring]), new AccessRing(ring))
    t.after(() => opened.close())
    return opened
  }

  private constructor(mount: MountName, instance: Instance, log: AccessRing) {
    this.#mount = mount
    this.instance = instance
    this.#log = log
    const { hostname, port } = new URL(instance.endpoints[0].url)
    this.host = hostname
    this.port = Number(port || 80)
    this.clientAddress = mount === 'kernel' ? '127.0.0.1' : '10.77.0.1'
  }

  /** What is stored. */
  get store(): Pick<Fronts, 'purge' | 'list'> {
    return this.instance.store!
  }

  async stats(): Promise<FrontStats> {
    const counters = await this.#counters()
    if (this.#mount === 'kernel') return counters['kernel'] as unknown as FrontStats
    const { http, inUse } = counters
    return {
      answers: http['requests'],
      slow: http['headTimeouts'],
      idle: http['idleTimeouts'] + http['stallTimeouts'],
      open: inUse['connections'],
    }
  }

  /** Of the fronts: of the groups `cache`, `origin` and `cacheDisk`. */
  async count(group: string, name: string): Promise<number> {
    return (await this.#counters())[group][name]
  }

  async #counters(): Promise<Record<string, Record<string, number>>> {
    const { counters } = await this.instance.metrics()
    return counters as Record<string, Record<string, number>>
  }

  /** Hands over what was noted of answers since the last call. */
  noted(consume: (record: AccessRecord) => void): void {
    this.#log.drain(consume)
  }

  /** Ends the server when what is under way has ended. */
  drain(): Promise<void> {
    return this.instance.stop()
  }

  /** Ends clients and server. */
  async close(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.close()
    await this.instance.stop()
    await this.instance.done
  }

  async client(): Promise<RawClient> {
    const client = await RawClient.to(this.port, this.host)
    this.#clients.push(client)
    return client
  }

  /** A request, on a connection of its own, and its whole answer; rejects if that is cut. */
  async ask(path: string, options: RequestOptions = {}, body?: string): Promise<Whole> {
    const request = http.request(this.#of(path, options))
    request.end(body)
    return await read(await answered(request))
  }

  /** The head of an answer, whose body is not read yet. */
  async head(path: string): Promise<IncomingMessage> {
    return await answered(http.get(this.#of(path)))
  }

  #of(path: string, options: RequestOptions = {}): RequestOptions {
    return { host: this.host, port: this.port, path, agent: false, ...options }
  }
}

async function answered(request: http.ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  request.on('error', () => {}) // the response fails as well
  return response
}

export async function read(response: IncomingMessage): Promise<Whole> {
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part)
  const { statusCode = 0, headers } = response
  return { status: statusCode, headers, body: Buffer.concat(parts).toString('latin1') }
}

/** An answer's first Cache-Status word: hit, or fwd=… . */
export const how = ({ headers }: Whole): string =>
  String(headers['cache-status']).split('; ')[1] ?? ''
