/**
 * What the load generator costs for a response, with its TCP and beside our server, on two linked
 * ports in memory (generatorRun.ts, a process per run). It measures others, so it must cost less
 * than they do.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { GeneratorRun } from './generatorRun.ts'
import type { Options } from './options.ts'
import { markdownTable, median, report } from './report.ts'

const RUN = fileURLToPath(new URL('./generatorRun.js', import.meta.url))
const ROWS = [
  { object: '22 KB', bytes: 22 * 1024, connection: 'keep' },
  { object: '22 KB', bytes: 22 * 1024, connection: 'close' },
  { object: '1 KB', bytes: 1024, connection: 'keep' },
  { object: '1 KB', bytes: 1024, connection: 'close' },
] as const

export function benchGenerator(options: Options): void {
  const rows = ROWS.map(row => ({
    ...row,
    runs: Array.from({ length: options.pairs }, () => runOnce(row, options.linkSeconds)),
  }))
  const head = [
    'object',
    'connection',
    'generator, µs/response',
    'undisturbed',
    'server, µs/response',
    'undisturbed',
    'collections/run',
  ]
  const table = markdownTable(
    head,
    rows.map(({ object, connection, runs }) => [
      object,
      connection === 'close' ? 'one per request' : 'keep-alive',
      median(runs.map(run => run.generatorUs)).toFixed(2),
      Math.min(...runs.map(run => run.generatorUndisturbedUs)).toFixed(2),
      median(runs.map(run => run.serverUs)).toFixed(2),
      Math.min(...runs.map(run => run.serverUndisturbedUs)).toFixed(2),
      median(runs.map(run => run.collections)).toFixed(0),
    ]),
  )
  report('generator', table, { rows }, options)
}

function runOnce({ bytes, connection }: (typeof ROWS)[number], seconds: number): GeneratorRun {
  const args = [RUN, `${bytes}`, connection, `${seconds}`]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${connection}, ${bytes} bytes: ${stderr.trim()}`)
  return JSON.parse(stdout) as GeneratorRun
}
