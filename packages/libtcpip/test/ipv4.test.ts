import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OK } from '@sandstorm/libeth'
import * as drops from '../src/drops.ts'
import * as checksum from '../src/wire/checksum.ts'
import * as ipv4 from '../src/wire/ipv4.ts'

/** 10.77.0.1 > 10.77.0.2, TCP, 60 bytes, DF. */
const GOLDEN: Uint8Array = Uint8Array.from(
  Buffer.from('4500003c1c464000400609da0a4d00010a4d0002', 'hex'),
)
const OFF = 14

function golden(): DataView {
  const bytes = new Uint8Array(OFF + 60)
  bytes.set(GOLDEN, OFF)
  return new DataView(bytes.buffer)
}

/** A packet with these option bytes (their number a multiple of four) and a right checksum. */
function withOptions(...options: number[]): DataView {
  const view = golden()
  for (let i = 0; i < options.length; i++) view.setUint8(OFF + 20 + i, options[i])
  ipv4.setHeaderLen(view, OFF, 20 + options.length)
  return seal(view)
}

function seal(view: DataView): DataView {
  ipv4.setChecksum(view, OFF, 0)
  const sum = checksum.sum(view, OFF, ipv4.headerLen(view, OFF))
  ipv4.setChecksum(view, OFF, checksum.finish(sum))
  return view
}

test('deconstructs', () => {
  const view = golden()
  assert.equal(ipv4.check(view, OFF, 60), OK)
  assert.equal(ipv4.version(view, OFF), 4)
  assert.equal(ipv4.headerLen(view, OFF), 20)
  assert.equal(ipv4.tos(view, OFF), 0)
  assert.equal(ipv4.totalLen(view, OFF), 60)
  assert.equal(ipv4.id(view, OFF), 0x1c46)
  assert.equal(ipv4.fragment(view, OFF), ipv4.DONT_FRAGMENT)
  assert.equal(ipv4.ttl(view, OFF), 64)
  assert.equal(ipv4.protocol(view, OFF), ipv4.PROTO_TCP)
  assert.equal(ipv4.checksum(view, OFF), 0x09da)
  assert.equal(ipv4.src(view, OFF), ipv4.parse('10.77.0.1'))
  assert.equal(ipv4.dst(view, OFF), ipv4.parse('10.77.0.2'))
  assert.equal(ipv4.payloadOff(view, OFF), OFF + 20)
})

test('constructs', () => {
  const bytes = new Uint8Array(OFF + 20 + 4).fill(0xa5)
  const view = new DataView(bytes.buffer)
  ipv4.setHeaderLen(view, OFF, 20)
  ipv4.setTos(view, OFF, 0)
  ipv4.setTotalLen(view, OFF, 60)
  ipv4.setId(view, OFF, 0x1c46)
  ipv4.setFragment(view, OFF, ipv4.DONT_FRAGMENT)
  ipv4.setTtl(view, OFF, 64)
  ipv4.setProtocol(view, OFF, ipv4.PROTO_TCP)
  ipv4.setSrc(view, OFF, ipv4.parse('10.77.0.1'))
  ipv4.setDst(view, OFF, ipv4.parse('10.77.0.2'))
  seal(view)
  const around = new Array<number>(OFF).fill(0xa5)
  assert.deepEqual(bytes, Uint8Array.of(...around, ...GOLDEN, 0xa5, 0xa5, 0xa5, 0xa5))
})

test('truncated at any byte', () => {
  for (let len = 0; len < 20; len++) {
    assert.equal(ipv4.check(golden(), OFF, len), drops.IP_TRUNCATED)
  }
})

test('another version is refused', () => {
  const view = golden()
  view.setUint8(OFF, 0x65)
  assert.equal(ipv4.check(view, OFF, 60), drops.IP_VERSION)
})

test('bad length: of the header', () => {
  const view = golden()
  ipv4.setHeaderLen(view, OFF, 16)
  assert.equal(ipv4.check(seal(view), OFF, 60), drops.IP_HEADER_LEN)
  ipv4.setHeaderLen(view, OFF, 60)
  assert.equal(ipv4.check(view, OFF, 59), drops.IP_HEADER_LEN)
})

test('bad length: of the packet', () => {
  const view = golden()
  for (const total of [0, 19, 61, 65_535]) {
    ipv4.setTotalLen(view, OFF, total)
    assert.equal(ipv4.check(seal(view), OFF, 60), drops.IP_TOTAL_LEN, `${total}`)
  }
  ipv4.setHeaderLen(view, OFF, 24)
  ipv4.setTotalLen(view, OFF, 23)
  assert.equal(ipv4.check(seal(view), OFF, 60), drops.IP_TOTAL_LEN, 'shorter than its options')
  ipv4.setHeaderLen(view, OFF, 20)
  ipv4.setTotalLen(view, OFF, 20)
  assert.equal(ipv4.check(seal(view), OFF, 60), OK, 'the rest is Ethernet padding')
})

