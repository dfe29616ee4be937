/**
 * The generator against a plain reading of the published algorithm, and its two ways to be asked.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prng } from '../src/wrap/prng.ts'

/** sfc32 in unsigned BigInt arithmetic, after PractRand's RNGs/sfc.cpp. */
function* reference(seed: number, stream: number): Generator<number> {
  const wrap = (n: bigint): bigint => n & 0xffffffffn
  let a = 0n
  let b = wrap(BigInt(seed))
  let c = wrap(BigInt(stream))
  let counter = 1n
  for (let i = 0; ; i++) {
    const out = wrap(a + b + counter)
    counter = wrap(counter + 1n)
    a = b ^ (b >> 9n)
    b = wrap(c + (c << 3n))
    c = wrap(((c << 21n) | (c >> 11n)) + out)
    if (i >= 12) yield Number(out)
  }
}

test('the bits are those of sfc32', () => {
  for (const [seed, stream] of [
    [0, 0],
    [1, 0],
    [1, 1],
    [0xffffffff, 7],
  ]) {
    const prng = new Prng(seed, stream)
    const twin = reference(seed, stream)
    for (let i = 0; i < 1000; i++) assert.equal(prng.bits() >>> 0, twin.next().value)
  }
})

test('chance is never at 0, always at 1, and about so often between', () => {
  const prng = new Prng(3, 0)
  let hits = 0
  for (let i = 0; i < 100_000; i++) {
    assert.equal(prng.chance(0), false)
    assert.equal(prng.chance(1), true)
    if (prng.chance(0.25)) hits++
  }
  assert.ok(Math.abs(hits - 25_000) < 5 * Math.sqrt(100_000 * 0.25 * 0.75), `${hits} hits`)
})

test('below covers its range evenly', () => {
  const prng = new Prng(4, 0)
  const counts = [0, 0, 0]
  for (let i = 0; i < 90_000; i++) counts[prng.below(3)]++
  for (const count of counts) assert.ok(Math.abs(count - 30_000) < 5 * 142, `${counts}`)
})
