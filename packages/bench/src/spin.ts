/**
 * Looking for the next frame before sleeping (`--spin`) against sleeping at once, in turns, on each
 * device: 1 KB objects, connections kept alive, with few of them and with many.
 */
import { figure, loadOf, ratioFigure, withObjects } from './compare.ts'
import { NAMES, START } from './devices.ts'
import { few, type Options } from './options.ts'
import { markdownTable, report } from './report.ts'
import { wrk } from './wrk.ts'

const CONNECTIONS = [1, 4, 64]
const SPINS = ['0', '50'] as const
const ROW = { object: '1 KB', close: false } as const
const WARM_UP_SECONDS = 1

interface Result {
  readonly name: string
  readonly connections: number
  /** Requests per second of each run, without and with. */
  readonly rates: Readonly<Record<string, readonly number[]>>
}

export const benchSpin = (options: Options): Promise<void> =>
  withObjects(async dir => {
    const results: Result[] = []
    for (const name of few(NAMES, options)) {
      const sides = await Promise.all(SPINS.map(spin => START[name](dir, ['--spin', spin])))
      for (const connections of options.quick ? CONNECTIONS.slice(1, 2) : CONNECTIONS) {
        const rates: Record<string, number[]> = { '0': [], '50': [] }
        for (let pair = options.quick ? 0 : -1; pair < options.pairs; pair++) {
          for (const [i, side] of sides.entries()) {
            const seconds = pair < 0 ? WARM_UP_SECONDS : options.seconds
            const run = await wrk(side, { ...loadOf(ROW), connections }, seconds)
            if (run.refused !== '') throw new Error(`${name}: ${run.refused}`)
            if (pair >= 0) rates[SPINS[i]].push(run.requestsPerSecond)
          }
        }
        results.push({ name, connections, rates })
      }
      for (const side of sides) await side.stop()
    }
    report('spin', table(results), { rows: results }, options)
  })

function table(results: readonly Result[]): string {
  const head = ['device', 'connections', 'requests/s: --spin 0', '--spin 50', 'ratio']
  return markdownTable(
    head,
    results.map(({ name, connections, rates }) => [
      name,
      String(connections),
      figure(rates['0'], 0),
      figure(rates['50'], 0),
      ratioFigure(rates['50'], rates['0']),
    ]),
  )
}
