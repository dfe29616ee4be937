/** Our own addresses and the way from them to others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FramePool, memoryLink, Region } from '@sandstorm/libnmio'
import { NO_ROUTE, NOT_LOCAL } from '../src/addresses.ts'
import {
  Addresses,
  type IpAddress,
  ipv4,
  ipv4Address,
  ipv6,
  ipv6Address,
  NewReno,
  Stack,
  Streams,
} from '../src/index.ts'

const MIXED = [
  ipv4Address('10.77.0.2', 24),
  ipv6Address('fd77::2', 64),
  ipv4Address('192.168.5.9', 30),
  ipv6Address('2001:db8:0:40::1', 60),
  ipv4Address('10.77.0.3', 24),
]

const find4 = (own: Addresses, text: string): number => own.findV4(ipv4.parse(text))

function find6(own: Addresses, text: string): number {
  const [w0, w1, w2, w3] = ipv6.parse(text)
  return own.findV6(w0, w1, w2, w3)
}

const hop4 = (own: Addresses, text: string): string =>
  ipv4.formatAddress(own.nextHop4(ipv4.parse(text)))

function hop6(own: Addresses, text: string): string {
  const [w0, w1, w2, w3] = ipv6.parse(text)
  if (!own.nextHop6(w0, w1, w2, w3)) return 'no route'
  const [h0, h1, h2, h3] = own.hop6
  return ipv6.formatAddress(h0, h1, h2, h3)
}

test('every address of ours is found at its place, and no other', () => {
  const own = new Addresses(MIXED)
  assert.deepEqual(
    ['10.77.0.2', '192.168.5.9', '10.77.0.3'].map(text => find4(own, text)),
    [0, 2, 4],
  )
  assert.deepEqual(
    ['fd77::2', '2001:db8:0:40::1'].map(text => find6(own, text)),
    [1, 3],
  )
  for (const text of ['10.77.0.1', '10.77.0.0', '0.0.0.0', '192.168.5.8']) {
    assert.equal(find4(own, text), NOT_LOCAL, text)
  }
  // Each differs from one of ours in one word; the last is one's first word as an address.
  for (const text of ['fd78::2', 'fd77:0:1::2', 'fd77::1:0:0:2', 'fd77::3', 'fd77::', '::2']) {
    assert.equal(find6(own, text), NOT_LOCAL, text)
  }
  assert.equal(find6(own, '::'), NOT_LOCAL)
  assert.equal(own.findV6(ipv4.parse('10.77.0.2'), 0, 0, 0), NOT_LOCAL, 'an IPv4 address as IPv6')
  assert.equal(own.findV4(ipv6.parse('fd77::2')[0]), NOT_LOCAL, 'the first word of an IPv6 address')
})

test('words of an address are those on the wire', () => {
  const own = new Addresses(MIXED)
  assert.equal(own.word(4, 0), ipv4.parse('10.77.0.3'))
  assert.deepEqual(
    [0, 1, 2, 3].map(i => own.word(3, i)),
    [...ipv6.parse('2001:db8:0:40::1')],
  )
})

test('each subnet has its broadcast, but not one of two addresses', () => {
  const own = new Addresses([...MIXED, ipv4Address('10.9.9.8', 31), ipv4Address('10.9.8.8')])
  const isBroadcast = (text: string): boolean => own.isBroadcast(ipv4.parse(text))
  for (const text of ['10.77.0.255', '192.168.5.11']) assert.ok(isBroadcast(text), text)
  for (const text of ['10.77.0.0', '10.77.0.2', '192.168.5.10', '10.9.9.9', '10.9.8.8']) {
    assert.ok(!isBroadcast(text), text)
  }
})

test('who is on a subnet of ours is the first hop, and others have none without a gateway', () => {
  const own = new Addresses(MIXED)
  for (const text of ['10.77.0.1', '10.77.0.254', '192.168.5.10']) {
    assert.equal(hop4(own, text), text)
  }
  for (const text of ['10.77.1.1', '192.168.5.12', '192.168.5.7', '8.8.8.8']) {
    assert.equal(own.nextHop4(ipv4.parse(text)), NO_ROUTE, text)
  }
  for (const text of [
    'fd77::1',
    'fd77::ffff:0:0:1',
    '2001:db8:0:4f:ffff::',
    'fe80::1',
    'febf::1',
  ]) {
    assert.equal(hop6(own, text), text)
  }
  for (const text of ['fd77:0:0:1::1', '2001:db8:0:50::1', '2001:db8:0:3f::1', 'fec0::1', '::1']) {
    assert.equal(hop6(own, text), 'no route', text)
  }
})

test('everybody else is behind the gateway of his version', () => {
  const gateway = ipv4Address('10.77.0.1')
  const gateway6 = ipv6Address('fe80::99')
  const own = new Addresses(MIXED, { gateway, gateway6 })
  assert.equal(hop4(own, '8.8.8.8'), '10.77.0.1')
  assert.equal(hop4(own, '10.77.0.9'), '10.77.0.9')
  assert.equal(hop6(own, '2600::1'), 'fe80::99')
  assert.equal(hop6(own, 'fd77::9'), 'fd77::9')
})

test('a prefix of no bits has everybody on the link, one of all bits nobody', () => {
  const all = new Addresses([ipv4Address('10.0.0.1', 0), ipv6Address('fd77::1', 0)])
  assert.equal(hop4(all, '203.0.113.7'), '203.0.113.7')
  assert.equal(hop6(all, '2600::1'), '2600::1')
  const none = new Addresses([ipv4Address('10.0.0.1'), ipv6Address('fd77::1')])
  assert.equal(none.nextHop4(ipv4.parse('10.0.0.2')), NO_ROUTE)
  assert.equal(hop6(none, 'fd77::2'), 'no route')
})

test('without an address of a version, nobody of that version is on the link', () => {
  const v6 = new Addresses([ipv6Address('fd77::1', 64)])
  assert.equal(v6.nextHop4(ipv4.parse('10.0.0.2')), NO_ROUTE)
  assert.equal(v6.findV4(0), NOT_LOCAL)
  assert.deepEqual(v6.ipv4, [])
})

test('what cannot be is refused at the start', () => {
  const four = ipv4Address('10.77.0.2', 24)
  const six = ipv6Address('fd77::2', 64)
  const refused: [RegExp, IpAddress[], object?][] = [
    [/1 and 16/, []],
    [/1 and 16/, new Array(17).fill(four)],
    [/IPv4 address/, [four], { gateway: six }],
    [/IPv6 address/, [six], { gateway6: four }],
    [/on our link/, [four], { gateway: ipv4Address('10.78.0.1') }],
    [/on our link/, [six], { gateway6: ipv6Address('2600::1') }],
  ]
  for (const text of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '10.77.0.255', '255.255.255.255']) {
    refused.push([/a group, a subnet or a loopback/, [four, ipv4Address(text, 24)]])
  }
  for (const text of ['::', '::1', 'ff02::1', '::ffff:10.77.0.2']) {
    refused.push([/a group, a subnet or a loopback/, [ipv6Address(text, 64), six]])
  }
  for (const [what, list, gateways] of refused) {
    assert.throws(() => new Addresses(list, gateways), what)
  }
  for (const text of ['10.77.0', 'fd77::2', '']) assert.throws(() => ipv4Address(text, 24))
  for (const text of ['10.77.0.2', 'fd77', 'fe80::1%eth0']) assert.throws(() => ipv6Address(text))
  assert.throws(() => ipv4Address('10.77.0.2', 33), /0 to 32/)
  assert.throws(() => ipv6Address('fd77::2', 129), /0 to 128/)
})

test('a stack whose addresses came without their subnets, so that nobody is on its link, is none', () => {
  const [device] = memoryLink({ region: new Region(1 << 20) })
  const frames = new FramePool(device.region, 64)
  const make = (...addresses: IpAddress[]): Stack => {
    const streams = new Streams(new Region(1 << 18), { maxStreams: 1 })
    const policy = { congestion: new NewReno(), random: () => 1, nowUs: 0 }
    return new Stack({ device, frames, addresses, app: streams, tcp: streams.tcpConfig, ...policy })
  }
  const four = ipv4Address('10.77.0.2', 24)
  assert.throws(() => make(ipv4Address('10.77.0.2')), /subnets/)
  assert.throws(() => make(ipv6Address('fd77::2')), /subnets/)
  assert.throws(() => make(four, ipv6Address('fd77::2')), /subnets/)
  make(four, ipv4Address('10.77.0.3'))
  make(ipv6Address('fe80::2'))
})

test('to an IPv6 peer speaks the address of its subnet, else the first', () => {
  const addresses = new Addresses([
    ipv4Address('10.0.0.2', 24),
    ipv6Address('fd00::2', 64),
    ipv6Address('fd00:0:0:1::2', 64),
    ipv6Address('fe80::2', 64),
  ])
  for (const [remote, local] of [
    ['fd00::9', 1],
    ['fd00:0:0:1::9', 2],
    ['fe80::9', 3],
    ['2001:db8::1', 1],
  ] as const) {
    assert.equal(addresses.localFor(ipv6Address(remote)), local, remote)
  }
})
