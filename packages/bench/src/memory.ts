/**
 * The paper's claim in small: what a response costs the server when all its frames are ready
 * (`template`), against building each by copying its payload (`copy`, the memcpy variant of paper
 * §3). Two linked ports in memory, MTU 1500, no offloads, all checksums verified by the server, 64
 * connections; counted is only the time inside `server.poll` (memoryRun.ts, a process per run): the
 * median of the runs and, since on a virtual machine it tells as much of other guests as of us, what
 * it takes undisturbed, in the best twentieth of the batches of the best run. The ratio is that of the
 * undisturbed.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { MemoryRun } from './memoryRun.ts'
import type { Options } from './options.ts'
import { markdownTable, median, report, spreadPercent } from './report.ts'

const RUN = fileURLToPath(new URL('./memoryRun.js', import.meta.url))
const KINDS = ['template', 'copy'] as const
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
}

/** Runs the comparison; template and copy take turns. */
export function benchMemory(options: Options): void {
  const results = ROWS.map(({ object, bytes, connection }): Result => {
    const runs: Record<string, MemoryRun[]> = { template: [], copy: [] }
    for (let pair = 0; pair < options.pairs; pair++) {
      for (const kind of KINDS) runs[kind].push(runOnce(kind, bytes, connection, options.seconds))
    }
    return { object, connection, template: runs['template'], copy: runs['copy'] }
  })
  report('memory', `${speed(results)}\n\n${memory(results)}`, { rows: results }, options)
}

function runOnce(kind: string, bytes: number, connection: string, seconds: number): MemoryRun {
  const args = [RUN, kind, `${bytes}`, connection, `${seconds}`]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${kind}, ${bytes} bytes: ${stderr.trim()}`)
  return JSON.parse(stdout) as MemoryRun
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
    results.map(({ object, connection, template, copy }) => {
      const us = template.map(run => run.serverUs)
      const [{ framesIn, framesOut }] = template
      const undisturbed = (runs: readonly MemoryRun[]): number =>
        Math.min(...runs.map(run => run.undisturbedUs))
      const busySeconds = (run: MemoryRun): number => (run.responses * run.serverUs) / 1e6
      return [
        object,
        connection === 'close' ? 'one per request' : 'keep-alive',
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
