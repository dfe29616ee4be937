/**
 * What a packet leads to: destinations, sources, echo, errors sent and received (RFC 8200,
 * RFC 4443).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RX_CSUM_PARTIAL } from '@sandstorm/libnmio'
import { Bench6, OUR_LINK_LOCAL, OUR_MAC, PEER_MAC, sentFrame } from './kit/bench6.ts'
import { frame6, message6, OURS, optionsHeader, PEER, packet6 } from './kit/packet6.ts'

const TCP = 6
const ROUTING = 43
const FRAGMENT = 44
const NONE = 59
const DESTINATION = 60
const UDP = 17

const GROUP_MAC = '333300000001'
const SEGMENT = Buffer.from('9c40005000000001000000005002faf000000000', 'hex')

const tcp = (over: object = {}): Buffer => packet6({ protocol: TCP, payload: SEGMENT, ...over })
const echo = (data: Buffer, over: object = {}): Buffer =>
  packet6({ payload: message6(128, 0, 0x12340001, data), ...over })
const reply = (data: Buffer, src: string = OURS, dst: string = PEER): string =>
  sentFrame(src, dst, PEER_MAC, message6(129, 0, 0x12340001, data), 64)
/** The error we send about a packet. */
function error(
  type: number,
  code: number,
  word: number,
  packet: Buffer,
  src: string = OURS,
): string {
  const quote = packet.subarray(0, 1280 - 48)
  return sentFrame(src, PEER, PEER_MAC, message6(type, code, word, quote), 64)
}

test('a TCP segment goes to TCP, without padding or extension headers', () => {
  const t = new Bench6()
  assert.equal(t.input(tcp()), 'ok')
  assert.equal(t.input(Buffer.concat([tcp(), Buffer.alloc(6)])), 'ok')
  assert.equal(t.input(tcp({ extensions: [[DESTINATION, optionsHeader()]] })), 'ok')
  const segment = SEGMENT.toString('hex')
  assert.deepEqual(t.segments, [segment, segment, segment])
  assert.deepEqual(t.drops, [])
})

test('header checks come first', () => {
  const t = new Bench6()
  const version = tcp()
  version[0] = 0x45
  assert.equal(t.input(version), 'ip6-version')
  assert.equal(t.input(tcp().subarray(0, 39)), 'ip6-truncated')
  assert.equal(t.input(tcp().subarray(0, 59)), 'ip6-payload-len')
  assert.deepEqual(t.drops, ['ip6-version', 'ip6-truncated', 'ip6-payload-len'])
})

test('what is addressed to others is dropped in silence', () => {
  const t = new Bench6()
  for (const dst of ['fd77::3', '::1', '::', '::ffff:10.0.0.1', 'ff02::2', 'ff05::1', 'ff01::1']) {
    assert.equal(t.input(tcp({ dst })), 'ip6-not-ours', dst)
    assert.equal(t.input(packet6({ dst, protocol: 200, payload: SEGMENT })), 'ip6-not-ours', dst)
  }
  assert.deepEqual(t.take(), [])
})

test('sources that nobody has are dropped in silence, and so is our own (LAND)', () => {
  const t = new Bench6()
  for (const src of ['::', '::1', 'ff02::1', '::ffff:10.0.0.1', OURS]) {
    assert.equal(t.input(tcp({ src })), 'ip6-bad-source', src)
    assert.equal(t.input(echo(Buffer.alloc(8), { src })), 'ip6-bad-source', src)
    assert.equal(t.input(packet6({ src, protocol: 200, payload: SEGMENT })), 'ip6-bad-source', src)
  }
  assert.deepEqual(t.take(), [])
  assert.deepEqual(t.segments, [])
})

test('TCP is unicast: to a group, or in a group’s frame, it is dropped', () => {
  const t = new Bench6()
  assert.equal(t.input(tcp({ dst: 'ff02::1' }), GROUP_MAC), 'ip6-multicast')
  assert.equal(t.input(tcp(), GROUP_MAC), 'ip6-multicast')
  assert.equal(t.input(tcp(), 'ffffffffffff'), 'ip6-multicast')
  assert.deepEqual(t.segments, [])
})

test('an echo request is answered with identical data, whatever its length', () => {
  const t = new Bench6()
  for (const len of [0, 1, 7, 8, 56, 1231, 1232, 1451, 1452]) {
    const data = Buffer.from(Uint8Array.from({ length: len }, (_, i) => i * 7))
    assert.equal(t.input(echo(data)), 'ok')
    assert.deepEqual(t.take(), [reply(data)], `${len}`)
  }
})

test('an echo request to a group is answered from our address for that sender', () => {
  const t = new Bench6({ addresses: [OURS, OUR_LINK_LOCAL] })
  const data = Buffer.from('who is there')
  assert.equal(t.input(echo(data, { dst: 'ff02::1' }), GROUP_MAC), 'ok')
  assert.deepEqual(t.take(), [reply(data)])
  const src = 'fe80::9'
  assert.equal(t.input(echo(data, { src, dst: 'ff02::1' }), GROUP_MAC), 'ok')
  assert.deepEqual(t.take(), [reply(data, OUR_LINK_LOCAL, src)])
})

