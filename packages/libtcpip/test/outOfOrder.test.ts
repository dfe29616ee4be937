/**
 * Segments before their predecessors (RFC 9293 §3.10.7.4, SHLD-31): they wait, every byte arrives
 * once and in order, the first copy of a byte is the one that counts, and whatever a peer sends,
 * what waits is bounded (CVE-2018-5390).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FramePool, Region } from '@sandstorm/libnmio'
import { abort, drops, tcb } from '../src/index.ts'
import { NO_PIECE, PIECES_PER_CONNECTION, Reassembly } from '../src/tcp/reassembly.ts'
import { advance, close, established, expectEmpty, expectSent, Host, send } from './kit/host.ts'
import { Random } from './kit/random.ts'
import { ACK, FIN, RST } from './kit/segment.ts'

/** Bytes [from, to) of a stream whose every byte tells where it is, and from which copy (0 … 7). */
const bytes = (from: number, to: number, copy = 0): Uint8Array =>
  Uint8Array.from({ length: to - from }, (_, i) => (((from + i) & 31) << 3) | copy)

/** The peer sends bytes [from, to), and a FIN behind them if `fin`. */
const sendBytes = (t: Host, from: number, to: number, fin = false, copy = 0): void =>
  send(t, { flags: fin ? ACK | FIN : ACK, seq: from, ack: 1, data: bytes(from, to, copy) })

function permutations(of: number[]): number[][] {
  if (of.length <= 1) return [of]
  return of.flatMap(first =>
    permutations(of.filter(n => n !== first)).map(rest => [first, ...rest]),
  )
}

function ended(t: Host): void {
  if (t.conn() >= 0) send(t, { flags: RST, seq: (t.field(tcb.RCV_NXT) - t.irs) | 0 })
  advance(t, 100_000)
  expectEmpty(t)
}

for (const irs of [5000, 0x7fffffff - 20, -20]) {
  test(`every order of five segments and a FIN, first byte ${(irs + 1) >>> 0}: whole and in order`, () => {
    for (const order of permutations([0, 1, 2, 3, 4])) {
      const t = new Host({ irs })
      established(t)
      const arrived = new Set<number>()
      for (const k of order) {
        sendBytes(t, 1 + k * 10, 11 + k * 10, k === 4)
        arrived.add(k)
        let next = 0
        while (arrived.has(next)) next++
        expectSent(t, [`. 1 ack ${next === 5 ? 52 : 1 + next * 10}`])
      }
      assert.deepEqual(t.app.received, [...bytes(1, 51)], order.join())
      assert.equal(t.app.events.at(-1), 'fin')
      assert.equal(t.tcp.drops[drops.TCP_OUT_OF_ORDER], 0)
      assert.equal(t.tcp.reassembly.usedCount, 0)
      ended(t)
    }
  })
}

test('every overlap of two segments, and of both with what fills the hole: the first copy counts', () => {
  const [from, to] = [11, 21]
  for (let start = 7; start <= 25; start++) {
    for (let end = start + 1; end <= 27; end++) {
      const t = new Host()
      established(t)
      sendBytes(t, from, to, false, 1)
      sendBytes(t, start, end, false, 2)
      // One segment fills every hole and covers everything.
      sendBytes(t, 1, 31, true, 3)
      const expected = bytes(1, 31, 3)
      expected.set(bytes(start, end, 2), start - 1)
      expected.set(bytes(from, to, 1), from - 1)
      assert.deepEqual(t.app.received, [...expected], `${start} to ${end}`)
      assert.equal(t.state(), 'CLOSE-WAIT')
      expectSent(t, ['. 1 ack 1', '. 1 ack 1', '. 1 ack 32'])
      ended(t)
    }
  }
})

/** What a receiver without bounds would do, byte by byte. */
class Twin {
  readonly bytes: Map<number, number> = new Map()
  readonly received: number[] = []
  next = 1
  finAt = -1

  arrive(from: number, data: Uint8Array, fin: boolean): void {
    for (let i = 0; i < data.length; i++) {
      if (!this.bytes.has(from + i)) this.bytes.set(from + i, data[i])
    }
    if (fin) this.finAt = from + data.length
    for (; this.bytes.has(this.next); this.next++) {
      this.received.push(this.bytes.get(this.next) ?? -1)
    }
    if (this.next === this.finAt) this.next++
  }
}

