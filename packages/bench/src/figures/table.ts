/** The tables of docs/measurements.md, which is made of records alone: nobody edits it by hand. */
import { markdownTable, median, spreadPercent } from '../report.ts'
import type { Panel, Point } from './figure.ts'
import type { FigureRecord, Measured } from './record.ts'

const HEAD = `# Measurements

Made by \`npm run figures\` of the records in docs/figures; do not edit. A value is the median of its runs,
behind it their spread (largest minus smallest, in percent of the median). Where it was measured stands
under each table; the machine is a virtual one, so that ratios count.
`

/** The whole page. */
export const measurementsPage = (measured: readonly Measured[]): string =>
  [HEAD, ...measured.map(section)].join('\n')

function section({ figure: { name, title, caption }, record }: Measured): string {
  const { panels } = record
  const tables = panels.map(panel => `${heading(panel)}${tableOf(panel)}\n`).join('\n')
  const image = `![${title}](figures/${name}.svg)`
  return `## ${title}\n\n${image}\n\n${caption}\n\n${tables}\n${madeBy(record)}\n`
}

const heading = ({ title }: Panel): string => (title === '' ? '' : `**${title}**\n\n`)

/**
 * A row for each x, a column for each series. Dots are too many for a table: how many there are.
 */
export function tableOf({ kind, x, y, series }: Panel): string {
  if (kind === 'dots') {
    return markdownTable(
      ['trace', 'points'],
      series.map(({ name, points }) => [name, String(points.length)]),
    )
  }
  const xs = [...new Set(series.flatMap(({ points }) => points.map(point => point.x)))]
  const cell = (at: number | string, points: readonly Point[]): string => {
    const point = points.find(of => of.x === at)
    return point === undefined ? '' : figureOf(point.y)
  }
  return markdownTable(
    [`${x.label} \\ ${y.label}`, ...series.map(({ name }) => name)],
    xs.map(at => [String(at), ...series.map(({ points }) => cell(at, points))]),
  )
}

/** Three digits that count, and the spread of more than one run. */
function figureOf(runs: readonly number[]): string {
  const middle = median(runs)
  const digits = middle === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(middle))))
  const places = Math.min(digits, 6)
  const fraction = { minimumFractionDigits: places, maximumFractionDigits: places }
  const spread = runs.length > 1 && middle !== 0 ? ` (${Math.round(spreadPercent(runs))} %)` : ''
  return `${middle.toLocaleString('en-US', fraction)}${spread}`
}

/** Command, commit, machine and runs, in a line. */
export function madeBy({ command, machine, effort, seconds }: FigureRecord): string {
  const { date, cores, cpu, kernel, node, commit, loadAverage } = machine
  const runs = `${effort.turns} turns of ${effort.seconds} s, ${seconds} s in all`
  const on = `${cores} × ${cpu}, Linux ${kernel}, Node ${node}, load ${Number(loadAverage).toFixed(1)}`
  return `\`${command}\` at ${commit}, ${date}: ${runs}; ${on}.`
}
