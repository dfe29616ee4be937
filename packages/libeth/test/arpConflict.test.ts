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

const newArp = (): { device: FakeDevice; arp: Arp } => {
  const device = new FakeDevice()
  return {
    device,
    arp: new Arp({ device, frames: device.frames }, [{ address: ip(OURS), prefixLen: 24 }]),
  }
}

function input(t: { device: FakeDevice; arp: Arp }, nowMs: number, senderIp: string): number {
  const len = t.device.receive(arpFrame({ op: 1, senderMac: OTHER_MAC, senderIp, targetIp: OURS }))
  return t.arp.input(t.device.rxPage, len, nowMs)
}

test('three probes leave, a second apart, and none after the announcement', () => {
  const { device, arp } = newArp()
  arp.probe(0)
  assert.equal(arp.tick(0), 1000)
  assert.equal(arp.tick(1000), 1000)
  assert.equal(arp.tick(2000), -1)
  assert.deepEqual(device.takeSent(), [PROBE, PROBE, PROBE])
  arp.probe(3000)
  arp.announce(3001)
  assert.equal(arp.tick(4000), 1001)
  assert.equal(arp.tick(5001), -1)
  assert.deepEqual(device.takeSent(), [PROBE, ANNOUNCEMENT, ANNOUNCEMENT])
})

test('while probing we neither answer nor ask; afterwards we do both', () => {
  const t = newArp()
  t.arp.probe(0)
  t.device.takeSent()
  assert.equal(input(t, 1, '10.77.0.1'), drops.ARP_PROBING)
  t.arp.lookup(ip('10.77.0.9'), 1)
  assert.deepEqual(t.device.takeSent(), [])
  t.arp.announce(2)
  t.arp.tick(20)
  assert.equal(input(t, 21, '10.77.0.1'), drops.OK)
  assert.equal(t.device.takeSent().length, 3)
  assert.equal(t.arp.conflict, false)
})

test('somebody who has our address, or probes for it too, is a conflict', () => {
  for (const senderIp of [OURS, '0.0.0.0']) {
    const t = newArp()
    t.arp.probe(0)
    t.device.takeSent()
    assert.equal(input(t, 1, senderIp), drops.ARP_CONFLICT)
    assert.equal(t.arp.conflict, true)
    assert.equal(t.arp.stats.conflicts, 1)
    assert.deepEqual(t.device.takeSent(), [], 'a prober does not defend')
  }
})

test('our address is defended, once in ten seconds at most', () => {
  const t = newArp()
  for (let now = 0; now < 30_000; now += 100) assert.equal(input(t, now, OURS), drops.ARP_CONFLICT)
  assert.deepEqual(t.device.takeSent(), [ANNOUNCEMENT, ANNOUNCEMENT, ANNOUNCEMENT])
  assert.equal(t.arp.stats.conflicts, 300)
  assert.equal(t.arp.resolvedCount, 0, 'a usurper is not learned')
})

test('our own probe, come back to us, is no conflict', () => {
  const t = newArp()
  t.arp.probe(0)
  assert.equal(t.arp.input(t.device.rxPage, t.device.receive(PROBE), 1), drops.ARP_OWN)
  assert.equal(t.arp.conflict, false)
})
