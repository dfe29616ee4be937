/** One direction of the bad network at a time: rates, repeatability, reordering, corruption. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FaultOptions, Region } from '../src/index.ts'
import { type Bench, bench, numbered, numberOf, receiveThrough, sendThrough } from './faultBench.ts'

/** The numbers of the bits in which two frames differ. */
function flippedBits(frame: string, sent: string): number[] {
  const a = Buffer.from(frame, 'hex')
  const b = Buffer.from(sent, 'hex')
  const bits: number[] = []
  for (let i = 0; i < a.length * 8; i++) {
    if (((a[i >> 3] ^ b[i >> 3]) >> (i & 7)) & 1) bits.push(i)
  }
  return bits
}

const WAYS = { out: sendThrough, in: receiveThrough } as const

for (const [way, through] of Object.entries(WAYS)) {
  const statsOf = (b: Bench) => (way === 'out' ? b.device.txFaults : b.device.rxFaults)

  test(`${way}: faults come as often as asked`, () => {
    const count = 100_000
    const p = 0.05
    const b = bench({ drop: p, dup: p, reorder: p, corrupt: p, seed: 11 })
    const got = through(b, count)
    const stats = statsOf(b)
    assert.equal(stats.entered, count)
    assert.equal(stats.overflowed, 0)
    assert.equal(got.length, count - stats.dropped + stats.duplicated)
    const near = (what: string, value: number, probability: number): void => {
      const sigma = Math.sqrt(count * probability * (1 - probability))
      const off = Math.abs(value - count * probability)
      assert.ok(off < 4 * sigma, `${what}: ${value}, ${(off / sigma).toFixed(1)} sigma off`)
    }
    near('dropped', stats.dropped, p)
    near('duplicated', stats.duplicated, p * (1 - p))
    near('reordered', stats.reordered, p * (1 - p))
    near('corrupted', stats.corrupted, p * (1 - p))
  })

  test(`${way}: the same seed brings the same faults, another seed others`, () => {
    const faults = { drop: 0.1, dup: 0.1, reorder: 0.1, corrupt: 0.1 }
    const first = through(bench({ ...faults, seed: 5 }), 500)
    assert.deepEqual(through(bench({ ...faults, seed: 5 }), 500), first)
    assert.notDeepEqual(through(bench({ ...faults, seed: 6 }), 500), first)
  })

  test(`${way}: what befalls a frame does not depend on the other faults`, () => {
    const numbers = (faults: Partial<FaultOptions>): Set<number> =>
      new Set(through(bench({ drop: 0.3, seed: 9, ...faults }), 500).map(numberOf))
    const alone = numbers({})
    assert.deepEqual(numbers({ dup: 0.5 }), alone)
    const b = bench({ drop: 0.3, seed: 9, corrupt: 0.5, reorder: 0.5 })
    assert.equal(through(b, 500).length, alone.size)
  })

  test(`${way}: reordering loses nothing, and moves a frame behind at most a few others`, () => {
    const b = bench({ reorder: 0.2, seed: 2 })
    const got = through(b, 5000).map(numberOf)
    assert.deepEqual(
      [...got].sort((x, y) => x - y),
      [...Array(5000).keys()],
    )
    const inTime: number[] = []
    for (const n of got) {
      if (n > (inTime.at(-1) ?? -1)) {
        inTime.push(n)
        continue
      }
      // Overtaken by one to three frames that were not held back themselves.
      assert.ok(n < inTime.at(-1)! && n > (inTime.at(-4) ?? -1), `frame ${n}`)
    }
    const late = got.length - inTime.length
    const reordered = statsOf(b).reordered
    assert.ok(late > 500 && late <= reordered && late >= reordered - 8, `${late} of ${reordered}`)
  })

  test(`${way}: corruption flips exactly one bit, anywhere behind the Ethernet header`, () => {
    const got = through(bench({ corrupt: 1, seed: 8 }), 4000)
    const seen = new Set<number>()
    const scratch = new Region(64)
    for (const [n, frame] of got.entries()) {
      numbered(scratch, 0, n)
      const bits = flippedBits(frame, Buffer.from(scratch.bytes).toString('hex'))
      assert.equal(bits.length, 1, `frame ${n}: bits ${bits}`)
      assert.ok(bits[0] >= 14 * 8)
      seen.add(bits[0])
    }
    assert.equal(seen.size, 50 * 8, 'every bit has its turn')
  })
}

test('the two directions have faults of their own', () => {
  const one = sendThrough(bench({ drop: 0.5 }), 200)
  const other = receiveThrough(bench({ drop: 0.5 }), 200)
  assert.notDeepEqual(one, other)
})
