/**
 * One run of the memory benchmark, in a process of its own, so that no other strategy's shapes are
 * in the compiled code: a server and a client on two linked ports, in one thread, taking turns.
 * Only the time inside `server.poll` is the server's. Prints one line of JSON.
 *
 * node memoryRun.js KIND OBJECT_BYTES keep|close SECONDS
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { assert, memoryLink } from '@sandstorm/libnmio'
import { ipv4Address } from '@sandstorm/libtcpip'
import { type Content, Server, type TransmitKind } from 'sandstorm'
import { MemoryClient } from './memoryClient.ts'
import { answerLen, loadObjects, requestFor } from './objects.ts'

export interface MemoryRun {
  responses: number
  /** Microseconds inside server.poll per response. */
  serverUs: number
  /** Microseconds of the client per response: what this benchmark costs beside what it measures. */
  clientUs: number
  /** Frames in and out of the server per response. */
  framesIn: number
  framesOut: number
  /** Garbage collections while measured. */
  collections: number
  heapGrowthBytes: number
  /** Bytes of flat tables per connection that a server can have. */
  connectionBytes: number
  /** Bytes of the body, of its ready frames with all replicas, and of one set of them. */
  contentBytes: number
  templateBytes: number
  singleBytes: number
  payloadBytesCopied: number
  payloadBytesSummed: number
}

export const CONNECTIONS = 64
const ADDRESS = 0x0a000001
const PORT = 80
const REGION_BYTES = 96 << 20
/** Turns between two looks at the clock and the collector. */
const TURNS = 2000
const WARM_UP_MS = 700
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

  constructor(content: Content, kind: TransmitKind, close: boolean, maxConnections = 65536) {
    const [near, far] = memoryLink({ region: content.region, mtu: 1500, ringSize: 4096 })
    this.client = new MemoryClient({
      device: far,
      serverMac: near.mac,
      serverAddress: ADDRESS,
      serverPort: PORT,
      request: requestFor('object', close ? 'close' : 'keep-alive'),
      answerBytes: answerLen(content, 'object'),
      connections: CONNECTIONS,
      close,
    })
    this.server = new Server({
      device: near,
      content,
      addresses: [ipv4Address('10.0.0.1', 24)],
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

async function run(
  kind: TransmitKind,
  bytes: number,
  close: boolean,
  ms: number,
): Promise<MemoryRun> {
  const pair = new Pair(await oneObject(bytes), kind, close)
  const { server, client } = pair
  let collections = 0
  const observer = new PerformanceObserver(list => {
    collections += list.getEntries().length
  })
  for (const end = performance.now() + WARM_UP_MS; performance.now() < end; ) pair.take(TURNS)
  client.verifying = false
  observer.observe({ entryTypes: ['gc'] })
  await setImmediate()
  collections = 0
  pair.serverMs = 0
  pair.clientMs = 0
  const heapBefore = process.memoryUsage().heapUsed
  const before = { ...server.stats(), responses: client.responses }
  const [framesIn, framesOut] = [client.framesOut, client.framesIn]
  for (const end = performance.now() + ms; performance.now() < end; await setImmediate()) {
    pair.take(TURNS)
  }
  const responses = client.responses - before.responses
  const heapGrowthBytes = process.memoryUsage().heapUsed - heapBefore
  const { ledger } = server.stats()
  assert(client.errors === 0 && responses > 0, 'the client got what it asked for')
  return {
    responses,
    serverUs: (pair.serverMs * 1000) / responses,
    clientUs: (pair.clientMs * 1000) / responses,
    framesIn: (client.framesOut - framesIn) / responses,
    framesOut: (client.framesIn - framesOut) / responses,
    collections,
    heapGrowthBytes,
    connectionBytes: await connectionBytes(),
    contentBytes: bytes,
    templateBytes: ledger.templatesBuilt * server.frames.frameSize,
    singleBytes: (ledger.templatesBuilt - ledger.replicasBuilt) * server.frames.frameSize,
    payloadBytesCopied: (ledger.payloadBytesCopied - before.ledger.payloadBytesCopied) / responses,
    payloadBytesSummed: (ledger.payloadBytesSummed - before.ledger.payloadBytesSummed) / responses,
  }
}

/** What a server's tables grow by for each further connection. */
async function connectionBytes(): Promise<number> {
  const [few, many] = [65536, 131072]
  const content = await oneObject(0)
  const bytesOf = (maxConnections: number): number => {
    const [device] = memoryLink({ region: content.region })
    const before = process.memoryUsage().arrayBuffers
    new Server({
      device,
      content,
      addresses: [ipv4Address('10.0.0.1', 24)],
      port: PORT,
      transmit: 'copy',
      tcp: { maxConnections },
      random: () => 1,
      nowUs: 0,
    })
    return process.memoryUsage().arrayBuffers - before
  }
  return (bytesOf(many) - bytesOf(few)) / (many - few)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [kind, bytes, connection, seconds] = process.argv.slice(2)
  const result = await run(
    kind as TransmitKind,
    Number(bytes),
    connection === 'close',
    Number(seconds) * 1000,
  )
  process.stdout.write(`${JSON.stringify(result)}\n`)
}
