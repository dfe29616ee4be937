/**
 * One run of the memory benchmark, in a process of its own, so that no other strategy's shapes are
 * in the compiled code. Prints one line of JSON.
 *
 * node memoryRun.js ORDER, a MemoryOrder in JSON
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { assert, memoryLink } from '@sandstorm/libnmio'
import { ipv4Address } from '@sandstorm/libtcpip'
import { inlineMore, Server } from 'sandstorm'
import type { MemoryOrder } from './memoryOrder.ts'
import { HOST, oneObject, Pair, REGION_BYTES } from './memoryPair.ts'
import { quantile } from './report.ts'
import { storedObject } from './storedObject.ts'

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
/** Until the code is compiled; a run that only shows that it works takes less. */
const WARM_UP_MS = 2500

async function run(order: MemoryOrder): Promise<MemoryRun> {
  const { bytes, seconds } = order
  const object =
    order.isStored === true
      ? await storedObject(bytes, HOST, REGION_BYTES)
      : { content: await oneObject(bytes) }
  const pair = new Pair({ ...object, ...order })
  const { server, client } = pair
  let collections = 0
  const observer = new PerformanceObserver(list => {
    collections += list.getEntries().length
  })
  for (const end = performance.now() + WARM_UP_MS * Math.min(1, seconds); performance.now() < end; )
    pair.take(TURNS)
  client.verifying = false
  observer.observe({ entryTypes: ['gc'] })
  await setImmediate()
  collections = 0
  pair.serverMs = 0
  pair.clientMs = 0
  const heapBefore = process.memoryUsage().heapUsed
  const batches: number[] = []
  const before = { ...server.stats(), responses: client.responses }
  const summed = (): number => server.stats().ledger.payloadBytesSummed + pair.bytesSummed
  const summedBefore = summed()
  const [framesIn, framesOut] = [client.framesOut, client.framesIn]
  for (
    const end = performance.now() + seconds * 1000;
    performance.now() < end;
    await setImmediate()
  ) {
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
    payloadBytesSummed: (summed() - summedBefore) / responses,
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
const result = await run(JSON.parse(process.argv[2]) as MemoryOrder)
process.stdout.write(`${JSON.stringify(result)}\n`)
