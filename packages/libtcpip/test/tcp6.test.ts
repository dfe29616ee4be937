/**
 * What TCP over IPv6 has of its own: sizes, addresses that nobody can have, neighbours, gateways,
 * limits by /64, the traffic class, the path's MTU. All else is overIpv6.test.ts's.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { arpPacket, ethernet } from '@sandstorm/libeth'
import { DROP_NAMES, ipv6, ipv6Address, tcb } from '../src/index.ts'
import { isSuperseded } from '../src/tcp/coalesce.ts'
import {
  ackUpTo,
  advance,
  brief,
  established,
  expectEmpty,
  expectSent,
  Host,
  type HostOptions,
  OUR_ADDR6,
  PEER_ADDR6,
  type Script,
  send,
  sendNdp,
  write,
} from './kit/host.ts'
import { address, frame6, packet6 } from './kit/packet6.ts'
import { ACK, mssOption, RST, SYN, setTcpChecksum, writeSegment } from './kit/segment.ts'

const FAR = '2001:db8:1:2::7'
const IP = ethernet.HEADER_LEN

const host = (options: HostOptions = {}): Host => new Host({ ...options, ipVersion: 6 })
const dropsOf = (t: Host, name: string): number => t.tcp.drops[DROP_NAMES.indexOf(name)]
const lines = (t: Host): string[] => t.take().map(frame => frame.line)

/** The handle of a connection to our first address. */
function conn(t: Host, remote: string, port = 40_000): number {
  const [w0, w1, w2, w3] = ipv6.parse(remote)
  return t.tcp.table.find6(w0, w1, w2, w3, 0, (port << 16) | 80)
}

/** Somebody looks whether `target` is free: from :: to its group (RFC 4862 §5.4.2). */
function detect(t: Host, target: string): void {
  const payload = Buffer.concat([Buffer.from('8700000000000000', 'hex'), address(target)])
  const low = address(target).subarray(13).toString('hex')
  const dst = `ff02::1:ff${low.slice(0, 2)}:${low.slice(2)}`
  inject(t, packet6({ src: '::', dst, hopLimit: 255, payload }), `3333ff${low}`)
}

/** A packet from the peer's hardware address. */
function inject(t: Host, packet: Buffer, dstMac = Buffer.from(t.device.mac).toString('hex')): void {
  const frame = frame6(dstMac, Buffer.from(t.wire.mac).toString('hex'), packet)
  t.inject((_, off) => {
    t.region.bytes.set(frame, off)
    return frame.length
  })
}

test('a peer without an MSS option takes 1220 bytes; we take what the MTU leaves of 60', () => {
  const t = host()
  established(t, { mss: 0 })
  write(t, 5000)
  assert.equal(t.take()[0].segment?.data.length, 1220)
  for (const [mtu, mss] of [
    [1280, 1220],
    [1500, 1440],
    [9000, 8940],
  ]) {
    const other = host({ mtu: mtu - 20 })
    send(other, { flags: SYN, options: mssOption(65_535) })
    assert.deepEqual([...other.last.options.subarray(0, 4)], mssOption(mss))
  }
})

test('a SYN from an address that no other host can have is dropped in silence', () => {
  const t = host()
  const bad = ['::', '::1', OUR_ADDR6, 'ff02::1', 'ff0e::7', '::ffff:10.0.0.1', '::10.0.0.1']
  for (const src of bad) send(t, { flags: SYN, src })
  expectSent(t, [])
  assert.equal(dropsOf(t, 'ip6-bad-source'), bad.length)
  expectEmpty(t)
})

test('a segment to a group, or to us in a frame for a group, is dropped in silence', () => {
  const t = host()
  send(t, { flags: SYN, dst: 'ff02::1' })
  const toAll = (view: DataView, off: number): void => ethernet.setDst(view, off, 0x3333, 1)
  send(t, { flags: SYN, spoil: toAll })
  assert.equal(dropsOf(t, 'ip6-multicast'), 2)
  const toOthers = (view: DataView, off: number): void => ethernet.setDst(view, off, 0x3333, 0xfb)
  send(t, { flags: SYN, spoil: toOthers })
  assert.equal(dropsOf(t, 'eth-not-ours'), 1)
  expectSent(t, [])
})

