import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ETH_BAD_SOURCE, ETH_LENGTH, ETH_TRUNCATED, ETH_VLAN, OK } from '../src/drops.ts'
import * as ethernet from '../src/ethernet.ts'

/** A captured header: 02:00:00:00:00:02 < 8e:01:02:03:04:05, IPv4. */
const GOLDEN = Uint8Array.of(0x02, 0, 0, 0, 0, 0x02, 0x8e, 1, 2, 3, 4, 5, 0x08, 0x00)
const OFF = 3

function at(bytes: Uint8Array): DataView {
  const buffer = new Uint8Array(OFF + bytes.length)
  buffer.set(bytes, OFF)
  return new DataView(buffer.buffer)
}

function checkType(type: number): number {
  const view = at(GOLDEN)
  ethernet.setType(view, OFF, type)
  return ethernet.check(view, OFF, 60)
}

test('deconstructs', () => {
  const view = at(GOLDEN)
  assert.equal(ethernet.check(view, OFF, GOLDEN.length), OK)
  assert.equal(ethernet.dstHi(view, OFF), 0x0200)
  assert.equal(ethernet.dstLo(view, OFF), 2)
  assert.equal(ethernet.srcHi(view, OFF), 0x8e01)
  assert.equal(ethernet.srcLo(view, OFF), 0x02030405)
  assert.equal(ethernet.type(view, OFF), ethernet.TYPE_IPV4)
})

test('constructs', () => {
  const bytes = new Uint8Array(OFF + 14 + 2).fill(0xa5)
  const view = new DataView(bytes.buffer)
  ethernet.setDst(view, OFF, 0x0200, 2)
  ethernet.setSrc(view, OFF, 0x8e01, 0x02030405)
  ethernet.setType(view, OFF, ethernet.TYPE_IPV4)
  assert.deepEqual(bytes, Uint8Array.of(0xa5, 0xa5, 0xa5, ...GOLDEN, 0xa5, 0xa5))
})

test('a frame shorter than its header is truncated', () => {
  for (let len = 0; len < ethernet.HEADER_LEN; len++) {
    assert.equal(ethernet.check(at(GOLDEN), OFF, len), ETH_TRUNCATED)
  }
})

test('VLAN tags and 802.3 lengths are refused under their own names', () => {
  for (const tag of [0x8100, 0x88a8, 0x9100]) assert.equal(checkType(tag), ETH_VLAN)
  for (const length of [0, 38, 1500, 0x05ff]) assert.equal(checkType(length), ETH_LENGTH)
  for (const type of [0x0600, 0x0806, 0x86dd, 0xffff]) assert.equal(checkType(type), OK)
})

test('a tag that has only a priority is told from one that names a VLAN, and taken out', () => {
  const tagged = (...tag: number[]): DataView =>
    at(Uint8Array.of(...GOLDEN.subarray(0, 12), ...tag, ...GOLDEN.subarray(12)))
  for (const control of [0x00, 0xe0, 0xf0]) {
    const view = tagged(0x81, 0x00, control, 0x00)
    assert.equal(ethernet.check(view, OFF, 18), ETH_VLAN)
    assert.equal(ethernet.vlanId(view, OFF), 0)
    assert.equal(ethernet.isPriorityTagged(view, OFF, 18), true)
    assert.equal(ethernet.isPriorityTagged(view, OFF, 17), false)
    ethernet.removeTag(view, OFF)
    const off = OFF + ethernet.TAG_LEN
    assert.deepEqual(new Uint8Array(view.buffer, off), GOLDEN)
    assert.equal(ethernet.check(view, off, 14), OK)
  }
  for (const tag of [
    [0x81, 0x00, 0xe1, 0x02],
    [0x88, 0xa8, 0x00, 0x00],
    [0x08, 0x00, 0x00, 0x00],
    [0x81, 0x00, 0x00, 0x00, 0x81, 0x00, 0x00, 0x00],
  ])
    assert.equal(ethernet.isPriorityTagged(tagged(...tag), OFF, 22), false)
  assert.equal(ethernet.vlanId(tagged(0x81, 0x00, 0xff, 0xfe), OFF), 4094)
})

test('a group address sends no frames', () => {
  const view = at(GOLDEN)
  ethernet.setSrc(view, OFF, 0x0100, 0x5e000001)
  assert.equal(ethernet.check(view, OFF, 60), ETH_BAD_SOURCE)
})

test('multicast and broadcast are told from unicast by the group bit', () => {
  const view = at(GOLDEN)
  assert.equal(ethernet.isMulticast(view, OFF), false)
  ethernet.setDst(view, OFF, 0x0100, 0x5e000001)
  assert.equal(ethernet.isMulticast(view, OFF), true)
  ethernet.setDst(view, OFF, ethernet.BROADCAST_HI, ethernet.BROADCAST_LO)
  assert.equal(ethernet.isMulticast(view, OFF), true)
})

test('a six-byte address becomes the pair that the accessors read', () => {
  const mac = Uint8Array.of(0xfe, 0xdc, 0xff, 0, 1, 0x80)
  const view = at(GOLDEN)
  for (let i = 0; i < 6; i++) view.setUint8(OFF + i, mac[i])
  assert.equal(ethernet.hiOf(mac), ethernet.dstHi(view, OFF))
  assert.equal(ethernet.loOf(mac), ethernet.dstLo(view, OFF))
})
