/**
 * Connections of a stack that died: the one that inherits them tells their peers, who may be
 * waiting for data and would never ask (orphans.ts).
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { arpPacket } from '@sandstorm/libeth'
import { abort, tcb } from '../src/index.ts'
import {
  ackUpTo,
  advance,
  close,
  established,
  expectEmpty,
  expectSent,
  Host,
  type HostOptions,
  send,
  sendArp,
  write,
} from './kit/host.ts'
import { ACK, RST, SYN } from './kit/segment.ts'

const CONNECTIONS = 2048
const SMALL = { tcp: { maxConnections: CONNECTIONS } }
const newTcbs = (): SharedArrayBuffer => new SharedArrayBuffer(tcb.TcbPool.bytesFor(CONNECTIONS))

interface Dying {
  readonly t: Host
  readonly tcbs: SharedArrayBuffer
}

function dying(options: HostOptions = {}): Dying {
  const tcbs = newTcbs()
  return { t: new Host({ ...SMALL, ...options, tcbs }), tcbs }
}

/** A stack in its place, whose peer has the same connections. */
function successor({ t: dead, tcbs }: Dying, options: HostOptions = {}): Host {
  const t = new Host({ ...SMALL, ...options, nowUs: dead.nowUs + 500_000, seed: 2 })
  for (const [port, iss] of dead.issOf) t.issOf.set(port, iss)
  t.stack.inherit(tcbs)
  return t
}

for (const ipVersion of [4, 6] as const) {
  describe(`orphans, over IPv${ipVersion}`, () => {
    test('one that waits, and one that is being sent to, are reset once each', () => {
      const before = dying({ ipVersion })
      established(before.t)
      established(before.t, { port: 2000 })
      send(before.t, { flags: ACK, seq: 1, ack: 1, data: 10, port: 2000 })
      write(before.t, 3000, 2000)
      before.t.take()
      const t = successor(before, { ipVersion })
      t.poll()
      expectSent(t, ['R. 1 ack 1', 'R. 3001 ack 11'])
      assert.equal(t.tcp.stats.outRsts, 2)
      advance(t, 10_000)
      expectSent(t, [])
      expectEmpty(t)
    })

    test('a first hop that is not known is asked for, and they are told when it answers', () => {
      const before = dying({ ipVersion })
      established(before.t)
      const t = successor(before, { ipVersion, resolved: false })
      t.poll()
      assert.equal(t.take().filter(({ segment }) => segment !== undefined).length, 0)
      sendArp(t, arpPacket.REPLY)
      assert.ok(t.stack.idleUs() > 0 && t.stack.idleUs() <= 100_000)
      advance(t, 100)
      const rsts = t.take().filter(({ segment }) => segment !== undefined)
      assert.equal(rsts.length, 1)
      assert.equal(t.last.flags, RST | ACK)
    })

    test('who has an address of nobody’s is given up after a second', () => {
      const before = dying({ ipVersion })
      established(before.t)
      const t = successor(before, { ipVersion, resolved: false })
      advance(t, 1000)
      sendArp(t, arpPacket.REPLY)
      t.take()
      advance(t, 5000)
      assert.deepEqual(
        t.take().filter(({ segment }) => segment !== undefined),
        [],
      )
    })
  })
}

test('where answers go back to the station of the request, orphans’ do', () => {
  const before = dying({ sharesAddresses: true, resolved: false })
  established(before.t)
  const t = successor(before, { sharesAddresses: true, resolved: false })
  t.poll()
  expectSent(t, ['R. 1 ack 1'])
})

test('half-open ones, closed ones and those that ended are left alone', () => {
  const before = dying()
  for (const port of [1001, 1002, 1003]) established(before.t, { port })
  send(before.t, { flags: SYN, port: 1000 })
  abort(before.t.tcp, before.t.conn(1001))
  send(before.t, { flags: RST, seq: 1, port: 1002 })
  close(before.t, 1003)
  const t = successor(before)
  t.poll()
  expectSent(t, ['R. 2 ack 1'])
})

test('what was sent and never left: the peer’s challenge ACK gets the right RST', () => {
  const before = dying()
  established(before.t)
  write(before.t, 5000)
  before.t.take()
  const t = successor(before)
  t.poll()
  expectSent(t, ['R. 5001 ack 1'])
  ackUpTo(t, 1)
  expectSent(t, ['R 1'])
})

test('many are reset a few in each batch, whatever the ring has room for, and none is left out', () => {
  const before = dying()
  for (let i = 0; i < 1000; i++) established(before.t, { port: 1000 + i })
  before.t.take()
  const t = successor(before, { ringSize: 32 })
  const ports = new Set<number>()
  let batches = 0
  while (t.stack.idleUs() === 0) {
    t.poll()
    const sent = t.take()
    assert.ok(sent.length <= 64)
    for (const { segment } of sent) if (segment !== undefined) ports.add(segment.dstPort)
    batches++
  }
  assert.equal(ports.size, 1000)
  assert.ok(batches >= 1000 / 64)
  assert.equal(t.tcp.stats.outRsts, 1000)
})

test('meanwhile new connections come and are served', () => {
  const before = dying()
  for (let i = 0; i < 300; i++) established(before.t, { port: 1000 + i })
  before.t.take()
  const t = successor(before)
  established(t, { port: 900 })
  send(t, { flags: ACK, seq: 1, ack: 1, data: 5, port: 900 })
  assert.equal(t.state(900), 'ESTABLISHED')
  while (t.stack.idleUs() === 0) t.poll()
  assert.equal(t.state(900), 'ESTABLISHED')
  assert.equal(t.tcp.stats.outRsts, 300)
})

test('who is back with the same ports keeps the new connection', () => {
  const before = dying()
  established(before.t)
  established(before.t, { port: 2000 })
  const t = successor(before)
  send(t, { flags: SYN, seq: 1000, port: 2000 })
  assert.equal(t.state(2000), 'SYN-RECEIVED')
  t.poll()
  assert.equal(t.tcp.stats.outRsts, 1)
  assert.equal(t.take().filter(({ segment }) => segment?.flags === (RST | ACK)).length, 1)
})

test('memory of another size is refused', () => {
  assert.throws(() => new Host({ ...SMALL, tcbs: new SharedArrayBuffer(208) }), /as much memory/)
})
