import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Answers, NEXT, NO_ANSWER } from '../src/packetize/answers.ts'

test('every record is given out once, and none when all are in use', () => {
  const answers = new Answers(5)
  const given = Array.from({ length: 5 }, () => answers.alloc())
  assert.equal(new Set(given).size, 5)
  assert.equal(answers.usedCount, 5)
  assert.equal(answers.alloc(), NO_ANSWER)
  assert.equal(answers.usedCount, 5)
})

test('records do not overlap', () => {
  const answers = new Answers(3)
  const stride = answers.records.length / 3
  const given = [answers.alloc(), answers.alloc(), answers.alloc()].sort((a, b) => a - b)
  assert.deepEqual(given, [0, stride, 2 * stride])
  assert.ok(NEXT < stride)
})

test('a record that was given back comes again, without its successor', () => {
  const answers = new Answers(1)
  const a = answers.alloc()
  answers.records[a + NEXT] = 0
  answers.free(a)
  assert.equal(answers.usedCount, 0)
  assert.equal(answers.alloc(), a)
  assert.equal(answers.records[a + NEXT], NO_ANSWER)
})
