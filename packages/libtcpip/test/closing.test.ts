/** Every way a connection ends (RFC 9293 §3.6, §3.10.7.4, Figure 5; RFC 1337). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { abort, drops, tcb } from '../src/index.ts'
import {
  advance,
  close,
  established,
  expectEmpty,
  expectSent,
  Host,
  PEER_PORT,
  send,
  write,
} from './kit/host.ts'
import { ACK, FIN, PSH, RST, SYN } from './kit/segment.ts'

/** A host in TIME-WAIT: both FINs are number 1. */
function waiting(options: ConstructorParameters<typeof Host>[0] = {}): Host {
  const t = new Host(options)
  established(t)
  close(t)
  send(t, { flags: ACK | FIN, seq: 1, ack: 2 })
  assert.equal(t.tcp.timeWait.count, 1)
  assert.equal(t.state(), 'none')
  t.take()
  return t
}

test('we close first: FIN, ACK, FIN, ACK, and TIME-WAIT for 60 s', () => {
  const t = new Host()
  established(t)
  close(t)
  expectSent(t, ['F. 1 ack 1'])
  assert.equal(t.state(), 'FIN-WAIT-1')
  send(t, { flags: ACK, seq: 1, ack: 2 })
  assert.equal(t.state(), 'FIN-WAIT-2')
  send(t, { flags: ACK | FIN, seq: 1, ack: 2 })
  expectSent(t, ['. 2 ack 2'])
  assert.equal(t.state(), 'none')
  assert.equal(t.tcp.timeWait.count, 1)
  assert.deepEqual(t.app.events, ['open', 'acked 1', 'closed'])
  expectEmpty(t)
  advance(t, 59_999)
  assert.equal(t.tcp.timeWait.count, 1)
  advance(t, 1)
  assert.equal(t.tcp.timeWait.count, 0)
  assert.equal(t.stack.idleUs() < 0 || t.stack.idleUs() > 0, true)
})

test('we close first, the FIN comes with the ACK of ours', () => {
  const t = waiting()
  assert.deepEqual(t.app.events, ['open', 'acked 1', 'closed'])
})

test('the peer closes first, we close at once', () => {
  const t = new Host()
  t.app.doFin = c => t.tcp.close(c)
  established(t)
  send(t, { flags: ACK | FIN, seq: 1, ack: 1 })
  expectSent(t, ['F. 1 ack 2'])
  assert.equal(t.state(), 'LAST-ACK')
  send(t, { flags: ACK, seq: 2, ack: 2 })
  assert.equal(t.state(), 'none')
  assert.equal(t.tcp.timeWait.count, 0)
  assert.deepEqual(t.app.events, ['open', 'fin', 'acked 1', 'closed'])
  expectEmpty(t)
})

test('the peer closes first, our data and FIN follow (half-close)', () => {
  const t = new Host()
  established(t)
  send(t, { flags: ACK | FIN, seq: 1, ack: 1, data: 10 })
  expectSent(t, ['. 1 ack 12'])
  assert.equal(t.state(), 'CLOSE-WAIT')
  write(t, 2000)
  expectSent(t, ['. 1:1461 ack 12', 'P. 1461:2001 ack 12'])
  send(t, { flags: ACK, seq: 12, ack: 2001 })
  write(t, 10)
  close(t)
  expectSent(t, ['P. 2001:2011 ack 12', 'F. 2011 ack 12'])
  send(t, { flags: ACK, seq: 12, ack: 2012 })
  assert.equal(t.state(), 'none')
  expectEmpty(t)
})

test('we close first, the peer goes on sending (half-close)', () => {
  const t = new Host()
  established(t)
  close(t)
  send(t, { flags: ACK, seq: 1, ack: 2 })
  t.take()
  for (let i = 0; i < 5; i++) send(t, { flags: ACK, seq: 1 + i * 100, ack: 2, data: 100 })
  assert.equal(t.app.received.length, 500)
  t.take()
  send(t, { flags: ACK | FIN, seq: 501, ack: 2, data: 1 })
  expectSent(t, ['. 2 ack 503'])
  expectEmpty(t)
})

