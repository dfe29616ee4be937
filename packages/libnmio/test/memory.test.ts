/** What the link in memory promises beyond the device contract. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  AssertionError,
  BATCH_MAX,
  type MemoryPort,
  memoryLink,
  OFFLOAD_NONE,
  offload,
  Region,
} from '../src/index.ts'

const link = (ringSize = 256): [MemoryPort, MemoryPort] =>
  memoryLink({ region: new Region(1 << 20), ringSize })

const doneOffs = (port: MemoryPort): number[] => [...port.doneOff.subarray(0, port.reclaim())]

test('the peer sees nothing before flush', () => {
  const [a, b] = link()
  a.push(128, 60, OFFLOAD_NONE)
  assert.equal(b.rx(), 0)
  a.flush()
  assert.equal(b.rx(), 1)
})

test('a frame is received where it lies, and comes back after the peer’s next rx', () => {
  const [a, b] = link()
  a.push(128, 60, OFFLOAD_NONE)
  a.push(4096, 1514, OFFLOAD_NONE)
  a.flush()
  assert.deepEqual(doneOffs(a), [])
  assert.equal(b.rx(), 2)
  assert.deepEqual([...b.rxOff.subarray(0, 2)], [128, 4096])
  assert.deepEqual([...b.rxLen.subarray(0, 2)], [60, 1514])
  assert.deepEqual([...b.rxFlags.subarray(0, 2)], [0, 0])
  assert.deepEqual(doneOffs(a), [])
  assert.equal(b.rx(), 0)
  assert.deepEqual(doneOffs(a), [128, 4096])
  assert.deepEqual(doneOffs(a), [])
})

test('a full ring takes nothing until the peer has let go and reclaim has said so', () => {
  const [a, b] = link(128)
  for (let i = 0; i < 128; i++) a.push(i * 64, 60, OFFLOAD_NONE)
  a.flush()
  assert.equal(a.txSpace(), 0)
  assert.throws(() => a.push(0, 60, OFFLOAD_NONE), AssertionError)
  assert.equal(b.rx(), BATCH_MAX)
  assert.equal(a.reclaim(), 0)
  assert.equal(b.rx(), BATCH_MAX)
  assert.equal(a.txSpace(), 0)
  assert.equal(a.reclaim(), BATCH_MAX)
  assert.equal(a.txSpace(), BATCH_MAX)
})

test('both ways are independent, and the ports have addresses of their own', () => {
  const [a, b] = link()
  a.push(0, 60, OFFLOAD_NONE)
  b.push(64, 61, OFFLOAD_NONE)
  a.flush()
  b.flush()
  assert.equal(a.rx(), 1)
  assert.equal(b.rx(), 1)
  assert.deepEqual([a.rxOff[0], b.rxOff[0]], [64, 0])
  assert.deepEqual([...a.mac], [2, 0, 0, 0, 0, 0x0a])
  assert.deepEqual([...b.mac], [2, 0, 0, 0, 0, 0x0b])
  assert.deepEqual([a.name, b.name], ['memory:a', 'memory:b'])
})

test('what a caller must not push asserts', () => {
  const [a] = link()
  assert.throws(() => a.push(0, 13, OFFLOAD_NONE), AssertionError, 'shorter than a header')
  assert.throws(() => a.push(0, 1519, OFFLOAD_NONE), AssertionError, 'longer than mtu')
  assert.throws(() => a.push(-1, 60, OFFLOAD_NONE), AssertionError, 'before the region')
  assert.throws(() => a.push((1 << 20) - 59, 60, OFFLOAD_NONE), AssertionError, 'behind it')
  assert.throws(() => a.push(0, 60, offload(4, 34, 0)), AssertionError, 'offload')
  assert.throws(() => a.gather(), AssertionError, 'gather')
  assert.equal(a.txSpace(), 256)
  assert.throws(() => link(100), AssertionError, 'no power of two')
})

test('when one port closes, the other is down and gets its frames back', () => {
  const [a, b] = link()
  assert.deepEqual([a.down, b.down], ['', ''])
  a.push(0, 60, OFFLOAD_NONE)
  b.push(64, 60, OFFLOAD_NONE)
  b.flush()
  b.push(128, 60, OFFLOAD_NONE)
  a.close()
  assert.equal(a.down, 'memory:a is closed')
  assert.equal(b.down, 'the peer of memory:b is closed')
  assert.equal(b.txSpace(), 0)
  assert.deepEqual(doneOffs(b), [64])
  b.flush()
  assert.deepEqual(doneOffs(b), [128])
  assert.equal(b.stats.txDropped, 1)
  assert.equal(a.rx(), 0)
  assert.equal(b.rx(), 1, 'what was pushed before the close still arrives')
  assert.equal(b.rx(), 0)
  assert.deepEqual(doneOffs(a), [0])
})

test('any order of calls moves frames like two queues', () => {
  const call = fc.constantFrom('push', 'flush', 'rx', 'reclaim')
  fc.assert(
    fc.property(fc.array(fc.tuple(call, fc.nat(200)), { maxLength: 150 }), calls => {
      const [a, b] = link(64)
      let nextOff = 0
      const pushed: number[] = []
      const onWire: number[] = []
      const held: number[] = []
      const released: number[] = []
      for (const [what, times] of calls) {
        if (what === 'push') {
          const outstanding = pushed.length + onWire.length + held.length + released.length
          assert.equal(a.txSpace(), 64 - outstanding)
          for (let i = 0; i < times && a.txSpace() > 0; i++, nextOff += 64) {
            a.push(nextOff % 65536, 60, OFFLOAD_NONE)
            pushed.push(nextOff % 65536)
          }
        } else if (what === 'flush') {
          a.flush()
          onWire.push(...pushed.splice(0))
        } else if (what === 'rx') {
          released.push(...held.splice(0))
          held.push(...onWire.splice(0, BATCH_MAX))
          assert.deepEqual([...b.rxOff.subarray(0, b.rx())], held)
        } else assert.deepEqual(doneOffs(a), released.splice(0))
      }
    }),
  )
})

test('moving a frame allocates nothing', () => {
  const [a, b] = link()
  const turn = (): void => {
    for (let i = 0; i < BATCH_MAX; i++) a.push(i << 11, 1514, OFFLOAD_NONE)
    a.flush()
    b.rx()
    b.rx()
    a.reclaim()
  }
  for (let i = 0; i < 40_000; i++) turn() // past 2^31 bytes, and until V8 has settled
  const growth: number[] = []
  for (let chunk = 0; chunk < 31; chunk++) {
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 1000; i++) turn()
    growth.push(process.memoryUsage().heapUsed - before)
  }
  // The median: a garbage collection or a late compilation disturbs single chunks.
  const median = growth.sort((x, y) => x - y)[15]
  assert.ok(Math.abs(median) < 64_000 / 2, `${median} bytes for 64,000 frames`)
})
