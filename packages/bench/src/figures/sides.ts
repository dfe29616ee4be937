/**
 * The servers of the figures, by the names that stand in them (servers.ts: how they are set up).
 */
import { connectionOf, loadOf, ROWS } from '../compare.ts'
import { type Peer, startPeer } from '../peerServers.ts'
import {
  type Side,
  startNginx,
  startNull,
  startOnInterface,
  startOnKernel,
  startSandstorm,
} from '../servers.ts'
import { type Load, type WrkRun, wrk } from '../wrk.ts'
import type { Effort } from './figure.ts'

export type SideName =
  | 'sandstorm'
  | 'memcpy'
  | 'AF_PACKET'
  | 'AF_PACKET, batches of 1'
  | 'AF_PACKET, 50 µs delay'
  | 'kernel TCP'
  | 'nginx'
  | 'no stack'
  | Peer

const START: Readonly<Record<SideName, (dir: string, workDir: string) => Promise<Side>>> = {
  sandstorm: dir => startSandstorm(dir),
  memcpy: dir => startSandstorm(dir, ['--transmit', 'copy']),
  AF_PACKET: dir => startOnInterface('packet', dir),
  'AF_PACKET, batches of 1': dir => startOnInterface('packet', dir, ['--rx-batch', '1']),
  'AF_PACKET, 50 µs delay': dir => startOnInterface('packet', dir, ['--tx-delay', '50']),
  'kernel TCP': dir => startOnKernel(dir),
  nginx: startNginx,
  'no stack': startNull,
  h2o: (dir, workDir) => startPeer('h2o', dir, workDir),
  'node + sirv': (dir, workDir) => startPeer('node + sirv', dir, workDir),
  Bun: (dir, workDir) => startPeer('Bun', dir, workDir),
}

/**
 * Runs `body` while all of them serve `dir`. Before it each has answered requests of all kinds:
 * what is written in JavaScript is compiled meanwhile, which takes seconds and is not what a figure
 * is about.
 */
export async function withSides<T>(
  names: readonly SideName[],
  dir: string,
  workDir: string,
  effort: Effort,
  body: (sides: readonly Side[]) => Promise<T>,
): Promise<T> {
  const sides: Side[] = []
  try {
    for (const name of names) sides.push({ ...(await START[name](dir, workDir)), name })
    for (const side of sides) await warmUp(side, effort)
    return await body(sides)
  } finally {
    // The next figure is not to share the core with them.
    for (const side of sides) await side.stop()
  }
}

/** What is asked at a point of a figure. */
export interface Ask extends Load {
  readonly x: number | string
}

/** 22 KB and 1 KB, connections kept alive and one for each request. */
export const OBJECT_ASKS: readonly Ask[] = ROWS.map(row => {
  return { x: `${row.object}, ${connectionOf(row)}`, ...loadOf(row) }
})

async function warmUp(side: Side, { warmUpSeconds }: Effort): Promise<void> {
  if (warmUpSeconds === 0) return
  for (const ask of OBJECT_ASKS) await loadSide(side, ask, warmUpSeconds)
}

/** Loads a side. Throws if anything was wrong: a figure has no point that does not count. */
export const wrkRun = (side: Side, ask: Ask, { seconds }: Effort): Promise<WrkRun> =>
  loadSide(side, ask, seconds)

async function loadSide(side: Side, ask: Ask, seconds: number): Promise<WrkRun> {
  const run = await wrk(side, ask, seconds)
  if (run.refused !== '') throw new Error(`${side.name}, ${ask.x}: ${run.refused}`)
  return run
}
