/** Figure 6 of the paper: latency by concurrent requests. */
import { pathOf, withObjects } from '../compare.ts'
import type { Side } from '../servers.ts'
import { type Axis, type Effort, type Figure, type Panel, some } from './figure.ts'
import { firstByte } from './firstByte.ts'
import { type SideName, withSides, wrkRun } from './sides.ts'
import { inTurns, seriesOf, type Turns } from './turns.ts'

const SIDES: readonly SideName[] = ['sandstorm', 'AF_PACKET', 'kernel TCP', 'nginx']
const CONNECTIONS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
/** More keep curl busy rather than a server. */
const CONNECTIONS_OF_CURL = [1, 2, 4, 8]
const REQUESTS_PER_SECOND = 1500
const X: Axis = { label: 'concurrent requests', scale: 'log' }

export const fig6: Figure = {
  name: 'fig6',
  title: 'Latency by concurrency (Fig. 6)',
  caption: `Objects of 22 KB, connections kept alive. From the request to the last byte of its answer, by wrk in
a closed loop, mean and 99th percentile of a run; then to its first byte, by curl, which is slower than the
servers are, so that up to 8 requests at once tell of them and not of it. Sandstorm over a TAP and on AF_PACKET
over a veth pair, its HTTP on the kernel's TCP, and nginx, both over a veth pair with all offloads.`,
  tools: ['ip', 'wrk', 'curl', 'nginx'],
  measure: effort =>
    withObjects((dir, workDir) =>
      withSides(SIDES, dir, workDir, effort, async sides => [
        ...(await wholeAnswers(sides, effort)),
        ...(await firstBytes(sides, effort)),
      ]),
    ),
}

async function wholeAnswers(sides: readonly Side[], effort: Effort): Promise<Panel[]> {
  const asks = some(CONNECTIONS, effort).map(connections => {
    return { x: connections, path: pathOf('22 KB'), close: false, connections }
  })
  const runs = await inTurns(sides, asks, effort, (side, ask) => wrkRun(side, ask, effort))
  const y: Axis = { label: 'µs to the last byte', scale: 'log' }
  return meanAndP99('Whole answer', y, runs)
}

async function firstBytes(sides: readonly Side[], effort: Effort): Promise<Panel[]> {
  const points = some(CONNECTIONS_OF_CURL, effort).map(x => ({ x }))
  const requests = REQUESTS_PER_SECOND * effort.seconds
  const runs = await inTurns(sides, points, effort, (side, { x }) =>
    firstByte(side, pathOf('22 KB'), x, requests),
  )
  return meanAndP99('First byte', { label: 'µs to the first byte', scale: 'linear' }, runs)
}

function meanAndP99(
  what: string,
  y: Axis,
  runs: readonly Turns<{ readonly meanUs: number; readonly p99Us: number }>[],
): Panel[] {
  const lines = { kind: 'lines', x: X, y } as const
  return [
    { title: `${what}, mean`, ...lines, series: seriesOf(runs, run => run.meanUs) },
    { title: `${what}, 99th percentile`, ...lines, series: seriesOf(runs, run => run.p99Us) },
  ]
}