test('the FIN rides on the last data segment', () => {
  const t = new Host()
  t.app.doData = (c, len) => {
    t.tcp.commit(c, 2000)
    t.tcp.close(c)
    return len
  }
  established(t)
  send(t, { flags: ACK | PSH, seq: 1, ack: 1, data: 10 })
  expectSent(t, ['. 1:1461 ack 11', 'FP. 1461:2001 ack 11'])
})

test('both close at once: CLOSING, then TIME-WAIT', () => {
  const t = new Host()
  established(t)
  close(t)
  send(t, { flags: ACK | FIN, seq: 1, ack: 1 })
  expectSent(t, ['F. 1 ack 1', '. 2 ack 2'])
  assert.equal(t.state(), 'CLOSING')
  send(t, { flags: ACK, seq: 2, ack: 2 })
  assert.equal(t.state(), 'none')
  assert.equal(t.tcp.timeWait.count, 1)
  expectEmpty(t)
})

test('the ACK that ends CLOSING may carry nonsense: the freed TCB is not touched', () => {
  const t = new Host()
  established(t)
  close(t)
  send(t, { flags: ACK | FIN, seq: 1, ack: 1 })
  send(t, { flags: ACK | FIN, seq: 2, ack: 2, data: 10 })
  assert.equal(t.tcp.timeWait.count, 1)
  t.take()
  expectEmpty(t)
  // The same TCB is soon another connection's.
  established(t, { port: 2 })
  established(t, { port: 3 })
  t.poll()
  expectSent(t, [])
  assert.equal(t.tcp.pool.usedCount, 2)
})

test('in one batch, the end of one connection and the beginning of the next are kept apart', () => {
  const t = new Host({ tcp: { maxConnections: 2 } })
  established(t)
  close(t)
  send(t, { flags: ACK | FIN, seq: 1, ack: 1 })
  t.take()
  send(t, { flags: ACK | FIN, seq: 2, ack: 2, data: 10, poll: false })
  send(t, { flags: SYN, port: 2, poll: false })
  send(t, { flags: ACK, seq: 100_000, port: 2, poll: false })
  t.poll()
  assert.equal(t.tcp.workHead, tcb.NO_CONN, 'the work list is sound')
  assert.equal(t.take()[0].segment?.flags, SYN | ACK)
  send(t, { flags: RST, seq: 1, port: 2 })
  expectEmpty(t)
})

test('our FIN is repeated until it is acknowledged', () => {
  const t = new Host()
  established(t)
  close(t)
  t.take()
  advance(t, 650)
  expectSent(t, ['F. 1 ack 1', 'F. 1 ack 1'])
  send(t, { flags: ACK, seq: 1, ack: 2 })
  assert.equal(t.state(), 'FIN-WAIT-2')
})

test('the peer repeats its FIN when our ACK of it was lost', () => {
  const t = new Host()
  established(t)
  send(t, { flags: ACK | FIN, seq: 1, ack: 1 })
  send(t, { flags: ACK | FIN, seq: 1, ack: 1 })
  expectSent(t, ['. 1 ack 2', '. 1 ack 2'])
  assert.deepEqual(t.app.events, ['open', 'fin'])
})

test('LAST-ACK repeats the FIN and then gives up, with the peer gone', () => {
  const t = new Host()
  t.app.doFin = c => t.tcp.close(c)
  established(t)
  send(t, { flags: ACK | FIN, seq: 1, ack: 1 })
  t.take()
  advance(t, 1_000_000)
  const frames = t.take()
  assert.equal(frames.length, 11, 'ten times, then RST')
  assert.equal(t.last.flags, RST | ACK)
  expectEmpty(t)
})

test('FIN-WAIT-2 ends after a minute without the peer’s FIN', () => {
  const t = new Host()
  established(t)
  close(t)
  send(t, { flags: ACK, seq: 1, ack: 2 })
  advance(t, 59_999)
  assert.equal(t.state(), 'FIN-WAIT-2')
  advance(t, 1)
  assert.equal(t.state(), 'none')
  assert.deepEqual(t.app.events, ['open', 'acked 1', 'closed'])
  expectEmpty(t)
  t.take()
  send(t, { flags: ACK | FIN, seq: 1, ack: 2 })
  expectSent(t, ['R 2'])
})

