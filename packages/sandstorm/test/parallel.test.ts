import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forEachBounded } from '../src/content/parallel.ts'

const items = Array.from({ length: 100 }, (_, i) => i)

test('every item has its turn once, in order, never more than so many at a time', async () => {
  const begun: number[] = []
  let running = 0
  let most = 0
  await forEachBounded(items, 4, async item => {
    begun.push(item)
    most = Math.max(most, ++running)
    await new Promise(resolve => setImmediate(resolve))
    running--
  })
  assert.deepEqual(begun, items)
  assert.equal(most, 4)
})

test('work that never waits lets a timer run', async () => {
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  await forEachBounded(items, 4, () => {
    const end = performance.now() + 1
    while (performance.now() < end);
  })
  clearInterval(timer)
  assert.ok(ticks >= 2, `${ticks} ticks in 100 ms of work`)
})

test('the first failure is the outcome', async () => {
  await assert.rejects(
    forEachBounded(items, 4, item => {
      if (item === 7) throw new Error('seven')
    }),
    /seven/,
  )
})
