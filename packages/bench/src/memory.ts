/**
 * The paper's claim in small: what a response costs the server when all its frames are ready
 * (`template`), against building each by copying its payload (`copy`, the memcpy variant of paper
 * §3). Two linked ports in memory, MTU 1500, no offloads, all checksums verified by the server, 64
 * connections; counted is only the time inside `server.poll` (memoryRun.ts, a process per run): the
 * median of the runs and, since on a virtual machine it tells as much of other guests as of us,
 * what it takes undisturbed, in the best twentieth of the batches of the best run. The ratio is
 * that of the undisturbed. Beside it the same object stored of an origin.
 */
import type { TransmitKind } from 'sandstorm'
import { runOrder } from './memoryOrder.ts'
import type { MemoryRun } from './memoryRun.ts'
import type { Options } from './options.ts'
import { markdownTable, median, report, spreadPercent } from './report.ts'

const ROWS = [
  { object: '22 KB', bytes: 22 * 1024, connection: 'close' },
  { object: '22 KB', bytes: 22 * 1024, connection: 'keep' },
  { object: '1 KB', bytes: 1024, connection: 'close' },
  { object: '1 KB', bytes: 1024, connection: 'keep' },
] as const

interface Result {
  readonly object: string
  readonly connection: string
  readonly template: readonly MemoryRun[]
  readonly copy: readonly MemoryRun[]
  /** As `template`, stored of an origin. */
  readonly stored: readonly MemoryRun[]
}

/** Runs the comparison; template and copy take turns. */
export function benchMemory(options: Options): void {
  const results = ROWS.map(({ object, bytes, connection }): Result => {
    const order = { bytes, close: connection === 'close', seconds: options.linkSeconds }
    const run = (kind: TransmitKind, isStored: boolean): MemoryRun =>
      runOrder({ kind, isStored, ...order })
    const runs = { template: [] as MemoryRun[], copy: [] as MemoryRun[], stored: [] as MemoryRun[] }
    for (let turn = 0; turn < options.pairs; turn++) {
      runs.template.push(run('template', false))
      runs.copy.push(run('copy', false))
      runs.stored.push(run('template', true))
    }
    return { object, connection, ...runs }
  })
  const text = [speed(results), stored(results), memory(results)].join('\n\n')
  report('memory', text, { rows: results }, options)
}

function speed(results: readonly Result[]): string {
  const head = [
    'object',
    'connection',
    'template, µs/response',
    'undisturbed',
    'copy, µs/response',
    'undisturbed',
    'copy / template',
    'frames in + out',
    'frames/s',
    'collections/s',
    'client, µs',
  ]
  return markdownTable(
    head,
    results.map(result => {
      const { object, template, copy } = result
      const us = template.map(run => run.serverUs)
      const [{ framesIn, framesOut }] = template
      const busySeconds = (run: MemoryRun): number => (run.responses * run.serverUs) / 1e6
      return [
        object,
        connectionText(result),
        figure(us, 2),
        undisturbed(template).toFixed(2),
        figure(
          copy.map(run => run.serverUs),
          2,
        ),
        undisturbed(copy).toFixed(2),
        (undisturbed(copy) / undisturbed(template)).toFixed(2),
        `${framesIn.toFixed(1)} + ${framesOut.toFixed(1)}`,
        `${((framesIn + framesOut) / median(us)).toFixed(2)} M`,
        median(template.map(run => run.collections / busySeconds(run))).toFixed(1),
        median(template.map(run => run.clientUs)).toFixed(2),
      ]
    }),
  )
}

/** What is stored of an origin beside a file. */
function stored(results: readonly Result[]): string {
  const head = ['stored of an origin', 'connection', 'µs/response, undisturbed', 'stored / file']
  return markdownTable(
    head,
    results.map(result => [
      result.object,
      connectionText(result),
      undisturbed(result.stored).toFixed(2),
      (undisturbed(result.stored) / undisturbed(result.template)).toFixed(2),
    ]),
  )
}

const undisturbed = (runs: readonly MemoryRun[]): number =>
  Math.min(...runs.map(run => run.undisturbedUs))

const connectionText = ({ connection }: Result): string =>
  connection === 'close' ? 'one per request' : 'keep-alive'

function memory(results: readonly Result[]): string {
  // The collector may free other tables while these are measured: one run may be wrong, not most.
  const perConnection = median(results.flatMap(({ copy }) => copy.map(run => run.connectionBytes)))
  const rows = results
    .filter(({ connection }) => connection === 'close')
    .map(({ object, template: [run] }) => [
      object,
      String(run.contentBytes),
      String(run.templateBytes),
      String(run.singleBytes),
    ])
  const table = markdownTable(
    ['object', 'body, bytes', 'ready frames with replicas, bytes', 'without'],
    rows,
  )
  return `${table}\n\nEach connection that a server can have: ${Math.round(perConnection)} bytes.`
}

const figure = (values: readonly number[], digits: number): string =>
  `${median(values).toFixed(digits)} (spread ${Math.round(spreadPercent(values))} %)`
