/** Ours over TAP against nginx over a veth pair (compare.ts). */
import {
  compare,
  connectionOf,
  demandAll,
  figure,
  type Result,
  ratioFigure,
  withObjects,
} from './compare.ts'
import type { Options } from './options.ts'
import { markdownTable, report } from './report.ts'
import { startNginx, startSandstorm } from './servers.ts'
import { CONNECTIONS } from './wrk.ts'

/** Runs the comparison. Throws when a row was refused, after the others are reported. */
export const benchTap = (options: Options): Promise<void> =>
  withObjects(async (dir, workDir) => {
    const sides = [await startSandstorm(dir), await startNginx(dir, workDir)]
    const results = await compare(sides, options)
    report('tap', table(results), { connections: CONNECTIONS, rows: results }, options)
    demandAll(results)
  })

function table(results: readonly Result[]): string {
  const head = ['object', 'connection', 'sandstorm, requests/s', 'nginx, requests/s', 'ratio']
  return markdownTable(
    head,
    results.map(({ rates: { sandstorm, nginx }, ...result }) => [
      result.object,
      connectionOf(result),
      ...(result.refused === ''
        ? [figure(sandstorm, 0), figure(nginx, 0), ratioFigure(sandstorm, nginx)]
        : [`refused: ${result.refused}`, '', '']),
    ]),
  )
}
