import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as drops from '../src/drops.ts'

test('every reason is a number of its own below 32, and its name is the constant in kebab case', () => {
  const { ETH_DROP_NAMES, ...reasons } = drops
  const seen = new Set<number>()
  for (const [constant, reason] of Object.entries(reasons)) {
    assert.ok(reason < 32 && !seen.has(reason), constant)
    seen.add(reason)
    assert.equal(ETH_DROP_NAMES[reason], constant.toLowerCase().replaceAll('_', '-'))
  }
  assert.equal(ETH_DROP_NAMES.length, seen.size)
})