test('the link-local address that comes with our hardware address answers, too', () => {
  const t = host()
  const [w0, w1, w2, w3] = ipv6.linkLocalOf(t.device.mac)
  const dst = ipv6.formatAddress(w0, w1, w2, w3)
  assert.match(dst, /^fe80::/)
  send(t, { flags: SYN, dst, src: PEER_ADDR6 })
  assert.deepEqual([t.last.src, t.last.dst, t.last.flags], [dst, PEER_ADDR6, SYN | ACK])
})

test('without IPv6 addresses its frames are dropped as of no known type', () => {
  const t = new Host({ ipVersion: 4 })
  send(t, { flags: SYN, src: PEER_ADDR6, dst: OUR_ADDR6 })
  assert.equal(dropsOf(t, 'eth-type'), 1)
  assert.equal(t.take().length, 0)
})

test('a peer beyond our subnets is answered through the gateway, or not at all', () => {
  const t = host({ gateway6: ipv6Address(PEER_ADDR6) })
  send(t, { flags: SYN, src: FAR })
  // The kit checks that the frame goes to the peer's hardware address, which is the gateway's here.
  assert.deepEqual([t.last.dst, t.last.flags], [FAR, SYN | ACK])
  send(t, { flags: ACK, seq: 1, ack: 1, src: FAR })
  t.tcp.commit(conn(t, FAR), 10)
  t.tcp.addWork(conn(t, FAR), tcb.NEED_OUTPUT)
  t.poll()
  assert.deepEqual([t.last.dst, t.last.data.length], [FAR, 10])
  send(t, { flags: RST, seq: 1, src: FAR })
  send(t, { flags: ACK, seq: 1, ack: 11, src: FAR })
  assert.deepEqual([t.last.dst, t.last.flags], [FAR, RST])
  expectEmpty(t)
  const alone = host()
  send(alone, { flags: SYN, src: FAR })
  send(alone, { flags: ACK, src: FAR, dstPort: 81 })
  assert.equal(dropsOf(alone, 'ip-no-route'), 1)
  expectSent(alone, [])
})

test('the SYN-ACK waits for the neighbour, and leaves when it has answered', () => {
  const t = host({ resolved: false })
  send(t, { flags: SYN })
  assert.deepEqual(lines(t), [
    'IP6 fd77::2 > ff02::1:ff00:1: ICMP6, neighbor solicitation, who has fd77::1, length 32',
  ])
  for (let i = 0; i < 20; i++) t.poll()
  expectSent(t, [])
  sendNdp(t, arpPacket.REPLY)
  expectSent(t, ['S. 0 ack 1'])
})

test('whoever asks for us first is known at once', () => {
  const t = host({ resolved: false })
  sendNdp(t, arpPacket.REQUEST)
  assert.match(lines(t)[0], /neighbor advertisement, tgt is fd77::2/)
  send(t, { flags: SYN })
  expectSent(t, ['S. 0 ack 1'])
})

test('SYNs from a whole subnet of hosts that do not exist: bounded questions, clients are served', () => {
  const t = host({ resolved: false, tcp: { maxConnections: 4096, backlog: 2000 } })
  const flood = (count: number): void => {
    for (let i = 0; i < count; i++) {
      send(t, { flags: SYN, src: `fd77::${(i % 0xfff0).toString(16)}:9`, port: 1 + (i % 60_000) })
    }
  }
  flood(1500)
  const questions = lines(t).length
  assert.ok(questions <= 256, `${questions} solicitations`)
  sendNdp(t, arpPacket.REQUEST)
  t.take()
  send(t, { flags: SYN })
  flood(400)
  assert.equal(
    t
      .take()
      .filter(frame => frame.segment !== undefined)
      .map(frame => brief(t, frame))
      .join(),
    'S. 0 ack 1',
  )
  send(t, { flags: ACK, seq: 1, ack: 1, data: 5 })
  assert.equal(t.state(), 'ESTABLISHED')
  advance(t, 100_000)
  t.take()
  send(t, { flags: RST, seq: 6 })
  expectEmpty(t)
})

