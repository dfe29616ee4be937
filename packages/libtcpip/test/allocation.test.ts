/**
 * Invariant 3: nothing is allocated per packet. A child process moves a million segments over
 * established connections (kit/steady.ts), another takes half a million that come in the wrong
 * order (kit/steadyReceive.ts), a third carries streams both ways (kit/steadyStreams.ts); V8 must
 * have no reason to collect garbage meanwhile.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** Runs a script of the kit; returns what it printed, and checks that nothing was collected. */
function runScript(t: TestContext, name: string, ...args: string[]): Record<string, number> {
  const script = fileURLToPath(new URL(`./kit/${name}.js`, import.meta.url))
  const child = spawnSync(process.execPath, ['--expose-gc', '--trace-gc', script, ...args], {
    encoding: 'utf8',
  })
  assert.equal(child.status, 0, child.stderr)
  const lines = child.stdout.trim().split('\n')
  const between = lines.slice(lines.indexOf('begin') + 1, lines.indexOf('end'))
  const result = JSON.parse(lines.at(-1) ?? '')
  t.diagnostic(`${JSON.stringify(result)}, collections: ${between.length}`)
  // A single object of 16 bytes per segment would be 8 MB or more, and several scavenges.
  assert.ok(between.length <= 3, `collections:\n${between.join('\n')}`)
  assert.ok(result.retainedBytes < 500_000, `${result.retainedBytes} bytes retained`)
  return result
}

for (const version of ['4', '6']) {
  test(`a million segments over IPv${version}: the heap does not grow, and the garbage collector rests`, t => {
    const result = runScript(t, 'steady', version)
    assert.ok(result['segments'] >= 1_000_000)
    assert.ok(result['dataSegments'] >= 900_000)
    assert.equal(result['timeouts'], 0)
  })
}

test('a million segments that are paced: likewise', t => {
  const result = runScript(t, 'steady', '4', 'paced')
  assert.ok(result['segments'] >= 1_000_000)
  assert.ok(result['pacingDelays'] >= 50_000)
  assert.equal(result['timeouts'], 0)
})

test('half a million segments in the wrong order: likewise', t => {
  const result = runScript(t, 'steadyReceive')
  assert.ok(result['segments'] >= 500_000)
  assert.ok(result['acks'] >= 500_000)
  assert.ok(result['queued'] >= 400_000)
  assert.equal(result['waiting'], 0)
})

test('a hundred thousand pieces written to a stream, read, and written back: likewise', t => {
  const result = runScript(t, 'steadyStreams')
  assert.ok(result['pieces'] >= 100_000)
  assert.ok(result['segments'] >= 200_000)
  assert.equal(result['retransmissions'], 0)
})
