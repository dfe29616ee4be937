/**
 * Random and mutated frames through the ARP input: nothing throws, nothing leaks, nothing grows.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as drops from '../src/drops.ts'
import { Arp, ethernet } from '../src/index.ts'
import { arpFrame, FakeDevice, ip } from './fakeDevice.ts'

const FRAMES = 300_000

/** xorshift32: the same frames every time for a seed. */
function random(seed: number): () => number {
  let x = seed
  return () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return x >>> 0
  }
}

for (const seed of [1, 2, 3]) {
  test(`${FRAMES} mutated frames, seed ${seed}: a reason for each, no frame lost`, () => {
    const device = new FakeDevice()
    const own = [{ address: ip('10.77.0.2'), prefixLen: 24 }]
    const arp = new Arp({ device, frames: device.frames }, own, { capacity: 16 })
    const next = random(seed)
    const counts = new Map<number, number>()
    const base = Buffer.from(
      arpFrame({ op: 1, senderMac: '8e0102030405', senderIp: '10.77.0.1', targetIp: '10.77.0.2' }),
      'hex',
    )
    // The frame ends where the region ends: a read behind it would throw.
    const end = device.region.byteLength
    for (let i = 0; i < FRAMES; i++) {
      const len = next() % 4 === 0 ? next() % 61 : 42
      const off = end - len
      device.region.bytes.set(base.subarray(0, Math.min(len, base.length)), off)
      for (let k = next() % 4; k > 0 && len > 0; k--) {
        device.region.bytes[off + (next() % len)] = next()
      }
      const bad = ethernet.check(device.region.view, off, len)
      const reason = bad === drops.OK ? arp.input(off, len, i) : bad
      counts.set(reason, (counts.get(reason) ?? 0) + 1)
      if (next() % 8 === 0) arp.lookup(next() | 0, i)
      if (next() % 8 === 0) assert.ok(arp.tick(i) >= -1)
      if (device.sent.length > 100) device.takeSent()
    }
    for (const reason of counts.keys()) assert.ok(drops.ETH_DROP_NAMES[reason], `${reason}`)
    assert.ok(counts.size >= 12, 'the mutations reach most of the checks')
    assert.equal(device.frames.freeCount, device.frames.capacity)
  })
}