test('a busy connection asks nothing of its neighbour; a silent one asks it, not everybody', () => {
  const t = host()
  established(t)
  t.answersArp = false
  for (let i = 0; i < 30; i++) {
    write(t, 100)
    advance(t, 10)
    ackUpTo(t, i * 100 + 101)
    advance(t, 9990)
  }
  assert.ok(t.take().every(frame => frame.segment !== undefined))
  advance(t, 31_000)
  write(t, 100)
  advance(t, 6000)
  const asked = lines(t).filter(line => line.includes('ICMP6'))
  assert.ok(asked.length > 0)
  assert.match(asked[0], /^IP6 fd77::2 > fd77::1: ICMP6, neighbor solicitation/)
})

test('a neighbour that is gone is given up, asked for again, and served when it is back', () => {
  const t = host()
  established(t, { mss: 536, rttMs: 10 })
  write(t, 3000)
  t.answersArp = false
  advance(t, 100_000)
  const asked = lines(t).filter(line => line.includes('ff02::1:ff00:1'))
  assert.ok(asked.length >= 3, `${asked.length} solicitations`)
  t.answersArp = true
  advance(t, 30_000)
  assert.ok(t.take().some(frame => frame.segment?.data.length === 536))
  assert.equal(t.state(), 'ESTABLISHED')
})

test('a source is a /64: its hosts share a limit, its neighbours do not, nor does IPv4', () => {
  const t = host({ gateway6: ipv6Address(PEER_ADDR6), tcp: { maxPerSource: 2 } })
  const sources = ['2001:db8::1', '2001:db8::2', '2001:db8::3', '2001:db8:0:1::1']
  for (const [i, src] of sources.entries()) send(t, { flags: SYN, src, port: 1 + i })
  assert.equal(dropsOf(t, 'tcp-source-full'), 1)
  assert.equal(t.take().length, 3)
  const { tcp } = t
  assert.notEqual(tcp.sources.key(0x20010db8, 0, tcb.KIND_IPV6), tcp.sources.key(0x20010db8))
})

test('with the table full a cookie opens the connection, of the address that it was made for', () => {
  const t = host({ tcp: { backlog: 1 } })
  send(t, { flags: SYN, port: 9 })
  t.take()
  send(t, { flags: SYN, options: mssOption(1440) })
  expectSent(t, ['S. 0 ack 1'])
  assert.equal(t.state(), 'none')
  assert.equal(t.tcp.stats.syncookiesSent, 1)
  send(t, { flags: ACK, seq: 1, ack: 1, src: 'fd77::3' })
  assert.equal(t.tcp.stats.syncookiesRecv, 0)
  send(t, { flags: ACK, seq: 1, ack: 1, data: 5 })
  assert.equal(t.state(), 'ESTABLISHED')
  assert.equal(t.field(tcb.MSS), 1440)
  assert.equal(t.tcp.stats.syncookiesRecv, 1)
})

test('a mark in the traffic class is echoed, and new data says that it may be marked', () => {
  const t = host()
  const ECE = 0x40
  const CWR = 0x80
  send(t, { flags: SYN | ECE | CWR, options: mssOption(1460) })
  assert.equal(t.last.flags, SYN | ACK | ECE)
  send(t, { flags: ACK, seq: 1, ack: 1 })
  t.take()
  const mark: Script['spoil'] = (view, off) => ipv6.setClassAndFlow(view, off + IP, 3, 0)
  send(t, { flags: ACK, seq: 1, ack: 1, data: 5, spoil: mark })
  assert.equal(t.last.flags, ACK | ECE)
  assert.equal(t.tcp.stats.ceSegs, 1)
  t.take()
  write(t, 100)
  const [frame] = t.take()
  const view = new DataView(frame.bytes.buffer)
  assert.equal(ipv6.trafficClass(view, IP), 2, 'ECT(0)')
})

