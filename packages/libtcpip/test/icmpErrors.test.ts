/**
 * ICMP errors about connections (RFC 9293 §3.9.2.2; attacks: RFC 5927; handshakes: RFC 5461; source
 * quench: RFC 6633): which are ours, and that none ends what both sides agreed on.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, DROP_NAMES, icmp, ipv4, ipv4Address } from '../src/index.ts'
import {
  advance,
  established,
  expectSent,
  Host,
  OUR_PORT,
  PEER_ADDR,
  PEER_PORT,
  segments,
  send,
  write,
} from './kit/host.ts'
import { type IcmpScript, sendIcmp } from './kit/icmp.ts'
import { ACK, SYN } from './kit/segment.ts'

const { DESTINATION_UNREACHABLE: UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM } = icmp

/** The names of what was dropped, and how often. */
const dropped = (t: Host): Record<string, number> =>
  Object.fromEntries(
    DROP_NAMES.map((name, reason) => [name, t.tcp.drops[reason]] as const).filter(([, n]) => n > 0),
  )

/** Five segments, 1 … 5000, are in flight. */
function flying(): Host {
  const t = new Host()
  established(t, { mss: 1000, rttMs: 50 })
  write(t, 5000)
  t.take()
  return t
}

const HARD = [
  ['protocol unreachable', { type: UNREACHABLE, code: 2 }],
  ['port unreachable', { type: UNREACHABLE, code: 3 }],
] as const
const SOFT = [
  ['net unreachable', { type: UNREACHABLE, code: 0 }],
  ['host unreachable', { type: UNREACHABLE, code: 1 }],
  ['source route failed', { type: UNREACHABLE, code: 5 }],
  ['administratively prohibited', { type: UNREACHABLE, code: 13 }],
  ['an unknown code', { type: UNREACHABLE, code: 200 }],
  ['time exceeded', { type: TIME_EXCEEDED, code: 0 }],
  ['a parameter problem', { type: PARAMETER_PROBLEM, code: 0 }],
] as const

for (const [name, error] of [...HARD, ...SOFT]) {
  test(`${name} ends no connection, and is counted`, () => {
    const t = flying()
    sendIcmp(t, { ...error, seq: 2001 })
    assert.equal(t.state(), 'ESTABLISHED')
    assert.deepEqual(dropped(t), { 'tcp-icmp-soft': 1 })
    send(t, { flags: ACK, seq: 1, ack: 5001 })
    expectSent(t, [])
    write(t, 1000)
    expectSent(t, ['P. 5001:6001 ack 1'])
  })
}

for (const [name, error] of HARD) {
  test(`${name} about our SYN-ACK ends the attempt`, () => {
    const t = new Host()
    send(t, { flags: SYN, seq: 0 })
    sendIcmp(t, { ...error, seq: 0 })
    assert.equal(t.state(), 'none')
    assert.equal(t.tcp.stats.attemptFails, 1)
    assert.equal(t.tcp.halfOpen, 0)
    assert.deepEqual(dropped(t), {})
  })
}

for (const [name, error] of HARD) {
  test(`${name} about our SYN tells the application that the peer refused`, () => {
    const t = connecting()
    sendIcmp(t, { ...error, seq: 0 })
    assert.equal(t.state(), 'none')
    assert.equal(t.app.events.join(), 'failed: reset')
    assert.equal(t.tcp.stats.attemptFails, 1)
  })
}

for (const [name, error] of SOFT) {
  test(`${name} about our SYN is left to its timer`, () => {
    const t = connecting()
    sendIcmp(t, { ...error, seq: 0 })
    assert.equal(t.state(), 'SYN-SENT')
    advance(t, 1500)
    expectSent(t, ['S 0'])
  })
}

/** We have sent a SYN, whose number is noted as the SYN-ACK's is elsewhere. */
function connecting(): Host {
  const t = new Host()
  connect(t.tcp, 0, ipv4Address('10.0.0.1'), PEER_PORT, OUR_PORT)
  t.poll()
  t.take()
  return t
}

for (const [name, error] of SOFT) {
  test(`${name} about our SYN-ACK is left to its timer`, () => {
    const t = new Host()
    send(t, { flags: SYN, seq: 0 })
    sendIcmp(t, { ...error, seq: 0 })
    t.take()
    advance(t, 1500)
    expectSent(t, ['S. 0 ack 1'])
    assert.equal(t.state(), 'SYN-RECEIVED')
  })
}

