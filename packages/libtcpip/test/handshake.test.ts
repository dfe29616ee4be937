/** Passive open (RFC 9293 §3.5, §3.7.1, §3.10.7.2 and .4; RFC 6298 §5 for the SYN-ACK's timer). */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drops, tcb } from '../src/index.ts'
import * as ipv4 from '../src/wire/ipv4.ts'
import { advance, established, expectEmpty, expectSent, Host, OUR_ADDR, send } from './kit/host.ts'
import { ACK, FIN, mssOption, RST, SYN, wscaleOption } from './kit/segment.ts'
import { testIpv4 } from './kit/version.ts'

const timesOf = (t: Host, ms: number, stepMs: number): number[] => {
  const times: number[] = []
  for (let at = stepMs; at <= ms; at += stepMs) {
    advance(t, stepMs)
    for (const _ of t.take()) times.push(at)
  }
  return times
}

test('a SYN is answered with SYN-ACK, our MSS and window, no window scale if none was offered', () => {
  const t = new Host()
  send(t, { flags: SYN, options: mssOption(1460) })
  assert.match(t.sent[0].line, /win 65535, options \[mss 1460\], length 0$/)
  expectSent(t, ['S. 0 ack 1'])
  assert.equal(t.state(), 'SYN-RECEIVED')
})

test('window scale is answered when offered, and its shift is at most 14', () => {
  for (const [shift, used] of [
    [0, 0],
    [7, 7],
    [14, 14],
    [15, 14],
    [255, 14],
  ]) {
    const t = new Host()
    send(t, { flags: SYN, options: [...mssOption(1460), ...wscaleOption(shift)], win: 1000 })
    assert.match(t.sent[0].line, /options \[mss 1460,nop,wscale 0\]/)
    assert.equal(t.field(tcb.SND_WND), 1000, 'the window of a SYN is never scaled')
    send(t, { flags: ACK, seq: 1, ack: 1, win: 1000 })
    assert.equal(t.field(tcb.SND_WND), 1000 << used, `shift ${shift}`)
  }
})

testIpv4('the MSS to send with: 536 if absent, at least 48, at most what our MTU allows', () => {
  for (const [option, mss] of [
    [[], 536],
    [mssOption(0), 536],
    [mssOption(1), 48],
    [mssOption(48), 48],
    [mssOption(1000), 1000],
    [mssOption(1460), 1460],
    [mssOption(65535), 1460],
    [[200, 6, 1, 2, 3, 4, ...mssOption(999)], 999],
    [[2, 3, 1], 536],
    [[2, 0, 1, 1], 536],
  ] as [number[], number][]) {
    const t = new Host()
    t.app.doOpen = c => t.tcp.commit(c, 100_000)
    send(t, { flags: SYN, options: option })
    t.take()
    send(t, { flags: ACK, seq: 1, ack: 1 })
    assert.equal(t.sent[0].segment?.data.length, mss, `options ${option}`)
  }
})

test('a SYN-ACK is repeated after 1, 3, 7, 15 and 31 s, then the connection is forgotten', () => {
  const t = new Host()
  send(t, { flags: SYN })
  expectSent(t, ['S. 0 ack 1'])
  assert.deepEqual(timesOf(t, 120_000, 100), [1000, 3000, 7000, 15_000, 31_000])
  assert.equal(t.tcp.stats.attemptFails, 1)
  assert.equal(t.tcp.stats.retransSegs, 5)
  expectEmpty(t)
})

test('a repeated SYN is answered at once, and does not put off the end of the attempt', () => {
  const t = new Host()
  send(t, { flags: SYN })
  let answers = 0
  for (let i = 0; i < 140; i++) {
    advance(t, 500)
    if (t.state() === 'none') break
    t.take()
    send(t, { flags: SYN })
    answers += t.take().filter(frame => (frame.segment?.flags ?? 0) & SYN).length
  }
  assert.ok(answers >= 100, 'each SYN gets its answer')
  assert.equal(t.state(), 'none', 'after 63 s it is over')
  expectEmpty(t)
})

