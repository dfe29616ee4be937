/** Invariant 8: no frame is built that the ring cannot take; what had no room is sent later. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { arpPacket } from '@sandstorm/libeth'
import { drops } from '../src/index.ts'
import {
  ackUpTo,
  advance,
  established,
  expectEmpty,
  expectSent,
  Host,
  segments,
  send,
  sendArp,
  write,
} from './kit/host.ts'
import { ACK, RST, SYN } from './kit/segment.ts'
import { testIpv4 } from './kit/version.ts'

test('with a ring of 8, ten segments go out as room comes, without a time-out', () => {
  const t = new Host({ ringSize: 8 })
  established(t)
  t.draining = false
  write(t, 14_600)
  t.drain()
  assert.equal(t.sent.length, 8)
  t.poll()
  t.drain()
  t.poll()
  t.draining = true
  t.poll()
  expectSent(t, [...segments(1, 9), 'P. 13141:14601 ack 1'])
  assert.equal(t.tcp.stats.timeouts, 0)
})

test('with a ring of 8, everything of 20 connections is sent in the end', () => {
  const t = new Host({ ringSize: 8 })
  t.app.doData = (c, len) => {
    t.tcp.commit(c, 3000)
    return len
  }
  for (let port = 1; port <= 20; port++) established(t, { port })
  t.draining = false
  for (let port = 1; port <= 20; port += 4) {
    for (let i = 0; i < 4; i++) {
      send(t, { flags: ACK, seq: 1, ack: 1, port: port + i, data: 100, poll: i === 3 })
    }
  }
  t.draining = true
  t.drain()
  for (let i = 0; i < 30; i++) t.poll()
  const bytes = t.take().reduce((sum, frame) => sum + (frame.segment?.data.length ?? 0), 0)
  assert.equal(bytes, 60_000)
  assert.equal(t.tcp.stats.timeouts, 0)
})

test('a SYN-ACK waits for room too', () => {
  const t = new Host({ ringSize: 2 })
  t.poll()
  t.draining = false
  for (let port = 1; port <= 5; port++) send(t, { flags: SYN, port })
  t.draining = true
  for (let i = 0; i < 8; i++) t.poll()
  assert.equal(t.take().length, 5)
  advance(t, 10)
  expectSent(t, [])
})

test('an RST that finds no room is left out', () => {
  const t = new Host({ ringSize: 2 })
  t.poll()
  t.draining = false
  for (let port = 1; port <= 4; port++) send(t, { flags: ACK, seq: 1, port })
  t.draining = true
  t.drain()
  t.poll()
  assert.equal(t.take().length, 2)
  expectEmpty(t)
})

test('with few frames, everything is sent as they come back, without a time-out', () => {
  const t = new Host({ frames: 3 })
  established(t)
  write(t, 14_600)
  for (let i = 0; i < 20; i++) t.poll()
  assert.equal(t.take().length, 10)
  assert.ok(t.app.busyCount > 0)
  assert.equal(t.tcp.stats.timeouts, 0)
})

test('a device that sends at once: nobody is left waiting when poll returns, though frames are few', () => {
  const t = new Host({ frames: 3 })
  established(t)
  // As a TAP does: what is flushed is sent, and the frames are back at once.
  const flush = t.device.flush.bind(t.device)
  t.device.flush = () => {
    flush()
    t.drain()
    t.wire.rx()
  }
  write(t, 14_600)
  assert.equal(t.take().length, 10)
})

testIpv4('an unknown neighbour is asked for, and answered when it is known', () => {
  const t = new Host({ resolved: false })
  send(t, { flags: SYN })
  expectSent(t, ['ARP, Request who-has 10.0.0.1 tell 10.0.0.2, length 28'])
  sendArp(t, arpPacket.REPLY)
  expectSent(t, ['S. 0 ack 1'])
})

testIpv4(
  'a neighbour that never answers: one request a second while it matters, then all is forgotten',
  () => {
    const t = new Host({ resolved: false, tcp: { backlog: 1 } })
    send(t, { flags: SYN })
    let requests = 0
    for (let second = 0; second < 70; second++) {
      // Other traffic keeps the stack busy.
      for (let i = 0; i < 10; i++) {
        advance(t, 100)
        t.poll()
      }
      const count = t.take().length
      assert.ok(count <= 2, `${count} requests in a second`)
      requests += count
    }
    assert.ok(requests > 3 && requests <= 66)
    expectEmpty(t)
    t.answersArp = true
    sendArp(t, arpPacket.REQUEST)
    t.take()
    send(t, { flags: SYN })
    expectSent(t, ['S. 0 ack 1'])
  },
)

test('a lost ARP request is repeated a second later, whatever asked for it', () => {
  const t = new Host({ resolved: false })
  send(t, { flags: SYN })
  t.take()
  const idle = t.stack.idleUs()
  assert.ok(idle > 0 && idle <= 1_000_000)
})

test('the table of neighbours moves with the peer: its new hardware address is used', () => {
  const t = new Host()
  established(t)
  t.link.srcLo = 0x77
  sendArp(t, arpPacket.REQUEST)
  write(t, 100)
  expectSent(t, ['P. 1:101 ack 1'])
  ackUpTo(t, 101)
  send(t, { flags: RST, seq: 1 })
  assert.equal(t.tcp.drops[drops.TCP_RST_IGNORED], 0)
  expectEmpty(t)
})

testIpv4(
  'progress shows that the neighbour is alive: a busy connection asks nothing of ARP',
  () => {
    const t = new Host()
    established(t)
    t.answersArp = false
    for (let second = 0; second < 300; second += 10) {
      write(t, 100)
      advance(t, 10)
      ackUpTo(t, second * 10 + 101)
      advance(t, 9990)
    }
    assert.ok(t.take().every(frame => frame.segment !== undefined))
    advance(t, 61_000)
    assert.match(t.take()[0].line, /^ARP, Request who-has 10.0.0.1/, 'silence does')
  },
)
