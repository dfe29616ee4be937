/**
 * The small version of `npm run million`: connections that end in every way there is, after which
 * the server holds nothing. The full one takes minutes.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const RUN = fileURLToPath(new URL('./million/run.js', import.meta.url))
const LIVES = 20_000
const MAX_CONNECTIONS = 8192

test('twenty thousand connections, aborted, silent and hostile ones among them, leave nothing', () => {
  const args = ['--expose-gc', RUN, `${LIVES}`, `${MAX_CONNECTIONS}`, '--json']
  // A time-out only for what never ends.
  const options = { encoding: 'utf8', timeout: 300_000 } as const
  const { stdout, stderr } = spawnSync(process.execPath, args, options)
  const result = JSON.parse(stdout === '' ? '{"faults":["no result"]}' : stdout)
  assert.deepEqual(result.faults, [], stderr)
  assert.equal(result.parts[0].peakConnections, MAX_CONNECTIONS, 'every TCB was in use')
  assert.ok(result.tcp.syncookiesRecv > 1000, 'cookies had their share')
  assert.equal(result.parts[1].lives + result.parts[2].lives, LIVES)
})
