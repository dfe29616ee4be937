/**
 * Goodput under loss, at a round trip of 100 ms and a window of 32 KB, in numbers that a sender of
 * today must reach. The loss is random and the same in both directions, nothing limits the rate, and
 * a run is 10 MiB from the first SYN to the last byte: the conditions under which smoltcp's simulator
 * gives its figures. What counts is the mean of eight seeds.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from './netsim/run.ts'

const BYTES = 10 * 1024 * 1024
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8]

/** kB (1000 bytes) a second. */
function meanGoodput(loss: number): number {
  const link = { delayUs: 50_000, loss }
  const flows = [{ bytes: BYTES, buffer: 32 * 1024 }]
  const rates = SEEDS.map(seed => simulate({ forward: link, back: link, flows, seed }).goodput)
  return rates.reduce((sum, rate) => sum + rate, 0) / rates.length / 1000
}

for (const [percent, least] of [
  [0, 315],
  [1, 160],
  [5, 55],
]) {
  test(`at ${percent} % loss at least ${least} kB/s arrive`, () => {
    const goodput = meanGoodput(percent / 100)
    assert.ok(goodput >= least, `${goodput.toFixed(1)} kB/s`)
  })
}
