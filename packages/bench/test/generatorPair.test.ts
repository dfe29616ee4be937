/**
 * The generator and our server, in one thread: every answer is right, and nothing is left behind.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GeneratorPair } from '../src/generatorPair.ts'
import { oneObject } from '../src/memoryPair.ts'

for (const keepAlive of [true, false]) {
  test(`our server's answers are right, ${keepAlive ? 'with' : 'without'} keep-alive`, async () => {
    const pair = new GeneratorPair(await oneObject(22 * 1024), keepAlive)
    while (pair.generator.tally.answers < 2000) pair.take(100)
    const { tally } = pair.generator
    assert.equal(tally.errorCount, 0)
    assert.equal(tally.statuses[200], tally.answers)
    assert.equal(tally.bodyBytes, 22 * 1024)
    assert.ok(tally.checked >= tally.answers / 64 - 1)
    assert.equal(pair.client.tcp.stats.retransSegs, 0)
    pair.generator.finish(performance.now() * 1000)
    for (let turn = 0; turn < 100; turn++) pair.take(1)
    assert.equal(pair.client.tcp.table.count, 0)
    assert.equal(pair.client.frames.inFlightCount, 0)
  })
}
