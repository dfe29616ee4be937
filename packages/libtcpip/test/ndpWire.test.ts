/** Neighbour discovery messages, byte by byte (RFC 4861 §4, §7.1); golden bytes are Linux's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OK } from '@sandstorm/libeth'
import { DROP_NAMES } from '../src/drops.ts'
import { drops } from '../src/index.ts'
import * as icmpv6 from '../src/wire/icmpv6.ts'
import * as ipv6 from '../src/wire/ipv6.ts'
import * as ndp from '../src/wire/ndp.ts'
import { address, message6, type Packet6, packet6 } from './kit/packet6.ts'

/** fd77::1 asks the group of fd77::2 for it; fd77::2 answers; and what Linux sends before use. */
const SOLICITATION =
  '6000000000203aff' +
  'fd770000000000000000000000000001ff0200000000000000000001ff000002' +
  '87007ca000000000fd770000000000000000000000000002010102000000000a'
const ADVERTISEMENT =
  '6000000000203aff' +
  'fd770000000000000000000000000002fd770000000000000000000000000001' +
  '88001b2c60000000fd770000000000000000000000000002020102000000000b'
const DETECTION =
  '6000000000203aff' +
  '00000000000000000000000000000000ff0200000000000000000001ff000002' +
  '87001d3d00000000fd7700000000000000000000000000020e0181f82ddba212'
const IP = 14
const OFF = 54

function place(packet: Buffer): DataView {
  const bytes = new Uint8Array(IP + packet.length)
  bytes.set(packet, IP)
  return new DataView(bytes.buffer)
}

/** What both checks say of a packet that ends where its memory ends. */
function check(packet: Buffer): string {
  const view = place(packet)
  const len = packet.length - 40
  return DROP_NAMES[icmpv6.check(view, IP, OFF, len) || ndp.check(view, IP, OFF, len)]
}

const name = (reason: number): string => DROP_NAMES[reason]
const SOURCE_OPTION = Buffer.from('010102000000000a', 'hex')
const TARGET_OPTION = Buffer.from('020102000000000a', 'hex')

interface Parts extends Omit<Packet6, 'payload'> {
  code?: number
  flags?: number
  target?: string
  options?: Buffer[]
}

function message(type: number, p: Parts): Buffer {
  const data = Buffer.concat([address(p.target ?? 'fd77::2'), ...(p.options ?? [])])
  const payload = message6(type, p.code ?? 0, (p.flags ?? 0) << 24, data)
  return packet6({ hopLimit: 255, ...p, payload })
}
const solicitation = (p: Parts = {}): Buffer => message(135, p)
const advertisement = (p: Parts = {}): Buffer => message(136, p)

test('deconstructs a solicitation', () => {
  const packet = Buffer.from(SOLICITATION, 'hex')
  assert.equal(check(packet), 'ok')
  const view = place(packet)
  assert.equal(icmpv6.type(view, OFF), icmpv6.NEIGHBOUR_SOLICITATION)
  assert.equal(ipv6.formatAt(view, ndp.targetOff(OFF)), 'fd77::2')
  assert.equal(ndp.isFromNobody(view, IP), false)
  const option = ndp.option(view, OFF, 32, ndp.SOURCE_MAC)
  assert.equal(option, OFF + 24)
  assert.equal(ndp.macHi(view, option), 0x0200)
  assert.equal(ndp.macLo(view, option), 0x0000000a)
  assert.equal(ndp.option(view, OFF, 32, ndp.TARGET_MAC), ndp.NO_OPTION)
})

test('deconstructs an advertisement, and what is sent before an address is used', () => {
  const packet = Buffer.from(ADVERTISEMENT, 'hex')
  assert.equal(check(packet), 'ok')
  assert.equal(ndp.flags(place(packet), OFF), ndp.SOLICITED | ndp.OVERRIDE)
  const detection = Buffer.from(DETECTION, 'hex')
  assert.equal(check(detection), 'ok')
  assert.ok(ndp.isFromNobody(place(detection), IP))
})