test('what is no echo request gets no echo reply', () => {
  const t = new Bench6()
  const message = (type: number, code: number): Buffer =>
    packet6({ payload: message6(type, code, 0, Buffer.alloc(8)) })
  for (const type of [0, 5, 100, 127, 129, 131, 132, 138, 143, 200, 255]) {
    assert.equal(t.input(message(type, 0)), 'icmp6-type', `${type}`)
  }
  assert.equal(t.input(message(128, 1)), 'icmp6-type')
  const spoilt = echo(Buffer.alloc(8))
  spoilt[50] ^= 1
  assert.equal(t.input(spoilt), 'icmp6-checksum')
  assert.equal(
    t.input(packet6({ payload: Buffer.from('80000000123400', 'hex') })),
    'icmp6-truncated',
  )
  assert.deepEqual(t.take(), [])
})

test('without room there is no answer', () => {
  for (const [options, reason] of [
    [{ ringSize: 1 }, 'no-tx-space'],
    [{ frames: 1 }, 'no-frame-left'],
  ] as const) {
    const t = new Bench6({ ...options, dadTransmits: 0, started: false })
    t.ndp.start(0)
    t.take()
    assert.equal(t.input(echo(Buffer.alloc(8))), 'ok')
    assert.equal(t.input(echo(Buffer.alloc(8))), reason)
    t.input(packet6({ protocol: 200, payload: SEGMENT }))
    assert.equal(t.take().length, 1)
  }
})

test('a request longer than a frame of ours is not answered', () => {
  const t = new Bench6({ mtu: 9000 })
  const max = t.frames.frameSize - 144 - 8
  assert.equal(t.input(echo(Buffer.alloc(max + 1))), 'no-frame-left')
  assert.equal(t.input(echo(Buffer.alloc(max))), 'ok')
})

test('UDP finds its port unreachable, as with Linux', () => {
  const t = new Bench6()
  const datagram =
    '02000000000b02000000000a86dd6008dc90000b1140' +
    'fd770000000000000000000000000001fd770000000000000000000000000002' +
    '8e000035000bfb0e68690a'
  const linux =
    '02000000000a02000000000b86dd6009e21a003b3a40' +
    'fd770000000000000000000000000002fd770000000000000000000000000001' +
    '0104bf0300000000' +
    datagram.slice(28)
  // Linux left the checksum to its device.
  assert.equal(t.inputFrame(Buffer.from(datagram, 'hex'), RX_CSUM_PARTIAL), 'ip6-protocol')
  assert.deepEqual(t.take(), [linux.replace('6009e21a', '60000000')], 'but for the flow label')
})

test('what is wrong with the headers is reported', () => {
  const t = new Bench6()
  const cases: [string, number, number, Buffer][] = [
    ['ip6-protocol', 1, 6, packet6({ protocol: 200, payload: SEGMENT })],
    ['ip6-option', 2, 42, tcp({ extensions: [[DESTINATION, optionsHeader(0xbe, 0)]] })],
    ['ip6-option', 2, 42, tcp({ extensions: [[DESTINATION, optionsHeader(0xfe, 0)]] })],
    [
      'ip6-routing-header',
      0,
      42,
      tcp({ extensions: [[ROUTING, Buffer.from('0000000100000000', 'hex')]] }),
    ],
  ]
  for (const [reason, code, pointer, packet] of cases) {
    assert.equal(t.input(packet), reason)
    assert.deepEqual(t.take(), [error(4, code, pointer, packet)])
  }
})

test('what is to be dropped in silence is', () => {
  const t = new Bench6()
  const fragment = Buffer.from('0000000100000000', 'hex')
  assert.equal(t.input(tcp({ extensions: [[DESTINATION, optionsHeader(0x7e, 0)]] })), 'ip6-option')
  assert.equal(t.input(tcp({ extensions: [[FRAGMENT, fragment]] })), 'ip6-fragment')
  assert.equal(t.input(packet6({ protocol: NONE, payload: SEGMENT })), 'ip6-no-next-header')
  assert.equal(
    t.input(packet6({ protocol: DESTINATION, payload: Buffer.alloc(4) })),
    'ip6-extension',
  )
  assert.deepEqual(t.take(), [])
})

test('an error has 1280 bytes at most', () => {
  const t = new Bench6()
  for (const len of [1231 - 40, 1232 - 40, 1233 - 40, 1460]) {
    const packet = packet6({ protocol: 200, payload: Buffer.alloc(len, 0x61) })
    t.input(packet)
    const [sent] = t.take()
    assert.equal(sent, error(4, 1, 6, packet))
    assert.ok(sent.length / 2 - 14 <= 1280)
    assert.equal(sent.length / 2 - 14, Math.min(1280, packet.length + 48))
  }
})

