/** Our own address: probing, announcing and defending it (RFC 5227). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as drops from '../src/drops.ts'
import { Arp } from '../src/index.ts'
import { arpFrame, FakeDevice, ip } from './fakeDevice.ts'

const OURS = '10.77.0.2'
const OUR_MAC = '020000000002'
const OTHER_MAC = '8e0102030405'
const PROBE: string = arpFrame({ op: 1, senderMac: OUR_MAC, senderIp: '0.0.0.0', targetIp: OURS })
const ANNOUNCEMENT: string = arpFrame({
  op: 1,
  senderMac: OUR_MAC,
  senderIp: OURS,
  targetIp: OURS,
})

interface Bench {
  readonly device: FakeDevice
  readonly arp: Arp
  readonly conflicts: number[]
}

function newArp(): Bench {
  const device = new FakeDevice()
  const conflicts: number[] = []
  const own = [{ address: ip(OURS), prefixLen: 24 }]
  const arp = new Arp({ device, frames: device.frames }, own, {}, i => conflicts.push(i))
  return { device, arp, conflicts }
}

function input({ device, arp }: Bench, nowMs: number, senderIp: string): number {
  const len = device.receive(arpFrame({ op: 1, senderMac: OTHER_MAC, senderIp, targetIp: OURS }))
  return arp.input(device.rxPage, len, nowMs)
}

/** `tick` whenever it is due, until `endMs`; what was sent, and when. */
function runTo({ device, arp }: Bench, nowMs: number, endMs: number): [number, string][] {
  const sent: [number, string][] = device.takeSent().map(frame => [nowMs, frame])
  for (let now = nowMs; ; ) {
    const waitMs = arp.tick(now)
    for (const frame of device.takeSent()) sent.push([now, frame])
    if (waitMs < 0 || now + waitMs > endMs) return sent
    now += waitMs
  }
}

test('three probes, and when nobody has answered two announcements', () => {
  const t = newArp()
  t.arp.start(0)
  assert.deepEqual(runTo(t, 0, 100_000), [
    [0, PROBE],
    [250, PROBE],
    [500, PROBE],
    [750, ANNOUNCEMENT],
    [2750, ANNOUNCEMENT],
  ])
  assert.equal(t.arp.tick(100_000), -1)
  assert.deepEqual(t.conflicts, [])
})

test('without probes it is announced and used at once', () => {
  const device = new FakeDevice()
  const own = [{ address: ip(OURS), prefixLen: 24 }]
  const t = { device, arp: new Arp({ device, frames: device.frames }, own, { probes: 0 }) }
  t.arp.start(0)
  assert.deepEqual(device.takeSent(), [ANNOUNCEMENT])
  assert.equal(input({ ...t, conflicts: [] }, 1, '10.77.0.1'), drops.OK)
  assert.equal(device.takeSent().length, 1)
})

test('while probing we neither answer nor ask; afterwards we do both', () => {
  const t = newArp()
  t.arp.start(0)
  t.device.takeSent()
  assert.equal(input(t, 1, '10.77.0.1'), drops.ARP_PROBING)
  t.arp.lookup(ip('10.77.0.9'), 1)
  assert.deepEqual(t.device.takeSent(), [])
  const sent = runTo(t, 1, 770).map(([, frame]) => frame)
  assert.deepEqual(sent.slice(0, 3), [PROBE, PROBE, ANNOUNCEMENT])
  const request = { op: 1, senderMac: OUR_MAC, senderIp: OURS, targetIp: '10.77.0.9' }
  assert.deepEqual(sent.slice(3), [arpFrame(request)])
  assert.equal(input(t, 771, '10.77.0.1'), drops.OK)
  assert.equal(t.device.takeSent().length, 1)
  assert.deepEqual(t.conflicts, [])
})

test('somebody who has our address, or probes for it too, keeps us from using it', () => {
  for (const senderIp of [OURS, '0.0.0.0']) {
    const t = newArp()
    t.arp.start(0)
    t.device.takeSent()
    assert.equal(input(t, 1, senderIp), drops.ARP_CONFLICT)
    assert.deepEqual(t.conflicts, [0])
    assert.equal(t.arp.stats.conflicts, 1)
    assert.deepEqual(runTo(t, 1, 60_000), [], 'a prober does not defend')
    assert.equal(input(t, 60_000, '10.77.0.1'), drops.ARP_PROBING)
  }
})

test('after a minute without the other it is asked for again, and used', () => {
  const t = newArp()
  t.arp.start(0)
  t.device.takeSent()
  input(t, 1, OURS)
  input(t, 30_000, OURS)
  assert.deepEqual(
    runTo(t, 30_000, 100_000).map(([ms]) => ms),
    [90_000, 90_250, 90_500, 90_750, 92_750],
  )
  assert.equal(input(t, 100_000, '10.77.0.1'), drops.OK)
})

test('our address is defended, once in ten seconds at most', () => {
  const t = newArp()
  for (let now = 0; now < 30_000; now += 100) assert.equal(input(t, now, OURS), drops.ARP_CONFLICT)
  assert.deepEqual(t.device.takeSent(), [ANNOUNCEMENT, ANNOUNCEMENT, ANNOUNCEMENT])
  assert.equal(t.arp.stats.conflicts, 300)
  assert.equal(t.conflicts.length, 300)
  assert.equal(t.arp.resolvedCount, 0, 'a usurper is not learned')
})

test('who probes for our address while we use it is answered', () => {
  const t = newArp()
  assert.equal(input(t, 0, '0.0.0.0'), drops.OK)
  assert.equal(t.device.takeSent().length, 1)
  assert.deepEqual(t.conflicts, [])
})

test('our own probe, come back to us, is no conflict', () => {
  const t = newArp()
  t.arp.start(0)
  assert.equal(t.arp.input(t.device.rxPage, t.device.receive(PROBE), 1), drops.ARP_OWN)
  assert.deepEqual(t.conflicts, [])
})