test('after a SYN-ACK was repeated: RTO 3 s, one segment, and no sample (RFC 6298 §5.7, Karn)', () => {
  const t = new Host()
  t.app.doOpen = c => t.tcp.commit(c, 100_000)
  send(t, { flags: SYN, options: mssOption(1000) })
  advance(t, 1500)
  expectSent(t, ['S. 0 ack 1', 'S. 0 ack 1'])
  send(t, { flags: ACK, seq: 1, ack: 1 })
  expectSent(t, ['. 1:1001 ack 1'])
  assert.equal(t.field(tcb.SRTT_US), 0)
  assert.equal(t.field(tcb.RTO_US), 3_000_000)
  advance(t, 50)
  send(t, { flags: ACK, seq: 1, ack: 1001 })
  assert.equal(t.field(tcb.SRTT_US), 50_000, 'the first sample is of data')
})

test('a SYN-ACK that answered a repeated SYN gives no round-trip sample either', () => {
  const t = new Host()
  send(t, { flags: SYN })
  advance(t, 700)
  send(t, { flags: SYN })
  advance(t, 20)
  send(t, { flags: ACK, seq: 1, ack: 1 })
  assert.equal(t.field(tcb.SRTT_US), 0)
})

test('an established idle connection is left alone by the SYN-ACK timer', () => {
  const t = new Host()
  established(t)
  const cwnd = t.field(tcb.CWND)
  advance(t, 3_600_000)
  expectSent(t, [])
  assert.equal(t.state(), 'ESTABLISHED')
  assert.equal(t.field(tcb.CWND), cwnd)
  assert.equal(t.tcp.stats.timeouts, 0)
})

test('an ACK of something else than our SYN is answered with RST, and the attempt goes on', () => {
  for (const ack of [0, 2, -1000, 100_000]) {
    const t = new Host()
    send(t, { flags: SYN })
    t.take()
    send(t, { flags: ACK, seq: 1, ack })
    expectSent(t, [`R ${ack}`])
    assert.equal(t.state(), 'SYN-RECEIVED')
    send(t, { flags: ACK, seq: 1, ack: 1 })
    assert.equal(t.state(), 'ESTABLISHED')
  }
})

test('RST in SYN-RECEIVED ends the attempt if its number is exact; the next SYN works', () => {
  const t = new Host()
  send(t, { flags: SYN })
  t.take()
  send(t, { flags: RST, seq: 2 })
  assert.equal(t.state(), 'SYN-RECEIVED')
  expectSent(t, ['. 1 ack 1'])
  send(t, { flags: RST, seq: 1 })
  assert.equal(t.state(), 'none')
  assert.equal(t.tcp.stats.attemptFails, 1)
  expectEmpty(t)
  established(t)
  assert.equal(t.state(), 'ESTABLISHED')
})

test('a SYN with another number in SYN-RECEIVED is challenged, so a rebooted client gets in', () => {
  const t = new Host()
  send(t, { flags: SYN })
  t.take()
  send(t, { flags: SYN, seq: 100_000 })
  expectSent(t, ['. 1 ack 1'])
  send(t, { flags: RST, seq: 1 })
  t.irs += 100_000
  send(t, { flags: SYN })
  expectSent(t, ['S. 0 ack 1'])
})

test('beyond the backlog a SYN is answered, but not remembered', () => {
  const t = new Host({ tcp: { backlog: 2 } })
  for (let port = 1; port <= 3; port++) send(t, { flags: SYN, port })
  assert.equal(t.take().length, 3)
  assert.equal(t.state(3), 'none')
  send(t, { flags: ACK, seq: 1, ack: 1, port: 1 })
  send(t, { flags: SYN, port: 4 })
  assert.equal(t.state(4), 'SYN-RECEIVED', 'an established connection is not in the backlog')
})

