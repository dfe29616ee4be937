/**
 * Goodput under loss that is random and the same in both directions.
 *
 * First, at a round trip of 100 ms and a window of 32 KB, in numbers that a sender of today must
 * reach. Nothing limits the rate, and a run is 10 MiB from the first SYN to the last byte: the
 * conditions under which smoltcp's simulator gives its figures. What counts is the mean of eight
 * seeds.
 *
 * Then at the windows that loss alone leaves, over the link of `npm run bench -- lossy`: what the
 * equations of RFC 9438 give, so that loss recovery costs nothing, and nobody is pushed aside.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cubic } from '../src/index.ts'
import { Random } from './kit/random.ts'
import { Simulation, simulate } from './netsim/run.ts'
import { CubicReference } from './reference/cubic.ts'

const BYTES = 10 * 1024 * 1024
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8]
const FEWER_SEEDS = [1, 2, 3, 4]
/** A full segment with timestamps. */
const SEGMENT = 1448
/** What 40 ms of delay are with the queue. */
const RTT_S = 0.041
/** Slow start is over after so long, whatever it was like. */
const WARM_UP_S = 10
const MEASURED_S = 40

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** kB (1000 bytes) a second. */
function meanGoodput(loss: number): number {
  const link = { delayUs: 50_000, loss }
  const flows = [{ bytes: BYTES, buffer: 32 * 1024 }]
  const rates = SEEDS.map(seed => simulate({ forward: link, back: link, flows, seed }).goodput)
  return mean(rates) / 1000
}

/** kB a second of the stack, slow start left out. */
function steadyGoodput(loss: number, seed: number): number {
  const link = { delayUs: 20_000, loss, bytesPerSecond: 2_500_000, queueBytes: 100_000 }
  const flows = [{ bytes: 1e9, buffer: 1024 * 1024 }]
  const congestion = new Cubic()
  const simulation = new Simulation({ forward: link, back: link, flows, congestion, seed })
  simulation.runFor(WARM_UP_S)
  const before = simulation.receivers[0].received
  simulation.runFor(MEASURED_S)
  return (simulation.receivers[0].received - before) / MEASURED_S / 1000
}

/**
 * The same of the equations: a window a round trip, and one round trip without growth to repair.
 */
function equationsGoodput(loss: number, seed: number): number {
  const cubic = new CubicReference(10)
  const random = new Random(seed)
  let seconds = 0
  let segments = 0
  let isRepairing = false
  for (; seconds < 10 * MEASURED_S; seconds += RTT_S) {
    const window = Math.floor(cubic.cwnd)
    let lost = 0
    for (let i = 0; i < window; i++) if (random.chance(loss)) lost++
    segments += window - lost
    if (lost > 0) cubic.onLoss(cubic.cwnd)
    else if (!isRepairing) cubic.onAck(window, seconds + RTT_S, RTT_S)
    isRepairing = lost > 0
  }
  return (segments * SEGMENT) / seconds / 1000
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

for (const percent of [1, 2]) {
  test(`at ${percent} % loss CUBIC reaches what its equations give, and no more`, () => {
    const reached = mean(FEWER_SEEDS.map(seed => steadyGoodput(percent / 100, seed)))
    const given = mean(FEWER_SEEDS.map(seed => equationsGoodput(percent / 100, seed)))
    const ratio = reached / given
    assert.ok(ratio > 0.9 && ratio < 1.1, `${reached.toFixed(1)} of ${given.toFixed(1)} kB/s`)
  })
}
