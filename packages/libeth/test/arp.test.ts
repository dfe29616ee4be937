/** The neighbour table and its protocol: RFC 826's algorithm, refresh, expiry, and bounds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as drops from '../src/drops.ts'
import { Arp, type ArpOptions, NO_NEIGHBOUR } from '../src/index.ts'
import { type ArpFields, arpFrame, BROADCAST, FakeDevice, ip } from './fakeDevice.ts'

const OURS = '10.77.0.2'
const OUR_MAC = '020000000002'
const PEER = '10.77.0.1'
const PEER_MAC = '8e0102030405'
const PEER_HI = 0x8e01
const PEER_LO = 0x02030405
const REQUEST = 1
const REPLY = 2

class Bench {
  readonly device: FakeDevice = new FakeDevice()
  readonly arp: Arp
  constructor(options: Partial<ArpOptions> = {}) {
    const port = { device: this.device, frames: this.device.frames }
    this.arp = new Arp(port, [{ address: ip(OURS), prefixLen: 24 }], options)
  }
  /** Lets a frame in; padded to 60 bytes as on a wire. */
  input(nowMs: number, fields: Partial<ArpFields>): number {
    const defaults = { op: REQUEST, senderMac: PEER_MAC, senderIp: PEER, targetIp: OURS }
    const len = this.device.receive(arpFrame({ ...defaults, ...fields }).padEnd(120, '0'))
    return this.arp.input(this.device.rxPage, len, nowMs)
  }
  lookup(address: string, nowMs: number): number {
    return this.arp.lookup(ip(address), nowMs)
  }
  expectSent(...frames: ArpFields[]): void {
    assert.deepEqual(this.device.takeSent(), frames.map(arpFrame))
  }
  /** PEER asked for us, was answered, and is in the table. */
  static withPeer(options: Partial<ArpOptions> = {}): { t: Bench; entry: number } {
    const t = new Bench(options)
    t.input(0, {})
    t.device.takeSent()
    const entry = t.lookup(PEER, 0)
    assert.ok(t.arp.holds(entry, ip(PEER)))
    return { t, entry }
  }
}

const question = (targetIp: string, dst: string = BROADCAST): ArpFields => ({
  op: REQUEST,
  senderMac: OUR_MAC,
  senderIp: OURS,
  targetIp,
  dst,
})
const answer = (targetIp: string): ArpFields => ({
  op: REPLY,
  senderMac: OUR_MAC,
  senderIp: OURS,
  targetMac: PEER_MAC,
  targetIp,
  dst: PEER_MAC,
})

test('a request for our address is answered by unicast, and the asker is learned', () => {
  const t = new Bench()
  assert.equal(t.input(0, {}), drops.OK)
  t.expectSent(answer(PEER))
  const entry = t.lookup(PEER, 0)
  assert.ok(t.arp.holds(entry, ip(PEER)))
  assert.equal(t.arp.macHi[entry], PEER_HI)
  assert.equal(t.arp.macLo[entry], PEER_LO)
  assert.equal(t.arp.resolvedCount, 1)
  t.expectSent()
})

test('a probe for our address is answered, and teaches nothing', () => {
  const t = new Bench()
  assert.equal(t.input(0, { senderIp: '0.0.0.0' }), drops.OK)
  t.expectSent(answer('0.0.0.0'))
  assert.equal(t.arp.resolvedCount, 0)
})

test('lookup asks everybody once a second at most, and the answer resolves', () => {
  const t = new Bench()
  for (const now of [0, 1, 500, 999]) assert.equal(t.lookup(PEER, now), NO_NEIGHBOUR)
  t.expectSent(question(PEER))
  t.lookup(PEER, 1000)
  t.expectSent(question(PEER))
  const before = t.arp.resolvedCount
  assert.equal(t.input(1001, { op: REPLY, targetMac: OUR_MAC, dst: OUR_MAC }), drops.OK)
  assert.equal(t.arp.resolvedCount, before + 1)
  assert.ok(t.arp.holds(t.lookup(PEER, 1002), ip(PEER)))
  t.expectSent()
})

