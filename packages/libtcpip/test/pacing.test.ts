/** Pacing (RFC 9002 §7.7): bursts of a millisecond's worth, and never fewer than two segments. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cubic, tcb } from '../src/index.ts'
import {
  ackUpTo,
  advance,
  close,
  established,
  expectEmpty,
  expectSent,
  Host,
  type HostOptions,
  segments,
  send,
  write,
} from './kit/host.ts'
import { ACK, RST } from './kit/segment.ts'
import { type Result, Simulation, type SimulationOptions } from './netsim/run.ts'

const MSS = 1000
const RTT_MS = 100

/** An open connection that paces, over a path of 100 ms. */
function open(options: HostOptions = {}, rttMs = RTT_MS): Host {
  const t = new Host({ ...options, tcp: { pacing: true, ...options.tcp } })
  established(t, { mss: MSS, rttMs, win: 1 << 20, wscale: 7 })
  return t
}

const ack = (t: Host, upTo: number): void => ackUpTo(t, upTo, (1 << 20) >> 7)

/** As if the connection were busy with a congestion window of so many segments. */
function setWindow(t: Host, count: number): void {
  t.tcp.tcb[t.conn() + tcb.CWND] = count * MSS
  t.tcp.tcb[t.conn() + tcb.SENT_AT] = t.tcp.nowMs
}

/** How many segments leave in each of the coming milliseconds in which any does. */
function leaving(t: Host, ms: number): [afterMs: number, count: number][] {
  const bursts: [number, number][] = []
  for (let after = 0; after <= ms; after++) {
    if (after > 0) advance(t, 1)
    const count = t.take().length
    if (count > 0) bursts.push([after, count])
  }
  return bursts
}

test('the initial window leaves at once, as without pacing', () => {
  const t = open()
  write(t, 1_000_000)
  assert.deepEqual(leaving(t, 50), [[0, 10]])
})

test('in slow start what ACKs let out leaves at twice the window per round trip', () => {
  const t = open()
  write(t, 1_000_000)
  advance(t, RTT_MS)
  t.take()
  // CWND is 15 segments, of which 5 are out: 0.3 segments a millisecond, two of them late already.
  ack(t, 5001)
  assert.equal(t.field(tcb.CWND), 15 * MSS)
  assert.deepEqual(leaving(t, 50), [
    [0, 2],
    [5, 2],
    [12, 2],
    [18, 2],
    [25, 2],
  ])
  assert.equal(t.tcp.stats.pacingDelays, 4)
})

test('another timer of the connection does not make it forget the time of its next burst', () => {
  const t = open({ tcp: { delayedAckMs: 3 } })
  write(t, 1_000_000)
  advance(t, RTT_MS)
  t.take()
  ack(t, 5001)
  send(t, { flags: ACK, seq: 1, ack: 5001, win: (1 << 20) >> 7, data: 10 })
  // The ACK of those ten bytes is alone, for the next burst comes too late to take it along.
  assert.deepEqual(leaving(t, 7), [
    [0, 2],
    [3, 1],
    [5, 2],
  ])
})

test('in congestion avoidance it is 1.2 times the window', () => {
  const t = open()
  t.tcp.tcb[t.conn() + tcb.SSTHRESH] = 10 * MSS
  write(t, 1_000_000)
  advance(t, RTT_MS)
  t.take()
  ack(t, 10_001)
  assert.equal(t.field(tcb.CWND), 11 * MSS)
  // The flight was over, so a new one begins with an initial window.
  assert.deepEqual(leaving(t, 90), [
    [0, 10],
    [76, 1],
  ])
})

test('a burst is a millisecond of the rate where that is more than two segments', () => {
  const t = open({}, 10)
  setWindow(t, 100)
  write(t, 1_000_000)
  // 20 segments a millisecond
  assert.deepEqual(leaving(t, 8), [
    [0, 20],
    [1, 20],
    [2, 20],
    [3, 20],
    [4, 20],
  ])
})

