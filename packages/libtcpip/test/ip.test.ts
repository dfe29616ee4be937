/** What reaches TCP at all: Ethernet, IPv4 (RFC 791, 1122 §3.2) and ICMP echo (RFC 792). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ETH_VLAN, ethernet, OK } from '@sandstorm/libeth'
import { checksum, DROP_NAMES, drops, icmp, ipv4 } from '../src/index.ts'
import {
  established,
  expectEmpty,
  expectSent,
  Host,
  OUR_ADDR,
  PEER_ADDR,
  send,
} from './kit/host.ts'
import { ACK, SYN, setIpChecksum, setTcpChecksum, writeIpv4 } from './kit/segment.ts'

const IP = ethernet.HEADER_LEN
const TCP = IP + ipv4.HEADER_LEN
type Spoil = (view: DataView, off: number) => void

/** A SYN, spoiled; [name, what is done to it, the drop reason]. */
const SPOILED: [string, Spoil, number][] = [
  ['version 6', (v, o) => v.setUint8(o + IP, 0x65), drops.IP_VERSION],
  ['header length 16', (v, o) => v.setUint8(o + IP, 0x44), drops.IP_HEADER_LEN],
  ['header length beyond the frame', (v, o) => v.setUint8(o + IP, 0x4f), drops.IP_HEADER_LEN],
  ['total length under the header', (v, o) => ipv4.setTotalLen(v, o + IP, 19), drops.IP_TOTAL_LEN],
  ['total length beyond the frame', (v, o) => ipv4.setTotalLen(v, o + IP, 41), drops.IP_TOTAL_LEN],
  ['a flipped bit in the IP header', (v, o) => ipv4.setTtl(v, o + IP, 62), drops.IP_CHECKSUM],
  ['the first fragment', fragment(0x2000), drops.IP_FRAGMENT],
  ['a later fragment', fragment(0x0010), drops.IP_FRAGMENT],
  ['the source 0.0.0.1', address(ipv4.setSrc, '0.0.0.1'), drops.IP_BAD_SOURCE],
  ['the source 127.0.0.1', address(ipv4.setSrc, '127.0.0.1'), drops.IP_BAD_SOURCE],
  ['the source 224.0.0.1', address(ipv4.setSrc, '224.0.0.1'), drops.IP_BAD_SOURCE],
  ['the source 255.255.255.255', address(ipv4.setSrc, '255.255.255.255'), drops.IP_BAD_SOURCE],
  ['our subnet’s broadcast as source', address(ipv4.setSrc, '10.0.0.255'), drops.IP_BAD_SOURCE],
  ['another destination', address(ipv4.setDst, '10.0.0.3'), drops.IP_NOT_OURS],
  ['the limited broadcast', address(ipv4.setDst, '255.255.255.255'), drops.IP_BROADCAST],
  ['the subnet’s broadcast', address(ipv4.setDst, '10.0.0.255'), drops.IP_BROADCAST],
  ['a multicast group', address(ipv4.setDst, '224.0.0.1'), drops.IP_BROADCAST],
  [
    'unicast IP in a broadcast frame',
    (v, o) => ethernet.setDst(v, o, 0xffff, -1),
    drops.IP_BROADCAST,
  ],
  ['a flipped bit in the TCP header', (v, o) => v.setUint8(o + TCP + 15, 1), drops.TCP_CHECKSUM],
  ['TCP header length 16', tcpByte(12, 0x40), drops.TCP_HEADER_LEN],
  ['TCP header length beyond it', tcpByte(12, 0x60), drops.TCP_HEADER_LEN],
  ['source port 0', tcpWord(0, 0), drops.TCP_PORT_ZERO],
  ['destination port 0', tcpWord(2, 0), drops.TCP_PORT_ZERO],
]

function fragment(bits: number): Spoil {
  return (v, o) => {
    ipv4.setFragment(v, o + IP, bits)
    setIpChecksum(v, o)
  }
}
function address(set: typeof ipv4.setSrc, text: string): Spoil {
  return (v, o) => {
    set(v, o + IP, ipv4.parse(text))
    setIpChecksum(v, o)
    setTcpChecksum(v, o)
  }
}
function protocol(number: number): Spoil {
  return (v, o) => {
    ipv4.setProtocol(v, o + IP, number)
    setIpChecksum(v, o)
  }
}
function tcpByte(at: number, value: number): Spoil {
  return (v, o) => {
    v.setUint8(o + TCP + at, value)
    setTcpChecksum(v, o)
  }
}
function tcpWord(at: number, value: number): Spoil {
  return (v, o) => {
    v.setUint16(o + TCP + at, value)
    setTcpChecksum(v, o)
  }
}

for (const [name, spoil, reason] of SPOILED) {
  test(`${name}: ${DROP_NAMES[reason]}, in silence`, () => {
    const t = new Host()
    send(t, { flags: SYN, spoil })
    expectSent(t, [])
    assert.equal(t.tcp.drops[reason], 1)
    assert.equal(
      t.tcp.drops.reduce((sum, n) => sum + n),
      1,
    )
    expectEmpty(t)
  })
}