test('random arrivals equal those of a naive twin, after each segment', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed)
    const t = new Host({ irs: random.int32(), tcp: { receiveWindow: 2000 } })
    established(t)
    const twin = new Twin()
    const length = 500 + random.below(1000)
    for (let i = 0; twin.next <= length + 1; i++) {
      assert.ok(i < 5000, 'it ends')
      const near = twin.next - 20 + random.below(random.chance(0.2) ? 600 : 150)
      const from = Math.max(1, Math.min(near, length + 1))
      const to = Math.min(from + random.below(90), length + 1)
      const fin = to === length + 1 && random.chance(0.5)
      if (from === to && !fin) continue
      const data = bytes(from, to, i & 7)
      send(t, { flags: fin ? ACK | FIN : ACK, seq: from, ack: 1, data })
      twin.arrive(from, data, fin)
      assert.equal((t.field(tcb.RCV_NXT) - t.irs) | 0, twin.next, `seed ${seed}, step ${i}`)
    }
    assert.deepEqual(t.app.received, twin.received)
    assert.equal(t.tcp.drops[drops.TCP_OUT_OF_ORDER], 0)
    assert.equal(t.state(), 'CLOSE-WAIT')
    ended(t)
  }
})

test('a FIN that came alone, or before its data, counts when all before it is there', () => {
  const t = new Host()
  established(t)
  send(t, { flags: ACK | FIN, seq: 21, ack: 1 })
  sendBytes(t, 11, 21)
  expectSent(t, ['. 1 ack 1', '. 1 ack 1'])
  assert.equal(t.state(), 'ESTABLISHED')
  sendBytes(t, 1, 11)
  expectSent(t, ['. 1 ack 22'])
  assert.deepEqual(t.app.events.slice(-3), ['data 10', 'data 10', 'fin'])
  ended(t)
})

test('what follows a FIN is not delivered', () => {
  const t = new Host()
  established(t)
  sendBytes(t, 30, 40)
  sendBytes(t, 11, 21, true)
  sendBytes(t, 22, 30)
  sendBytes(t, 1, 11)
  assert.deepEqual(t.app.received, [...bytes(1, 21)])
  assert.equal(t.state(), 'CLOSE-WAIT')
  assert.equal(t.tcp.reassembly.usedCount, 0)
  ended(t)
})

test('after our close what comes out of order is still put in order', () => {
  const t = new Host()
  established(t)
  close(t)
  t.take()
  send(t, { flags: ACK, seq: 1, ack: 2 })
  send(t, { flags: ACK | FIN, seq: 11, ack: 2, data: bytes(11, 21) })
  assert.equal(t.state(), 'FIN-WAIT-2')
  send(t, { flags: ACK, seq: 1, ack: 2, data: bytes(1, 11) })
  assert.equal(t.app.received.length, 20)
  assert.equal(t.tcp.timeWait.count, 1)
  ended(t)
})

test('segments that follow each other share a frame while it has room', () => {
  const t = new Host()
  established(t)
  for (let at = 101; at < 1901; at += 100) sendBytes(t, at, at + 100)
  assert.equal(t.tcp.reassembly.usedCount, 1)
  sendBytes(t, 1901, 2100)
  assert.equal(t.tcp.reassembly.usedCount, 2)
  sendBytes(t, 1, 101)
  assert.deepEqual(t.app.received, [...bytes(1, 2100)])
  ended(t)
})

test('a segment larger than a frame waits in several', () => {
  const region = new Region(1 << 18)
  const frames = new FramePool(region, 64)
  const queue = new Reassembly(frames, 8)
  const table = new Int32Array(tcb.TCB_STRIDE)
  table[tcb.OUT_OF_ORDER] = NO_PIECE
  const from = region.reserve(5000, 8)
  region.bytes.set(bytes(0, 5000), from)
  assert.ok(queue.insert(table, 0, -100, from, 5000, 1))
  assert.equal(queue.usedCount, 3)
  const read: number[] = []
  let next = -100
  for (;;) {
    const piece = queue.take(table, 0, next)
    if (piece === NO_PIECE) break
    const off = queue.off(piece)
    read.push(...region.bytes.subarray(off, off + queue.bytes(piece)))
    next = (next + queue.bytes(piece) + queue.fin(piece)) | 0
    queue.free(piece)
  }
  assert.equal(next, 4901)
  assert.deepEqual(read, [...bytes(0, 5000)])
  assert.equal(frames.freeCount, 64)
})

test('of what waited, the application may take less: that much is acknowledged, the rest comes again', () => {
  const t = new Host()
  established(t)
  sendBytes(t, 21, 31)
  sendBytes(t, 41, 51)
  t.take()
  let limit = 25
  t.app.doData = (_c, len) => {
    const taken = Math.min(len, limit)
    limit -= taken
    return taken
  }
  sendBytes(t, 1, 21)
  assert.equal((t.field(tcb.RCV_NXT) - t.irs) | 0, 26)
  assert.equal(t.last.ack, (t.irs + 26) | 0)
  limit = 1000
  sendBytes(t, 26, 41)
  assert.deepEqual(t.app.received, [...bytes(1, 51)])
  ended(t)
})