test('a packet that was too big leaves again in smaller segments', () => {
  const t = host()
  established(t, { mss: 1460, rttMs: 50 })
  write(t, 100_000)
  const [first] = t.take()
  const tooBig = (mtu: number): void => {
    const quote = Buffer.from(first.bytes.subarray(IP, IP + 100))
    const payload = Buffer.concat([Buffer.alloc(8), quote])
    payload[0] = 2
    payload.writeUInt32BE(mtu, 4)
    inject(t, packet6({ src: 'fe80::7', payload }))
  }
  tooBig(1279)
  assert.equal(dropsOf(t, 'icmp6-mtu'), 1)
  expectSent(t, [])
  tooBig(1300)
  const sent = t.take()
  assert.deepEqual([sent[0].segment?.data.length, brief(t, sent[0])], [1240, '. 1:1241 ack 1'])
  assert.equal(t.field(tcb.MSS), 1240)
  assert.equal(t.tcp.stats.pathMtuReductions, 1)
})

test('port unreachable ends an attempt, and nothing that is open', () => {
  const t = host()
  const unreachable = (): void => {
    const quote = Buffer.from(t.sent.at(-1)!.bytes.subarray(IP, IP + 60))
    const payload = Buffer.concat([Buffer.from('0104000000000000', 'hex'), quote])
    inject(t, packet6({ src: PEER_ADDR6, payload }))
  }
  send(t, { flags: SYN })
  unreachable()
  assert.equal(t.state(), 'none')
  established(t)
  write(t, 100)
  unreachable()
  assert.equal(t.state(), 'ESTABLISHED')
  assert.equal(dropsOf(t, 'tcp-icmp-soft'), 1)
})

test('ACKs of two versions in one batch are two', () => {
  const t = host()
  const view = t.region.view
  const at = t.region.reserve(200)
  const ack = { srcPort: 1, dstPort: 80, seq: 1, flags: ACK, win: 9 }
  const none = { data: new Uint8Array(0), options: new Uint8Array(0) }
  const six = { ...ack, ...none, src: PEER_ADDR6, dst: OUR_ADDR6 }
  const four = { ...ack, ...none, src: 0x0a000001, dst: 0x0a000002 }
  const write2 = (first: typeof six | typeof four, second: typeof six | typeof four): boolean => {
    const len = writeSegment(view, at, t.link, { ...first, ack: 1 })
    const nextLen = writeSegment(view, at + 100, t.link, { ...second, ack: 2 })
    return isSuperseded(view, at, len, at + 100, nextLen)
  }
  assert.equal(write2(six, six), true)
  assert.equal(write2(six, four), false)
  assert.equal(write2(four, six), false)
  assert.equal(write2(six, { ...six, src: 'fd77::3' }), false)
  assert.equal(write2(six, { ...six, dst: 'fd77::3' }), false)
})

test('an address that somebody has already is not used, and we hear of it', () => {
  const conflicts: string[] = []
  const t = new Host({
    ipVersion: 6,
    resolved: false,
    ndp: { dadTransmits: 1 },
    onConflict: ({ w0, w1, w2, w3 }) => conflicts.push(ipv6.formatAddress(w0, w1, w2, w3)),
  })
  send(t, { flags: SYN })
  assert.equal(dropsOf(t, 'ip6-not-ours'), 1, 'not yet')
  // Somebody else asks for it, too (RFC 4862 §5.4.3).
  detect(t, OUR_ADDR6)
  assert.deepEqual(conflicts, [OUR_ADDR6])
  advance(t, 2000)
  send(t, { flags: SYN })
  assert.equal(dropsOf(t, 'ip6-not-ours'), 2)
  assert.ok(t.take().every(frame => frame.segment === undefined))
})

test('a changed byte anywhere in the pseudo-header is found', () => {
  const t = host()
  send(t, { flags: SYN, spoil: (view, off) => view.setUint8(off + IP + 8 + 15, 9) })
  assert.equal(dropsOf(t, 'tcp-checksum'), 1)
  const again: Script['spoil'] = (view, off) => {
    view.setUint8(off + IP + 8 + 15, 9)
    setTcpChecksum(view, off)
  }
  send(t, { flags: SYN, spoil: again })
  assert.equal(dropsOf(t, 'tcp-checksum'), 1)
})
