import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as arp from '../src/arpPacket.ts'
import * as drops from '../src/drops.ts'

/** A reply: 10.77.0.1 is at 8e:01:02:03:04:05, told to 02:00:00:00:00:02 at 10.77.0.2. */
const GOLDEN: Uint8Array = Uint8Array.from(
  Buffer.from('0001080006040002' + '8e01020304050a4d0001' + '0200000000020a4d0002', 'hex'),
)
const OFF = 5

function at(bytes: Uint8Array): DataView {
  const buffer = new Uint8Array(OFF + bytes.length)
  buffer.set(bytes, OFF)
  return new DataView(buffer.buffer)
}

function checkWith(byte: number, value: number): number {
  const view = at(GOLDEN)
  view.setUint8(OFF + byte, value)
  return arp.check(view, OFF, arp.PACKET_LEN)
}

test('deconstructs', () => {
  const view = at(GOLDEN)
  assert.equal(arp.check(view, OFF, GOLDEN.length), drops.OK)
  assert.equal(arp.operation(view, OFF), arp.REPLY)
  assert.equal(arp.senderHi(view, OFF), 0x8e01)
  assert.equal(arp.senderLo(view, OFF), 0x02030405)
  assert.equal(arp.senderIp(view, OFF), 0x0a4d0001)
  assert.equal(arp.targetHi(view, OFF), 0x0200)
  assert.equal(arp.targetLo(view, OFF), 2)
  assert.equal(arp.targetIp(view, OFF), 0x0a4d0002)
})

test('constructs', () => {
  const bytes = new Uint8Array(OFF + arp.PACKET_LEN + 1).fill(0xa5)
  const view = new DataView(bytes.buffer)
  arp.setOperation(view, OFF, arp.REPLY)
  arp.setSender(view, OFF, 0x8e01, 0x02030405, 0x0a4d0001)
  arp.setTarget(view, OFF, 0x0200, 2, 0x0a4d0002)
  assert.deepEqual(bytes, Uint8Array.of(...new Array<number>(OFF).fill(0xa5), ...GOLDEN, 0xa5))
})

test('truncated at any byte', () => {
  for (let len = -14; len < arp.PACKET_LEN; len++) {
    assert.equal(arp.check(at(GOLDEN), OFF, len), drops.ARP_TRUNCATED)
  }
})

test('Ethernet padding behind the packet is no harm', () => {
  assert.equal(arp.check(at(GOLDEN), OFF, 46), drops.OK)
})

test('every fixed field is looked at', () => {
  assert.equal(checkWith(1, 6), drops.ARP_HARDWARE)
  assert.equal(checkWith(2, 0x86), drops.ARP_PROTOCOL)
  assert.equal(checkWith(4, 8), drops.ARP_LENGTHS)
  assert.equal(checkWith(5, 16), drops.ARP_LENGTHS)
  for (const op of [0, 3, 4, 255]) assert.equal(checkWith(7, op), drops.ARP_OPERATION)
  assert.equal(checkWith(7, arp.REQUEST), drops.OK)
})
