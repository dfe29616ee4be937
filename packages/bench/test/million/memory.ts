/** What the process holds when all garbage is collected. */
import { setImmediate } from 'node:timers/promises'
import { assert } from '@sandstorm/libnmio'

export interface Memory {
  readonly heapBytes: number
  readonly rssBytes: number
}

/** Node must run with --expose-gc. */
export async function memory(): Promise<Memory> {
  const collect = globalThis.gc
  assert(collect !== undefined, 'node runs with --expose-gc')
  for (let n = 0; n < 3; n++) {
    collect()
    await setImmediate()
  }
  const { heapUsed, rss } = process.memoryUsage()
  return { heapBytes: heapUsed, rssBytes: rss }
}
