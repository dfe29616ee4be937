/**
 * Do workers share nothing (paper §2.1)? Threads with a server and a generator each (workersRun.ts),
 * two at once against one alone, in turns; a thread has a core to itself. What they share is content.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Region } from '@sandstorm/libnmio'
import type { ContentShared } from 'sandstorm'
import { loadShared } from './objects.ts'
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
    const content = await loadShared({ object: bytes }, REGION_BYTES)
    const [one, two]: [number[], number[]] = [[], []]
    for (let pair = 0; pair < options.pairs; pair++) {
      // The cores of a virtual machine are not always alike: alone on each in turn.
      one.push(await measure(content, close, options.seconds, [pair % THREADS]))
      two.push(await measure(content, close, options.seconds, [0, 1]))
    }
    const connection = close ? 'one per request' : 'keep-alive'
    results.push({ object, connection, one, two })
  }
  report('workers', table(results), { rows: results }, options)
}

/** Responses per second of a thread on each of the CPUs, all at once. */
async function measure(
  content: ContentShared,
  close: boolean,
  seconds: number,
  cpus: readonly number[],
): Promise<number> {
  const region = new Region(content.region)
  region.reserve(content.contentBytes)
  const start = region.reserve(0, PART_ALIGN)
  const size = Math.floor(region.unreservedBytes / THREADS / PART_ALIGN) * PART_ALIGN
  const go = new SharedArrayBuffer(4)
  const threads = cpus.map((cpu, i) => {
    const from = start + i * size
    const workerData: WorkersSetup = { content, from, end: from + size, cpu, close, seconds, go }
    return new Worker(new URL('./workersRun.js', import.meta.url), { workerData })
  })
  await Promise.all(threads.map(thread => once(thread, 'message')))
  const ended = threads.map(thread => once(thread, 'message') as Promise<[WorkersRun]>)
  Atomics.store(new Int32Array(go), 0, 1)
  Atomics.notify(new Int32Array(go), 0)
  const runs = await Promise.all(ended)
  return runs.reduce((sum, [{ responses, seconds }]) => sum + responses / seconds, 0)
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
