/**
 * Measures figures, and draws them: npm run figures -- [NAME…] [--smoke] [--draw]. Records and
 * drawings go to docs/figures, all their tables to docs/measurements.md; those of a smoke run to
 * artifacts/figures.
 */
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from '../options.ts'
import { FIGURES } from './all.ts'
import type { Effort, Figure } from './figure.ts'
import { svgOf } from './plot.ts'
import { type Measured, readRecord, recordOf, writeRecord } from './record.ts'
import { reportPage } from './report.ts'
import { measurementsPage } from './table.ts'
import { demandTools } from './tools.ts'

const USAGE = `usage: npm run figures -- [NAME…] [--smoke] [--draw]
  NAME…    the figures to measure; default: all: ${FIGURES.map(({ name }) => name).join(', ')}
  --smoke  a few seconds each, to show that they work; results go to artifacts/figures
  --draw   measure nothing: draw again what was measured
`
const FULL: Effort = { seconds: 1, turns: 3, warmUpSeconds: 3, isSmoke: false }
const SMOKE: Effort = { seconds: 1, turns: 1, warmUpSeconds: 0, isSmoke: true }

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      smoke: { type: 'boolean', default: false },
      draw: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return 0
  }
  const figures = chosen(positionals)
  const dir = join(ROOT, values.smoke ? 'artifacts/figures' : 'docs/figures')
  let failed = 0
  if (!values.draw) failed = await measureAll(figures, dir, values.smoke ? SMOKE : FULL)
  drawAll(dir)
  return failed > 0 ? 1 : 0
}

function chosen(names: readonly string[]): readonly Figure[] {
  for (const name of names) {
    if (FIGURES.some(figure => figure.name === name)) continue
    throw new Error(`no figure ${name}; there is: ${FIGURES.map(figure => figure.name).join(', ')}`)
  }
  return names.length === 0 ? FIGURES : FIGURES.filter(({ name }) => names.includes(name))
}

/** Returns how many came to nothing. */
async function measureAll(
  figures: readonly Figure[],
  dir: string,
  effort: Effort,
): Promise<number> {
  demandTools(figures)
  let failed = 0
  for (const figure of figures) {
    process.stdout.write(`${figure.name}: ${figure.title} … `)
    try {
      const record = await recordOf(figure, effort, `npm run figures -- ${figure.name}`)
      writeRecord(dir, record)
      process.stdout.write(`${record.seconds} s\n`)
    } catch (error) {
      failed++
      process.stdout.write('failed\n')
      process.stderr.write(`${figure.name}: ${error instanceof Error ? error.message : error}\n`)
    }
  }
  return failed
}

/** Of all that was ever measured into this folder. */
function drawAll(dir: string): void {
  const measured = FIGURES.flatMap((figure): Measured[] => {
    const record = readRecord(dir, figure.name)
    return record === undefined ? [] : [{ figure, record }]
  })
  if (measured.length === 0) throw new Error(`${dir} has no figure yet: measure one first`)
  for (const { figure, record } of measured) {
    writeFileSync(join(dir, `${figure.name}.svg`), svgOf(record.panels))
  }
  writeFileSync(join(dirname(dir), 'measurements.md'), measurementsPage(measured))
  writeFileSync(join(dir, 'report.html'), reportPage(measured))
}

// An explicit exit: after a failed figure its servers may still run, and go with the process.
try {
  process.exit(await main(process.argv.slice(2)))
} catch (error) {
  process.stderr.write(`figures: ${error instanceof Error ? error.message : error}\n`)
  process.exit(2)
}