/** Makes it a datagram without a checksum. */
const asUdp: Spoil = (v, o) => {
  protocol(ipv4.PROTO_UDP)(v, o)
  v.setUint16(o + TCP + 4, ipv4.totalLen(v, o + IP) - ipv4.HEADER_LEN)
  v.setUint16(o + TCP + 6, 0)
}

for (const [name, convert, code] of [
  ['UDP', asUdp, icmp.PORT_UNREACHABLE],
  ['a protocol that nobody speaks', protocol(222), icmp.PROTOCOL_UNREACHABLE],
] as const) {
  test(`${name}: destination unreachable, code ${code}, with the packet quoted`, () => {
    const t = new Host()
    let request: number[] = []
    send(t, {
      flags: SYN,
      data: 100,
      spoil: (v, o) => {
        convert(v, o)
        request = Array.from({ length: ipv4.totalLen(v, o + IP) }, (_, i) => v.getUint8(o + IP + i))
      },
    })
    const [{ bytes }] = t.take()
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    assert.equal(ipv4.protocol(view, IP), ipv4.PROTO_ICMP)
    assert.equal(icmp.check(view, TCP, bytes.length - TCP), 0)
    assert.deepEqual([icmp.type(view, TCP), icmp.code(view, TCP)], [3, code])
    assert.deepEqual([...bytes.subarray(TCP + icmp.HEADER_LEN)], request)
    assert.equal(t.tcp.drops[drops.IP_PROTOCOL], 1)
  })
}

test('a datagram from an address of our own is not answered', () => {
  const t = new Host()
  for (const convert of [asUdp, protocol(222)]) {
    send(t, {
      flags: SYN,
      spoil: (v, o) => {
        convert(v, o)
        source('10.0.0.2')(v, o)
      },
    })
  }
  expectSent(t, [])
  assert.equal(t.tcp.drops[drops.IP_BAD_SOURCE], 2)
})

test('a flood of UDP is answered within a limit, and a long packet is quoted in 576 bytes', () => {
  const t = new Host()
  for (let i = 0; i < 500; i++) {
    send(t, { flags: SYN, data: 1400, spoil: asUdp })
  }
  const sent = t.take()
  assert.ok(sent.length > 0 && sent.length < 200, `${sent.length} answers`)
  assert.equal(sent[0].bytes.length, IP + 576)
  assert.equal(t.tcp.drops[drops.IP_PROTOCOL], 500)
  expectEmpty(t)
})

test('a frame for another station is not ours', () => {
  const t = new Host()
  t.link.dstLo++
  send(t, { flags: SYN })
  expectSent(t, [])
  assert.equal(t.tcp.pool.usedCount, 0)
})

/** Puts tags into what is sent: protocol and control of each. */
function tagAll(t: Host, ...tags: [protocol: number, control: number][]): void {
  const inject = t.inject.bind(t)
  t.inject = (write, poll) =>
    inject((view, off) => {
      let len = write(view, off)
      for (const [protocol, control] of tags) {
        const at = off + ethernet.HEADER_LEN - 2
        new Uint8Array(view.buffer).copyWithin(at + 4, at, off + len)
        view.setUint16(at, protocol)
        view.setUint16(at + 2, control)
        len += 4
      }
      return len
    }, poll)
}

test('a frame of no VLAN that has a priority is as one without a tag', () => {
  const t = new Host()
  tagAll(t, [0x8100, 0xe000])
  established(t)
  send(t, { flags: ACK, seq: 1, ack: 1, data: 3 })
  assert.equal(t.app.received.length, 3)
  assert.equal(t.tcp.drops[ETH_VLAN], 0)
})

for (const tags of [[[0x8100, 10]], [[0x88a8, 0]], new Array(300).fill([0x8100, 0])] as [
  number,
  number,
][][])
  test(`a frame of a VLAN is dropped: ${tags[0]}, ${tags.length} times`, () => {
    const t = new Host()
    tagAll(t, ...tags)
    send(t, { flags: SYN })
    expectSent(t, [])
    assert.equal(t.tcp.drops[ETH_VLAN], 1)
  })

test('Ethernet padding is not data', () => {
  const t = new Host()
  established(t)
  const inject = t.inject.bind(t)
  t.inject = (write, poll) => inject((view, off) => Math.max(60, write(view, off)), poll)
  send(t, { flags: ACK, seq: 1, ack: 1, data: 3 })
  assert.equal(t.app.received.length, 3)
})

