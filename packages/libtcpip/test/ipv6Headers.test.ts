/** Extension headers: order, unknown options, routing, fragments, and bounds (RFC 8200 §4). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OK } from '@sandstorm/libeth'
import { DROP_NAMES } from '../src/drops.ts'
import { drops, ipv6 } from '../src/index.ts'
import { carriesIcmpError, Ipv6Headers, NO_PROBLEM } from '../src/ip/ipv6Headers.ts'
import { optionsHeader, packet6 } from './kit/packet6.ts'
import { random } from './random.ts'

const HOP_BY_HOP = 0
const TCP = 6
const ROUTING = 43
const FRAGMENT = 44
const ICMPV6 = 58
const NONE = 59
const DESTINATION = 60

const BODY = Buffer.alloc(24)
/** Action bits 00, 01, 10, 11. */
const SKIP = 0x3e
const DISCARD = 0x7e
const PROBLEM = 0xbe
const PROBLEM_UNICAST = 0xfe

type Chain = [number, Buffer][]

interface Walked {
  reason: number
  headers: Ipv6Headers
}

/** Walks a packet that ends where its memory ends: a read behind it would throw. */
function walkBytes(packet: Buffer): Walked {
  const bytes = new Uint8Array(14 + packet.length)
  bytes.set(packet, 14)
  const view = new DataView(bytes.buffer)
  assert.equal(ipv6.check(view, 14, packet.length), OK)
  const headers = new Ipv6Headers()
  return { reason: headers.walk(view, 14), headers }
}

const walk = (extensions: Chain, protocol: number = TCP, dst = 'fd77::2'): Walked =>
  walkBytes(packet6({ extensions, protocol, dst, payload: BODY }))

function expectUpper({ reason, headers }: Walked, off: number, what = ''): void {
  assert.equal(DROP_NAMES[reason], 'ok', what)
  assert.deepEqual([headers.protocol, headers.off - 14, headers.len], [TCP, off, BODY.length], what)
}

/** Dropped, with a parameter problem of this code that points there. */
function expectProblem(walked: Walked, reason: number, code: number, pointer: number): void {
  assert.equal(DROP_NAMES[walked.reason], DROP_NAMES[reason])
  assert.deepEqual([walked.headers.problem, walked.headers.pointer], [code, pointer])
}

const expectSilence = (walked: Walked, reason: number): void =>
  expectProblem(walked, reason, NO_PROBLEM, 0)

const fragment = (offset: number, more: number): Buffer =>
  Buffer.from([0, 0, offset >> 5, ((offset << 3) & 0xff) | more, 1, 2, 3, 4])
const routing = (type: number, left: number, len = 24): Buffer =>
  Buffer.from([0, len / 8 - 1, type, left, ...new Array<number>(len - 4).fill(0)])

test('without extension headers the upper layer follows at once', () => {
  expectUpper(walk([]), 40)
  assert.equal(walk([], ICMPV6).headers.protocol, ICMPV6)
})

test('every known header is passed, in any order', () => {
  const hop: [number, Buffer] = [HOP_BY_HOP, optionsHeader(5, 2, 0, 0)]
  const destination: [number, Buffer] = [
    DESTINATION,
    optionsHeader(1, 6, 0, 0, 0, 0, 0, 0, SKIP, 0),
  ]
  const route: [number, Buffer] = [ROUTING, routing(0, 0)]
  const atomic: [number, Buffer] = [FRAGMENT, fragment(0, 0)]
  expectUpper(walk([hop]), 48)
  expectUpper(walk([hop, destination, route, atomic, destination]), 40 + 8 + 16 + 24 + 8 + 16)
  expectUpper(walk([hop, atomic, route, destination]), 40 + 8 + 8 + 24 + 16)
})

test('a packet that is one fragment is whole, and its reserved bits are ignored (RFC 6946)', () => {
  const reserved = fragment(0, 0)
  reserved[1] = 0xff
  reserved[3] |= 0x06
  expectUpper(walk([[FRAGMENT, reserved]]), 48)
})

test('any other fragment is dropped in silence', () => {
  expectSilence(walk([[FRAGMENT, fragment(0, 1)]]), drops.IP6_FRAGMENT)
  expectSilence(walk([[FRAGMENT, fragment(1, 0)]]), drops.IP6_FRAGMENT)
  expectSilence(walk([[FRAGMENT, fragment(0x1fff, 1)]]), drops.IP6_FRAGMENT)
})

test('a routing header with segments left is a problem, whatever its type (RFC 5095 §3)', () => {
  for (const type of [0, 2, 3, 4, 200]) {
    expectUpper(walk([[ROUTING, routing(type, 0)]]), 64, `type ${type}`)
    expectProblem(walk([[ROUTING, routing(type, 1)]]), drops.IP6_ROUTING_HEADER, 0, 42)
  }
  const second: Chain = [
    [DESTINATION, optionsHeader()],
    [ROUTING, routing(0, 255)],
  ]
  expectProblem(walk(second), drops.IP6_ROUTING_HEADER, 0, 50)
})

test('an unknown option is treated as its two high bits say', () => {
  for (const kind of [HOP_BY_HOP, DESTINATION]) {
    const option = (type: number): Chain => [[kind, optionsHeader(0, type, 1, 9)]]
    expectUpper(walk(option(SKIP)), 48)
    expectSilence(walk(option(DISCARD)), drops.IP6_OPTION)
    expectProblem(walk(option(PROBLEM)), drops.IP6_OPTION, 2, 43)
    expectProblem(walk(option(PROBLEM_UNICAST)), drops.IP6_OPTION, 2, 43)
    expectProblem(walk(option(PROBLEM), TCP, 'ff02::1'), drops.IP6_OPTION, 2, 43)
    expectSilence(walk(option(PROBLEM_UNICAST), TCP, 'ff02::1'), drops.IP6_OPTION)
  }
})

