import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OK } from '@sandstorm/libeth'
import * as drops from '../src/drops.ts'
import * as checksum from '../src/wire/checksum.ts'
import * as icmp from '../src/wire/icmp.ts'

/** An echo request, id 0x1234, sequence 1, data "abcde" (an odd length). */
const GOLDEN: Uint8Array = Uint8Array.from(Buffer.from('0800bc0312340001' + '6162636465', 'hex'))
const OFF = 34

function golden(): DataView {
  const bytes = new Uint8Array(OFF + GOLDEN.length)
  bytes.set(GOLDEN, OFF)
  return new DataView(bytes.buffer)
}

test('deconstructs', () => {
  const view = golden()
  assert.equal(icmp.check(view, OFF, GOLDEN.length), OK)
  assert.equal(icmp.type(view, OFF), icmp.ECHO_REQUEST)
  assert.equal(icmp.code(view, OFF), 0)
  assert.equal(icmp.checksum(view, OFF), 0xbc03)
  assert.equal(icmp.id(view, OFF), 0x1234)
  assert.equal(icmp.sequence(view, OFF), 1)
})

test('constructs', () => {
  const bytes = new Uint8Array(OFF + GOLDEN.length + 1).fill(0xa5)
  const view = new DataView(bytes.buffer)
  icmp.setType(view, OFF, icmp.ECHO_REQUEST)
  icmp.setCode(view, OFF, 0)
  icmp.setChecksum(view, OFF, 0)
  icmp.setId(view, OFF, 0x1234)
  icmp.setSequence(view, OFF, 1)
  bytes.set(GOLDEN.subarray(8), OFF + 8)
  icmp.setChecksum(view, OFF, checksum.finish(checksum.sum(view, OFF, GOLDEN.length)))
  assert.deepEqual(bytes.subarray(OFF), Uint8Array.of(...GOLDEN, 0xa5))
  assert.ok(bytes.subarray(0, OFF).every(b => b === 0xa5))
})

test('truncated at any byte of the header', () => {
  for (let len = 0; len < 8; len++) {
    assert.equal(icmp.check(golden(), OFF, len), drops.ICMP_TRUNCATED)
  }
})

test('bad length: a message cut short fails its checksum', () => {
  assert.equal(icmp.check(golden(), OFF, GOLDEN.length - 1), drops.ICMP_CHECKSUM)
})

test('bad checksum: every single bit counts', () => {
  for (let bit = 0; bit < GOLDEN.length * 8; bit++) {
    const view = golden()
    const at = OFF + (bit >> 3)
    view.setUint8(at, view.getUint8(at) ^ (1 << (bit & 7)))
    assert.equal(icmp.check(view, OFF, GOLDEN.length), drops.ICMP_CHECKSUM, `bit ${bit}`)
  }
})
