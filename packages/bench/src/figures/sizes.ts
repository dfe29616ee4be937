/**
 * Throughput by the size of objects: where the paper's advantage is, and where it ends (paper
 * §3.1).
 */
import { withObjects, writeObject } from '../compare.ts'
import { type Effort, type Figure, type Panel, some } from './figure.ts'
import { onLinks, perBusySecond } from './links.ts'
import { type SideName, withSides, wrkRun } from './sides.ts'
import { inTurns, seriesOf } from './turns.ts'

const SIDES: readonly SideName[] = ['sandstorm', 'memcpy', 'nginx']
const KILOBYTES = [1, 4, 16, 64, 256, 1024]
const X = { label: 'object, KB', scale: 'log' } as const

export const sizes: Figure = {
  name: 'sizes',
  title: 'Throughput by object size',
  caption: `64 connections. Above: payload a second by wrk over a TAP (sandstorm, and its memcpy variant) and
over a veth pair (nginx), connections kept alive, and one for each request. Below: what a core of the server
could send on a memory link with an MTU of 1500, with ready packets and with copied ones.`,
  tools: ['ip', 'wrk', 'nginx'],
  measure: async effort => [
    await onWires(effort, false),
    await onWires(effort, true),
    await onLink(effort),
  ],
}

const how = (close: boolean): string => (close ? 'a connection for each request' : 'kept alive')

function onWires(effort: Effort, close: boolean): Promise<Panel> {
  return withObjects(async (dir, workDir) => {
    const asks = some(KILOBYTES, effort).map(x => {
      return { x, path: writeObject(dir, x * 1024), close }
    })
    const runs = await withSides(SIDES, dir, workDir, effort, sides =>
      inTurns(sides, asks, effort, async (side, ask) => {
        const { requestsPerSecond } = await wrkRun(side, ask, effort)
        return (requestsPerSecond * ask.x * 1024 * 8) / 1e9
      }),
    )
    const y = { label: 'payload, Gbit/s', scale: 'log' } as const
    const series = seriesOf(runs, gbits => gbits)
    return { title: `Over TAP and veth, ${how(close)}`, kind: 'lines', x: X, y, series }
  })
}

async function onLink(effort: Effort): Promise<Panel> {
  const asks = some(KILOBYTES, effort).map(x => ({ x, order: { bytes: x * 1024, close: false } }))
  const series = seriesOf(await onLinks(['sandstorm', 'memcpy'], asks, effort), perBusySecond)
  const y = { label: 'responses per busy second of the server', scale: 'log' } as const
  return { title: `On a memory link, ${how(false)}`, kind: 'lines', x: X, y, series }
}
