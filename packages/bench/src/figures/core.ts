/** What the server's core does, and how much it answers for it: over TAP and veth, beside nginx. */
import { withObjects } from '../compare.ts'
import { SERVER_CORE, type Side } from '../servers.ts'
import { between, type CoreTime, readCoreCount, TICKS_PER_SECOND } from './coreTime.ts'
import { bars, type Effort, type Figure, type Panel, some } from './figure.ts'
import { type Ask, OBJECT_ASKS, type SideName, withSides, wrkRun } from './sides.ts'
import { inTurns, seriesOf } from './turns.ts'

const SIDES: readonly SideName[] = ['sandstorm', 'no stack', 'AF_PACKET', 'kernel TCP', 'nginx']
/**
 * The core's time meanwhile; before and after it wrk starts and ends, and the server has nothing to
 * do.
 */
interface Run extends CoreTime {
  readonly requestsPerSecond: number
  readonly requests: number
}

export const core: Figure = {
  name: 'core',
  title: "The server's core",
  caption: `wrk with 64 connections on one core, the server on the other. First requests a second; then those
for each second that the server's core was not idle, softirq included; then how much of what the kernel's
tick found there was user space: the rest is the kernel's side of the device.
"no stack" is the floor under the first: ready answers over a TAP by the same calls and in the same batches, ten
segments at first, and nothing else: no checks, no timers, no recovery, no HTTP.`,
  tools: ['ip', 'wrk', 'nginx'],
  measure: effort =>
    withObjects(async (dir, workDir) => {
      const runs = await withSides(SIDES, dir, workDir, effort, sides =>
        inTurns(sides, some(OBJECT_ASKS, effort), effort, (side, ask) => run(side, ask, effort)),
      )
      const panel = (title: string, label: string, value: (of: Run) => number): Panel =>
        bars(title, 'object and connection', label, seriesOf(runs, value))
      return [
        panel('Requests', 'requests per second', of => of.requestsPerSecond),
        panel('Requests by time of the core', 'requests per busy second of the core', of => {
          return (of.requests * TICKS_PER_SECOND) / of.busy
        }),
        panel('User space', '% of the busy time', ({ userShare }) => 100 * userShare),
      ]
    }),
}

async function run(side: Side, ask: Ask, effort: Effort): Promise<Run> {
  const before = readCoreCount(SERVER_CORE)
  const { requestsPerSecond } = await wrkRun(side, ask, effort)
  const time = between(before, readCoreCount(SERVER_CORE))
  return { requestsPerSecond, requests: requestsPerSecond * effort.seconds, ...time }
}
