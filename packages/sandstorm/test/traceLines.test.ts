import assert from 'node:assert/strict'
import { test } from 'node:test'
import { traceLines } from '../src/instance/traceLines.ts'

test('a reader that is too slow or gone loses lines, is told how many, and stops nobody', () => {
  const out: string[] = []
  let isFull = false
  const line = traceLines(text => {
    if (isFull) throw new Error('EAGAIN')
    out.push(text)
  })
  line('one')
  isFull = true
  line('two')
  line('three')
  isFull = false
  line('four')
  line('five')
  const gap = '(2 lines lost: the reader was too slow)'
  assert.deepEqual(out, ['one\n', `${gap}\nfour\n`, 'five\n'])
})