test('the application cannot undo the end of FIN-WAIT-2 with its own timer', () => {
  for (const meddle of [
    (t: Host, c: number) => t.tcp.clearAppTimer(c),
    (t: Host, c: number) => t.tcp.setAppTimer(c, 1e9),
  ]) {
    const t = new Host()
    t.app.doData = (c, len) => {
      meddle(t, c)
      return len
    }
    established(t)
    close(t)
    send(t, { flags: ACK, seq: 1, ack: 2 })
    send(t, { flags: ACK, seq: 1, ack: 2, data: 1 })
    advance(t, 60_000)
    assert.equal(t.state(), 'none')
    expectEmpty(t)
  }
})

test('TIME-WAIT acknowledges the FIN again, and then waits the whole time again', () => {
  const t = waiting()
  advance(t, 50_000)
  send(t, { flags: ACK | FIN, seq: 1, ack: 2 })
  expectSent(t, ['. 2 ack 2'])
  advance(t, 50_000)
  assert.equal(t.tcp.timeWait.count, 1)
  advance(t, 10_000)
  assert.equal(t.tcp.timeWait.count, 0)
})

test('TIME-WAIT: another FIN than the one that was received does not begin the wait anew', () => {
  const t = waiting()
  advance(t, 50_000)
  for (const seq of [0, 2, -1_000_000]) {
    send(t, { flags: ACK | FIN, seq, ack: 2 })
    expectSent(t, ['. 2 ack 2'])
  }
  advance(t, 10_000)
  assert.equal(t.tcp.timeWait.count, 0)
})

test('TIME-WAIT: a FIN that comes a hundred times takes no other connection’s place', () => {
  const t = new Host({ tcp: { timeWaitEntries: 4 } })
  for (let port = 1; port <= 3; port++) {
    established(t, { port })
    close(t, port)
    send(t, { flags: ACK | FIN, seq: 1, ack: 2, port })
  }
  for (let i = 0; i < 100; i++) send(t, { flags: ACK | FIN, seq: 1, ack: 2, port: 1 })
  assert.equal(t.tcp.timeWait.count, 3)
  assert.equal(t.tcp.timeWait.overflows, 0)
})

test('TIME-WAIT: two ends that both wait do not acknowledge each other for ever', () => {
  const t = waiting()
  send(t, { flags: ACK, seq: 2, ack: 2 })
  expectSent(t, [])
})

test('TIME-WAIT answers data and old segments with an ACK', () => {
  const t = waiting()
  send(t, { flags: ACK, seq: 2, ack: 2, data: 5 })
  send(t, { flags: ACK, seq: -50, ack: 2 })
  expectSent(t, ['. 2 ack 2', '. 2 ack 2'])
})

test('TIME-WAIT ignores RST (RFC 1337)', () => {
  const t = waiting()
  send(t, { flags: RST, seq: 2 })
  send(t, { flags: RST | ACK, seq: 2, ack: 2 })
  expectSent(t, [])
  assert.equal(t.tcp.timeWait.count, 1)
  assert.equal(t.tcp.drops[drops.TCP_RST_IGNORED], 2)
})

test('TIME-WAIT: a SYN beyond the old numbers reopens, with an ISN beyond ours', () => {
  const t = waiting()
  const old = t.iss()
  t.irs += 3
  send(t, { flags: SYN })
  expectSent(t, ['S. 0 ack 1'])
  assert.ok(((t.iss() - old) | 0) > 2, 'no old segment of ours can fit')
  assert.equal(t.tcp.timeWait.count, 0)
  assert.equal(t.tcp.stats.timeWaitReuses, 1)
  send(t, { flags: ACK, seq: 1, ack: 1 })
  assert.equal(t.state(), 'ESTABLISHED')
})

test('TIME-WAIT: a SYN with an old number is answered with the last ACK', () => {
  const t = waiting()
  for (const seq of [0, 1, -1_000_000]) {
    send(t, { flags: SYN, seq })
    expectSent(t, ['. 2 ack 2'])
  }
  assert.equal(t.tcp.timeWait.count, 1)
})

test('TIME-WAIT: who resets it when its SYN was refused gets a connection with its next SYN', () => {
  const t = waiting()
  send(t, { flags: SYN, seq: -1_000_000 })
  expectSent(t, ['. 2 ack 2'])
  send(t, { flags: RST, seq: 1 })
  assert.equal(t.tcp.timeWait.count, 1, 'only the very number that was acknowledged')
  send(t, { flags: RST, seq: 2 })
  assert.equal(t.tcp.timeWait.count, 0)
  assert.equal(t.tcp.drops[drops.TCP_RST_IGNORED], 1)
  send(t, { flags: SYN, seq: -1_000_000 })
  assert.equal(t.last.flags, SYN | ACK)
})

