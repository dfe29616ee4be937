/** The queue of connections that wait for a request. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Waiting } from '../src/waiting.ts'

test('first come, first served, and each once, however often it comes', () => {
  const waiting = new Waiting(3)
  for (let round = 0; round < 5; round++) {
    for (const i of [2, 0, 2, 1, 0, 2]) waiting.push(i)
    assert.deepEqual([waiting.shift(), waiting.shift()], [2, 0])
    waiting.push(2)
    assert.deepEqual([waiting.shift(), waiting.shift()], [1, 2])
    assert.ok(waiting.isEmpty)
  }
})
