/**
 * A server and a client on two linked ports, in one thread, taking turns: what the memory benchmark
 * measures (memoryRun.ts). Only the time inside `server.poll` is the server's.
 */
import { type MemoryLinkOptions, memoryLink, type Region } from '@sandstorm/libnmio'
import { ipv4Address } from '@sandstorm/libtcpip'
import { type Content, Server, type ServerOptions, type TransmitKind } from 'sandstorm'
import { MemoryClient } from './memoryClient.ts'
import { answerLen, loadObjects, requestFor } from './objects.ts'
import { Summing } from './summing.ts'

export const CONNECTIONS = 64
/** The server's, as its clients name it. */
export const HOST = '10.0.0.1'
const ADDRESS = ipv4Address(HOST, 24)
const PORT = 80
export const REGION_BYTES: number = 96 << 20
/**
 * The server's clock takes no longer steps: a machine that stands still for a while loses no
 * packets.
 */
const STEP_MAX_MS = 1

/** What the client asks for is `/object`. */
export interface PairOptions
  extends Pick<ServerOptions, 'originPaths' | 'replicas'>,
    Pick<MemoryLinkOptions, 'vouches' | 'batchMax'> {
  readonly content: Content
  readonly kind: TransmitKind
  /** A connection per request. */
  readonly close: boolean
  /** Default: 64. */
  readonly connections?: number
  /** Each segment is summed before it is sent. */
  readonly isSummed?: boolean
  /** Default: 65536. */
  readonly maxConnections?: number
  /** Where both have their frames; default: behind the content. Or a part of what is there. */
  readonly region?: Region
  /** Bytes of an answer, head and body; default: of the file. */
  readonly answerBytes?: number
}

/** Content with one object, `/object`. */
export const oneObject = (bytes: number): Promise<Content> =>
  loadObjects({ object: bytes }, REGION_BYTES)

/** A server and its client, ready to take turns. */
export class Pair {
  readonly server: Server
  readonly client: MemoryClient
  /** Milliseconds spent inside server.poll, and inside the client. */
  serverMs = 0
  clientMs = 0
  readonly #isUnbatched: boolean
  readonly #summing: Summing | undefined
  #clockMs: number = performance.now()
  #lastMs: number = performance.now()

  constructor(options: PairOptions) {
    const { content, kind, close, maxConnections = 65536, region = content.region } = options
    const { vouches, batchMax } = options
    const [near, far] = memoryLink({ region, mtu: 1500, ringSize: 4096, vouches, batchMax })
    this.#isUnbatched = batchMax === 1
    if (options.isSummed === true) this.#summing = new Summing(near)
    this.client = new MemoryClient({
      device: far,
      serverMac: near.mac,
      serverAddress: ADDRESS.w0,
      serverPort: PORT,
      request: requestFor('object', close ? 'close' : 'keep-alive'),
      answerBytes: options.answerBytes ?? answerLen(content, 'object'),
      connections: options.connections ?? CONNECTIONS,
      close,
    })
    this.server = new Server({
      device: this.#summing ?? near,
      content,
      addresses: [ADDRESS],
      port: PORT,
      transmit: kind,
      originPaths: options.originPaths,
      replicas: options.replicas,
      tcp: { maxConnections },
      random: () => (Math.random() * 2 ** 32) | 0,
      nowUs: this.#clockMs * 1000,
    })
    this.client.start()
  }

  /** Bytes of segments that were summed to be sent (summing.ts). */
  get bytesSummed(): number {
    return this.#summing?.bytesSummed ?? 0
  }

  take(turns: number): void {
    const { server, client } = this
    const epochSec = Math.floor(Date.now() / 1000)
    for (let i = 0; i < turns; i++) {
      const before = performance.now()
      this.#clockMs += Math.min(before - this.#lastMs, STEP_MAX_MS)
      this.#lastMs = before
      // A batch of one is followed by the next until all has been taken that came.
      while (server.poll(this.#clockMs * 1000, epochSec) > 0 && this.#isUnbatched);
      const between = performance.now()
      while (client.poll() > 0 && this.#isUnbatched);
      this.clientMs += performance.now() - between
      this.serverMs += between - before
    }
  }
}
