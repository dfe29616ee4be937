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

test('a failure is told when nothing is under way any more, and nothing is begun after it', async () => {
  let running = 0
  let begun = 0
  const outcome = forEachBounded(items, 4, async item => {
    begun++
    running++
    for (let i = 0; i < item; i++) await new Promise(resolve => setImmediate(resolve))
    running--
    if (item === 1) throw new Error('one')
  })
  await assert.rejects(outcome, /one/)
  assert.equal(running, 0)
  assert.ok(begun < items.length, `${begun} were begun`)
})