test('an unanswered question is repeated by tick, and given up after three', () => {
  const t = new Bench()
  t.lookup(PEER, 0)
  assert.equal(t.arp.tick(0), 1000)
  assert.equal(t.arp.tick(1000), 1000)
  assert.equal(t.arp.tick(2000), 1000)
  t.expectSent(question(PEER), question(PEER), question(PEER))
  assert.equal(t.arp.tick(3000), -1)
  t.expectSent()
  assert.equal(t.arp.stats.expired, 1)
})

test('however often it is looked up and ticked, an address is asked for once a second', () => {
  const t = new Bench()
  for (let now = 0; now < 60_000; now += 7) {
    t.lookup(PEER, now)
    t.arp.tick(now)
  }
  assert.ok(t.device.takeSent().length <= 60)
})

test('nobody is asked for addresses that no neighbour has', () => {
  const t = new Bench()
  for (const address of [OURS, '0.0.0.0', '0.1.2.3', '127.0.0.1', '224.0.0.1', '255.255.255.255']) {
    assert.equal(t.lookup(address, 0), NO_NEIGHBOUR)
  }
  t.expectSent()
  assert.equal(t.arp.tick(0), -1)
})

test('RFC 826: what is known is updated whoever the target is; strangers are not learned', () => {
  const { t, entry } = Bench.withPeer()
  const moved = { senderMac: '8e0102030499', targetIp: '10.77.0.7' }
  assert.equal(t.input(5, moved), drops.OK)
  assert.equal(t.arp.macLo[entry], 0x02030499)
  assert.equal(t.arp.stats.moved, 1)
  const stranger = { senderIp: '10.77.0.8', targetIp: '10.77.0.7' }
  assert.equal(t.input(5, stranger), drops.ARP_NOT_OURS)
  const gratuitous = { senderIp: '10.77.0.8', targetIp: '10.77.0.8' }
  assert.equal(t.input(5, gratuitous), drops.ARP_NOT_OURS)
  const unasked = { op: REPLY, senderIp: '10.77.0.8' }
  assert.equal(t.input(5, unasked), drops.ARP_UNSOLICITED)
  t.expectSent()
  assert.equal(t.arp.resolvedCount, 1)
})

test('malformed senders are refused under their own names, and nothing is sent', () => {
  const t = new Bench()
  const refused = (fields: Partial<ArpFields>, reason: number): void =>
    assert.equal(t.input(0, fields), reason)
  refused({ senderMac: '01005e000001' }, drops.ARP_BAD_SENDER_MAC)
  refused({ senderMac: BROADCAST }, drops.ARP_BAD_SENDER_MAC)
  refused({ senderMac: '000000000000' }, drops.ARP_BAD_SENDER_MAC)
  refused({ senderIp: '224.0.0.1' }, drops.ARP_BAD_SENDER_IP)
  refused({ senderIp: '127.0.0.1' }, drops.ARP_BAD_SENDER_IP)
  refused({ senderIp: '255.255.255.255' }, drops.ARP_BAD_SENDER_IP)
  refused({ senderIp: '0.0.0.0', op: REPLY }, drops.ARP_BAD_SENDER_IP)
  refused({ senderMac: OUR_MAC }, drops.ARP_OWN)
  refused({ op: 3 }, drops.ARP_OPERATION)
  assert.equal(t.arp.input(t.device.rxPage, 41, 0), drops.ARP_TRUNCATED)
  t.expectSent()
  assert.equal(t.arp.resolvedCount, 0)
})

test('a neighbour in use is refreshed by unicast while its entry stays good', () => {
  const { t, entry } = Bench.withPeer()
  assert.equal(t.arp.tick(59_999), 1)
  t.expectSent()
  t.arp.tick(60_000)
  t.expectSent(question(PEER, PEER_MAC))
  assert.ok(t.arp.holds(entry, ip(PEER)))
  t.input(60_001, { op: REPLY, targetMac: OUR_MAC })
  assert.equal(t.arp.tick(61_000), 59_001)
  t.expectSent()
  assert.equal(t.arp.resolvedCount, 1)
})

test('three refreshes without an answer end the entry', () => {
  const { t, entry } = Bench.withPeer()
  for (const now of [60_000, 61_000, 62_000]) {
    t.arp.tick(now)
    assert.ok(t.arp.holds(entry, ip(PEER)))
  }
  assert.equal(t.device.takeSent().length, 3)
  assert.equal(t.arp.tick(63_000), -1)
  assert.equal(t.arp.holds(entry, ip(PEER)), false)
  assert.equal(t.lookup(PEER, 63_000), NO_NEIGHBOUR)
  t.expectSent(question(PEER))
})

