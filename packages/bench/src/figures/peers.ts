/** Ours beside what a user would run instead, on the same machine. */
import { withObjects } from '../compare.ts'
import { bars, type Figure, some } from './figure.ts'
import { OBJECT_ASKS, type SideName, withSides, wrkRun } from './sides.ts'
import { isThere } from './tools.ts'
import { inTurns, seriesOf } from './turns.ts'

const OURS: readonly SideName[] = ['sandstorm', 'AF_PACKET', 'kernel TCP']
const OTHERS: readonly SideName[] = ['nginx', 'h2o', 'node + sirv']

export const peers: Figure = {
  name: 'peers',
  title: 'Ours and others',
  caption: `wrk with 64 connections on one core, a server with one thread on the other. Sandstorm over a TAP and
on AF_PACKET over a veth pair; all others over a veth pair with all offloads: its HTTP on the kernel's TCP, nginx
and h2o as Debian has them, node:http with sirv, and Bun if it is in the path (\`npm install -g bun\`).`,
  tools: ['ip', 'wrk', 'nginx', 'h2o'],
  measure: effort =>
    withObjects(async (dir, workDir) => {
      const names = [...OURS, ...OTHERS, ...(isThere('bun') ? (['Bun'] as const) : [])]
      const runs = await withSides(names, dir, workDir, effort, sides =>
        inTurns(sides, some(OBJECT_ASKS, effort), effort, (side, ask) => wrkRun(side, ask, effort)),
      )
      const series = seriesOf(runs, run => run.requestsPerSecond)
      return [bars('', 'object and connection', 'requests per second', series)]
    }),
}
