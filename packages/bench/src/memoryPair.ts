/**
 * A server and a client on two linked ports, in one thread, taking turns: what the memory benchmark
 * measures (memoryRun.ts). Only the time inside `server.poll` is the server's.
 */
import { memoryLink, type Region } from '@sandstorm/libnmio'
import { ipv4Address } from '@sandstorm/libtcpip'
import { type Content, Server, type TransmitKind } from 'sandstorm'
import { MemoryClient } from './memoryClient.ts'
import { answerLen, loadObjects, requestFor } from './objects.ts'

export const CONNECTIONS = 64
const ADDRESS = ipv4Address('10.0.0.1', 24)
const PORT = 80
const REGION_BYTES = 96 << 20
/** The server's clock takes no longer steps: a machine that stands still for a while loses no packets. */
const STEP_MAX_MS = 1

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
  #clockMs: number = performance.now()
  #lastMs: number = performance.now()

  /** `region`: where both have their frames; behind the content, or a part of what is there. */
  constructor(
    content: Content,
    kind: TransmitKind,
    close: boolean,
    maxConnections = 65536,
    region: Region = content.region,
  ) {
    const [near, far] = memoryLink({ region, mtu: 1500, ringSize: 4096 })
    this.client = new MemoryClient({
      device: far,
      serverMac: near.mac,
      serverAddress: ADDRESS.w0,
      serverPort: PORT,
      request: requestFor('object', close ? 'close' : 'keep-alive'),
      answerBytes: answerLen(content, 'object'),
      connections: CONNECTIONS,
      close,
    })
    this.server = new Server({
      device: near,
      content,
      addresses: [ADDRESS],
      port: PORT,
      transmit: kind,
      tcp: { maxConnections },
      random: () => (Math.random() * 2 ** 32) | 0,
      nowUs: this.#clockMs * 1000,
    })
    this.client.start()
  }

  take(turns: number): void {
    const { server, client } = this
    const epochSec = Math.floor(Date.now() / 1000)
    for (let i = 0; i < turns; i++) {
      const before = performance.now()
      this.#clockMs += Math.min(before - this.#lastMs, STEP_MAX_MS)
      this.#lastMs = before
      server.poll(this.#clockMs * 1000, epochSec)
      const between = performance.now()
      client.poll()
      this.clientMs += performance.now() - between
      this.serverMs += between - before
    }
  }
}
