/**
 * One run of the memory benchmark, in a process of its own, so that no other strategy's shapes are
 * in the compiled code. Prints one line of JSON.
 *
 * node memoryRun.js KIND OBJECT_BYTES keep|close SECONDS
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { assert, memoryLink } from '@sandstorm/libnmio'
import { ipv4Address } from '@sandstorm/libtcpip'
import { inlineMore, Server, type TransmitKind } from 'sandstorm'
import { oneObject, Pair } from './memoryPair.ts'
import { quantile } from './report.ts'

export interface MemoryRun {
  responses: number
  /** Microseconds inside server.poll per response. */
  serverUs: number
  /**
   * The same in the best twentieth of the batches: without what interrupts and other guests of a
   * virtual machine take away.
   */
  undisturbedUs: number
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

/** Turns between two looks at the clock and the collector. */
const TURNS = 2000
/** Turns of a batch: some hundred responses of 22 KB, some milliseconds. */
const BATCH_TURNS = 100
const WARM_UP_MS = 700

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
  const batches: number[] = []
  const before = { ...server.stats(), responses: client.responses }
  const [framesIn, framesOut] = [client.framesOut, client.framesIn]
  for (const end = performance.now() + ms; performance.now() < end; await setImmediate()) {
    for (let turn = 0; turn < TURNS; turn += BATCH_TURNS) batches.push(takeBatch(pair))
  }
  const responses = client.responses - before.responses
  const heapGrowthBytes = process.memoryUsage().heapUsed - heapBefore
  const { ledger } = server.stats()
  assert(client.errors === 0 && responses > 0, 'the client got what it asked for')
  return {
    responses,
    serverUs: (pair.serverMs * 1000) / responses,
    undisturbedUs: quantile(batches, 0.05),
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

/** Microseconds inside server.poll per response. */
function takeBatch(pair: Pair): number {
  const { serverMs } = pair
  const { responses } = pair.client
  pair.take(BATCH_TURNS)
  return ((pair.serverMs - serverMs) * 1000) / (pair.client.responses - responses)
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
      port: 80,
      transmit: 'copy',
      tcp: { maxConnections },
      random: () => 1,
      nowUs: 0,
    })
    return process.memoryUsage().arrayBuffers - before
  }
  return (bytesOf(many) - bytesOf(few)) / (many - few)
}

inlineMore()
const [kind, bytes, connection, seconds] = process.argv.slice(2)
const result = await run(
  kind as TransmitKind,
  Number(bytes),
  connection === 'close',
  Number(seconds) * 1000,
)
process.stdout.write(`${JSON.stringify(result)}\n`)