test('TIME-WAIT is bounded: the oldest gives way, counted', () => {
  const t = new Host({ tcp: { timeWaitEntries: 4 } })
  for (let port = 1; port <= 6; port++) {
    established(t, { port })
    close(t, port)
    send(t, { flags: ACK | FIN, seq: 1, ack: 2, port })
  }
  assert.equal(t.tcp.timeWait.count, 4)
  assert.equal(t.tcp.timeWait.overflows, 2)
  advance(t, 60_000)
  assert.equal(t.tcp.timeWait.count, 0)
})

for (const state of ['FIN-WAIT-1', 'FIN-WAIT-2', 'CLOSE-WAIT', 'CLOSING', 'LAST-ACK']) {
  test(`RST in ${state} ends the connection`, () => {
    const t = new Host()
    established(t)
    let seq = 1
    if (state === 'CLOSE-WAIT' || state === 'LAST-ACK') {
      send(t, { flags: ACK | FIN, seq, ack: 1 })
      seq = 2
      if (state === 'LAST-ACK') close(t)
    } else {
      close(t)
      if (state === 'FIN-WAIT-2') send(t, { flags: ACK, seq: 1, ack: 2 })
      if (state === 'CLOSING') {
        send(t, { flags: ACK | FIN, seq: 1, ack: 1 })
        seq = 2
      }
    }
    assert.equal(t.state(), state)
    t.take()
    send(t, { flags: RST, seq })
    assert.equal(t.state(), 'none')
    assert.equal(t.app.events.at(-1), 'closed')
    expectSent(t, [])
    expectEmpty(t)
  })
}

test('abort sends RST with the next number, from every callback', () => {
  for (const hook of ['doOpen', 'doData', 'doFin', 'doAcked', 'doTimeout'] as const) {
    const t = new Host()
    t.app.doOpen = c => {
      t.tcp.setAppTimer(c, 10_000)
      t.tcp.commit(c, 10)
    }
    t.app[hook] = ((c: number, len: number) => {
      abort(t.tcp, c)
      return len
    }) as never
    established(t)
    send(t, { flags: ACK, seq: 1, ack: 11, data: 5 })
    send(t, { flags: ACK | FIN, seq: 6, ack: 11 })
    advance(t, 10_000)
    assert.equal(t.state(), 'none', hook)
    assert.equal(t.app.events.filter(event => event === 'closed').length, 1, hook)
    expectEmpty(t)
    assert.equal(t.tcp.stats.estabResets + t.tcp.stats.outRsts > 0, true)
  }
})

test('abort in the middle of a stream: one RST, nothing after it', () => {
  const t = new Host()
  const c = established(t)
  write(t, 10_000)
  t.take()
  abort(t.tcp, c)
  t.poll()
  expectSent(t, ['R. 10001 ack 1'])
  expectEmpty(t)
  send(t, { flags: ACK, seq: 1, ack: 1461 })
  expectSent(t, ['R 1461'])
})

test('data after the peer’s FIN is not delivered', () => {
  const t = new Host()
  established(t)
  send(t, { flags: ACK | FIN, seq: 1, ack: 1 })
  t.take()
  send(t, { flags: ACK, seq: 2, ack: 1, data: 5 })
  expectSent(t, ['. 1 ack 2'])
  assert.deepEqual(t.app.received, [])
})

test('a connection is reused many times over, and nothing is left', () => {
  const t = new Host({ tcp: { maxConnections: 4, timeWaitEntries: 4 } })
  t.app.doFin = c => t.tcp.close(c)
  for (let i = 0; i < 300; i++) {
    established(t)
    send(t, { flags: ACK | FIN, seq: 1, ack: 1 })
    send(t, { flags: ACK, seq: 2, ack: 2 })
  }
  assert.equal(t.tcp.stats.passiveOpens, 300)
  assert.equal(t.conn(PEER_PORT), tcb.NO_CONN)
  t.take()
  expectEmpty(t)
})
