/** ACK coalescing: what is left out must make no difference, and nothing else may be left out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tcb } from '../src/index.ts'
import {
  ackUpTo,
  established,
  expectSent,
  Host,
  type Script,
  segments,
  send,
  write,
} from './kit/host.ts'
import { ACK, FIN, PSH, RST } from './kit/segment.ts'
import { testIpv4 } from './kit/version.ts'

const NOP = 1

/** Ten segments in flight, and two frames that reach the stack in one batch. */
function twoAtOnce(first: Partial<Script>, second: Partial<Script>): Host {
  const t = new Host()
  established(t)
  established(t, { port: 2 })
  write(t, 14_600)
  t.take()
  send(t, { flags: ACK, seq: 1, ack: 1461, poll: false, ...first })
  send(t, { flags: ACK, seq: 1, ack: 2921, ...second })
  return t
}

test('of two pure ACKs in one batch only the later is processed', () => {
  const t = twoAtOnce({}, {})
  assert.equal(t.tcp.stats.coalescedAcks, 1)
  const c = t.conn()
  assert.equal((t.tcp.tcb[c + tcb.SND_NXT] - t.tcp.tcb[c + tcb.SND_UNA]) | 0, 14_600 - 2920)
})

const KEPT: [string, Partial<Script>, Partial<Script>][] = [
  ['the same number twice (a duplicate ACK)', { ack: 1461 }, { ack: 1461 }],
  ['a number that goes back', { ack: 2921 }, { ack: 1461 }],
  ['another window', { win: 65535 }, { win: 60_000 }],
  ['another connection', {}, { port: 2, ack: 1 }],
  ['another sequence number', { seq: 0 }, {}],
  ['payload in the first', { flags: ACK | PSH, data: 5 }, { seq: 6 }],
  ['payload in the second', {}, { flags: ACK | PSH, data: 5 }],
  ['a FIN in the second', {}, { flags: ACK | FIN }],
  ['an RST in the second', {}, { flags: RST | ACK, seq: 2 }],
  ['options in the first', { options: [NOP, NOP, NOP, NOP] }, {}],
  ['options in the second', {}, { options: [NOP, NOP, NOP, NOP] }],
]
for (const [name, first, second] of KEPT) {
  test(`both are processed: ${name}`, () => {
    const t = twoAtOnce(first, second)
    assert.equal(t.tcp.stats.coalescedAcks, 0)
  })
}

test('one at a time or in one batch, ACKs open the same window and call out the same bytes', () => {
  const outcome = (poll: boolean): string => {
    const t = new Host()
    const c = established(t)
    write(t, 100_000)
    t.take()
    for (let i = 1; i < 10; i++) send(t, { flags: ACK, seq: 1, ack: 1 + 1460 * i, poll })
    ackUpTo(t, 14_601)
    const { stats, tcb: fields } = t.tcp
    assert.equal(stats.coalescedAcks, poll ? 0 : 9)
    const last = t.take().at(-1)
    return `${fields[c + tcb.CWND]} ${(fields[c + tcb.SND_NXT] - t.iss()) | 0} ${last?.segment?.data.length}`
  }
  assert.equal(outcome(false), outcome(true))
})

testIpv4('a damaged last ACK is no worse than lost ones: the next repairs it', () => {
  const t = new Host()
  established(t)
  write(t, 14_600)
  t.take()
  send(t, { flags: ACK, seq: 1, ack: 1461, poll: false })
  const spoil = (view: DataView, off: number): void => view.setUint8(off + 50, 0xff)
  send(t, { flags: ACK, seq: 1, ack: 2921, spoil })
  expectSent(t, [])
  write(t, 4000)
  expectSent(t, [])
  ackUpTo(t, 2921)
  expectSent(t, [...segments(14_601, 2), 'P. 17521:18601 ack 1'])
})
