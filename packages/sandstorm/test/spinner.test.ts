/** Looking again before sleeping: where it helps, and how soon it is given up where it does not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Spinner } from '../src/instance/spinner.ts'

const LIMIT_US = 50
/** A look takes a microsecond. */
const LOOK_US = 1

/**
 * Frames `gapUs` apart, which come when they come or, if we sleep, at once; counts looks in vain
 * and sleeps.
 */
function run(spinner: Spinner, gapUs: number, frames: number, startUs = 0): [number, number] {
  let [looks, sleeps, now] = [0, 0, startUs]
  for (let i = 0; i < frames; i++) {
    spinner.onFrames(now)
    for (const due = now + gapUs; now < due; ) {
      if (spinner.shouldSleep(now)) {
        sleeps++
        now = due
      } else {
        looks++
        now += LOOK_US
      }
    }
  }
  return [looks, sleeps]
}

test('a client that answers soon is never slept on', () => {
  const [looks, sleeps] = run(new Spinner(LIMIT_US), 20, 1000)
  assert.deepEqual([looks, sleeps], [20 * 1000, 0])
})

test('after rare frames hardly anybody looks', () => {
  const [looks, sleeps] = run(new Spinner(LIMIT_US), 1000, 2560)
  assert.equal(sleeps, 2560)
  assert.ok(looks <= LIMIT_US * 20, `${looks} looks`)
})

test('of a request and its ACK, then a pause, at most one look in two is in vain', () => {
  const spinner = new Spinner(LIMIT_US)
  let looks = 0
  for (let i = 0; i < 1000; i++) {
    run(spinner, 10, 1, i * 1e6)
    looks += run(spinner, 10_000, 1, i * 1e6 + 10)[0]
  }
  assert.ok(looks <= 500 * LIMIT_US, `${looks / LIMIT_US} times in vain`)
})

test('it is tried again when there may be use, and found out soon', () => {
  const spinner = new Spinner(LIMIT_US)
  run(spinner, 1000, 5000)
  run(spinner, 20, 2000, 1e9)
  const [, sleeps] = run(spinner, 20, 1000, 2e9)
  assert.equal(sleeps, 0)
})

test('0 is never', () => {
  assert.deepEqual(run(new Spinner(0), 20, 1000), [0, 1000])
})
