import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Region } from '@sandstorm/libnmio'
import { Holds } from '../src/content/holds.ts'
import { IMAGE_STRIDE } from '../src/content/image.ts'
import { Answers, made, NEXT, NO_ANSWER, ready } from '../src/packetize/answers.ts'
import { MADE_HEAD_COUNT, MadeHeads, NO_HEAD } from '../src/packetize/madeHeads.ts'

const A = ready(0, false)

const newAnswers = (capacity: number, holds: Holds = new Holds(Holds.allocate(8))): Answers =>
  new Answers(capacity, new MadeHeads(new Region(16 << 20), new Int32Array(64)), holds)

test('every record is given out once, and none when all are in use', () => {
  const answers = newAnswers(5)
  const given = Array.from({ length: 5 }, () => answers.alloc(A))
  assert.equal(new Set(given).size, 5)
  assert.equal(answers.usedCount, 5)
  assert.equal(answers.alloc(A), NO_ANSWER)
  assert.equal(answers.usedCount, 5)
})

test('records do not overlap', () => {
  const answers = newAnswers(3)
  const stride = answers.records.length / 3
  const given = [answers.alloc(A), answers.alloc(A), answers.alloc(A)].sort((a, b) => a - b)
  assert.deepEqual(given, [0, stride, 2 * stride])
  assert.ok(NEXT < stride)
})

test('a record that was given back comes again, without its successor', () => {
  const answers = newAnswers(1)
  const a = answers.alloc(A)
  answers.records[a + NEXT] = 0
  answers.free(a)
  assert.equal(answers.usedCount, 0)
  assert.equal(answers.alloc(A), a)
  assert.equal(answers.records[a + NEXT], NO_ANSWER)
})

test('an answer tells what it sends: an image, or a made head that goes back with it', () => {
  const answers = newAnswers(2)
  const slot = answers.heads.alloc()
  answers.heads.image[slot] = 2 * IMAGE_STRIDE
  const [a, b] = [answers.alloc(ready(5 * IMAGE_STRIDE, true)), answers.alloc(made(slot))]
  const told = [answers.headOf(a), answers.imageOf(a), answers.closes(a)]
  assert.deepEqual(told, [NO_HEAD, 5 * IMAGE_STRIDE, 1])
  assert.deepEqual([answers.headOf(b), answers.imageOf(b)], [slot, 2 * IMAGE_STRIDE])
  assert.equal(answers.heads.usedCount, 1)
  answers.free(b)
  answers.free(a)
  assert.equal(answers.heads.usedCount, 0)
})

test('an image is held as long as an answer sends it, whole or in part', () => {
  const holds = new Holds(Holds.allocate(8))
  const answers = newAnswers(3, holds)
  const image = 3 * IMAGE_STRIDE
  const slot = answers.heads.alloc()
  answers.heads.image[slot] = image
  const given = [ready(image, false), made(slot), ready(image, true)].map(w => answers.alloc(w))
  for (const a of given) {
    assert.ok(holds.isHeld(image))
    answers.free(a)
  }
  assert.ok(!holds.isHeld(image))
})

test('made heads are bounded, and each has its place', () => {
  const { heads } = newAnswers(1)
  const given = Array.from({ length: MADE_HEAD_COUNT }, () => heads.offOf(heads.alloc()))
  assert.equal(new Set(given).size, MADE_HEAD_COUNT)
  assert.equal(heads.alloc(), NO_HEAD)
})
