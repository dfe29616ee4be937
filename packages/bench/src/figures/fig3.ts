/** Figure 3 of the paper: throughput by concurrent requests. */
import { pathOf, withObjects } from '../compare.ts'
import { type Effort, type Figure, type Panel, some } from './figure.ts'
import { onLinks, perBusySecond, VARIANTS } from './links.ts'
import { type SideName, withSides, wrkRun } from './sides.ts'
import { inTurns, seriesOf } from './turns.ts'

const BYTES = 22 * 1024
const SIDES: readonly SideName[] = [
  'sandstorm',
  'memcpy',
  'AF_PACKET',
  // There a batch is a system call; a TAP takes one for each frame.
  'AF_PACKET, batches of 1',
  'AF_PACKET, 50 µs delay',
  'kernel TCP',
  'nginx',
]
const CONNECTIONS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
const CONNECTIONS_ON_LINK = [1, 4, 16, 64, 256]
const X = { label: 'concurrent requests', scale: 'log' } as const

export const fig3: Figure = {
  name: 'fig3',
  title: 'Throughput by concurrency (Fig. 3)',
  caption: `Objects of 22 KB, a connection for each request. Above: wrk on one core, the server on the
other; sandstorm over a TAP, its memcpy variant (\`--transmit copy\`) likewise, sandstorm on AF_PACKET over a
veth pair, there also without batches (\`--rx-batch 1\`) and with a transmit delay as the paper had one, of a
length that it does not tell (§3.1; here \`--tx-delay 50\`), its HTTP on the kernel's TCP (\`--device kernel\`),
and nginx on the kernel's TCP, both over a veth pair with all offloads. Below: what a core of the server could
do, by the time spent in it, on a memory link with an MTU of 1500 whose frames are marked as sound; without a
part of what the paper is about in each line.`,
  tools: ['ip', 'wrk', 'nginx'],
  measure: async effort => [await onWires(effort), await onLink(effort)],
}

function onWires(effort: Effort): Promise<Panel> {
  const asks = some(CONNECTIONS, effort).map(connections => {
    return { x: connections, path: pathOf('22 KB'), close: true, connections }
  })
  return withObjects(async (dir, workDir) => {
    const runs = await withSides(SIDES, dir, workDir, effort, sides =>
      inTurns(sides, asks, effort, (side, ask) => wrkRun(side, ask, effort)),
    )
    const series = seriesOf(runs, run => (run.requestsPerSecond * BYTES * 8) / 1e9)
    const y = { label: 'payload, Gbit/s', scale: 'linear' } as const
    return { title: 'Over TAP and veth', kind: 'lines', x: X, y, series }
  })
}

async function onLink(effort: Effort): Promise<Panel> {
  const asks = some(CONNECTIONS_ON_LINK, effort).map(connections => {
    return { x: connections, order: { bytes: BYTES, close: true, connections } }
  })
  const series = seriesOf(await onLinks(Object.keys(VARIANTS), asks, effort), perBusySecond)
  const y = { label: 'responses per busy second of the server', scale: 'linear' } as const
  return { title: 'On a memory link', kind: 'lines', x: X, y, series }
}
