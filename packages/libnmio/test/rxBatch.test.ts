/** Smaller batches: what a batch of the inner device is cut into. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryLink, OFFLOAD_NONE, Region, RxBatchDevice } from '../src/index.ts'
import { GatherPort } from './gatherPort.ts'

function makeLink(batchMax: number) {
  const region = new Region(1 << 21)
  const base = region.reserve(64 * 128)
  const [a, peer] = memoryLink({ region, ringSize: 64 })
  const inner = new GatherPort(a, new Region(65536))
  const device = new RxBatchDevice(inner, batchMax)
  let sent = 0
  /** Frame i lies at base + 64 i and is 60 + i long. */
  const send = (count: number): void => {
    for (const end = sent + count; sent < end; sent++) {
      peer.push(base + 64 * sent, 60 + sent, OFFLOAD_NONE)
    }
    peer.flush()
  }
  /** The frames of the next batch, by their numbers. */
  const take = (): number[] =>
    Array.from({ length: device.rx() }, (_, i) => {
      const frame = device.rxLen[i] - 60
      assert.equal(device.rxOff[i], base + 64 * frame)
      return frame
    })
  return { peer, inner, device, send, take }
}

test('a batch is handed out in parts, in order, and the next one after it', () => {
  const { send, take } = makeLink(3)
  send(7)
  assert.deepEqual(
    [take(), take()],
    [
      [0, 1, 2],
      [3, 4, 5],
    ],
  )
  send(2)
  assert.deepEqual([take(), take(), take()], [[6], [7, 8], []])
})

test('a frame is the sender’s again only after all of its batch were handed out', () => {
  const { peer, device, send } = makeLink(1)
  send(3)
  for (let i = 0; i < 3; i++) {
    assert.equal(device.rx(), 1)
    assert.equal(peer.reclaim(), 0)
  }
  assert.equal(device.rx(), 0)
  assert.equal(peer.reclaim(), 3)
})

test('nobody sleeps on frames that have come', () => {
  const { device, send, take } = makeLink(2)
  send(3)
  take()
  device.wait(-1)
  assert.equal(device.stats.waits, 0)
  take()
  device.wait(-1)
  assert.equal(device.stats.waits, 1)
})

test('flags go with their frames', () => {
  const { inner, device, send } = makeLink(1)
  inner.flags = 2
  send(2)
  for (let i = 0; i < 2; i++) {
    assert.equal(device.rx(), 1)
    assert.equal(device.rxFlags[0], 2)
  }
})

test('what was not handed out when the device was closed is not any more', () => {
  const { device, send, take } = makeLink(1)
  send(3)
  take()
  device.close()
  assert.deepEqual(take(), [])
})

test('a batch has a frame at least, and BATCH_MAX at most', () => {
  assert.throws(() => makeLink(0), /1 to BATCH_MAX/)
  assert.throws(() => makeLink(65), /1 to BATCH_MAX/)
})
