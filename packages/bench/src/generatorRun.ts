/**
 * One run of the generator benchmark, in a process of its own. Prints one line of JSON.
 *
 * node generatorRun.js OBJECT_BYTES keep|close SECONDS
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { assert } from '@sandstorm/libnmio'
import { inlineMore } from 'sandstorm'
import { GeneratorPair } from './generatorPair.ts'
import { oneObject } from './memoryPair.ts'
import { quantile } from './report.ts'

export interface GeneratorRun {
  responses: number
  /** Microseconds per response inside the generator and its TCP, and inside the server. */
  generatorUs: number
  serverUs: number
  /** The same in the best twentieth of the batches (memoryRun.ts). */
  generatorUndisturbedUs: number
  serverUndisturbedUs: number
  collections: number
}

/** Turns between two looks at the collector, and of a batch. */
const TURNS = 2000
const BATCH_TURNS = 100
/** Until the code is compiled; a run that only shows that it works takes less. */
const WARM_UP_MS = 2500

async function run(bytes: number, keepAlive: boolean, ms: number): Promise<GeneratorRun> {
  const pair = new GeneratorPair(await oneObject(bytes), keepAlive)
  const { tally } = pair.generator
  let collections = 0
  const observer = new PerformanceObserver(list => {
    collections += list.getEntries().length
  })
  const warmUpMs = WARM_UP_MS * Math.min(1, ms / 1000)
  for (const end = performance.now() + warmUpMs; performance.now() < end; ) pair.take(TURNS)
  observer.observe({ entryTypes: ['gc'] })
  await setImmediate()
  collections = 0
  pair.serverMs = 0
  pair.generatorMs = 0
  const before = tally.answers
  const batches: Batch[] = []
  for (const end = performance.now() + ms; performance.now() < end; await setImmediate()) {
    for (let turn = 0; turn < TURNS; turn += BATCH_TURNS) batches.push(takeBatch(pair))
  }
  const responses = tally.answers - before
  assert(tally.errorCount === 0 && responses > 0, 'all answers are right')
  return {
    responses,
    generatorUs: (pair.generatorMs * 1000) / responses,
    serverUs: (pair.serverMs * 1000) / responses,
    generatorUndisturbedUs: quantile(
      batches.map(batch => batch.generatorUs),
      0.05,
    ),
    serverUndisturbedUs: quantile(
      batches.map(batch => batch.serverUs),
      0.05,
    ),
    collections,
  }
}

/** Microseconds per response. */
interface Batch {
  readonly generatorUs: number
  readonly serverUs: number
}

function takeBatch(pair: GeneratorPair): Batch {
  const { generatorMs, serverMs } = pair
  const { answers } = pair.generator.tally
  pair.take(BATCH_TURNS)
  const responses = pair.generator.tally.answers - answers
  return {
    generatorUs: ((pair.generatorMs - generatorMs) * 1000) / responses,
    serverUs: ((pair.serverMs - serverMs) * 1000) / responses,
  }
}

inlineMore()
const [bytes, connection, seconds] = process.argv.slice(2)
const result = await run(Number(bytes), connection !== 'close', Number(seconds) * 1000)
process.stdout.write(`${JSON.stringify(result)}\n`)