test('bad checksums in data are counted, and the data is not taken', () => {
  const t = new Host()
  established(t)
  for (let bit = 0; bit < 40 * 8; bit += 7) {
    const data = new Uint8Array(20)
    send(t, {
      flags: ACK,
      seq: 1,
      ack: 1,
      data,
      spoil: (v, o) =>
        v.setUint8(o + TCP + (bit >> 3), v.getUint8(o + TCP + (bit >> 3)) ^ (1 << (bit & 7))),
    })
  }
  assert.deepEqual(t.app.received, [])
  assert.ok(t.tcp.drops[drops.TCP_CHECKSUM] >= 40)
  assert.equal(
    t.tcp.stats.inErrs,
    t.tcp.drops.reduce((sum, n) => sum + n),
  )
})

/** An echo request of `data`, or what `spoil` makes of it. */
function ping(t: Host, data: Uint8Array, spoil: Spoil = () => {}): void {
  t.inject((view, off) => {
    const len = icmp.HEADER_LEN + data.length
    writeIpv4(view, off, t.link, PEER_ADDR, OUR_ADDR, ipv4.PROTO_ICMP, len)
    const at = off + TCP
    icmp.setType(view, at, icmp.ECHO_REQUEST)
    view.setUint8(at + 1, 0)
    icmp.setId(view, at, 0x1234)
    icmp.setSequence(view, at, 7)
    for (const [i, byte] of data.entries()) view.setUint8(at + icmp.HEADER_LEN + i, byte)
    icmp.setChecksum(view, at, 0)
    icmp.setChecksum(view, at, checksum.finish(checksum.sum(view, at, len)))
    spoil(view, off)
    return TCP + len
  })
}

test('an echo request of any length gets the same data back', () => {
  const t = new Host()
  for (const len of [0, 1, 2, 3, 55, 56, 57, 1000, 1471, 1472]) {
    const data = Uint8Array.from({ length: len }, (_, i) => (i * 31 + len) & 0xff)
    ping(t, data)
    const [reply] = t.take()
    assert.match(reply.line, /10.0.0.2 > 10.0.0.1: ICMP echo reply, id 4660, seq 7/)
    assert.deepEqual(reply.bytes.subarray(TCP + icmp.HEADER_LEN), data)
    const view = new DataView(reply.bytes.buffer)
    assert.equal(ipv4.check(view, IP, reply.bytes.length - IP), OK)
    assert.equal(icmp.check(view, TCP, len + icmp.HEADER_LEN), OK)
  }
  expectEmpty(t)
})

test('an echo whose checksum is near its limits is answered right', () => {
  const t = new Host()
  for (let word = 0; word <= 0xffff; word += 0x11) {
    ping(t, Uint8Array.of(word >> 8, word & 255))
    const [reply] = t.take()
    const view = new DataView(reply.bytes.buffer)
    assert.equal(icmp.check(view, TCP, 2 + icmp.HEADER_LEN), OK, `data ${word}`)
  }
})

test('other ICMP, bad checksums and short messages are counted, never answered', () => {
  for (const [spoil, reason] of [
    [(v, o) => v.setUint8(o + TCP + 9, 9), drops.ICMP_CHECKSUM],
    [retype(0, 0), drops.ICMP_TYPE],
    [retype(3, 3), drops.ICMP_NOT_ABOUT_US],
    [retype(4, 0), drops.ICMP_SOURCE_QUENCH],
    [retype(5, 1), drops.ICMP_REDIRECT],
    [retype(8, 1), drops.ICMP_TYPE],
    [retype(13, 0), drops.ICMP_TYPE],
    [
      (v, o) => {
        ipv4.setTotalLen(v, o + IP, 27)
        setIpChecksum(v, o)
      },
      drops.ICMP_TRUNCATED,
    ],
    [destination('10.0.0.255'), drops.IP_BROADCAST],
    [source('10.0.0.2'), drops.IP_BAD_SOURCE],
  ] as [Spoil, number][]) {
    const t = new Host()
    ping(t, new Uint8Array(20), spoil)
    expectSent(t, [])
    assert.equal(t.tcp.drops[reason], 1, DROP_NAMES[reason])
  }
})

function retype(type: number, code: number): Spoil {
  return (v, o) => {
    icmp.setType(v, o + TCP, type)
    v.setUint8(o + TCP + 1, code)
    icmp.setChecksum(v, o + TCP, 0)
    icmp.setChecksum(v, o + TCP, checksum.finish(checksum.sum(v, o + TCP, 28)))
  }
}
function source(text: string): Spoil {
  return (v, o) => {
    ipv4.setSrc(v, o + IP, ipv4.parse(text))
    setIpChecksum(v, o)
  }
}
function destination(text: string): Spoil {
  return (v, o) => {
    ipv4.setDst(v, o + IP, ipv4.parse(text))
    setIpChecksum(v, o)
  }
}

test('an echo without room for the answer is counted', () => {
  const t = new Host({ ringSize: 2 })
  t.poll()
  t.draining = false
  for (let i = 0; i < 4; i++) ping(t, new Uint8Array(8))
  assert.equal(t.tcp.drops[drops.NO_TX_SPACE], 2)
})