for (const [name, script] of [
  ['before the flight', { seq: 0 }],
  ['at its end', { seq: 5001 }],
  ['far ahead', { seq: 1 << 30 }],
  ['another port of the peer', { port: 41_000 }],
  ['another port of ours', { localPort: 81 }],
  ['another peer', { remote: PEER_ADDR + 1 }],
] as [string, IcmpScript][]) {
  test(`an error about a segment that is not in flight is a stray: ${name}`, () => {
    const t = flying()
    // The number is this connection's, whatever connection is named.
    const iss = t.iss()
    t.issOf.set(script.port ?? 40_000, iss)
    for (const code of [3, 4]) sendIcmp(t, { mtu: 600, ...script, code })
    assert.deepEqual(dropped(t), { 'tcp-icmp-stray': 2 })
    assert.equal(t.state(), 'ESTABLISHED')
    assert.equal(t.tcp.stats.pathMtuReductions, 0)
  })
}

test('what is acknowledged is in flight no longer', () => {
  const t = flying()
  send(t, { flags: ACK, seq: 1, ack: 2001 })
  sendIcmp(t, { mtu: 600, seq: 2000 })
  assert.deepEqual(dropped(t), { 'tcp-icmp-stray': 1 })
  sendIcmp(t, { code: 1, seq: 2001 })
  assert.deepEqual(dropped(t), { 'tcp-icmp-stray': 1, 'tcp-icmp-soft': 1 })
})

for (const [name, script] of [
  ['less than ports and sequence number', { quoted: 7 }],
  ['nothing of it', { quoted: 0 }],
  ['a packet from somebody else', { local: PEER_ADDR }],
  ['UDP', { protocol: ipv4.PROTO_UDP }],
  ['version 6', { spoil: (v: DataView, quote: number) => v.setUint8(quote, 0x65) }],
  ['a header of 16 bytes', { spoil: (v: DataView, quote: number) => v.setUint8(quote, 0x44) }],
  ['a header beyond the quote', { spoil: (v: DataView, quote: number) => v.setUint8(quote, 0x4f) }],
  ['a later fragment', { spoil: (v: DataView, quote: number) => v.setUint16(quote + 6, 0x2010) }],
] as [string, IcmpScript][]) {
  test(`an error that quotes no segment of ours is dropped: ${name}`, () => {
    const t = flying()
    sendIcmp(t, { mtu: 600, ...script })
    assert.deepEqual(dropped(t), { 'icmp-not-about-us': 1 })
  })
}

test('a message without a quote is dropped, wherever it ends', () => {
  for (let quoted = -20; quoted < 8; quoted++) {
    const t = flying()
    sendIcmp(t, { mtu: 600, quoted })
    assert.deepEqual(dropped(t), { 'icmp-not-about-us': 1 })
  }
})

for (const [name, type] of [
  ['source-quench', icmp.SOURCE_QUENCH],
  ['redirect', icmp.REDIRECT],
] as const) {
  test(`a ${name} changes nothing`, () => {
    const t = flying()
    sendIcmp(t, { type, code: 0, mtu: PEER_ADDR + 1 })
    assert.deepEqual(dropped(t), { [`icmp-${name}`]: 1 })
    send(t, { flags: ACK, seq: 1, ack: 5001 })
    write(t, 2000)
    expectSent(t, ['. 5001:6001 ack 1', 'P. 6001:7001 ack 1'])
  })
}

test('types that are no errors about segments are not answered', () => {
  const t = flying()
  for (const type of [0, 9, 13, 17, 40]) sendIcmp(t, { type, code: 0 })
  assert.deepEqual(dropped(t), { 'icmp-type': 5 })
  expectSent(t, [])
})

test('an error never makes a segment leave', () => {
  const t = flying()
  for (const [, error] of [...HARD, ...SOFT]) sendIcmp(t, error)
  expectSent(t, [])
  send(t, { flags: ACK, seq: 1, ack: 5001 })
  write(t, 5000)
  expectSent(t, [...segments(5001, 4, 1000), 'P. 9001:10001 ack 1'])
})