test('on a path of less than a millisecond the window is one burst', () => {
  const t = open({}, 1)
  t.tcp.tcb[t.conn() + tcb.SRTT_US] = 200
  setWindow(t, 30)
  write(t, 1_000_000)
  assert.deepEqual(leaving(t, 1), [[0, 30]])
  assert.equal(t.tcp.stats.pacingDelays, 0)
})

test('before a round trip was measured nothing is held back', () => {
  const t = new Host({ tcp: { pacing: true } })
  established(t, { mss: MSS })
  t.tcp.tcb[t.conn() + tcb.SRTT_US] = 0
  setWindow(t, 30)
  write(t, 1_000_000)
  assert.deepEqual(leaving(t, 1), [[0, 30]])
})

test('a window that was shut for longer than half a turn of the clock holds nothing back', () => {
  const t = open()
  write(t, 1_000_000)
  advance(t, RTT_MS)
  ackUpTo(t, 10_001, 0)
  t.take()
  for (let minutes = 0; minutes < 50; minutes++) {
    for (let second = 0; second < 60; second++) advance(t, 1000)
    ackUpTo(t, 10_001, 0)
    t.take()
  }
  ack(t, 10_001)
  assert.equal(leaving(t, 0)[0][1] >= 1, true)
  assert.equal(t.tcp.stats.pacingDelays, 0)
})

test('the first repair of a loss leaves with the ACK that tells of it', () => {
  const t = open()
  write(t, 1_000_000)
  advance(t, RTT_MS)
  ack(t, 1001)
  t.take()
  for (let i = 0; i < 2; i++) ack(t, 1001)
  // Limited transmit has been held back, for the burst has left with the first ACK.
  expectSent(t, [])
  ack(t, 1001)
  expectSent(t, segments(1001, 1, MSS))
})

test('what waits for its time ends with the connection', () => {
  for (const end of ['reset', 'closed'] as const) {
    const t = open()
    write(t, 20 * MSS)
    advance(t, RTT_MS)
    ack(t, 5001)
    assert.notEqual(t.field(tcb.FLAGS) & tcb.PACED, 0)
    if (end === 'reset') {
      send(t, { flags: RST, seq: 1 })
    } else {
      close(t)
      advance(t, RTT_MS)
      ack(t, 20_002)
      assert.equal(t.state(), 'FIN-WAIT-2')
      advance(t, 60_000)
    }
    expectEmpty(t)
  }
})

/** 100 Mbit/s, 100 ms there and back; the window of the client is a megabyte. */
function overLongPath(options: SimulationOptions): { result: Result; bursts: number[] } {
  const path = { bytesPerSecond: 12_500_000, delayUs: 50_000 }
  const simulation = new Simulation({
    congestion: new Cubic(),
    flows: [{ bytes: 8_000_000, buffer: 1 << 20 }],
    ...options,
    forward: { ...path, ...options.forward },
    back: path,
  })
  const bursts: number[] = []
  let atUs = -1
  simulation.onSegment = segment => {
    if (segment.atUs === atUs) bursts[bursts.length - 1]++
    else bursts.push(1)
    atUs = segment.atUs
  }
  return { result: simulation.run(), bursts }
}

/** What a short queue does to slow start, with bursts and without. */
function bothWays(queueBytes: number): { result: Result; bursts: number[] }[] {
  return [false, true].map(pacing => overLongPath({ pacing, forward: { queueBytes } }))
}

test('a router that can hold a fortieth of what the path does is enough for slow start', () => {
  const [bursty, smooth] = bothWays(32_000)
  assert.ok(smooth.result.goodput > 3 * bursty.result.goodput)
  assert.equal(smooth.result.timeouts, 0)
})

test('no burst is larger than an initial window, and nothing is lost where bursts are', () => {
  const [bursty, smooth] = bothWays(256_000)
  assert.ok(Math.max(...bursty.bursts) > 100 && bursty.result.retransmissions > 100)
  assert.ok(Math.max(...smooth.bursts) <= 10)
  assert.equal(smooth.result.retransmissions, 0)
  assert.ok(smooth.result.goodput > bursty.result.goodput)
})
