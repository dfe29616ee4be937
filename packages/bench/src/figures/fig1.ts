/** Figure 1 of the paper: one answer as packets, from a busy but unsaturated server. */
import { join } from 'node:path'
import { pathOf, SIZES, withObjects } from '../compare.ts'
import { CLIENT_INTERFACE, type Side, segmentsOnly } from '../servers.ts'
import { wrk } from '../wrk.ts'
import { captured, type Event, typicalAnswer } from './capture.ts'
import type { Effort, Figure, Panel, Series } from './figure.ts'
import { withSides } from './sides.ts'

const SIDES = ['AF_PACKET', 'nginx'] as const
/** So few that neither server has all its time taken. */
const CONNECTIONS = 2

export const fig1: Figure = {
  name: 'fig1',
  title: 'One answer as packets (Fig. 1)',
  caption: `An answer of 22 KB on a new connection, captured by tshark at the client's end of a veth pair
without offloads, so that every segment is seen; 0 is when the request left. Of all answers of a second, with
wrk and 2 connections, the one that took as long as half of them. A dot is the last byte of a segment, or
the byte up to which was acknowledged.`,
  tools: ['ip', 'ethtool', 'wrk', 'nginx', 'tshark'],
  measure: effort =>
    withObjects((dir, workDir) =>
      withSides(SIDES, dir, workDir, effort, async sides => {
        const panels: Panel[] = []
        for (const side of sides) panels.push(await panelOf(side, workDir, effort))
        return onOneScale(panels)
      }),
    ),
}

async function panelOf(side: Side, workDir: string, { seconds }: Effort): Promise<Panel> {
  segmentsOnly(side)
  const file = join(workDir, `${side.name}.pcapng`)
  const load = { path: pathOf('22 KB'), close: true, connections: CONNECTIONS }
  await captured(side.clientNamespace, CLIENT_INTERFACE, file, async () => {
    const { refused } = await wrk(side, load, seconds)
    if (refused !== '') throw new Error(`${side.name}: ${refused}`)
  })
  const events = typicalAnswer(file, SIZES['22 KB'])
  const title = side.name === 'AF_PACKET' ? 'sandstorm on AF_PACKET' : side.name
  return {
    title,
    kind: 'dots',
    x: { label: 'time since the request left, µs', scale: 'linear' },
    y: { label: 'bytes of the answer', scale: 'linear' },
    series: [
      seriesOf('sent by the server', events, 'data'),
      seriesOf('acknowledged', events, 'ack'),
    ],
  }
}

const seriesOf = (name: string, events: readonly Event[], kind: Event['kind']): Series => ({
  name,
  points: events
    .filter(event => event.kind === kind)
    .map(({ us, bytes }) => ({ x: us, y: [bytes] })),
})

/** Both with the same time, so that they can be laid over each other. */
function onOneScale(panels: readonly Panel[]): Panel[] {
  const xs = panels.flatMap(({ series }) =>
    series.flatMap(({ points }) => points.map(({ x }) => +x)),
  )
  const max = Math.max(...xs)
  return panels.map(panel => ({ ...panel, x: { ...panel.x, max } }))
}
