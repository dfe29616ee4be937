/** Timestamps and PAWS (RFC 7323 §3, §4.3, §5), and what else a SYN-ACK agrees to (RFC 2018 §2). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { abort, drops, tcb } from '../src/index.ts'
import {
  ackUpTo,
  advance,
  close,
  type Established,
  established,
  expectEmpty,
  expectSent,
  Host,
  PEER_PORT,
  type Script,
  send,
  synOptions,
  write,
} from './kit/host.ts'
import {
  ACK,
  FIN,
  mssOption,
  PSH,
  RST,
  SYN,
  timestampsIn,
  timestampsOption,
} from './kit/segment.ts'
import { testIpv4 } from './kit/version.ts'

const DAY_MS = 86_400_000
const stamped = { timestamps: true }

/** An established connection with timestamps; the peer's clock shows `tsVal` from then on. */
function open(tsVal = 1000): Host {
  const t = new Host(stamped)
  send(t, { flags: SYN, options: [...mssOption(1460), ...timestampsOption(tsVal, 0)] })
  send(t, { flags: ACK, seq: 1, ack: 1, tsVal })
  t.take()
  return t
}

/** TSval and TSecr of the latest segment sent. */
const sentTimestamps = (t: Host): [number, number] => timestampsIn(t.last)!

/** What the SYN-ACK to such a SYN says in its options, TSval left out. */
function agreed(offered: Established, tcp: Record<string, boolean> = {}): string {
  const t = new Host({ tcp, nowUs: 7_000_000 })
  send(t, { flags: SYN, options: synOptions(t, offered) })
  return /options \[(.*)\]/.exec(t.sent[0].line)![1].replace(/val \d+/, 'val V')
}

test('each option is offered back if the SYN had it, in Linux order', () => {
  const [sack, timestamps, wscale] = [true, true, 7]
  assert.equal(agreed({}), 'mss 1460')
  assert.equal(agreed({ wscale }), 'mss 1460,nop,wscale 0')
  assert.equal(agreed({ sack }), 'mss 1460,nop,nop,sackOK')
  assert.equal(agreed({ timestamps }), 'mss 1460,nop,nop,TS val V ecr 7000')
  assert.equal(agreed({ sack, wscale }), 'mss 1460,nop,nop,sackOK,nop,wscale 0')
  assert.equal(agreed({ timestamps, wscale }), 'mss 1460,nop,nop,TS val V ecr 7000,nop,wscale 0')
  assert.equal(agreed({ timestamps, sack }), 'mss 1460,sackOK,TS val V ecr 7000')
  assert.equal(
    agreed({ timestamps, sack, wscale }),
    'mss 1460,sackOK,TS val V ecr 7000,nop,wscale 0',
  )
})

test('an option that is switched off is not agreed to', () => {
  const all = { timestamps: true, sack: true, wscale: 7 }
  const off = { timestamps: false, sack: false, windowScale: false }
  assert.equal(agreed(all, off), 'mss 1460')
  assert.equal(agreed(all, { timestamps: false }), 'mss 1460,nop,nop,sackOK,nop,wscale 0')
  assert.equal(agreed(all, { sack: false }), 'mss 1460,nop,nop,TS val V ecr 7000,nop,wscale 0')
  assert.equal(agreed(all, { windowScale: false }), 'mss 1460,sackOK,TS val V ecr 7000')
  const t = new Host({ tcp: off })
  established(t, { ...all, timestamps: false, win: 1000 })
  assert.equal(t.field(tcb.FLAGS) & (tcb.SACK | tcb.TIMESTAMPS), 0)
  send(t, { flags: ACK, seq: 1, ack: 1, win: 1000 })
  assert.equal(t.field(tcb.SND_WND), 1000, 'without agreement a window is not shifted')
})

test('FLAGS says what was agreed', () => {
  for (const [offered, flags] of [
    [{}, 0],
    [{ sack: true }, tcb.SACK],
    [{ timestamps: true }, tcb.TIMESTAMPS],
    [{ sack: true, timestamps: true }, tcb.SACK | tcb.TIMESTAMPS],
  ] as [Established, number][]) {
    const t = new Host()
    established(t, offered)
    const both = tcb.SACK | tcb.TIMESTAMPS
    assert.equal(t.field(tcb.FLAGS) & both, flags, JSON.stringify(offered))
  }
})

