/**
 * The small version of `npm run flood`'s second half: a SYN flood in a ring that is always full.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const RUN = fileURLToPath(new URL('./flood/run.js', import.meta.url))
/** Of virtual time: as long as a download takes, and some. */
const SECONDS = 0.5

test('a ring full of SYNs keeps nobody out, stops no download, and leaves nothing', () => {
  const args = ['--expose-gc', RUN, `${SECONDS}`, '--json']
  // A time-out only for what never ends.
  const options = { encoding: 'utf8', timeout: 300_000 } as const
  const { stdout, stderr } = spawnSync(process.execPath, args, options)
  const result = JSON.parse(stdout === '' ? '{"faults":["no result"]}' : stdout)
  assert.deepEqual(result.faults, [], stderr)
  assert.ok(result.syns > 700_000, `${result.syns} SYNs`)
})
