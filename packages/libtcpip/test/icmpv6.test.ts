import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OK } from '@sandstorm/libeth'
import * as drops from '../src/drops.ts'
import * as icmpv6 from '../src/wire/icmpv6.ts'
import { address, checksum6, message6, packet6 } from './kit/packet6.ts'

/** fd77::1 > fd77::2, echo request, id 0x1234, sequence 1, data "abcde" (an odd length). */
const GOLDEN: Uint8Array = Uint8Array.from(
  Buffer.from(
    '60000000000d3a40' +
      'fd770000000000000000000000000001' +
      'fd770000000000000000000000000002' +
      '800048c9123400016162636465',
    'hex',
  ),
)
const IP = 14
const OFF = 54
const LEN = 13

function golden(): DataView {
  const bytes = new Uint8Array(IP + GOLDEN.length)
  bytes.set(GOLDEN, IP)
  return new DataView(bytes.buffer)
}

test('deconstructs', () => {
  const view = golden()
  assert.equal(icmpv6.check(view, IP, OFF, LEN), OK)
  assert.equal(icmpv6.type(view, OFF), icmpv6.ECHO_REQUEST)
  assert.equal(icmpv6.code(view, OFF), 0)
  assert.equal(icmpv6.checksum(view, OFF), 0x48c9)
  assert.equal(icmpv6.id(view, OFF), 0x1234)
  assert.equal(icmpv6.sequence(view, OFF), 1)
  assert.equal(icmpv6.info(view, OFF), 0x12340001)
})

test('constructs', () => {
  const bytes = new Uint8Array(IP + GOLDEN.length + 1).fill(0xa5)
  const view = new DataView(bytes.buffer)
  bytes.set(GOLDEN.subarray(0, 40), IP)
  icmpv6.setType(view, OFF, icmpv6.ECHO_REQUEST)
  icmpv6.setCode(view, OFF, 0)
  icmpv6.setId(view, OFF, 0x1234)
  icmpv6.setSequence(view, OFF, 1)
  bytes.set(GOLDEN.subarray(48), OFF + 8)
  icmpv6.seal(view, IP, OFF, LEN)
  assert.deepEqual(bytes.subarray(IP), Uint8Array.of(...GOLDEN, 0xa5))
  icmpv6.setInfo(view, OFF, 0xfffffffe)
  assert.equal(icmpv6.info(view, OFF), 0xfffffffe)
})

test("the kit's packets are the golden ones", () => {
  const echo = message6(128, 0, 0x12340001, Buffer.from('abcde'))
  assert.deepEqual(Uint8Array.from(packet6({ payload: echo })), GOLDEN)
  const message = Buffer.from(GOLDEN.subarray(40))
  assert.equal(checksum6(address('fd77::1'), address('fd77::2'), 58, message), 0xffff)
})

test('truncated at any byte of the header', () => {
  for (let len = 0; len < icmpv6.HEADER_LEN; len++) {
    assert.equal(icmpv6.check(golden(), IP, OFF, len), drops.ICMP6_TRUNCATED)
  }
})

test('bad length: a message cut short fails its checksum', () => {
  assert.equal(icmpv6.check(golden(), IP, OFF, LEN - 1), drops.ICMP6_CHECKSUM)
})

test('bad checksum: every single bit of message and addresses counts', () => {
  for (let bit = 64; bit < GOLDEN.length * 8; bit++) {
    const view = golden()
    const at = IP + (bit >> 3)
    view.setUint8(at, view.getUint8(at) ^ (1 << (bit & 7)))
    assert.equal(icmpv6.check(view, IP, OFF, LEN), drops.ICMP6_CHECKSUM, `bit ${bit}`)
  }
})
