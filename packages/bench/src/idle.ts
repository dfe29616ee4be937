/**
 * Many idle connections in one process: what they cost in memory, and whether a poll that has
 * nothing to do still costs nothing (idleRun.ts, a process of its own). Tables are made in their
 * full length at the start, yet memory that nobody has touched is not resident.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { IdleRun } from './idleRun.ts'
import type { Options } from './options.ts'
import { markdownTable, report } from './report.ts'

const RUN = fileURLToPath(new URL('./idleRun.js', import.meta.url))
const CONNECTIONS = 1_000_000
const CONNECTIONS_QUICK = 100_000

/**
 * One run; memory is the same in each, and times are only to be read by their order of magnitude.
 */
export function benchIdle(options: Options): void {
  const count = options.quick ? CONNECTIONS_QUICK : CONNECTIONS
  const run = idleRun(count)
  report('idle', table(run), { run }, options)
}

/** So many connections in a process of their own. */
export function idleRun(connections: number): IdleRun {
  const args = ['--expose-gc', RUN, `${connections}`]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr.trim())
  return JSON.parse(stdout) as IdleRun
}

function table(run: IdleRun): string {
  const grown = (run.rssBytes - run.rssBeforeBytes) / run.connections
  return markdownTable(
    ['what', 'figure'],
    [
      ['idle connections, each after one answer', String(run.connections)],
      ['RSS before, MiB', mib(run.rssBeforeBytes)],
      ['RSS with all of them, MiB', mib(run.rssBytes)],
      ['RSS, bytes for each', grown.toFixed(0)],
      ['tables by their length, bytes for each', run.tableBytes.toFixed(0)],
      ['accepted and answered in a second of the server', run.acceptsPerServerSecond.toFixed(0)],
      ['accepted and answered in a second of both ends', run.acceptsPerSecond.toFixed(0)],
      ['a poll without a frame, µs on average', run.emptyPollUs.toFixed(2)],
      [`the longest of ${run.emptyPolls}, µs`, run.longestPollUs.toFixed(0)],
      ['closed by the server after a minute', String(run.closed)],
      ['left', String(run.left)],
    ],
  )
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0)
