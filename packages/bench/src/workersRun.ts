/**
 * A worker of the workers benchmark: a thread with a server and its generator (memoryPair.ts), in
 * its own part of the region. It says that it is ready, and when told to measures for some seconds.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { assert, pinThread } from '@sandstorm/libnmio'
import { attachContent, type ContentShared, inlineMore, type TransmitKind } from 'sandstorm'
import { Pair } from './memoryPair.ts'

/** What the thread is started with. */
export interface WorkersSetup {
  readonly content: ContentShared
  /** Its part of the region. */
  readonly from: number
  readonly end: number
  readonly cpu: number
  readonly close: boolean
  readonly kind: TransmitKind
  readonly seconds: number
  /** One int32: 1: begin. */
  readonly go: SharedArrayBuffer
}

/** What it says at the end. */
export interface WorkersRun {
  readonly responses: number
  readonly seconds: number
  /** Microseconds inside server.poll per response. */
  readonly serverUs: number
}

const TURNS = 500
/** Until the code is compiled; a run that only shows that it works takes less. */
const WARM_UP_MS = 3000

inlineMore()
const setup = workerData as WorkersSetup
pinThread(setup.cpu)
const content = attachContent(setup.content)
const region = content.region.part(setup.from, setup.end)
const pair = new Pair({ content, kind: setup.kind, close: setup.close, region })
const run = (ms: number): void => {
  for (const end = performance.now() + ms; performance.now() < end; ) pair.take(TURNS)
}
run(WARM_UP_MS * Math.min(1, setup.seconds))
pair.client.verifying = false
const before = pair.client.responses
pair.serverMs = 0
parentPort?.postMessage('ready')
Atomics.wait(new Int32Array(setup.go), 0, 0)
const startMs = performance.now()
run(setup.seconds * 1000)
const responses = pair.client.responses - before
assert(pair.client.errors === 0 && responses > 0, 'the client got what it asked for')
const result: WorkersRun = {
  responses,
  seconds: (performance.now() - startMs) / 1000,
  serverUs: (pair.serverMs * 1000) / responses,
}
parentPort?.postMessage(result)
