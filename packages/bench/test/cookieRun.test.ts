/** The micro-benchmark's server with a full SYN table does what its cases say that they measure. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BATCH_MAX } from '@sandstorm/libnmio'
import { tcp } from '@sandstorm/libtcpip'
import { CookieRun } from '../src/cookieRun.ts'
import { oneObject } from '../src/memoryPair.ts'

test('each SYN gets a cookie, each forged ACK is refused, and nothing is kept', async () => {
  const run = new CookieRun(await oneObject(0))
  const { stats, pool } = run.server.stack.tcp
  const before = stats.syncookiesSent
  for (let i = 0; i < 10; i++) run.turn(tcp.SYN)
  for (let i = 0; i < 10; i++) run.turn(tcp.ACK)
  assert.equal(stats.syncookiesSent - before, 10 * BATCH_MAX)
  assert.equal(stats.syncookiesFailed, 10 * BATCH_MAX)
  assert.equal(pool.usedCount, 1)
  assert.ok(run.ms > 0)
})