test('every segment of the connection carries timestamps: data, ACK, FIN, what is sent again', () => {
  const t = open()
  t.app.doData = (c, len) => {
    t.tcp.commit(c, 3000)
    return len
  }
  send(t, { flags: ACK | PSH, seq: 1, ack: 1, data: 10, tsVal: 1001 })
  expectSent(t, ['. 1:1449 ack 11', '. 1449:2897 ack 11', 'P. 2897:3001 ack 11'])
  advance(t, 5000)
  assert.ok(t.take().length >= 3, 'sent again')
  send(t, { flags: ACK, seq: 11, ack: 3001, tsVal: 1002 })
  close(t)
  expectSent(t, ['F. 3001 ack 11'])
  send(t, { flags: ACK | FIN, seq: 11, ack: 3002, tsVal: 1003 })
  expectSent(t, ['. 3002 ack 12'])
  expectEmpty(t)
})

test('TSval counts milliseconds; TSecr is the latest TSval that was in order', () => {
  const t = open(1000)
  const before = sentTimestamps(t)[0]
  advance(t, 1234)
  send(t, { flags: ACK | PSH, seq: 1, ack: 1, data: 10, tsVal: 2222 })
  assert.deepEqual(sentTimestamps(t), [(before + 1234) >>> 0, 2222])
})

test('TSval wraps around like any of its values', () => {
  const t = open(0xfffffffe)
  for (const tsVal of [0xffffffff, 0, 1]) {
    send(t, { flags: ACK | PSH, seq: 1 + t.app.received.length, ack: 1, data: 1, tsVal })
    assert.equal(sentTimestamps(t)[1], tsVal)
  }
  const c = t.conn()
  t.tcp.tcb[c + tcb.TS_OFFSET] = (0xffffffff - t.tcp.nowMs) | 0
  send(t, { flags: ACK | PSH, seq: 4, ack: 1, data: 1, tsVal: 2 })
  assert.deepEqual(sentTimestamps(t), [0xffffffff, 2])
  advance(t, 1)
  send(t, { flags: ACK | PSH, seq: 5, ack: 1, data: 1, tsVal: 2 })
  assert.deepEqual(sentTimestamps(t), [0, 2])
})

testIpv4('the MSS leaves room for the option, of both ends', () => {
  for (const [mss, mtu, payload] of [
    [1460, 1500, 1448],
    [1400, 1500, 1388],
    [9000, 1500, 1448],
    [1460, 1280, 1228],
    [0, 1500, 524],
    [61, 1500, 49],
    [50, 1500, 48],
  ]) {
    const t = new Host({ mtu, ...stamped })
    t.app.doOpen = c => t.tcp.commit(c, 20_000)
    send(t, { flags: SYN, options: synOptions(t, { mss }) })
    t.take()
    send(t, { flags: ACK, seq: 1, ack: 1 })
    assert.equal(t.sent[0].segment?.data.length, payload, `MSS ${mss}, MTU ${mtu}`)
  }
})

test('two segments that one ACK answers: the timestamp of the first is echoed (§4.3 (A))', () => {
  const t = open()
  send(t, { flags: ACK, seq: 1, ack: 1, data: 5, tsVal: 1001, poll: false })
  send(t, { flags: ACK | PSH, seq: 6, ack: 1, data: 5, tsVal: 1002 })
  expectSent(t, ['. 1 ack 11'])
  assert.equal(sentTimestamps(t)[1], 1001)
})

test('the timestamp of a segment that is out of order is not echoed (§4.3 (B), (C))', () => {
  const t = open()
  send(t, { flags: ACK, seq: 6, ack: 1, data: 5, tsVal: 1005 })
  assert.equal(sentTimestamps(t)[1], 1000)
  send(t, { flags: ACK, seq: 1, ack: 1, data: 5, tsVal: 1006 })
  assert.equal(sentTimestamps(t)[1], 1006, 'the one that fills the hole is')
})

test('a segment that overlaps what was acknowledged is judged by its own number', () => {
  const t = open()
  send(t, { flags: ACK, seq: 1, ack: 1, data: 5, tsVal: 1001, poll: false })
  send(t, { flags: ACK, seq: 1, ack: 1, data: 10, tsVal: 1002 })
  expectSent(t, ['. 1 ack 11'])
  assert.equal(sentTimestamps(t)[1], 1002)
})

const OLD: [string, Script][] = [
  ['one tick older', { flags: ACK, tsVal: 999 }],
  ['half the circle older', { flags: ACK, tsVal: 1000 - 2 ** 31 + 1 }],
  ['a FIN', { flags: ACK | FIN, tsVal: 999 }],
]
for (const [name, script] of OLD) {
  test(`PAWS: an old segment in the window is dropped and acknowledged: ${name}`, () => {
    const t = open(1000)
    send(t, { seq: 1, ack: 1, data: 10, ...script })
    expectSent(t, ['. 1 ack 1'])
    assert.equal(sentTimestamps(t)[1], 1000)
    assert.equal(t.tcp.drops[drops.TCP_PAWS], 1)
    assert.deepEqual(t.app.received, [])
    assert.equal(t.state(), 'ESTABLISHED')
  })
}