test('constructs', () => {
  const golden = Buffer.from(ADVERTISEMENT, 'hex')
  const bytes = new Uint8Array(IP + golden.length + 4).fill(0xa5)
  bytes.set(golden.subarray(0, 40), IP)
  const view = new DataView(bytes.buffer)
  const { NEIGHBOUR_ADVERTISEMENT } = icmpv6
  ndp.setType(view, OFF, NEIGHBOUR_ADVERTISEMENT, ndp.SOLICITED | ndp.OVERRIDE)
  ipv6.copyAddress(view, ndp.targetOff(OFF), ipv6.srcOff(IP))
  ndp.setMacOption(view, OFF + ndp.HEADER_LEN, ndp.TARGET_MAC, 0x0200, 0x0b)
  icmpv6.seal(view, IP, OFF, 32)
  assert.deepEqual(bytes.subarray(IP), Uint8Array.of(...golden, 0xa5, 0xa5, 0xa5, 0xa5))
})

test('a message that a router forwarded is no neighbour’s', () => {
  for (const hopLimit of [0, 1, 64, 254]) {
    assert.equal(check(solicitation({ hopLimit })), name(drops.NDP_HOP_LIMIT))
  }
})

test('another code than 0 is refused', () => {
  assert.equal(check(solicitation({ code: 1 })), name(drops.NDP_CODE))
  assert.equal(check(advertisement({ code: 255 })), name(drops.NDP_CODE))
})

test('truncated at any byte', () => {
  const lengths: [number, number][] = [
    [133, 8],
    [134, 16],
    [135, 24],
    [136, 24],
    [137, 40],
  ]
  for (const [type, min] of lengths) {
    for (let len = 8; len <= min; len++) {
      const payload = Buffer.alloc(len)
      payload[0] = type
      const packet = packet6({ src: 'fe80::1', hopLimit: 255, payload })
      assert.equal(check(packet), len < min ? name(drops.NDP_TRUNCATED) : 'ok', `${type}: ${len}`)
    }
  }
})

test('an option of length 0, or cut off, or of a strange length, ends the message', () => {
  const bad = ['0e00000000000000', '01', '0e01000000', '0e02000000000000', '01020200000000']
  for (const hex of [...bad, `01020200000000000${'0'.repeat(15)}`, '0200020000000000']) {
    const packet = solicitation({ options: [SOURCE_OPTION, Buffer.from(hex, 'hex')] })
    assert.equal(check(packet), name(drops.NDP_OPTION_LENGTH), hex)
  }
})

test('unknown options are skipped', () => {
  const unknown = Buffer.alloc(16)
  unknown[0] = 200
  unknown[1] = 2
  const packet = solicitation({ options: [unknown, SOURCE_OPTION] })
  assert.equal(check(packet), 'ok')
  assert.equal(ndp.option(place(packet), OFF, 48, ndp.SOURCE_MAC), OFF + 24 + 16)
})

test('a multicast target is refused', () => {
  for (const packet of [solicitation, advertisement]) {
    assert.equal(check(packet({ target: 'ff02::1' })), name(drops.NDP_ADDRESSES))
  }
})

test('from :: only to a solicited-node group, and without a hardware address', () => {
  const from = { src: '::', dst: 'ff02::1:ff00:2' }
  assert.equal(check(solicitation(from)), 'ok')
  for (const dst of ['fd77::2', 'ff02::1', 'ff02::1:fe00:2', 'ff05::1:ff00:2', 'ff02::2:ff00:2']) {
    assert.equal(check(solicitation({ src: '::', dst })), name(drops.NDP_ADDRESSES), dst)
  }
  const options = [SOURCE_OPTION]
  assert.equal(check(solicitation({ ...from, options })), name(drops.NDP_ADDRESSES))
  assert.equal(check(solicitation({ ...from, options: [TARGET_OPTION] })), 'ok')
})

test('an advertisement to a group answers nobody', () => {
  const dst = 'ff02::1'
  assert.equal(check(advertisement({ dst, flags: 0x20 })), 'ok')
  assert.equal(check(advertisement({ dst, flags: 0x60 })), name(drops.NDP_ADDRESSES))
})

test('a router speaks from its link-local address', () => {
  for (const [type, len] of [
    [134, 8],
    [137, 32],
  ]) {
    const payload = message6(type, 0, 0, Buffer.alloc(len))
    const from = (src: string): string => check(packet6({ src, hopLimit: 255, payload }))
    assert.equal(from('fd77::1'), name(drops.NDP_ADDRESSES))
    assert.equal(from('fe80::1'), name(OK))
  }
})