test('an option that does not end in its header is dropped', () => {
  for (const bytes of [
    [0, 0, SKIP, 5, 0, 0, 0, 0],
    [0, 0, 1, 255, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 0, 1],
  ]) {
    expectSilence(walk([[DESTINATION, Buffer.from(bytes)]]), drops.IP6_EXTENSION)
  }
})

test('an unknown next header is a problem that points at the number', () => {
  expectProblem(walk([], 200), drops.IP6_PROTOCOL, 1, 6)
  expectProblem(walk([[DESTINATION, optionsHeader()]], 51), drops.IP6_PROTOCOL, 1, 40)
  const two: Chain = [
    [HOP_BY_HOP, optionsHeader()],
    [ROUTING, routing(0, 0)],
  ]
  expectProblem(walk(two, 50), drops.IP6_PROTOCOL, 1, 48)
})

test('hop-by-hop options come first or are an unknown next header', () => {
  const late: Chain = [
    [DESTINATION, optionsHeader()],
    [HOP_BY_HOP, optionsHeader()],
  ]
  expectProblem(walk(late), drops.IP6_PROTOCOL, 1, 40)
})

test('"no next header" ends the packet in silence', () => {
  expectSilence(walk([], NONE), drops.IP6_NO_NEXT_HEADER)
  expectSilence(walk([[DESTINATION, optionsHeader()]], NONE), drops.IP6_NO_NEXT_HEADER)
})

test('a header cut off at any byte is dropped', () => {
  for (const [kind, bytes] of [
    [DESTINATION, optionsHeader(1, 8, 0, 0, 0, 0, 0, 0, 0, 0)],
    [ROUTING, routing(0, 1)],
    [FRAGMENT, fragment(0, 0)],
  ] as Chain) {
    for (let len = 0; len < bytes.length; len++) {
      const packet = packet6({ protocol: kind, payload: bytes.subarray(0, len) })
      expectSilence(walkBytes(packet), drops.IP6_EXTENSION)
    }
  }
})

test('eight headers are followed, nine are not; 256 bytes of options, and no more', () => {
  const chain = (count: number): Chain =>
    Array.from({ length: count }, () => [DESTINATION, optionsHeader()])
  expectUpper(walk(chain(8)), 40 + 64)
  expectSilence(walk(chain(9)), drops.IP6_EXTENSION)
  const options = (len: number): Chain => [
    [DESTINATION, optionsHeader(...new Array(len - 2).fill(0))],
  ]
  expectUpper(walk(options(256)), 40 + 256)
  expectSilence(walk(options(264)), drops.IP6_EXTENSION)
  expectSilence(walk([...options(160), ...options(104)]), drops.IP6_EXTENSION)
})

test('errors and redirects are known behind any chain, broken or not (RFC 4443 §2.4 (e))', () => {
  const carries = (extensions: Chain, type: number): boolean => {
    const packet = packet6({ extensions, payload: Buffer.from([type, 0, 0, 0, 0, 0, 0, 0]) })
    return carriesIcmpError(new DataView(packet.buffer, packet.byteOffset, packet.length), 0)
  }
  const chain: Chain = [
    [DESTINATION, optionsHeader(PROBLEM, 0)],
    [ROUTING, routing(0, 1)],
  ]
  for (const type of [0, 1, 4, 127, 137]) assert.ok(carries([], type) && carries(chain, type))
  for (const type of [128, 129, 135]) assert.ok(!carries([], type) && !carries(chain, type))
  const tcp = packet6({ protocol: TCP, payload: Buffer.alloc(20) })
  assert.ok(!carriesIcmpError(new DataView(tcp.buffer, tcp.byteOffset, tcp.length), 0))
})

test('random chains: a reason for each, a pointer inside the packet, nothing read behind it', () => {
  const next = random(21)
  const kinds = [HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT, NONE, TCP, ICMPV6, 51]
  const reasons = new Set<number>()
  const headers = new Ipv6Headers()
  const bytes = new Uint8Array(400)
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < 200_000; i++) {
    const len = next() % 200
    const ip = bytes.length - 40 - len
    for (let at = ip; at < bytes.length; at++) bytes[at] = next() % 3 === 0 ? next() : 0
    // Where a header may begin, a plausible one: else few chains get past their first header.
    for (let at = ip + 40; at + 1 < bytes.length; at += 8) {
      bytes[at] = kinds[next() % kinds.length]
      bytes[at + 1] = next() % 2
    }
    bytes[ip] = 0x60
    view.setUint16(ip + 4, len)
    bytes[ip + 6] = kinds[next() % kinds.length]
    const reason = headers.walk(view, ip)
    carriesIcmpError(view, ip)
    reasons.add(reason)
    if (reason === OK) {
      assert.ok(headers.off >= ip + 40 && headers.off + headers.len === bytes.length)
      assert.ok(headers.len >= 0)
    } else {
      assert.ok(DROP_NAMES[reason])
      assert.ok(headers.pointer < 40 + len)
    }
  }
  assert.equal(reasons.size, 7, 'every verdict is reached')
})
