/**
 * Bounded concurrency for loading: enough operations under way to keep the disk busy, few enough
 * that descriptors and memory stay bounded (every queue has a stated maximum).
 */

/** Runs `work` on every item, at most `limit` at a time, in order of the list; rejects with the first failure. */
export async function forEachBounded<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < items.length) await work(items[next++])
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane))
}
