import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OK } from '@sandstorm/libeth'
import * as drops from '../src/drops.ts'
import * as checksum from '../src/wire/checksum.ts'
import * as ipv4 from '../src/wire/ipv4.ts'
import * as tcp from '../src/wire/tcp.ts'
import * as options from '../src/wire/tcpOptions.ts'

/** A SYN, 10.77.0.1:40000 > 10.77.0.2:80, with the options of Linux. */
const GOLDEN: Uint8Array = Uint8Array.from(
  Buffer.from(
    '9c40005000000001' +
      '00000000a002faf0' +
      '9be00000020405b4' +
      '0402080a0000000100000000' +
      '01030307',
    'hex',
  ),
)
const OFF = 34

function golden(): DataView {
  const bytes = new Uint8Array(OFF + GOLDEN.length)
  bytes.set(GOLDEN, OFF)
  return new DataView(bytes.buffer)
}

test('deconstructs', () => {
  const view = golden()
  assert.equal(tcp.check(view, OFF, GOLDEN.length), OK)
  assert.equal(tcp.srcPort(view, OFF), 40_000)
  assert.equal(tcp.dstPort(view, OFF), 80)
  assert.equal(tcp.seq(view, OFF), 1)
  assert.equal(tcp.ack(view, OFF), 0)
  assert.equal(tcp.headerLen(view, OFF), 40)
  assert.equal(tcp.flags(view, OFF), tcp.SYN)
  assert.equal(tcp.window(view, OFF), 64_240)
  assert.equal(tcp.checksum(view, OFF), 0x9be0)
  assert.equal(tcp.urgent(view, OFF), 0)
})

test('constructs', () => {
  const bytes = new Uint8Array(OFF + GOLDEN.length + 1).fill(0xa5)
  const view = new DataView(bytes.buffer)
  tcp.setSrcPort(view, OFF, 40_000)
  tcp.setDstPort(view, OFF, 80)
  tcp.setSeq(view, OFF, 1)
  tcp.setAck(view, OFF, 0)
  tcp.setHeaderLen(view, OFF, 40)
  tcp.setFlags(view, OFF, tcp.SYN)
  tcp.setWindow(view, OFF, 64_240)
  tcp.setChecksum(view, OFF, 0)
  tcp.setUrgent(view, OFF, 0)
  let at = options.writeMss(view, OFF + tcp.HEADER_LEN, 1460)
  // SACK-permitted and timestamps are only read so far.
  bytes.set(GOLDEN.subarray(24, 36), at)
  at = options.writeWindowScale(view, at + 12, 7)
  assert.equal(at, OFF + 40)
  const pseudo = ipv4.pseudoSum(ipv4.parse('10.77.0.1'), ipv4.parse('10.77.0.2'), 6, 40)
  const sum = checksum.add(pseudo, checksum.sum(view, OFF, 40))
  tcp.setChecksum(view, OFF, checksum.finish(sum))
  assert.deepEqual(bytes.subarray(OFF), Uint8Array.of(...GOLDEN, 0xa5))
  assert.ok(bytes.subarray(0, OFF).every(b => b === 0xa5))
})

test('sequence numbers are int32, flags are all eight bits', () => {
  const view = golden()
  tcp.setSeq(view, OFF, 0xfffffffe | 0)
  tcp.setAck(view, OFF, 0x80000000)
  assert.equal(tcp.seq(view, OFF), -2)
  assert.equal(tcp.ack(view, OFF), -(2 ** 31))
  const { FIN, SYN, RST, PSH, ACK, URG, ECE, CWR } = tcp
  const all = [FIN, SYN, RST, PSH, ACK, URG, ECE, CWR]
  assert.equal(
    all.reduce((sum, flag) => sum + flag),
    0xff,
  )
  tcp.setFlags(view, OFF, 0xff)
  assert.equal(tcp.flags(view, OFF), 0xff)
  assert.equal(tcp.headerLen(view, OFF), 40)
})

test('truncated at any byte', () => {
  for (let len = 0; len < 20; len++) {
    assert.equal(tcp.check(golden(), OFF, len), drops.TCP_TRUNCATED)
  }
})

test('bad length: a header under 20 bytes or beyond the segment', () => {
  const view = golden()
  for (const len of [0, 4, 16]) {
    tcp.setHeaderLen(view, OFF, len)
    assert.equal(tcp.check(view, OFF, 40), drops.TCP_HEADER_LEN)
  }
  tcp.setHeaderLen(view, OFF, 40)
  assert.equal(tcp.check(view, OFF, 39), drops.TCP_HEADER_LEN)
  tcp.setHeaderLen(view, OFF, 60)
  assert.equal(tcp.headerLen(view, OFF), 60)
  assert.equal(tcp.check(view, OFF, 59), drops.TCP_HEADER_LEN)
})

test('port zero is nobody', () => {
  const view = golden()
  tcp.setSrcPort(view, OFF, 0)
  assert.equal(tcp.check(view, OFF, 40), drops.TCP_PORT_ZERO)
  tcp.setSrcPort(view, OFF, 1)
  tcp.setDstPort(view, OFF, 0)
  assert.equal(tcp.check(view, OFF, 40), drops.TCP_PORT_ZERO)
})

test('bad checksum: with the pseudo-header the golden segment sums to all ones', () => {
  const view = golden()
  const [from, to] = [ipv4.parse('10.77.0.1'), ipv4.parse('10.77.0.2')]
  const total = (): number =>
    checksum.add(ipv4.pseudoSum(from, to, ipv4.PROTO_TCP, 40), checksum.sum(view, OFF, 40))
  assert.equal(total(), 0xffff)
  tcp.setWindow(view, OFF, 64_241)
  assert.notEqual(total(), 0xffff)
})
