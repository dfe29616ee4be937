import assert from 'node:assert/strict'
import { isIPv6 } from 'node:net'
import { test } from 'node:test'
import { OK } from '@sandstorm/libeth'
import * as drops from '../src/drops.ts'
import * as ipv6 from '../src/wire/ipv6.ts'
import { random } from './random.ts'
import * as naive from './reference/checksum.ts'

/** fd77::1 > fd77::2, TCP, 40 bytes of payload, as Linux sends a SYN. */
const GOLDEN: Uint8Array = Uint8Array.from(
  Buffer.from(
    '60b4c2ab00280640' + 'fd770000000000000000000000000001' + 'fd770000000000000000000000000002',
    'hex',
  ),
)
const OFF = 14
const LEN = 80

function golden(): DataView {
  const bytes = new Uint8Array(OFF + LEN)
  bytes.set(GOLDEN, OFF)
  return new DataView(bytes.buffer)
}

type Words = [number, number, number, number]
const words = (text: string): Words => [...ipv6.parse(text)] as Words

test('deconstructs', () => {
  const view = golden()
  assert.equal(ipv6.check(view, OFF, LEN), OK)
  assert.equal(ipv6.version(view, OFF), 6)
  assert.equal(ipv6.trafficClass(view, OFF), 0x0b)
  assert.equal(ipv6.flowLabel(view, OFF), 0x4c2ab)
  assert.equal(ipv6.payloadLen(view, OFF), 40)
  assert.equal(ipv6.nextHeader(view, OFF), ipv6.PROTO_TCP)
  assert.equal(ipv6.hopLimit(view, OFF), 64)
  const src = [0, 1, 2, 3].map(i => ipv6.src(view, OFF, i))
  const dst = [0, 1, 2, 3].map(i => ipv6.dst(view, OFF, i))
  assert.deepEqual(src, words('fd77::1'))
  assert.deepEqual(dst, words('fd77::2'))
  assert.equal(ipv6.formatAt(view, ipv6.srcOff(OFF)), 'fd77::1')
  assert.equal(ipv6.formatAt(view, ipv6.dstOff(OFF)), 'fd77::2')
})

test('constructs', () => {
  const bytes = new Uint8Array(OFF + ipv6.HEADER_LEN + 4).fill(0xa5)
  const view = new DataView(bytes.buffer)
  ipv6.setClassAndFlow(view, OFF, 0x0b, 0x4c2ab)
  ipv6.setPayloadLen(view, OFF, 40)
  ipv6.setNextHeader(view, OFF, ipv6.PROTO_TCP)
  ipv6.setHopLimit(view, OFF, 64)
  ipv6.setSrc(view, OFF, ...words('fd77::1'))
  ipv6.setDst(view, OFF, ...words('fd77::2'))
  const around = new Array<number>(OFF).fill(0xa5)
  assert.deepEqual(bytes, Uint8Array.of(...around, ...GOLDEN, 0xa5, 0xa5, 0xa5, 0xa5))
})

test('an address is copied and compared whole', () => {
  const view = golden()
  assert.equal(ipv6.sameAddress(view, ipv6.srcOff(OFF), ipv6.dstOff(OFF)), false)
  ipv6.copyAddress(view, ipv6.srcOff(OFF), ipv6.dstOff(OFF))
  assert.equal(ipv6.formatAt(view, ipv6.srcOff(OFF)), 'fd77::2')
  for (let i = 0; i < 16; i++) {
    const other = golden()
    ipv6.copyAddress(other, ipv6.srcOff(OFF), ipv6.dstOff(OFF))
    other.setUint8(ipv6.srcOff(OFF) + i, other.getUint8(ipv6.srcOff(OFF) + i) ^ 1)
    assert.equal(ipv6.sameAddress(other, ipv6.srcOff(OFF), ipv6.dstOff(OFF)), false, `byte ${i}`)
  }
})

test('truncated at any byte', () => {
  for (let len = 0; len < ipv6.HEADER_LEN; len++) {
    assert.equal(ipv6.check(golden(), OFF, len), drops.IP6_TRUNCATED)
  }
})

test('another version is refused', () => {
  const view = golden()
  view.setUint8(OFF, 0x45)
  assert.equal(ipv6.check(view, OFF, LEN), drops.IP6_VERSION)
})

test('bad length: beyond the frame; what is behind the packet is padding', () => {
  const view = golden()
  assert.equal(ipv6.check(view, OFF, LEN - 1), drops.IP6_PAYLOAD_LEN)
  ipv6.setPayloadLen(view, OFF, 65_535)
  assert.equal(ipv6.check(view, OFF, LEN), drops.IP6_PAYLOAD_LEN)
  ipv6.setPayloadLen(view, OFF, 0)
  assert.equal(ipv6.check(view, OFF, LEN), OK)
})

