/**
 * Do workers share nothing (paper §2.1)? Threads with a server and a generator each
 * (workersRun.ts), two at once against one alone, in turns; a thread has a core to itself. What
 * they share is content.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Region } from '@sandstorm/libnmio'
import type { LiveContent, TransmitKind } from 'sandstorm'
import { loadLive } from './objects.ts'
import type { Options } from './options.ts'
import { markdownTable, median, report, spreadPercent } from './report.ts'
import type { WorkersRun, WorkersSetup } from './workersRun.ts'

const REGION_BYTES = 192 << 20
const PART_ALIGN = 65536
const THREADS = 2
const ROWS = [
  { object: '22 KB', bytes: 22 * 1024, close: true },
  { object: '22 KB', bytes: 22 * 1024, close: false },
  { object: '1 KB', bytes: 1024, close: false },
] as const

/** Responses per second of each run. */
interface Result {
  readonly object: string
  readonly connection: string
  readonly one: readonly number[]
  readonly two: readonly number[]
}

export async function benchWorkers(options: Options): Promise<void> {
  const results: Result[] = []
  for (const { object, bytes, close } of ROWS) {
    const connection = close ? 'one per request' : 'keep-alive'
    const rates = await oneCoreAndTwo({ bytes, close }, options.linkSeconds, options.pairs)
    results.push({ object, connection, ...rates })
  }
  report('workers', table(results), { rows: results }, options)
}

/** What workers answer with. */
export interface WorkersOrder {
  readonly bytes: number
  readonly close: boolean
  readonly kind?: TransmitKind
}

/**
 * Of one worker and of two, by turn: responses per second, and microseconds in a server for each.
 */
export interface OneAndTwo {
  readonly one: readonly number[]
  readonly two: readonly number[]
  readonly oneUs: readonly number[]
  readonly twoUs: readonly number[]
}

/** Runs them in turns. */
export async function oneCoreAndTwo(
  order: WorkersOrder,
  seconds: number,
  turns: number,
): Promise<OneAndTwo> {
  const content = await loadLive({ object: order.bytes }, REGION_BYTES)
  const ones: WorkersRun[][] = []
  const twos: WorkersRun[][] = []
  for (let turn = 0; turn < turns; turn++) {
    // The cores of a virtual machine are not always alike: alone on each in turn.
    ones.push(await measure(content, order, seconds, [turn % THREADS]))
    twos.push(await measure(content, order, seconds, [0, 1]))
  }
  return {
    one: ones.map(rateOf),
    two: twos.map(rateOf),
    oneUs: ones.map(meanUs),
    twoUs: twos.map(meanUs),
  }
}

const rateOf = (runs: readonly WorkersRun[]): number =>
  runs.reduce((sum, { responses, seconds }) => sum + responses / seconds, 0)

const meanUs = (runs: readonly WorkersRun[]): number =>
  runs.reduce((sum, { serverUs }) => sum + serverUs, 0) / runs.length

/** A thread on each of the CPUs, all at once, and each a reader of the content as in a server. */
async function measure(
  content: LiveContent,
  { close, kind = 'template' }: WorkersOrder,
  seconds: number,
  cpus: readonly number[],
): Promise<WorkersRun[]> {
  const region = new Region(content.region)
  region.reserve(content.contentBytes)
  const start = region.reserve(0, PART_ALIGN)
  const size = Math.floor(region.unreservedBytes / THREADS / PART_ALIGN) * PART_ALIGN
  const go = new SharedArrayBuffer(4)
  const readers = cpus.map(() => content.attach(() => {}))
  const threads = cpus.map((cpu, i) => {
    const from = start + i * size
    const part = { from, end: from + size, cpu }
    const workerData: WorkersSetup = {
      content: readers[i].shared,
      ...part,
      close,
      kind,
      seconds,
      go,
    }
    return new Worker(new URL('./workersRun.js', import.meta.url), { workerData })
  })
  await Promise.all(threads.map(thread => once(thread, 'message')))
  const ended = threads.map(thread => once(thread, 'message') as Promise<[WorkersRun]>)
  Atomics.store(new Int32Array(go), 0, 1)
  Atomics.notify(new Int32Array(go), 0)
  const runs = (await Promise.all(ended)).map(([run]) => run)
  for (const reader of readers) reader.detach()
  return runs
}

function table(results: readonly Result[]): string {
  const head = ['object', 'connection', 'one worker, responses/s', 'two workers', 'ratio']
  return markdownTable(
    head,
    results.map(({ object, connection, one, two }) => {
      const ratios = two.map((rate, i) => rate / one[i])
      return [object, connection, figure(one, 0), figure(two, 0), figure(ratios, 2)]
    }),
  )
}

const figure = (values: readonly number[], digits: number): string =>
  `${median(values).toFixed(digits)} (spread ${Math.round(spreadPercent(values))} %)`
