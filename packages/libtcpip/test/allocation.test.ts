/**
 * Invariant 3: nothing is allocated per packet. A child process moves a million segments over
 * established connections (kit/steady.ts); V8 must have no reason to collect garbage meanwhile.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

test('a million segments: the heap does not grow, and the garbage collector rests', t => {
  const script = fileURLToPath(new URL('./kit/steady.js', import.meta.url))
  const child = spawnSync(process.execPath, ['--expose-gc', '--trace-gc', script], {
    encoding: 'utf8',
  })
  assert.equal(child.status, 0, child.stderr)
  const lines = child.stdout.trim().split('\n')
  const between = lines.slice(lines.indexOf('begin') + 1, lines.indexOf('end'))
  const result = JSON.parse(lines.at(-1) ?? '')
  t.diagnostic(`${JSON.stringify(result)}, collections: ${between.length}`)
  assert.ok(result.segments >= 1_000_000)
  assert.ok(result.dataSegments >= 900_000)
  assert.equal(result.timeouts, 0)
  // A single object of 16 bytes per segment would be 16 MB and a dozen scavenges.
  assert.ok(between.length <= 3, `collections:\n${between.join('\n')}`)
  assert.ok(result.retainedBytes < 500_000, `${result.retainedBytes} bytes retained`)
})
