import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SourceLimit } from '../src/tcp/opening/sourceLimit.ts'
import { Random } from './kit/random.ts'

test('a source is full at its limit, and not before; another is not touched', () => {
  const limit = new SourceLimit(100, 3)
  for (let i = 0; i < 3; i++) {
    assert.equal(limit.isFull(7), false)
    assert.equal(limit.add(7), true)
  }
  assert.equal(limit.isFull(7), true)
  assert.equal(limit.isFull(8), false)
  limit.remove(7)
  assert.equal(limit.isFull(7), false)
})

test('a limit of 0 counts nothing and refuses nobody', () => {
  const limit = new SourceLimit(1_000_000, 0)
  assert.equal(limit.add(1), false)
  assert.equal(limit.isFull(1), false)
  assert.equal(limit.count(1), 0)
})

test('key 0 is a source like any other', () => {
  const limit = new SourceLimit(8, 1)
  assert.equal(limit.isFull(0), false)
  limit.add(0)
  assert.equal(limit.isFull(0), true)
  assert.equal(limit.isFull(16), false)
})

test('the ninth source of a set is not counted, so never refused, until somebody is gone', () => {
  const limit = new SourceLimit(4, 1) // one set
  for (let key = 1; key <= 8; key++) assert.equal(limit.add(key), true)
  for (let i = 0; i < 5; i++) {
    assert.equal(limit.isFull(9), false)
    assert.equal(limit.add(9), false)
  }
  limit.remove(4)
  assert.equal(limit.add(9), true)
  assert.equal(limit.isFull(9), true)
})

test('taking away what was not counted is a mistake of ours', () => {
  const limit = new SourceLimit(4, 1)
  assert.throws(() => limit.remove(1))
})

test('against a plain map: never more than the truth, and exact for whoever was counted', () => {
  const random = new Random(11)
  const limit = new SourceLimit(64, 5)
  const counted = new Map<number, number>()
  const held: number[] = []
  let uncounted = 0
  for (let i = 0; i < 200_000; i++) {
    if (held.length < 400 && random.chance(0.55)) {
      const key = Math.imul(random.below(300), 0x9e3779b1)
      if (limit.isFull(key)) {
        assert.equal(counted.get(key), 5)
      } else if (limit.add(key)) {
        counted.set(key, (counted.get(key) ?? 0) + 1)
        held.push(key)
      } else {
        assert.equal(counted.get(key) ?? 0, 0, 'a source that has an entry is always counted')
        uncounted++
      }
    } else if (held.length > 0) {
      const key = held.splice(random.below(held.length), 1)[0]
      limit.remove(key)
      counted.set(key, (counted.get(key) ?? 0) - 1)
    }
  }
  assert.ok(uncounted > 100, 'sets did overflow')
  for (const [key, count] of counted) assert.equal(limit.count(key), count)
})

test('few sources of a table at its intended load go uncounted', () => {
  const random = new Random(12)
  const limit = new SourceLimit(4096, 1)
  let uncounted = 0
  for (let i = 0; i < 4096; i++) if (!limit.add(random.int32())) uncounted++
  assert.ok(uncounted < 4096 * 0.02, `${uncounted} uncounted`)
})
