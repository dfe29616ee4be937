import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ETH_DROP_NAMES } from '@sandstorm/libeth'
import * as drops from '../src/drops.ts'

test('every reason is a number of its own from 32, and its name is the constant in kebab case', () => {
  const { DROP_NAMES, DROP_COUNT, ...reasons } = drops
  const seen = new Set<number>()
  for (const [constant, reason] of Object.entries(reasons)) {
    assert.ok(reason >= 32 && reason < DROP_COUNT && !seen.has(reason), constant)
    seen.add(reason)
    assert.equal(DROP_NAMES[reason], constant.toLowerCase().replaceAll('_', '-'))
  }
  assert.equal(DROP_COUNT, 32 + seen.size)
  assert.ok(DROP_COUNT <= 128)
})

test("libeth's names come first", () => {
  assert.deepEqual(drops.DROP_NAMES.slice(0, ETH_DROP_NAMES.length), ETH_DROP_NAMES)
  assert.equal(new Set(drops.DROP_NAMES).size, new Set(drops.DROP_NAMES.filter(Boolean)).size + 1)
})
