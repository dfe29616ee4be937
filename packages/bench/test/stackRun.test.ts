/** The micro-benchmark's stack and peer do what its cases say that they measure. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tcb } from '@sandstorm/libtcpip'
import { CONNECTIONS, StackRun } from '../src/stackRun.ts'

for (const offer of ['nothing', 'timestamps', 'sack'] as const) {
  test(`each ACK of two segments calls out two, and none is dropped: ${offer}`, () => {
    const run = new StackRun(offer, 10)
    const { device, tcp } = run.stack
    const before = device.stats.txFrames
    for (let i = 0; i < 10; i++) run.turn(2, 0)
    assert.equal(device.stats.txFrames - before, 10 * 2 * CONNECTIONS)
    assert.equal(tcp.stats.retransSegs, 0)
    assert.equal(tcp.stats.coalescedAcks, 0)
    assert.ok(tcp.drops.every(count => count === 0))
    assert.ok(run.ms > 0)
  })
}

test('a lost segment is repaired once, and the window is full again', () => {
  const run = new StackRun('sack', 10)
  const { stats, tcb: fields } = run.stack.tcp
  for (let sacked = 1; sacked < 10; sacked++) run.turn(0, sacked)
  assert.equal(stats.retransSegs, CONNECTIONS)
  run.turn(-1, 0)
  for (const c of run.handles) {
    const flight = (fields[c + tcb.SND_NXT] - fields[c + tcb.SND_UNA]) | 0
    assert.equal(flight, 10 * fields[c + tcb.MSS])
  }
  assert.equal(stats.timeouts, 0)
})

test('silence ends in time-outs, again and again', () => {
  const run = new StackRun('nothing', 1)
  const { stats } = run.stack.tcp
  for (let round = 1; round <= 50; round++) {
    for (let polls = 0; polls < 3; polls++) run.poll(1_000_000)
    assert.ok(stats.timeouts >= round * CONNECTIONS)
    run.turn(-1, 0)
    run.turn(-1, 0)
  }
  assert.equal(run.handles.length, CONNECTIONS)
  assert.equal(run.stack.tcp.table.count, CONNECTIONS)
})
