/**
 * `sandstorm load`: asks a server over and over, and tells how that went. Exit code 0: all answers
 * were right; 1: some were not, or there was none, or the device went away; 2: it could not begin.
 */
import { openFilesMax } from '../content/fileSystem.ts'
import { isGood, type LoadReport, reportOf, reportText } from '../load/loadReport.ts'
import { checkLoad, type LoadCommandFlags } from '../load/plan.ts'
import { type LoadRun, startLoad } from '../load/run.ts'
import { checkDescriptors, checkKernelSources, findTarget } from '../load/ways.ts'
import { watchSignals } from './signals.ts'

const PROGRESS_MS = 1000

/** Runs to the end, or to a signal; returns the exit code. */
export async function load(url: string, flags: LoadCommandFlags): Promise<number> {
  const signals = watchSignals()
  const complain = (line: string): boolean => process.stderr.write(`sandstorm: ${line}\n`)
  try {
    const plan = checkLoad(url, flags)
    checkDescriptors(plan, openFilesMax(Number.POSITIVE_INFINITY))
    if (plan.device.kind === 'kernel') await checkKernelSources(plan.sources)
    const run = await startLoad(plan, await findTarget(plan), complain)
    void signals.first.then(() => run.stop())
    const progress = process.stderr.isTTY ? showProgress(run) : undefined
    const result = await run.done.finally(() => progress?.end())
    const report = reportOf(plan, result)
    if (result.down !== '') complain(result.down)
    print(report, flags.json ?? false)
    return isGood(report) && result.down === '' ? 0 : 1
  } finally {
    signals.forget()
  }
}

function print(report: LoadReport, asJson: boolean): void {
  process.stdout.write(`${asJson ? JSON.stringify(report) : reportText(report)}\n`)
}

/** A line on the terminal that is written over every second. */
function showProgress(run: LoadRun): { end(): void } {
  let before = 0
  const timer = setInterval(() => {
    const { answers, errors } = run.progress()
    const rate = Math.round(((answers - before) * 1000) / PROGRESS_MS)
    before = answers
    process.stderr.write(`\r\x1b[K${answers} requests, ${rate}/s, ${errors} errors`)
  }, PROGRESS_MS)
  return {
    end: () => {
      clearInterval(timer)
      process.stderr.write('\r\x1b[K')
    },
  }
}