test('without a free TCB a SYN is dropped in silence', () => {
  const t = new Host({ tcp: { maxConnections: 2 } })
  established(t, { port: 1 })
  established(t, { port: 2 })
  send(t, { flags: SYN, port: 3 })
  expectSent(t, [])
  assert.equal(t.tcp.drops[drops.TCP_TABLE_FULL], 1)
  send(t, { flags: RST, seq: 1, port: 1 })
  send(t, { flags: SYN, port: 3 })
  assert.equal(t.take().length, 1)
})

testIpv4('a SYN from our own address is dropped (LAND)', () => {
  const t = new Host()
  send(t, { flags: SYN, src: OUR_ADDR, port: 80 })
  expectSent(t, [])
  assert.equal(t.tcp.drops[drops.TCP_LAND], 1)
  assert.equal(t.tcp.pool.usedCount, 0)
})

testIpv4('a SYN from beyond the subnet takes no place, since there is no way back', () => {
  const t = new Host()
  send(t, { flags: SYN, src: ipv4.parse('192.0.2.1') })
  expectSent(t, [])
  assert.equal(t.tcp.drops[drops.IP_NO_ROUTE], 1)
  assert.equal(t.tcp.pool.usedCount, 0)
})

test('data on the ACK of the handshake is delivered, and answered in the same pass', () => {
  const t = new Host()
  t.app.doData = (c, len) => {
    t.tcp.commit(c, 100)
    return len
  }
  send(t, { flags: SYN })
  t.take()
  send(t, { flags: ACK, seq: 1, ack: 1, data: 10 })
  expectSent(t, ['P. 1:101 ack 11'])
  assert.deepEqual(t.app.events, ['open', 'data 10'])
})

test('a FIN on the ACK of the handshake is taken too', () => {
  const t = new Host()
  send(t, { flags: SYN })
  t.take()
  send(t, { flags: ACK | FIN, seq: 1, ack: 1, data: 10 })
  expectSent(t, ['. 1 ack 12'])
  assert.deepEqual(t.app.events, ['open', 'data 10', 'fin'])
  assert.equal(t.state(), 'CLOSE-WAIT')
})

test('data on a SYN is not taken: the client sends it again', () => {
  const t = new Host()
  send(t, { flags: SYN, data: 10 })
  expectSent(t, ['S. 0 ack 1'])
})

test('SYN with FIN opens nothing', () => {
  const t = new Host()
  send(t, { flags: SYN | FIN })
  expectSent(t, [])
  assert.equal(t.tcp.drops[drops.TCP_BAD_FLAGS], 1)
})

test('ECE, CWR, URG and reserved bits in a SYN do no harm', () => {
  const t = new Host()
  send(t, { flags: SYN | 0xe0 })
  expectSent(t, ['S. 0 ack 1'])
})

test('an application may talk first, close first, or abort first, when the connection opens', () => {
  const first = new Host()
  first.app.doOpen = c => first.tcp.commit(c, 5)
  send(first, { flags: SYN })
  first.take()
  send(first, { flags: ACK, seq: 1, ack: 1 })
  expectSent(first, ['P. 1:6 ack 1'])
  const closing = new Host()
  closing.app.doOpen = c => closing.tcp.close(c)
  send(closing, { flags: SYN })
  closing.take()
  send(closing, { flags: ACK, seq: 1, ack: 1 })
  expectSent(closing, ['F. 1 ack 1'])
  assert.equal(closing.state(), 'FIN-WAIT-1')
})

test('initial sequence numbers grow with time for one peer and differ between peers', () => {
  const t = new Host()
  send(t, { flags: SYN })
  const first = t.iss()
  send(t, { flags: RST, seq: 1 })
  advance(t, 1000)
  send(t, { flags: SYN })
  assert.equal((t.iss() - first) | 0, 250_000, '4 µs a step (RFC 9293 §3.4.1)')
  const seen = new Set<number>()
  for (let port = 1; port <= 50; port++) {
    send(t, { flags: SYN, port })
    seen.add(t.iss(port) >> 16)
  }
  assert.ok(seen.size > 45, 'no pattern from port to port')
  const other = new Host({ seed: 2 })
  send(other, { flags: SYN })
  assert.notEqual(other.iss(), first, 'another key, other numbers')
})
