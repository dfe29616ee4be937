/** That a piece of the packet path allocates nothing, as far as a heap can tell. */
import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'

/**
 * `move` moves some 20,000 frames. Code that is not compiled yet makes boxes of its own, and other
 * files' tests may delay the compiler: so there are many short runs, and the quiet ones count. One
 * boxed number of 16 bytes for each frame would be 320 KB in every run; a run with a collection in
 * it tells nothing.
 */
export async function assertNoGarbage(move: () => void): Promise<void> {
  const grown: number[] = []
  for (let run = 0; run < 40; run++) {
    const before = process.memoryUsage().heapUsed
    move()
    grown.push(process.memoryUsage().heapUsed - before)
    await setTimeout(1)
  }
  const quiet = grown.filter(bytes => bytes >= 0 && bytes < 32768)
  assert.ok(quiet.length >= 5, `heap growth of each run: ${grown.join(' ')}`)
}
