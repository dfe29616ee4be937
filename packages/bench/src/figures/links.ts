/** Runs on a memory link (memoryRun.ts), in turns. */
import { type MemoryOrder, runOrder } from '../memoryOrder.ts'
import type { MemoryRun } from '../memoryRun.ts'
import type { Effort } from './figure.ts'
import { inTurns, type Turns } from './turns.ts'

/** What is left of the paper's claim when a part of it is taken away. */
export const VARIANTS: Readonly<Record<string, Partial<MemoryOrder>>> = {
  sandstorm: { kind: 'template' },
  'two fixed replicas': { kind: 'template', replicas: 2 },
  'no batching': { kind: 'template', batchMax: 1 },
  memcpy: { kind: 'copy' },
  'no ready packets': { kind: 'copy', isSummed: true },
}

export interface LinkAsk {
  readonly x: number | string
  readonly order: Omit<MemoryOrder, 'kind' | 'seconds'>
}

/** Objects of three sizes, connections kept alive. */
export const LINK_OBJECTS: readonly LinkAsk[] = [1, 22, 256].map(kilobytes => {
  return { x: `${kilobytes} KB`, order: { bytes: kilobytes * 1024, close: false } }
})

/** The variants at all points. */
export function onLinks(
  variants: readonly string[],
  asks: readonly LinkAsk[],
  effort: Effort,
): Promise<Turns<MemoryRun>[]> {
  const base = { kind: 'template', vouches: true } as const
  const seconds = effort.isSmoke ? 0.1 : effort.seconds
  const sides = variants.map(name => ({ name, ...VARIANTS[name] }))
  return inTurns(sides, asks, effort, ({ name: _, ...variant }, { order }) =>
    runOrder({ ...base, ...order, ...variant, seconds }),
  )
}

/** Responses a second of a core that does nothing else. */
export const perBusySecond = ({ serverUs }: MemoryRun): number => 1e6 / serverUs
