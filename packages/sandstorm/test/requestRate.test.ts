import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RequestRate } from '../src/mount/requestRate.ts'
import { onBothMounts } from './kit/mounts.ts'

const rate = (perSecond: number, key = 12345): RequestRate =>
  new RequestRate(RequestRate.allocate(), key, perSecond)

/** How many of `count` requests at this moment are answered. */
function burst(of: RequestRate, w0: number, nowMs: number, count: number): number {
  let taken = 0
  for (let i = 0; i < count; i++) if (of.take(w0, 0, nowMs)) taken++
  return taken
}

test('a second’s requests may come at once, then as many as time brings', () => {
  const of = rate(10)
  assert.equal(burst(of, 1, 5000, 100), 10)
  assert.equal(burst(of, 1, 5000, 100), 0)
  assert.equal(burst(of, 1, 5100, 100), 1)
  assert.equal(burst(of, 1, 5600, 100), 5)
  assert.equal(burst(of, 1, 60_000, 100), 10)
})

test('clients do not count for each other; all of an IPv6 /64 are one', () => {
  const of = rate(3)
  for (let client = 0; client < 1000; client++) assert.equal(burst(of, client, 1000, 9), 3)
  assert.equal(of.take(7, 1, 1000), true, 'another /64')
  assert.equal(burst(of, 7, 1000, 9), 0)
})

test('two threads see one count', () => {
  const shared = RequestRate.allocate()
  const [a, b] = [new RequestRate(shared, 1, 4), new RequestRate(shared, 1, 4)]
  assert.equal(burst(a, 9, 1000, 3), 3)
  assert.equal(burst(b, 9, 1000, 3), 1)
})

test('a flood of other clients sets nobody free who is limited', () => {
  const of = rate(5)
  assert.equal(burst(of, 42, 1000, 100), 5)
  for (let other = 1000; other < 60_000; other++) of.take(other, 0, 1000)
  assert.ok(burst(of, 42, 1000, 100) <= 5)
})

test('whatever the times, no more are answered than the rate and one second’s burst allow', () => {
  const steps = fc.array(fc.record({ afterMs: fc.nat(700), count: fc.nat(30) }), { maxLength: 60 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), steps, (perSecond, all) => {
      const of = rate(perSecond)
      let [nowMs, taken] = [1000, 0]
      for (const { afterMs, count } of all) {
        nowMs += afterMs
        taken += burst(of, 1, nowMs, count)
        assert.ok(taken <= perSecond + ((nowMs - 1000) * perSecond) / 1000 + 1)
      }
    }),
  )
})

test('who asks evenly at the rate is always answered', () => {
  for (const perSecond of [1, 3, 7, 100, 999]) {
    const of = rate(perSecond)
    for (let i = 0; i < 5000; i++) assert.ok(of.take(1, 0, 1000 + (i * 1000) / perSecond))
  }
})

onBothMounts(
  'a client over its rate is told to come again, on the same connection',
  { 'a.txt': 'a' },
  async ({ send }) => {
    const ask = 'GET /a.txt HTTP/1.1\r\nHost: a\r\n'
    const text = `${`${ask}\r\n`.repeat(3)}${ask}Connection: close\r\n\r\n`
    const answers = await send(text, ['GET', 'GET', 'GET', 'GET'])
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 429, 429],
    )
    assert.equal(answers[2].fields.get('retry-after'), '1')
    assert.equal(answers[2].fields.get('connection'), 'keep-alive')
  },
  {},
  { requestsPerSecond: 2 },
)
