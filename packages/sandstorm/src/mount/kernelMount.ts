/**
 * The HTTP machine and content on the kernel's TCP (node:net): the same answers without our stack,
 * for machines that give us no device, for conformance tests, and to tell what of the speed is HTTP
 * and what is TCP.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { type AddressInfo, createServer, type Server } from 'node:net'
import type { Content } from '../content/content.ts'
import type { Fronts } from '../front/fronts.ts'
import type { HttpLimits } from '../http/limits.ts'
import { HttpMachine } from '../http/machine.ts'
import { listen } from '../listen.ts'
import type { AccessLog } from '../log/accessLog.ts'
import { StartError } from '../startError.ts'
import { KernelConnection } from './kernelConnection.ts'
import type { KernelContext, KernelStats } from './kernelContext.ts'
import { KERNEL_CONNECTIONS } from './limits.ts'
import { RequestRate } from './requestRate.ts'
import { Turns } from './turns.ts'

export interface KernelLimits {
  /** Time for a whole request head, and for a body that is dropped; then 408 and closed. */
  readonly headTimeoutMs: number
  /** Time without a byte in either direction; then closed. */
  readonly idleTimeoutMs: number
  /** Connections at once; more are closed as they come. */
  readonly maxConnections: number
  /** Time for answers under way when the mount is closed. */
  readonly drainTimeoutMs: number
  /** Requests of a connection, the last of which closes it; 0: as many as there are. */
  readonly requestsPerConnection: number
  /** Connections at once of one address (of IPv6: of a /64); 0: as many as there are. */
  readonly connectionsPerAddress: number
  /** Requests in a second of one address (of IPv6: of a /64); 0: as many as there are. */
  readonly requestsPerSecond: number
  readonly http: Partial<HttpLimits>
}

export interface KernelMountOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  readonly limits?: Partial<KernelLimits>
  /** Where answers are noted. */
  readonly accessLog?: AccessLog | undefined
  /** Milliseconds since 1970; for tests. */
  readonly clock?: () => number
  /** The bodies that are not in memory (LiveContent.pieces); default: all are. */
  readonly pieces?: KernelContext['pieces']
  /**
   * Of the content's sites; the caller closes them, after the mount. Without them no site has an
   * origin.
   */
  readonly fronts?: Fronts | undefined
}

/** The same HTTP on the kernel's TCP. */
export interface KernelMount {
  readonly address: string
  readonly port: number
  readonly stats: KernelStats
  /**
   * Accepts nothing more, ends idle connections at once, lets the others finish the answers they
   * have begun, for `drainTimeoutMs` at most.
   */
  close(): Promise<void>
}

const DEFAULT_LIMITS: KernelLimits = {
  headTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  maxConnections: KERNEL_CONNECTIONS,
  drainTimeoutMs: 5_000,
  requestsPerConnection: 0,
  connectionsPerAddress: 0,
  requestsPerSecond: 0,
  http: {},
}

/** Answers that wait in a socket before its client's next request is looked at. */
const UNSENT_MAX_BYTES = 64 * 1024

/** Listens and serves; rejects with one clear line if the address cannot be had. */
export async function mountOnKernel(
  content: Content,
  options: KernelMountOptions,
): Promise<KernelMount> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const stats = {
    ...{ accepted: 0, refused: 0, open: 0, answers: 0 },
    ...{ slow: 0, idle: 0, errors: 0, limited: 0, storeHits: 0 },
  }
  const { clock = Date.now, accessLog, fronts, pieces = noPieces } = options
  const boundary = randomBytes(16).toString('hex')
  const machine = new HttpMachine(content, limits.http, boundary, fronts?.paths)
  const { headTimeoutMs, idleTimeoutMs, requestsPerConnection } = limits
  const { requestsPerSecond } = limits
  const table = requestsPerSecond === 0 ? undefined : RequestRate.allocate()
  const rate = table && new RequestRate(table, randomInt(2 ** 31), requestsPerSecond)
  const times = { headTimeoutMs, idleTimeoutMs, requestsPerConnection }
  const turns = new Turns()
  const context = {
    ...{ content, machine, stats, ...times, clock },
    ...{ accessLog, fronts, pieces, rate, turns },
  }
  const open = new Set<KernelConnection>()
  const server = makeServer(context, open, new Clients(limits.connectionsPerAddress))
  server.maxConnections = limits.maxConnections
  await listenOrSay(server, options.host, options.port)
  // From here on an error is a connection that could not be accepted; the server lives on.
  server.on('error', () => stats.refused++)
  const { address, port } = server.address() as AddressInfo
  let closed: Promise<void> | undefined
  return {
    address,
    port,
    stats,
    close: () => {
      closed ??= drain(server, open, limits.drainTimeoutMs)
      return closed
    },
  }
}

