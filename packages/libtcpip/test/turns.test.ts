/**
 * Long downloads take turns: no batch sends without bound, nobody is left out, and short answers do
 * not wait.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tcb } from '../src/index.ts'
import { established, Host, send } from './kit/host.ts'
import { ACK } from './kit/segment.ts'

const TURN_BYTES = 32 << 10
const RUN_BYTES = 64 << 10
const TURNS = 64
const WINDOW = 65_535

/** `count` connections from port 1 on, whose congestion windows are wide open. */
function open(count: number): Host {
  const t = new Host({ ringSize: 1024, frames: 1024, tcp: { maxConnections: 1024 } })
  for (let port = 1; port <= count; port++) {
    const c = established(t, { port, win: WINDOW })
    t.tcp.tcb[c + tcb.CWND] = 1 << 24
    t.tcp.tcb[c + tcb.SENT_AT] = t.tcp.nowMs // it is not idle
  }
  return t
}

/** All that the connection may send now, and more, is there for it. */
function fill(t: Host, port: number, bytes = 10 * WINDOW): void {
  t.tcp.commit(t.conn(port), bytes)
  t.tcp.addWork(t.conn(port), tcb.NEED_OUTPUT)
}

/** Polls, and tells how many bytes went to each port. */
function poll(t: Host): Map<number, number> {
  t.poll()
  const bytes = new Map<number, number>()
  for (const { segment } of t.take()) {
    if (segment === undefined) continue
    bytes.set(segment.dstPort, (bytes.get(segment.dstPort) ?? 0) + segment.data.length)
  }
  return bytes
}

const total = (bytes: Map<number, number>): number =>
  [...bytes.values()].reduce((sum, n) => sum + n, 0)

test('a batch sends so much and a turn more at most, and the next goes on at once', () => {
  const t = open(20)
  for (let port = 1; port <= 20; port++) fill(t, port)
  const sum = new Map<number, number>()
  let polls = 0
  for (; polls === 0 || t.stack.idleUs() === 0; polls++) {
    const bytes = poll(t)
    assert.ok(total(bytes) < TURN_BYTES + RUN_BYTES, `${total(bytes)} bytes in a batch`)
    for (const [port, n] of bytes) sum.set(port, (sum.get(port) ?? 0) + n)
  }
  // Each has sent what its window allows in whole segments, without another frame from anybody.
  for (let port = 1; port <= 20; port++) assert.ok(sum.get(port)! > WINDOW - 1460)
  assert.ok(polls >= Math.floor((20 * WINDOW) / (TURN_BYTES + RUN_BYTES)), `${polls} batches`)
  assert.equal(t.tcp.stats.timeouts, 0)
})

test('nobody has a second turn before everybody has had one', () => {
  const t = open(20)
  const all = Array.from({ length: 20 }, (_, i) => i + 1)
  for (const port of all) fill(t, port)
  const turns: number[] = []
  do {
    t.poll()
    for (const { segment } of t.take()) {
      if (segment!.dstPort !== turns.at(-1)) turns.push(segment!.dstPort)
    }
  } while (t.stack.idleUs() === 0)
  assert.deepEqual(turns, [...all, ...all])
})

test('who waits for a turn does not wait for the peer’s window', () => {
  const t = open(20)
  for (let port = 1; port <= 20; port++) {
    t.tcp.commit(t.conn(port), 10 * WINDOW)
    send(t, { flags: ACK, seq: 1, ack: 1, port, poll: false })
  }
  const served = poll(t)
  assert.ok(served.size < 20)
  for (let port = 1; port <= 20; port++) {
    const flags = t.tcp.tcb[t.conn(port) + tcb.FLAGS]
    assert.equal(flags & tcb.PERSIST, 0)
    assert.equal((flags & tcb.RTX_ARMED) !== 0, served.has(port))
  }
})

test('an ACK gives no turn before those who wait', () => {
  const t = open(20)
  for (let port = 1; port <= 20; port++) fill(t, port)
  const first = poll(t)
  assert.ok(first.has(1) && !first.has(20))
  const acked = 1 + first.get(1)!
  send(t, { flags: ACK, seq: 1, ack: acked, port: 1, poll: false })
  const second = poll(t)
  assert.ok(second.has(2) && !second.has(1), `ports ${[...second.keys()]}`)
})

test('a short answer goes out in the batch that brings its request, whoever waits', () => {
  const t = open(21)
  t.app.doData = (c, len) => {
    t.tcp.commit(c, 22_528)
    return len
  }
  for (let port = 1; port <= 20; port++) fill(t, port)
  poll(t)
  send(t, { flags: ACK, seq: 1, ack: 1, port: 21, data: 100, poll: false })
  const bytes = poll(t)
  assert.equal(bytes.get(21), 22_528)
  assert.ok(total(bytes) < TURN_BYTES + 22_528 + RUN_BYTES)
})

test('short answers that found the ring full all go out in the next batch: they are no turns', () => {
  const t = open(40)
  for (let port = 1; port <= 20; port++) fill(t, port, 22_528)
  for (let port = 21; port <= 40; port++) fill(t, port)
  const bytes = poll(t)
  for (let port = 1; port <= 20; port++) assert.equal(bytes.get(port), 22_528)
  assert.ok(total(bytes) < 20 * 22_528 + TURN_BYTES + RUN_BYTES)
})

test('what is sent between two batches counts for the second', () => {
  const t = open(20)
  for (let port = 1; port <= 20; port++) fill(t, port)
  t.poll()
  for (let i = 0; i < 20; i++) {
    t.tcp.batchLeft -= TURN_BYTES / 20
  }
  t.take()
  assert.equal(total(poll(t)), 0)
  assert.equal(t.stack.idleUs(), 0)
  assert.ok(total(poll(t)) >= TURN_BYTES)
})

test('of very many with little to send a batch serves some, and the next goes on at once', () => {
  const t = open(1000)
  for (let port = 1; port <= 1000; port++) fill(t, port, 100)
  const sum = new Map<number, number>()
  let polls = 0
  for (; polls === 0 || t.stack.idleUs() === 0; polls++) {
    const bytes = poll(t)
    assert.ok(bytes.size <= TURNS, `${bytes.size} in a batch`)
    for (const [port, n] of bytes) sum.set(port, (sum.get(port) ?? 0) + n)
  }
  assert.equal(polls, Math.ceil(1000 / TURNS))
  for (let port = 1; port <= 1000; port++) assert.equal(sum.get(port), 100)
})