test('progress of TCP confirms a neighbour: nothing is asked', () => {
  const { t, entry } = Bench.withPeer()
  for (let now = 0; now <= 600_000; now += 30_000) {
    t.arp.confirm(entry, now)
    assert.ok(t.arp.tick(now) > 0)
  }
  t.expectSent()
})

test('an entry that nobody uses any more expires without a question', () => {
  const t = new Bench()
  t.input(0, {})
  t.expectSent(answer(PEER))
  assert.equal(t.arp.tick(60_000), -1)
  t.expectSent()
  assert.equal(t.arp.stats.expired, 1)
})

test('without ring space nothing is built; the question follows when there is room', () => {
  const t = new Bench()
  t.device.space = 0
  assert.equal(t.input(0, {}), drops.ARP_NO_TX_SPACE)
  t.lookup('10.77.0.9', 0)
  assert.equal(t.device.frames.freeCount, t.device.frames.capacity)
  t.expectSent()
  assert.equal(t.arp.stats.unsent, 2)
  t.device.space = 1
  t.arp.tick(10)
  t.expectSent(question('10.77.0.9'))
})

test('a dry frame pool is the same as a full ring', () => {
  const t = new Bench()
  while (t.device.frames.freeCount > 0) t.device.frames.alloc()
  assert.equal(t.input(0, {}), drops.ARP_NO_TX_SPACE)
  t.expectSent()
})

test('a flood of unknown addresses evicts no neighbour in use, and asks within its bounds', () => {
  const { t, entry } = Bench.withPeer({ capacity: 64 })
  for (let i = 0; i < 100_000; i++) {
    t.arp.lookup((ip('10.78.0.0') + i) | 0, 1 + Math.floor(i / 1000))
  }
  assert.ok(t.arp.holds(entry, ip(PEER)))
  assert.ok(t.device.takeSent().length <= 32, 'half of the entries, once each in 100 ms')
  assert.ok(t.arp.stats.refused > 99_000)
})

test('a flood of askers evicts no neighbour in use, and every asker is answered', () => {
  const { t, entry } = Bench.withPeer({ capacity: 8 })
  for (let i = 0; i < 100; i++) t.input(i, { senderIp: `10.78.0.${i + 1}` })
  assert.equal(t.device.takeSent().length, 100)
  assert.ok(t.arp.holds(entry, ip(PEER)))
})

test('when every entry is in use a new asker is answered but not learned', () => {
  const t = new Bench({ capacity: 8 })
  for (let i = 1; i <= 8; i++) {
    t.input(0, { senderIp: `10.78.0.${i}` })
    assert.notEqual(t.lookup(`10.78.0.${i}`, 0), NO_NEIGHBOUR)
  }
  assert.equal(t.input(1, {}), drops.ARP_TABLE_FULL)
  assert.equal(t.device.takeSent().length, 9)
  assert.equal(t.input(60_000, {}), drops.OK)
  assert.ok(t.arp.holds(t.lookup(PEER, 60_000), ip(PEER)))
})

test('an index kept for a neighbour does not hold for whoever has the entry next', () => {
  const { t, entry } = Bench.withPeer({ capacity: 8 })
  for (let i = 1; i <= 8; i++) {
    t.input(61_000, { senderIp: `10.78.0.${i}` })
    t.lookup(`10.78.0.${i}`, 61_000)
  }
  assert.equal(t.arp.holds(entry, ip(PEER)), false)
  assert.equal(t.arp.holds(NO_NEIGHBOUR, ip(PEER)), false)
})

test('the least recently used entry goes first', () => {
  const t = new Bench({ capacity: 8 })
  const order = [3, 1, 2, 5, 4, 8, 6, 7]
  for (const i of order) t.input(0, { senderIp: `10.78.0.${i}` })
  const entries = order.map((i, now) => t.lookup(`10.78.0.${i}`, now))
  t.lookup('10.78.0.3', 9)
  t.input(61_000, {})
  for (const [k, i] of order.entries()) {
    assert.equal(t.arp.holds(entries[k], ip(`10.78.0.${i}`)), i !== 1, `10.78.0.${i}`)
  }
})
