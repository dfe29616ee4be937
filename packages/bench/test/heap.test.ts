/**
 * Invariant 3: after start-up nothing is allocated per packet, by the server or the load generator
 * as a whole.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** `npm run matrix` has ten times as many. */
const MILLIONS = process.env['SANDSTORM_MATRIX'] === 'full' ? 10 : 1
const FRAMES = MILLIONS * 1_000_000
/** New space takes 16 MB before it is collected. */
const FLAGS = ['--expose-gc', '--trace-gc', '--min-semi-space-size=16']
const CHILD = fileURLToPath(new URL('./heapChild.js', import.meta.url))
const GENERATOR_CHILD = fileURLToPath(new URL('./generatorHeapChild.js', import.meta.url))

for (const connection of ['close', 'keep']) {
  for (const kind of ['template', 'copy']) {
    test(`${MILLIONS} million frames leave no garbage: ${kind}, ${connection}`, () =>
      leavesNoGarbage(CHILD, kind, connection))
  }
  test(`${MILLIONS} million frames leave no garbage of the generator's: ${connection}`, () =>
    leavesNoGarbage(GENERATOR_CHILD, connection))
}

function leavesNoGarbage(child: string, ...words: string[]): void {
  const args = [...FLAGS, child, ...words, `${FRAMES}`]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  const [, frames, allocated, grown] = /^frames (\d+) allocated (-?\d+) grown (-?\d+)$/m.exec(
    stdout,
  )!
  assert.ok(Number(frames) >= FRAMES)
  // The least object a frame would make 16 MB and more. What there is comes from the clock, a double for
  // each batch, and from the compiler.
  assert.ok(Number(allocated) < 4 << 20, `${allocated} bytes allocated`)
  assert.ok(Number(grown) < 1 << 20, `${grown} bytes kept`)
  const measured = stdout.slice(stdout.indexOf('begin'), stdout.indexOf('end'))
  assert.doesNotMatch(measured, /Scavenge|Mark-Compact/)
}
