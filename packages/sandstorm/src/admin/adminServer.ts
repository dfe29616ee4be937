/**
 * The admin server: metrics, health and connections over HTTP, for monitoring and for people. It is
 * node:http on a kernel socket of its own and on the main thread, so it answers when the data path
 * does not, and costs the data path nothing but the inquiries of control/inspector.ts.
 *
 * It tells, and changes nothing but what is stored of origins' answers (storeAnswers.ts). It
 * belongs on an address that only the operator reaches.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { listen } from '../listen.ts'
import { StartError } from '../startError.ts'
import { AdminAnswers, type AdminSources } from './adminAnswers.ts'

export interface AdminOptions extends AdminSources {
  readonly address: string
  /** 0: any free port. */
  readonly port: number
}

const CLIENTS_MAX = 32
const HEAD_MAX_BYTES = 8192
const HEAD_MS = 5000
/** Without a byte in either direction. */
const SILENCE_MS = 30_000
const KEEP_ALIVE_MS = 5000

export class AdminServer {
  readonly address: string
  readonly port: number
  readonly #server: Server

  /** Listens and answers; rejects with one clear line if the address cannot be had. */
  static async start(options: AdminOptions): Promise<AdminServer> {
    const answers = new AdminAnswers(options)
    const server = createServer(
      {
        maxHeaderSize: HEAD_MAX_BYTES,
        headersTimeout: HEAD_MS,
        requestTimeout: HEAD_MS,
        connectionsCheckingInterval: 1000,
        keepAliveTimeout: KEEP_ALIVE_MS,
      },
      (request, response) => answers.answer(request, response),
    )
    server.maxConnections = CLIENTS_MAX
    server.timeout = SILENCE_MS
    server.on('connection', socket => socket.unref())
    await listenOrSay(server, options.address, options.port)
    return new AdminServer(server)
  }

  private constructor(server: Server) {
    this.#server = server
    const { address, port } = server.address() as AddressInfo
    this.address = address
    this.port = port
  }

  /** Drops who is connected, and settles when the address is free again. */
  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }
}

async function listenOrSay(server: Server, host: string, port: number): Promise<void> {
  try {
    await listen(server, host, port)
  } catch (error) {
    throw new StartError(listenFailure(error as NodeJS.ErrnoException, host, port))
  }
  server.on('error', () => {}) // out of descriptors, say: the next client may have more luck
  server.unref()
}

/** What, why, and what to do, in one line. */
function listenFailure(
  { code, message }: NodeJS.ErrnoException,
  host: string,
  port: number,
): string {
  const what = `--admin ${host.includes(':') ? `[${host}]` : host}:${port}`
  switch (code) {
    case 'EADDRINUSE':
      return `${what}: another program listens there already. Stop it, or choose another port`
    case 'EACCES':
      return `${what}: ports below 1024 need root or CAP_NET_BIND_SERVICE. Choose another port`
    case 'EADDRNOTAVAIL':
      return `${what}: this machine has no such address. Choose one of its own, like 127.0.0.1`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${what}: no address is known for that name. Give an IP address`
    default:
      return `${what}: ${message}. Choose another address and port`
  }
}
