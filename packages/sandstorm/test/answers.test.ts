import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Region } from '@sandstorm/libnmio'
import { Answers, made, NEXT, NO_ANSWER, ready, WHAT } from '../src/packetize/answers.ts'
import { MADE_HEAD_COUNT, MadeHeads, NO_HEAD } from '../src/packetize/madeHeads.ts'

const newAnswers = (capacity: number): Answers =>
  new Answers(capacity, new MadeHeads(new Region(16 << 20), new Int32Array(64)))

test('every record is given out once, and none when all are in use', () => {
  const answers = newAnswers(5)
  const given = Array.from({ length: 5 }, () => answers.alloc())
  assert.equal(new Set(given).size, 5)
  assert.equal(answers.usedCount, 5)
  assert.equal(answers.alloc(), NO_ANSWER)
  assert.equal(answers.usedCount, 5)
})

test('records do not overlap', () => {
  const answers = newAnswers(3)
  const stride = answers.records.length / 3
  const given = [answers.alloc(), answers.alloc(), answers.alloc()].sort((a, b) => a - b)
  assert.deepEqual(given, [0, stride, 2 * stride])
  assert.ok(NEXT < stride)
})

test('a record that was given back comes again, without its successor', () => {
  const answers = newAnswers(1)
  const a = answers.alloc()
  answers.records[a + NEXT] = 0
  answers.free(a)
  assert.equal(answers.usedCount, 0)
  assert.equal(answers.alloc(), a)
  assert.equal(answers.records[a + NEXT], NO_ANSWER)
})

test('an answer tells what it sends: an image, or a made head that goes back with it', () => {
  const answers = newAnswers(2)
  const [a, b] = [answers.alloc(), answers.alloc()]
  answers.records[a + WHAT] = ready(48, true)
  const slot = answers.heads.alloc()
  answers.heads.image[slot] = 16
  answers.records[b + WHAT] = made(slot)
  assert.deepEqual([answers.headOf(a), answers.imageOf(a), answers.closes(a)], [NO_HEAD, 48, 1])
  assert.deepEqual([answers.headOf(b), answers.imageOf(b)], [slot, 16])
  assert.equal(answers.heads.usedCount, 1)
  answers.free(b)
  answers.free(a)
  assert.equal(answers.heads.usedCount, 0)
})

test('made heads are bounded, and each has its place', () => {
  const { heads } = newAnswers(1)
  const given = Array.from({ length: MADE_HEAD_COUNT }, () => heads.offOf(heads.alloc()))
  assert.equal(new Set(given).size, MADE_HEAD_COUNT)
  assert.equal(heads.alloc(), NO_HEAD)
})
