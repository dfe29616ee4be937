/** Trace lines: time, direction, and what the formatter is told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryLink, OFFLOAD_NONE, Region, TraceDevice, VirtualClock } from '../src/index.ts'
import { formatTimeOfDay } from '../src/wrap/trace.ts'
import { GatherPort } from './gatherPort.ts'

test('the time of day is UTC to the microsecond', () => {
  const at = Date.UTC(2024, 1, 29, 23, 59, 58, 7) * 1000
  assert.equal(formatTimeOfDay(at + 42), '23:59:58.007042')
  assert.equal(formatTimeOfDay(at + 2e6), '00:00:00.007000')
  assert.equal(formatTimeOfDay(0), '00:00:00.000000')
  assert.equal(formatTimeOfDay(3_600_000_000.75), '01:00:00.000000')
})

test('every frame gives one line, also a gathered one', () => {
  const region = new Region(1 << 22)
  const content = new Region(65536)
  const [a, b] = memoryLink({ region })
  const clock = new VirtualClock()
  const lines: string[] = []
  const device = new TraceDevice(new GatherPort(a, content), {
    clock: clock.read,
    write: line => lines.push(line),
    format: (view, off, len, frameLen) => `${view.getUint8(off)}: ${len} of ${frameLen}`,
  })
  const off = region.reserve(4096)
  region.bytes[off] = 7
  device.push(off, 60, OFFLOAD_NONE)
  clock.advance(1_000_250)
  device.gather(off, 54, 0, 1000, OFFLOAD_NONE)
  device.flush()
  region.bytes[off + 2048] = 9
  b.push(off + 2048, 99, OFFLOAD_NONE)
  b.flush()
  assert.equal(device.rx(), 1)
  assert.equal(b.rx(), 2)
  assert.deepEqual(lines, [
    '00:00:00.000000 > 7: 60 of 60',
    '00:00:01.000250 > 7: 54 of 1054',
    '00:00:01.000250 < 9: 99 of 99',
  ])
})
