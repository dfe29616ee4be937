/** Several addresses of ours on one link: each is answered for, probed, announced and defended. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as drops from '../src/drops.ts'
import { Arp, NO_NEIGHBOUR } from '../src/index.ts'
import { type ArpFields, arpFrame, BROADCAST, FakeDevice, ip } from './fakeDevice.ts'

const FIRST = '10.77.0.2'
const SECOND = '10.77.0.3'
const OTHER_NET = '192.168.5.9'
const OURS = [FIRST, SECOND, OTHER_NET]
const OUR_MAC = '020000000002'
const PEER_MAC = '8e0102030405'

function newArp(): { device: FakeDevice; arp: Arp } {
  const device = new FakeDevice()
  const own = OURS.map(text => ({ address: ip(text), prefixLen: 24 }))
  return { device, arp: new Arp({ device, frames: device.frames }, own) }
}

function input(t: { device: FakeDevice; arp: Arp }, nowMs: number, fields: Partial<ArpFields>) {
  const defaults = { op: 1, senderMac: PEER_MAC, senderIp: '10.77.0.1', targetIp: FIRST }
  return t.arp.input(t.device.rxPage, t.device.receive(arpFrame({ ...defaults, ...fields })), nowMs)
}

const broadcast = (senderIp: string, targetIp: string): string =>
  arpFrame({ op: 1, senderMac: OUR_MAC, senderIp, targetIp, dst: BROADCAST })

test('a request for any of our addresses is answered with that address', () => {
  const t = newArp()
  for (const senderIp of OURS) {
    assert.equal(input(t, 0, { targetIp: senderIp }), drops.OK)
    const answer = { op: 2, senderMac: OUR_MAC, senderIp, targetMac: PEER_MAC, dst: PEER_MAC }
    assert.deepEqual(t.device.takeSent(), [arpFrame({ ...answer, targetIp: '10.77.0.1' })])
  }
  assert.equal(input(t, 0, { targetIp: '10.77.0.4' }), drops.OK, 'the peer is known by now')
  assert.deepEqual(t.device.takeSent(), [])
})

test('the asker is our address on the subnet of the one asked for, else the first', () => {
  const { device, arp } = newArp()
  for (const [target, asker] of [
    ['10.77.0.9', FIRST],
    ['192.168.5.1', OTHER_NET],
    ['172.16.0.1', FIRST],
  ]) {
    assert.equal(arp.lookup(ip(target), 0), NO_NEIGHBOUR)
    assert.deepEqual(device.takeSent(), [broadcast(asker, target)])
  }
})

test('nobody is asked for an address of ours', () => {
  const { device, arp } = newArp()
  for (const text of OURS) assert.equal(arp.lookup(ip(text), 0), NO_NEIGHBOUR)
  assert.deepEqual(device.takeSent(), [])
})

test('all are probed and announced', () => {
  const { device, arp } = newArp()
  arp.start(0)
  arp.tick(250)
  arp.tick(500)
  const probes = OURS.map(text => broadcast('0.0.0.0', text))
  assert.deepEqual(device.takeSent(), [...probes, ...probes, ...probes])
  arp.tick(750)
  arp.tick(2750)
  const claims = OURS.map(text => broadcast(text, text))
  assert.deepEqual(device.takeSent(), [...claims, ...claims])
})

test('each is defended by itself, once in ten seconds', () => {
  const t = newArp()
  for (const now of [0, 1000, 9999, 10_000]) {
    for (const senderIp of [SECOND, OTHER_NET]) {
      assert.equal(input(t, now, { senderIp }), drops.ARP_CONFLICT)
    }
    const defended = now % 10_000 === 0
    const claims = [SECOND, OTHER_NET].map(text => broadcast(text, text))
    assert.deepEqual(t.device.takeSent(), defended ? claims : [], `at ${now} ms`)
  }
})

test('one that somebody else has is not used, the others are', () => {
  const t = newArp()
  t.arp.start(0)
  assert.equal(input(t, 1, { senderIp: '0.0.0.0', targetIp: FIRST }), drops.ARP_CONFLICT)
  t.arp.tick(250)
  t.arp.tick(500)
  t.device.takeSent()
  t.arp.tick(750)
  const claims = [SECOND, OTHER_NET].map(text => broadcast(text, text))
  assert.deepEqual(t.device.takeSent(), claims)
  assert.equal(input(t, 751, { targetIp: FIRST }), drops.ARP_PROBING)
  assert.equal(input(t, 751, { targetIp: SECOND }), drops.OK)
  t.device.takeSent()
  t.arp.lookup(ip('10.77.0.9'), 752)
  assert.deepEqual(t.device.takeSent(), [broadcast(SECOND, '10.77.0.9')])
})

test('without an address of ours nothing is answered', () => {
  const device = new FakeDevice()
  const arp = new Arp({ device, frames: device.frames }, [])
  assert.equal(input({ device, arp }, 0, {}), drops.ARP_NOT_OURS)
  arp.start(0)
  assert.deepEqual(device.takeSent(), [])
})