test('the pseudo-header sums as forty bytes would', () => {
  const next = random(3)
  for (let i = 0; i < 1000; i++) {
    const view = new DataView(new ArrayBuffer(80))
    for (let at = 0; at < 32; at += 4)
      view.setUint32(40 + at, next() % 3 === 0 ? 0xffffffff : next())
    const len = next() % 65_536
    view.setUint32(72, len)
    view.setUint32(76, ipv6.PROTO_TCP)
    for (let at = 0; at < 32; at += 4) view.setUint32(8 + at, view.getUint32(40 + at))
    assert.equal(ipv6.pseudoSum(view, 0, ipv6.PROTO_TCP, len), naive.sum(view, 40, 40))
    const w = (at: number): number => view.getInt32(at)
    assert.equal(ipv6.addressSum(w(8), w(12), w(16), w(20)), naive.sum(view, 8, 16))
  }
})

test('kinds of address', () => {
  assert.ok(ipv6.isMulticast(words('ff02::1')[0]))
  assert.ok(!ipv6.isMulticast(words('fe80::1')[0]))
  for (const text of ['fe80::1', 'febf::1']) assert.ok(ipv6.isLinkLocal(words(text)[0]), text)
  for (const text of ['fec0::1', 'fe7f::1', 'fd80::', '::']) {
    assert.ok(!ipv6.isLinkLocal(words(text)[0]), text)
  }
  assert.ok(ipv6.isUnspecified(...words('::')))
  assert.ok(ipv6.isLoopback(...words('::1')))
  for (const text of ['::2', '::1:0:0', '1::', '0:1::1']) {
    assert.ok(!ipv6.isUnspecified(...words(text)), text)
    assert.ok(!ipv6.isLoopback(...words(text)), text)
  }
  const [w0, w1, w2] = words('::ffff:10.0.0.1')
  assert.ok(ipv6.isV4Mapped(w0, w1, w2))
})

test('addresses that cannot be a source', () => {
  const isBad = (text: string): boolean => {
    const [w0, w1, w2] = words(text)
    return ipv6.isBadSource(w0, w1, w2)
  }
  for (const text of ['::', '::1', '::10.0.0.1', '::ffff:10.0.0.1', 'ff02::1', 'ff0e::1:1']) {
    assert.ok(isBad(text), text)
  }
  for (const text of ['fe80::1', 'fd77::1', '2001:db8::', '64:ff9b::a00:1', '::1:0:0:0:0']) {
    assert.ok(!isBad(text), text)
  }
})

test('the solicited-node group of an address, and its hardware address (RFC 4291 §2.7.1)', () => {
  const w3 = words('4037::1:800:200e:8c6c')[3]
  const { LINK_GROUP_W0, SOLICITED_W2, solicitedW3 } = ipv6
  const group: Words = [LINK_GROUP_W0, 0, SOLICITED_W2, solicitedW3(w3)]
  assert.equal(ipv6.formatAddress(...group), 'ff02::1:ff0e:8c6c')
  assert.equal(ipv6.formatAddress(LINK_GROUP_W0, 0, 0, ipv6.ALL_NODES_W3), 'ff02::1')
  assert.equal(ipv6.formatAddress(LINK_GROUP_W0, 0, 0, ipv6.ALL_MLD_ROUTERS_W3), 'ff02::16')
})

test('the link-local address that comes with a hardware address', () => {
  const of = (hex: string): string =>
    ipv6.formatAddress(...([...ipv6.linkLocalOf(Buffer.from(hex, 'hex'))] as Words))
  assert.equal(of('02000000000a'), 'fe80::ff:fe00:a')
  assert.equal(of('34567890abcd'), 'fe80::3656:78ff:fe90:abcd')
})

test('an address is written as RFC 5952 says', () => {
  const cases: [string, string][] = [
    ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['1:0:0:0:0:0:0:2', '1::2'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['fe80:0:0:0:ffff:ffff:ffff:ffff', 'fe80::ffff:ffff:ffff:ffff'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ]
  for (const [text, expected] of cases) {
    assert.equal(ipv6.formatAddress(...words(text)), expected, text)
  }
})

test('an address as text is the same address', () => {
  const next = random(7)
  for (let i = 0; i < 20_000; i++) {
    // Many zero groups, so that every shape of "::" comes up.
    const word = (): number => [0, next() & 0xffff, next() & 0xffff0000, next()][next() % 4] | 0
    const address: Words = [word(), word(), word(), word()]
    const text = ipv6.formatAddress(...address)
    assert.ok(isIPv6(text), text)
    assert.deepEqual(words(text), address, text)
  }
})

test('what is no address is refused with its text', () => {
  const bad = ['', ':', ':::', '1', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2::3', 'fd77::g']
  for (const text of [...bad, '12345::', 'fe80::1%eth0', '::1/64', '10.0.0.1', '::1.2.3', ' ::1']) {
    assert.throws(() => ipv6.parse(text), { message: `not an IPv6 address: "${text}"` })
  }
})