test('the application may end the connection while what waited is delivered', () => {
  const t = new Host()
  established(t)
  for (const from of [21, 41, 61]) sendBytes(t, from, from + 20)
  let count = 0
  t.app.doData = (c, len) => {
    if (++count === 2) abort(t.tcp, c)
    return len
  }
  sendBytes(t, 1, 21)
  assert.equal(count, 2)
  assert.equal(t.last.flags, RST | ACK)
  ended(t)
})

test('each segment out of order is acknowledged by itself, even in one batch (RFC 5681 §4.2)', () => {
  const t = new Host()
  established(t)
  for (const from of [11, 21, 31]) {
    send(t, { flags: ACK, seq: from, ack: 1, data: 10, poll: false })
  }
  t.poll()
  expectSent(t, ['. 1 ack 1', '. 1 ack 1', '. 1 ack 1'])
  assert.equal(t.tcp.stats.outOfOrderSegs, 3)
})

test('an ACK that finds the ring full is not forgotten', () => {
  const t = new Host({ ringSize: 2 })
  established(t)
  t.poll()
  t.draining = false
  for (const from of [11, 21, 31]) sendBytes(t, from, from + 10)
  assert.equal(t.tcp.workHead, t.conn())
  t.draining = true
  t.drain()
  t.poll()
  expectSent(t, ['. 1 ack 1', '. 1 ack 1', '. 1 ack 1'])
})

test('nothing beyond the advertised window is kept', () => {
  const t = new Host({ tcp: { receiveWindow: 1000 } })
  established(t)
  sendBytes(t, 991, 1100, true)
  sendBytes(t, 1001, 1010)
  sendBytes(t, 1, 991)
  assert.equal(t.app.received.length, 1000)
  assert.equal(t.state(), 'ESTABLISHED')
  ended(t)
})

test('every other byte: a connection keeps a bounded number of pieces, the rest is counted', () => {
  const t = new Host()
  established(t)
  for (let at = 3; at < 1003; at += 2) sendBytes(t, at, at + 1)
  assert.equal(t.tcp.reassembly.usedCount, PIECES_PER_CONNECTION)
  assert.equal(t.tcp.stats.outOfOrderSegs, PIECES_PER_CONNECTION)
  assert.equal(t.tcp.drops[drops.TCP_OUT_OF_ORDER], 500 - PIECES_PER_CONNECTION)
  assert.equal(t.sent.length, 500, 'each is answered')
  // The stream arrives all the same.
  for (let at = 1; at < 1001; at += 100) sendBytes(t, at, at + 100)
  assert.deepEqual(t.app.received.slice(0, 1000), [...bytes(1, 1001)])
  ended(t)
})

test('many connections with holes: all together are bounded, sending goes on, all frames come back', () => {
  for (const outOfOrderFrames of [0, 400]) {
    const t = new Host({ tcp: { outOfOrderFrames } })
    const { frames } = t.stack
    for (let port = 1; port <= 20; port++) established(t, { port })
    for (let at = 3; at < 83; at += 2) {
      for (let port = 1; port <= 20; port++) {
        send(t, { flags: ACK, seq: at, ack: 1, port, data: 1 })
      }
    }
    t.poll()
    const { reassembly } = t.tcp
    if (outOfOrderFrames === 0) assert.equal(reassembly.usedCount, frames.capacity / 8)
    assert.ok(frames.freeCount >= 128, `${frames.freeCount} frames are left for sending`)
    assert.equal(reassembly.usedCount + frames.freeCount, frames.capacity)
    assert.ok(t.tcp.drops[drops.TCP_OUT_OF_ORDER] > 0)
    t.take()
    t.app.doData = (c, len) => {
      t.tcp.commit(c, 1000)
      return len
    }
    send(t, { flags: ACK, seq: 1, ack: 1, port: 20, data: 1 })
    assert.equal(t.last.data.length, 1000)
    for (let port = 1; port <= 20; port++) {
      send(t, { flags: RST, seq: port === 20 ? 2 : 1, port })
    }
    expectEmpty(t)
  }
})

test('a connection that is given up gives back what waited', () => {
  const t = new Host()
  const c = established(t)
  sendBytes(t, 11, 21)
  t.tcp.setAppTimer(c, 1000)
  t.app.doTimeout = () => abort(t.tcp, c)
  advance(t, 1001)
  expectEmpty(t)
})
