/**
 * Lets readers give by themselves what a front has stored and nothing needs to be decided of:
 * follows its store, and keeps the answers that are used from giving way there.
 */
import type { Entry } from '../cache/entry.ts'
import type { Store } from '../cache/store.ts'
import type { HitPlan, HitRecord, Hits } from '../content/hits.ts'

/** `planOf`: an entry as a hit; undefined: it is none. From now on, for good. */
export function publishHits(
  store: Store,
  hits: Hits,
  planOf: (entry: Entry) => HitPlan | undefined,
): void {
  const records = new Map<Entry, HitRecord>()
  const onPut = (entry: Entry): void => {
    const plan = planOf(entry)
    const record = plan === undefined ? undefined : hits.put(plan)
    if (record !== undefined) records.set(entry, record)
  }
  const onDrop = (entry: Entry): void => {
    const record = records.get(entry)
    if (record === undefined) return
    records.delete(entry)
    hits.drop(record)
  }
  store.watchers.push({ onPut, onDrop })
  store.wasUsed = entry => {
    const record = records.get(entry)
    return record !== undefined && hits.wasUsed(record)
  }
  for (const entry of [...store.entries()]) onPut(entry)
}
