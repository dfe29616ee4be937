/**
 * What is paid in memory: for a connection that does nothing, and for ready packets; and how fast
 * they come.
 */
import { idleRun } from '../idle.ts'
import { loadRuns } from '../load.ts'
import type { MemoryRun } from '../memoryRun.ts'
import { bars, type Effort, type Figure, type Panel, type Series, some } from './figure.ts'
import { LINK_OBJECTS, onLinks } from './links.ts'
import { seriesOf } from './turns.ts'

const CONNECTIONS = [10_000, 100_000, 1_000_000]
export const memory: Figure = {
  name: 'memory',
  title: 'Memory, and how fast content comes into it',
  caption: `First what the process grew by for each idle connection, all of them open at once, each after one
answer. Then bytes of ready frames, headers and all, for each byte of content, at 64 connections kept alive: one
set of them, and with the copies that were made on demand because a frame was still on its way for others. Then
how fast 10,000 files of 22 KB are loaded from the page cache, hashing and tables included, beside reading them
alone.`,
  tools: [],
  measure: async effort => [idle(effort), await frames(effort), await loading(effort)],
}

function idle(effort: Effort): Panel {
  const points = some(CONNECTIONS, effort).map(x => {
    const { rssBytes, rssBeforeBytes } = idleRun(x)
    return { x, y: [(rssBytes - rssBeforeBytes) / x] }
  })
  return {
    title: 'Idle connections',
    kind: 'lines',
    x: { label: 'connections', scale: 'log' },
    y: { label: 'bytes for each', scale: 'linear' },
    series: [{ name: 'resident memory', points }],
  }
}

async function frames(effort: Effort): Promise<Panel> {
  const once = { ...effort, turns: 1 }
  const runs = await onLinks(['sandstorm'], some(LINK_OBJECTS, effort), once)
  const series = (name: string, bytes: (run: MemoryRun) => number): Series => {
    const [{ points }] = seriesOf(runs, run => bytes(run) / run.contentBytes)
    return { name, points }
  }
  return bars('Ready frames', 'object', 'bytes of frames per byte of content', [
    series('one set', run => run.singleBytes),
    series('with copies on demand', run => run.templateBytes),
  ])
}

async function loading({ isSmoke }: Effort): Promise<Panel> {
  const { loading: load, reading, megabytes } = await loadRuns(isSmoke)
  const series = (name: string, runs: readonly { readonly seconds: number }[]): Series => {
    return {
      name,
      points: [{ x: '22 KB files', y: runs.map(({ seconds }) => megabytes / seconds) }],
    }
  }
  return bars('Loading', '', 'MB/s', [
    series('sandstorm', load),
    series('readFileSync alone', reading),
  ])
}
