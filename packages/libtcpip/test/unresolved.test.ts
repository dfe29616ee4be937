/**
 * Half-open connections whose neighbour is not known cost nothing until it is (RFC 1122 §2.3.2.2).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { arpPacket } from '@sandstorm/libeth'
import { ipv4 } from '../src/index.ts'
import { UNRESOLVED_MAX } from '../src/tcp/path/unresolved.ts'
import { advance, established, expectEmpty, expectSent, Host, send, sendArp } from './kit/host.ts'
import { ACK, SYN } from './kit/segment.ts'

/** `count` SYNs from 250 addresses of our subnet that nobody answers for. */
function flood(t: Host, count: number): void {
  for (let i = 0; i < count; i++) {
    send(t, { flags: SYN, src: ipv4.parse(`10.0.0.${3 + (i % 250)}`), port: 1 + i })
  }
}

const config = { tcp: { maxConnections: 8192, backlog: 4000 }, resolved: false }

/** How often the stack has asked its neighbour table. */
function countLookups(t: Host): () => number {
  let lookups = 0
  const lookup = t.stack.arp.lookup.bind(t.stack.arp)
  t.stack.arp.lookup = (ip, nowMs) => {
    lookups++
    return lookup(ip, nowMs)
  }
  return () => lookups
}

test('a poll looks at none of those who wait, until an address becomes known', () => {
  const t = new Host(config)
  flood(t, 2000)
  const lookups = countLookups(t)
  for (let i = 0; i < 50; i++) t.poll()
  assert.equal(lookups(), 0)
  sendArp(t, arpPacket.REQUEST)
  assert.ok(lookups() >= 1 && lookups() <= UNRESOLVED_MAX, `${lookups()} lookups`)
})

test('a client in the midst of a flood gets its SYN-ACK as soon as ARP answers, and is served', () => {
  const t = new Host(config)
  flood(t, 1500)
  send(t, { flags: SYN })
  flood(t, 900)
  t.take()
  sendArp(t, arpPacket.REPLY)
  // A batch serves so many, and the next goes on at once.
  while (t.stack.idleUs() === 0) t.poll()
  expectSent(t, ['S. 0 ack 1'])
  send(t, { flags: ACK, seq: 1, ack: 1, data: 5 })
  assert.equal(t.state(), 'ESTABLISHED')
  expectSent(t, ['. 1 ack 6'])
})

test('whoever waited longest is left to its timer, which finds the address by then', () => {
  const t = new Host(config)
  send(t, { flags: SYN })
  flood(t, UNRESOLVED_MAX)
  t.take()
  t.answersArp = true
  sendArp(t, arpPacket.REQUEST)
  expectSent(t, [])
  advance(t, 1000)
  assert.ok(t.take().some(frame => frame.segment?.dstPort === 40000))
})

test('an established connection whose neighbour is lost does not weigh on every poll either', () => {
  const t = new Host()
  established(t)
  t.stack.arp.holds = () => false
  t.stack.arp.lookup = () => -1
  const lookups = countLookups(t)
  send(t, { flags: ACK, seq: 1, ack: 1, data: 5 })
  assert.equal(lookups(), 1)
  for (let i = 0; i < 20; i++) t.poll()
  assert.equal(lookups(), 1)
  Reflect.deleteProperty(t.stack.arp, 'holds')
  Reflect.deleteProperty(t.stack.arp, 'lookup')
  t.stack.arp.resolvedCount++
  t.poll()
  expectSent(t, ['. 1 ack 6'])
})

test('a TCB that is free, or has another owner, when an address becomes known is left alone', () => {
  const t = new Host({ resolved: false, tcp: { maxConnections: 8, maxSynAckRetries: 0 } })
  flood(t, 4)
  advance(t, 1100)
  assert.equal(t.tcp.pool.usedCount, 0)
  t.answersArp = true
  sendArp(t, arpPacket.REQUEST)
  t.take()
  expectEmpty(t)
  for (let port = 1; port <= 4; port++) send(t, { flags: SYN, port })
  assert.equal(t.take().length, 4)
  assert.equal(t.tcp.pool.usedCount, 4)
})