test('RFC 4443 §2.4 (e): no error for an error or a redirect', () => {
  const t = new Bench6()
  for (const type of [1, 2, 3, 4, 99, 137]) {
    const payload = message6(type, 0, 0, Buffer.alloc(40))
    for (const option of [0xbe, 0xfe]) {
      const extensions: [number, Buffer][] = [[DESTINATION, optionsHeader(option, 0)]]
      assert.equal(t.input(packet6({ payload, extensions })), 'ip6-option')
    }
  }
  assert.deepEqual(t.take(), [])
})

test('RFC 4443 §2.4 (e): none for a group, but for an unknown option that asks for one', () => {
  const t = new Bench6()
  const toGroup = { dst: 'ff02::1' }
  const option = (type: number): object => ({
    ...toGroup,
    extensions: [[DESTINATION, optionsHeader(type, 0)]],
  })
  t.input(packet6({ protocol: 200, payload: SEGMENT, ...toGroup }), GROUP_MAC)
  t.input(packet6({ protocol: 200, payload: SEGMENT, ...toGroup }))
  t.input(packet6({ protocol: UDP, payload: SEGMENT, ...toGroup }), GROUP_MAC)
  t.input(packet6({ protocol: 200, payload: SEGMENT }), GROUP_MAC)
  t.input(
    tcp({ ...toGroup, extensions: [[ROUTING, Buffer.from('0000000100000000', 'hex')]] }),
    GROUP_MAC,
  )
  t.input(tcp(option(0xfe)), GROUP_MAC)
  assert.deepEqual(t.take(), [])
  const packet = tcp(option(0xbe))
  t.input(packet, GROUP_MAC)
  assert.deepEqual(t.take(), [error(4, 2, 42, packet)])
})

test('errors are limited: ten at once, ten a second', () => {
  const t = new Bench6()
  const count = (ms: number): number => {
    t.now += ms
    for (let i = 0; i < 50; i++) t.input(packet6({ protocol: 200, payload: SEGMENT }))
    return t.take().length
  }
  assert.equal(count(0), 10)
  assert.equal(count(100), 1)
  assert.equal(count(1000), 10)
  t.now += 1000
  // What may not be answered at all costs nothing.
  for (let i = 0; i < 50; i++) t.input(packet6({ protocol: 200, payload: SEGMENT, dst: 'ff02::1' }))
  assert.equal(count(0), 10)
})

/** An error of somebody about a segment of ours. */
function about(type: number, code: number, word: number, quote: Buffer, over: object = {}): Buffer {
  return packet6({ src: 'fd99::1', payload: message6(type, code, word, quote), ...over })
}
const ours = (over: object = {}): Buffer => {
  const payload = Buffer.from('00509c40fffffff0000000015010fffe00000000', 'hex')
  return packet6({ src: OURS, dst: 'fd88::8', protocol: TCP, payload, ...over })
}

test('errors about our segments are taken apart for TCP', () => {
  const t = new Bench6()
  assert.equal(t.input(about(2, 0, 1280, ours())), 'ok')
  assert.equal(t.input(about(2, 0, 0xffffffff, ours())), 'ok')
  assert.equal(t.input(about(1, 4, 0, ours())), 'ok')
  assert.equal(t.input(about(3, 0, 7, ours().subarray(0, 48))), 'ok', 'eight bytes of TCP suffice')
  assert.equal(t.input(about(4, 1, 40, ours())), 'ok')
  const segment = 'fd77::2.80 > fd88::8.40000 seq -16'
  assert.deepEqual(t.errors, [
    `2/0 mtu 1280 ${segment}`,
    `2/0 mtu 4294967295 ${segment}`,
    `1/4 mtu 0 ${segment}`,
    `3/0 mtu 0 ${segment}`,
    `4/1 mtu 0 ${segment}`,
  ])
})

test('errors about what we did not send, or cannot know, are dropped', () => {
  const t = new Bench6()
  const dropped = (packet: Buffer, reason = 'icmp6-not-about-us'): void =>
    assert.equal(t.input(packet), reason)
  dropped(about(1, 4, 0, ours({ src: 'fd77::3' })))
  dropped(about(1, 4, 0, ours({ protocol: UDP })))
  dropped(about(1, 4, 0, ours({ extensions: [[DESTINATION, optionsHeader()]] })))
  for (let len = 0; len < 48; len++) dropped(about(1, 4, 0, ours().subarray(0, len)))
  const version = ours()
  version[0] = 0x45
  dropped(about(1, 4, 0, version))
  for (const mtu of [0, 68, 1279]) dropped(about(2, 0, mtu, ours()), 'icmp6-mtu')
  const wrongSum = about(1, 4, 0, ours())
  wrongSum[90] ^= 1
  dropped(wrongSum, 'icmp6-checksum')
  assert.deepEqual(t.errors, [])
  assert.deepEqual(t.take(), [])
})

test('a frame as the first on the wire: nothing is read behind it', () => {
  const t = new Bench6()
  for (let len = 14; len < 54; len++) {
    t.inputFrame(frame6(OUR_MAC, PEER_MAC, tcp()).subarray(0, len))
  }
  assert.ok(t.drops.every(reason => reason === 'ip6-truncated'))
})