test('PAWS: the same tick again is no older', () => {
  const t = open(1000)
  send(t, { flags: ACK, seq: 1, ack: 1, data: 10, tsVal: 1000 })
  expectSent(t, ['. 1 ack 11'])
  assert.equal(t.tcp.drops[drops.TCP_PAWS], 0)
})

test('PAWS: what an old ACK acknowledges does not count', () => {
  const t = open(1000)
  write(t, 1000)
  t.take()
  send(t, { flags: ACK, seq: 1, ack: 1001, tsVal: 999 })
  assert.equal(t.field(tcb.SND_UNA), (t.iss() + 1) | 0)
})

test('TS.Recent is believed for 24 days of silence, and not longer (§5.5)', () => {
  for (const [days, isOld] of [
    [0, true],
    [23.9, true],
    [24.1, false],
    [40, false],
  ] as const) {
    const t = open(1000)
    advance(t, days * DAY_MS)
    send(t, { flags: ACK, seq: 1, ack: 1, data: 10, tsVal: 500 })
    assert.equal(t.tcp.drops[drops.TCP_PAWS], isOld ? 1 : 0, `${days} days`)
    assert.equal(sentTimestamps(t)[1], isOld ? 1000 : 500, 'it follows the new one')
  }
})

test('each segment that is accepted begins the 24 days anew', () => {
  const t = open(1000)
  for (let i = 0; i < 2; i++) {
    advance(t, 20 * DAY_MS)
    send(t, { flags: ACK, seq: 1, ack: 1, tsVal: 1000 })
  }
  send(t, { flags: ACK, seq: 1, ack: 1, data: 10, tsVal: 500 })
  assert.equal(t.tcp.drops[drops.TCP_PAWS], 1)
})

test('an RST is accepted whatever its timestamp, and without one (§5.2)', () => {
  for (const options of [[], timestampsOption(1, 0), timestampsOption(5000, 0)]) {
    const t = open(1000)
    send(t, { flags: RST, seq: 1, options })
    assert.equal(t.state(), 'none')
    expectSent(t, [])
    expectEmpty(t)
  }
})

test('the timestamp of an RST that is only challenged changes nothing (§5.2)', () => {
  const t = open(1000)
  send(t, { flags: RST, seq: 2, options: timestampsOption(9000, 0) })
  assert.equal(t.field(tcb.TS_RECENT), 1000)
  send(t, { flags: ACK, seq: 1, ack: 1, data: 10, tsVal: 1001 })
  assert.equal(t.app.received.length, 10)
})

test('a segment without timestamps is dropped in silence (§3.2)', () => {
  const t = open()
  write(t, 1000)
  t.take()
  send(t, { flags: ACK | PSH, seq: 1, ack: 1001, data: 10, options: [] })
  expectSent(t, [])
  assert.equal(t.tcp.drops[drops.TCP_NO_TIMESTAMP], 1)
  assert.deepEqual(t.app.received, [])
  assert.equal(t.field(tcb.SND_UNA), (t.iss() + 1) | 0)
  send(t, { flags: ACK | PSH, seq: 1, ack: 1001, data: 10, tsVal: 1001 })
  assert.equal(t.app.received.length, 10, 'and the connection goes on')
})

test('the ACK of the handshake must have them too', () => {
  const t = new Host(stamped)
  send(t, { flags: SYN, options: synOptions(t, {}) })
  send(t, { flags: ACK, seq: 1, ack: 1, options: [] })
  assert.equal(t.state(), 'SYN-RECEIVED')
  send(t, { flags: ACK, seq: 1, ack: 1 })
  assert.equal(t.state(), 'ESTABLISHED')
})

test('a SYN of a peer that began anew is challenged, whatever its options (RFC 5961 §4)', () => {
  for (const options of [[], timestampsOption(1, 0)]) {
    const t = open(1000)
    send(t, { flags: SYN, seq: 100, options })
    expectSent(t, ['. 1 ack 1'])
    assert.equal(t.field(tcb.TS_RECENT), 1000)
  }
})

test('timestamps that were not agreed on are ignored, and none are sent (§3.2)', () => {
  const t = new Host()
  established(t)
  for (const tsVal of [5000, 1]) {
    const seq = 1 + t.app.received.length
    send(t, { flags: ACK | PSH, seq, ack: 1, data: 10, options: timestampsOption(tsVal, 0) })
    expectSent(t, [`. 1 ack ${seq + 10}`])
  }
})

