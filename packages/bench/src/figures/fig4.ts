/**
 * Figure 4 of the paper: the load of a CPU for the same requests, and what copies cost two of them.
 */
import { pathOf, withObjects } from '../compare.ts'
import { loadAtRate } from '../ourLoad.ts'
import { SERVER_CORE, type Side } from '../servers.ts'
import { type OneAndTwo, oneCoreAndTwo } from '../workers.ts'
import { between, readCoreCount, TICKS_PER_SECOND } from './coreTime.ts'
import { bars, type Effort, type Figure, type Panel, type Series, some } from './figure.ts'
import { type SideName, withSides } from './sides.ts'
import { inTurns, seriesOf } from './turns.ts'

const SIDES: readonly SideName[] = ['sandstorm', 'memcpy', 'AF_PACKET', 'kernel TCP', 'nginx']
/** Requests a second: as many as the generator surely makes. */
const RATES = [1000, 2000, 3000, 4000]
const FLAGS = ['-k', '-c', '64']
const KINDS = [
  ['sandstorm', 'template'],
  ['memcpy', 'copy'],
] as const

export const fig4: Figure = {
  name: 'fig4',
  title: 'Load of a core (Fig. 4)',
  caption: `Above: how busy the server's core is, softirq included, when objects of 22 KB are asked for at the
same fixed rates, 64 connections kept alive (\`sandstorm load --rate\` on the other core). Below: the time in the
server for an answer of 22 KB on a memory link, of one worker alone and of two at once, each on a core and with
a generator of its own: if memory were the bottleneck, as on the paper's older machine, copying ones would
hinder each other.`,
  tools: ['ip', 'nginx'],
  measure: async effort => [await atRates(effort), await oneAndTwo(effort)],
}

function atRates(effort: Effort): Promise<Panel> {
  const points = some(RATES, effort).map(x => ({ x }))
  return withObjects(async (dir, workDir) => {
    const runs = await withSides(SIDES, dir, workDir, effort, sides =>
      inTurns(sides, points, effort, (side, { x }) => busyPercent(side, x, effort)),
    )
    return {
      title: 'At the same rates',
      kind: 'lines',
      x: { label: 'requests per second', scale: 'linear' },
      y: { label: "% of the server's core", scale: 'linear' },
      series: seriesOf(runs, percent => percent),
    }
  })
}

/**
 * Of the run's time: before and after it the generator starts and ends, and the server has nothing
 * to do.
 */
async function busyPercent(side: Side, rate: number, { seconds }: Effort): Promise<number> {
  const before = readCoreCount(SERVER_CORE)
  await loadAtRate(side, pathOf('22 KB'), FLAGS, rate, seconds)
  const { busy } = between(before, readCoreCount(SERVER_CORE))
  return (100 * busy) / (seconds * TICKS_PER_SECOND)
}

async function oneAndTwo(effort: Effort): Promise<Panel> {
  const runs: OneAndTwo[] = []
  for (const [, kind] of KINDS) {
    const order = { bytes: 22 * 1024, close: false, kind }
    runs.push(await oneCoreAndTwo(order, effort.seconds, effort.turns))
  }
  const series = (name: string, us: (run: OneAndTwo) => readonly number[]): Series => {
    return { name, points: KINDS.map(([x], i) => ({ x, y: us(runs[i]) })) }
  }
  return bars('One worker and two', '', 'µs in the server per response', [
    series('one worker', run => run.oneUs),
    series('two workers', run => run.twoUs),
  ])
}
