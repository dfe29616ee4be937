/**
 * Bounded concurrency for loading: enough operations under way to keep the disk busy, few enough
 * that descriptors and memory stay bounded (every queue has a stated maximum).
 */

import { setImmediate } from 'node:timers/promises'

/** How long work that never waits may go on before anything else has its turn. */
const SLICE_MS = 5

/**
 * Runs `work` on every item, at most `limit` at a time, in order of the list. Rejects with the
 * first failure, as soon as nothing is under way any more; no item is begun after it.
 */
export async function forEachBounded<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => void | Promise<void>,
): Promise<void> {
  let next = 0
  const failures: unknown[] = []
  let sliceEndMs = performance.now() + SLICE_MS
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      try {
        await work(items[next++])
      } catch (error) {
        failures.push(error)
        next = items.length
      }
      if (performance.now() < sliceEndMs) continue
      await setImmediate()
      sliceEndMs = performance.now() + SLICE_MS
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane))
  if (failures.length > 0) throw failures[0]
}
