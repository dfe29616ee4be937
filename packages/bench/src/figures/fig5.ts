/** Figure 5 of the paper: does it scale with cores, and what of a core do 10 Gbit/s take? */
import { type OneAndTwo, oneCoreAndTwo } from '../workers.ts'
import { bars, type Effort, type Figure, type Panel, type Series, some } from './figure.ts'
import { onLinks } from './links.ts'
import { seriesOf } from './turns.ts'

const OBJECTS = [
  { x: '22 KB, close', bytes: 22 * 1024, close: true },
  { x: '22 KB, keep-alive', bytes: 22 * 1024, close: false },
  { x: '1 KB, keep-alive', bytes: 1024, close: false },
]
/** Of payload. */
const BITS_PER_SECOND = 10e9

export const fig5: Figure = {
  name: 'fig5',
  title: 'Scaling, and the load of a core at 10 Gbit/s (Fig. 5)',
  caption: `Above: workers with a generator of their own each, on a core each; they share content and nothing
else. Below: the share of a core that 10 Gbit/s of payload in objects of 22 KB take, by the time in the server
for each response at full load on a memory link with an MTU of 1500; the paper's machine took 13 % with hardware that does
checksums and segments.`,
  tools: [],
  measure: async effort => [await workers(effort), await share(effort)],
}

async function workers(effort: Effort): Promise<Panel> {
  const objects = some(OBJECTS, effort)
  const runs: OneAndTwo[] = []
  for (const { bytes, close } of objects) {
    runs.push(await oneCoreAndTwo({ bytes, close }, effort.seconds, effort.turns))
  }
  const series = (name: string, rates: (run: OneAndTwo) => readonly number[]): Series => {
    return { name, points: objects.map(({ x }, i) => ({ x, y: rates(runs[i]) })) }
  }
  return bars('Workers', 'object and connection', 'responses per second', [
    series('one worker', run => run.one),
    series('two workers', run => run.two),
  ])
}

async function share(effort: Effort): Promise<Panel> {
  const asks = some(
    OBJECTS.filter(({ bytes }) => bytes > 1024),
    effort,
  ).map(({ x, ...order }) => ({ x, order }))
  const runs = await onLinks(['sandstorm', 'memcpy'], asks, effort)
  const series = seriesOf(runs, ({ serverUs, contentBytes }) => {
    const perSecond = BITS_PER_SECOND / 8 / contentBytes
    return (100 * perSecond * serverUs) / 1e6
  })
  return bars('Load at 10 Gbit/s', 'object and connection', '% of a core', series)
}
