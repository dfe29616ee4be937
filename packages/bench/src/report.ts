/**
 * How a measurement is told: medians with their spread in a markdown table on standard output, and
 * a JSON file with everything needed to judge it: machine, kernel, Node, commit, each single run.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { join, relative } from 'node:path'
import { type Options, ROOT } from './options.ts'

/** The middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

/** The value that a share of them is not above: 0.05 for the best twentieth. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
}

/** Largest minus smallest, in percent of the median. */
export function spreadPercent(values: readonly number[]): number {
  return (100 * (Math.max(...values) - Math.min(...values))) / median(values)
}

/** A markdown table; every row has as many cells as the head. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** What the figures were measured on. */
export function machine(): Record<string, string | number> {
  const [cpu] = cpus()
  return {
    date: new Date().toISOString(),
    cpu: cpu?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    // Of the last minute: on a busy machine only ratios count, and not much above the cores'
    // number.
    loadAverage: loadavg()[0],
    kernel: release(),
    node: process.version,
    commit:
      git('rev-parse', '--short', 'HEAD') +
      (git('status', '--porcelain', '--', ':!docs', ':!*.md') === '' ? '' : '+'),
  }
}

/** Prints the table, what it was measured on, and where the record of every run is. */
export function report(name: string, table: string, record: object, options: Options): void {
  const { seconds, pairs } = options
  const on = machine()
  const file = join(options.outDir, `${name}.json`)
  mkdirSync(options.outDir, { recursive: true })
  writeFileSync(file, `${JSON.stringify({ name, machine: on, seconds, pairs, ...record })}\n`)
  const { date, cpu, cores, kernel, node, commit } = on
  process.stdout.write(
    `${table}\n\n${date}, ${cores} × ${cpu}, Linux ${kernel}, Node ${node}, commit ${commit}\n` +
      `every run: ${relative('.', file)}\n`,
  )
}

function git(...args: string[]): string {
  return spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' }).stdout?.trim() ?? ''
}