// biome-ignore lint/correctness/useYield: there is nothing to yield
async function* noPieces(): AsyncGenerator<never> {
  throw new Error('all content is in memory')
}

/** How many connections each client has. */
class Clients {
  readonly #max: number
  readonly #counts = new Map<string, number>()

  constructor(max: number) {
    this.#max = max
  }

  /** One more, if it may have it. */
  enter(client: string): boolean {
    const count = this.#counts.get(client) ?? 0
    if (this.#max === 0) return true
    if (count >= this.#max) return false
    this.#counts.set(client, count + 1)
    return true
  }

  leave(client: string): void {
    const count = this.#counts.get(client) ?? 0
    if (count > 1) this.#counts.set(client, count - 1)
    else this.#counts.delete(client)
  }
}

/** An IPv4 address, or the /64 of an IPv6 address: what one client has. */
export function clientOf(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address
  const [head, tail = ''] = address.split('::')
  const groups = head.split(':').filter(group => group !== '')
  const missing = 8 - groups.length - tail.split(':').filter(group => group !== '').length
  const zeros = address.includes('::') ? Array<string>(missing).fill('0') : []
  return [...groups, ...zeros, ...tail.split(':')].slice(0, 4).join(':')
}

function makeServer(context: KernelContext, open: Set<KernelConnection>, clients: Clients): Server {
  const { stats } = context
  // Half-open: a client that ends its side first still gets its answers.
  const options = { allowHalfOpen: true, noDelay: true, highWaterMark: UNSENT_MAX_BYTES }
  const server = createServer(options, socket => {
    const client = clientOf(socket.remoteAddress ?? '')
    if (!clients.enter(client)) {
      stats.refused++
      socket.destroy()
      return
    }
    const connection = new KernelConnection(socket, context)
    stats.accepted++
    stats.open++
    open.add(connection)
    socket.on('close', () => {
      stats.open--
      clients.leave(client)
      open.delete(connection)
    })
  })
  server.on('drop', () => stats.refused++)
  return server
}

async function listenOrSay(server: Server, host: string, port: number): Promise<void> {
  try {
    await listen(server, host, port)
  } catch (error) {
    throw new StartError(listenFailure(error as NodeJS.ErrnoException, host, port))
  }
}

/** What, why, and what to do, in one line. */
export function listenFailure(error: NodeJS.ErrnoException, host: string, port: number): string {
  const what = `cannot listen on ${host} port ${port}`
  switch (error.code) {
    case 'EADDRINUSE':
      return `${what}: another program does already; stop it or choose another with --port`
    case 'EACCES':
      return `${what}: ports below 1024 need root or CAP_NET_BIND_SERVICE; choose another with --port`
    case 'EADDRNOTAVAIL':
      return `${what}: this machine has no such address; choose one of its own with --address`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${what}: no address is known for that name; give an IP address with --address`
    default:
      return `${what}: ${error.message}; choose another with --address and --port`
  }
}

async function drain(
  server: Server,
  open: Set<KernelConnection>,
  timeoutMs: number,
): Promise<void> {
  const closed = Promise.all([
    new Promise<void>(resolve => server.close(() => resolve())),
    ...Array.from(open, connection => connection.closed()),
  ])
  for (const connection of open) connection.drain()
  const force = setTimeout(() => {
    for (const connection of open) connection.destroy()
  }, timeoutMs)
  await closed
  clearTimeout(force)
}