test('bad checksum: every single bit of the header counts', () => {
  for (let bit = 0; bit < 160; bit++) {
    const view = golden()
    const at = OFF + (bit >> 3)
    view.setUint8(at, view.getUint8(at) ^ (1 << (bit & 7)))
    assert.notEqual(ipv4.check(view, OFF, 60), OK, `bit ${bit}`)
  }
  const view = golden()
  ipv4.setTtl(view, OFF, 63)
  assert.equal(ipv4.check(view, OFF, 60), drops.IP_CHECKSUM)
})

test('fragments are refused, DF alone is not one', () => {
  const fragment = (bits: number): number => {
    const view = golden()
    ipv4.setFragment(view, OFF, bits)
    return ipv4.check(seal(view), OFF, 60)
  }
  assert.equal(fragment(ipv4.MORE_FRAGMENTS), drops.IP_FRAGMENT)
  assert.equal(fragment(1), drops.IP_FRAGMENT)
  assert.equal(fragment(0x1fff), drops.IP_FRAGMENT)
  assert.equal(fragment(0), OK)
  assert.equal(fragment(ipv4.DONT_FRAGMENT), OK)
})

test('harmless options are tolerated', () => {
  assert.equal(ipv4.check(withOptions(1, 1, 1, 0), OFF, 60), OK)
  assert.equal(ipv4.check(withOptions(148, 4, 0, 0), OFF, 60), OK)
  assert.equal(ipv4.check(withOptions(0, 131, 4, 4), OFF, 60), OK, 'behind the end there is none')
  assert.equal(ipv4.payloadOff(withOptions(1, 1, 1, 1), OFF), OFF + 24)
})

test('source routes are refused', () => {
  assert.equal(ipv4.check(withOptions(131, 3, 4, 0), OFF, 60), drops.IP_OPTIONS_SOURCE_ROUTE)
  assert.equal(ipv4.check(withOptions(1, 137, 3, 4), OFF, 60), drops.IP_OPTIONS_SOURCE_ROUTE)
})

test('an impossible option length ends the packet', () => {
  assert.equal(ipv4.check(withOptions(7, 0, 0, 0), OFF, 60), drops.IP_OPTIONS_MALFORMED)
  assert.equal(ipv4.check(withOptions(7, 1, 0, 0), OFF, 60), drops.IP_OPTIONS_MALFORMED)
  assert.equal(ipv4.check(withOptions(7, 5, 0, 0), OFF, 60), drops.IP_OPTIONS_MALFORMED)
  const whole = withOptions(1, 1, 1, 7)
  ipv4.setTotalLen(whole, OFF, 24)
  const atTheEnd = new DataView(seal(whole).buffer.slice(0, OFF + 24))
  assert.equal(ipv4.check(atTheEnd, OFF, 24), drops.IP_OPTIONS_MALFORMED, 'and nothing behind it')
})

test('addresses that cannot be a source', () => {
  const bad = ['0.0.0.0', '0.1.2.3', '127.0.0.1', '224.0.0.1', '239.1.1.1', '240.0.0.1']
  for (const text of [...bad, '255.255.255.255'])
    assert.ok(ipv4.isBadSource(ipv4.parse(text)), text)
  for (const text of ['1.0.0.1', '10.77.0.1', '126.1.1.1', '128.0.0.1', '223.255.255.255']) {
    assert.equal(ipv4.isBadSource(ipv4.parse(text)), false, text)
  }
})

test('the pseudo-header sums as twelve bytes would', () => {
  const view = new DataView(new ArrayBuffer(12))
  view.setInt32(0, ipv4.parse('255.254.253.252'))
  view.setInt32(4, ipv4.parse('10.77.0.2'))
  view.setUint16(8, ipv4.PROTO_TCP)
  view.setUint16(10, 65_000)
  const sum = ipv4.pseudoSum(view.getInt32(0), view.getInt32(4), ipv4.PROTO_TCP, 65_000)
  assert.equal(sum, checksum.sum(view, 0, 12))
})

test('an address as text is the same address', () => {
  for (const text of ['0.0.0.0', '10.77.0.2', '192.168.255.1', '255.255.255.255']) {
    assert.equal(ipv4.formatAddress(ipv4.parse(text)), text)
  }
  assert.equal(ipv4.parse('128.0.0.0'), -(2 ** 31))
})

test('what is no address is refused with its text', () => {
  const bad = ['', '1.2.3', '1.2.3.4.5', '1.2.3.256', '1.2.3.-4', '01.2.3.4', '1.2.3.4 ', 'a.b.c.d']
  for (const text of [...bad, '1..2.3', '1.2.3.4/24', '0x1.2.3.4']) {
    assert.throws(() => ipv4.parse(text), { message: `not an IPv4 address: "${text}"` })
  }
})