test('timestamps in another place than the usual are read as well', () => {
  const t = open(1000)
  const [, , ...option] = timestampsOption(1001, 0)
  send(t, { flags: ACK, seq: 1, ack: 1, data: 10, options: [...option, 1, 1] })
  assert.equal(sentTimestamps(t)[1], 1001)
})

test('a segment whose ACK cannot be true sets no clock', () => {
  const t = open(1000)
  send(t, { flags: ACK, seq: 1, ack: 5000, data: 10, tsVal: 1_000_000 })
  assert.equal(t.tcp.drops[drops.TCP_BAD_ACK], 1)
  assert.equal(t.field(tcb.TS_RECENT), 1000)
})

test('a segment outside the window sets none either', () => {
  const t = open(1000)
  send(t, { flags: ACK, seq: -10, ack: 1, data: 5, tsVal: 1_000_000 })
  assert.equal(t.tcp.drops[drops.TCP_OUT_OF_WINDOW], 1)
  assert.equal(t.field(tcb.TS_RECENT), 1000)
})

test('a SYN that comes again is answered with its own timestamp, and with our clock of now', () => {
  const t = new Host()
  send(t, { flags: SYN, options: timestampsOption(10, 0) })
  const first = sentTimestamps(t)
  advance(t, 500)
  send(t, { flags: SYN, options: timestampsOption(510, 0) })
  assert.deepEqual(sentTimestamps(t), [(first[0] + 500) >>> 0, 510])
  send(t, { flags: SYN, options: timestampsOption(10, 0) })
  assert.equal(sentTimestamps(t)[1], 510, 'but not with that of an old one')
})

test('timestamps tell nothing about the uptime, and grow from connection to connection', () => {
  const tsValOf = (t: Host, port: number): number => {
    send(t, { flags: SYN, port, options: timestampsOption(10, 0) })
    return sentTimestamps(t)[0]
  }
  const t = new Host()
  const values = Array.from({ length: 50 }, (_, i) => tsValOf(t, 1 + i))
  assert.ok(new Set(values.map(value => value >>> 20)).size > 45, 'no pattern from port to port')
  assert.notEqual(tsValOf(new Host({ seed: 2 }), 1), values[0], 'another key, other numbers')
  send(t, { flags: RST, seq: 1, port: 1, options: [] })
  advance(t, 700)
  assert.equal(tsValOf(t, 1), (values[0] + 700) >>> 0)
})

test('an RST of ours carries timestamps, where there is a connection', () => {
  const t = open()
  abort(t.tcp, t.conn())
  t.poll()
  assert.equal(t.last.flags, RST | ACK)
  assert.ok(timestampsIn(t.last) !== undefined)
})

test('pure ACKs with timestamps stand for each other in a batch, unless time goes back', () => {
  for (const [first, second, coalesced] of [
    [1001, 1002, 1],
    [1001, 1001, 1],
    [1002, 1001, 0],
    [0x7fffffff, 0x80000000, 1],
  ]) {
    const t = open(1000)
    write(t, 5000)
    send(t, { flags: ACK, seq: 1, ack: 1449, tsVal: first, poll: false })
    send(t, { flags: ACK, seq: 1, ack: 2897, tsVal: second })
    assert.equal(t.tcp.stats.coalescedAcks, coalesced, `${first}, ${second}`)
  }
})

test('an ACK with timestamps is none for one without, nor for one with more options', () => {
  const other = [...timestampsOption(1001, 0), 1, 1, 1, 1]
  for (const [first, second] of [
    [[], undefined],
    [undefined, []],
    [other, undefined],
    [undefined, other],
    [other, other],
  ]) {
    const t = open(1000)
    write(t, 5000)
    send(t, { flags: ACK, seq: 1, ack: 1449, tsVal: 1001, options: first, poll: false } as Script)
    send(t, { flags: ACK, seq: 1, ack: 2897, tsVal: 1001, options: second } as Script)
    assert.equal(t.tcp.stats.coalescedAcks, 0)
  }
})

test('connections with and without timestamps side by side', () => {
  const t = new Host()
  for (let port = 1; port <= 6; port++) established(t, { port, timestamps: port % 2 === 0 })
  for (let port = 1; port <= 6; port++) write(t, 3000, port)
  const lengths = t.take().map(frame => frame.segment?.options.length)
  assert.equal(lengths.filter(len => len === 12).length, 9)
  assert.equal(lengths.filter(len => len === 0).length, 9)
  ackUpTo(t, 1)
  assert.equal(t.tsValOf.has(PEER_PORT), false)
})
