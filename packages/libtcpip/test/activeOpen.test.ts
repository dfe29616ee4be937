/** Active open (RFC 9293 §3.10.1, §3.10.7.3; RFC 5961 §3.2; RFC 6056 for ports; RFC 6298 §5.7). */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { arpPacket } from '@sandstorm/libeth'
import { workerOfFrame } from '@sandstorm/libnmio'
import {
  abort,
  connect,
  drops,
  forgetHalfOpen,
  ipv4,
  ipv4Address,
  ipv6Address,
  tcb,
  tcp,
} from '../src/index.ts'
import {
  advance,
  expectEmpty,
  expectSent,
  Host,
  type HostOptions,
  OUR_ADDR,
  OUR_ADDR6,
  OUR_PORT,
  PEER_ADDR,
  PEER_ADDR6,
  PEER_PORT,
  type Script,
  send,
  sendArp,
  synOptions,
  write,
} from './kit/host.ts'
import { Pair } from './kit/pair.ts'
import { PatternApp, patternByte } from './kit/patternApp.ts'
import { Random } from './kit/random.ts'
import {
  ACK,
  FIN,
  mssOption,
  PSH,
  RST,
  SYN,
  timestampsOption,
  writeSegment,
  wscaleOption,
} from './kit/segment.ts'

const { CWR, ECE } = tcp
const PEER = ipv4Address('10.0.0.1')

/** A host that connects from OUR_PORT, so that scripts read as everywhere; its SYN is in `sent`. */
function connecting(options: HostOptions = {}): Host {
  const t = new Host(options)
  assert.equal(connect(t.tcp, 0, PEER, PEER_PORT, OUR_PORT), t.conn())
  t.poll()
  return t
}

/** The peer's SYN-ACK; without timestamps nobody expects them from us. */
function answer(t: Host, script: Partial<Script> = {}, offered = {}): void {
  const options = script.options ?? synOptions(t, offered)
  if (!options.includes(8)) t.tsValOf.delete(PEER_PORT)
  send(t, { flags: SYN | ACK, seq: 0, ack: 1, ...script, options })
}

const events = (t: Host): string => t.app.events.join(', ')

test('a SYN offers all that the configuration allows, and its window is not scaled', () => {
  const t = connecting({ tcp: { receiveWindow: 1 << 20 } })
  assert.equal(t.state(), 'SYN-SENT')
  const [{ line }] = t.sent
  assert.match(line, /Flags \[SEW\], seq \d+, win 65535, /)
  assert.match(line, /options \[mss 1460,sackOK,TS val \d+ ecr 0,nop,wscale 5\], length 0$/)
  expectSent(t, ['S 0'])
  assert.equal(t.tcp.stats.activeOpens, 1)
})

test('what is switched off is not offered', () => {
  const t = connecting({
    tcp: { sack: false, timestamps: false, windowScale: false, ecn: false },
    mtu: 1000,
  })
  assert.match(t.sent[0].line, /Flags \[S\], .*options \[mss 960\], length 0$/)
})

test('ECN is offered by ECE and CWR, agreed on by ECE alone, and not offered again (RFC 3168 §6.1.1)', () => {
  for (const [flags, agreed] of [
    [0, false],
    [ECE, true],
    [CWR, false],
    [ECE | CWR, false],
  ] as const) {
    const t = connecting()
    answer(t, { flags: SYN | ACK | flags })
    assert.equal((t.field(tcb.FLAGS) & tcb.ECN) !== 0, agreed)
    // A bare SYN makes an offer of its own.
    const u = connecting()
    u.take()
    send(u, { flags: SYN | flags, options: [] })
    assert.equal(/Flags \[S\.E\]/.test(u.sent[0].line), flags === (ECE | CWR))
  }
  const t = connecting()
  t.take()
  advance(t, 1000)
  assert.match(t.sent[0].line, /Flags \[S\]/)
  answer(t, { flags: SYN | ACK | ECE })
  assert.equal(t.field(tcb.FLAGS) & tcb.ECN, 0)
})

test('a SYN-ACK establishes, and is acknowledged at once', () => {
  const t = connecting()
  t.take()
  advance(t, 30)
  answer(t, { win: 5000 }, { mss: 1000, sack: true, timestamps: true, wscale: 3 })
  expectSent(t, ['. 1 ack 1'])
  assert.equal(t.state(), 'ESTABLISHED')
  assert.equal(events(t), 'open')
  assert.equal(t.field(tcb.SND_WND), 5000, 'the window of a SYN-ACK is not scaled')
  assert.equal(t.field(tcb.SRTT_US), 30_000, 'the SYN gave a sample')
  assert.equal(t.field(tcb.MSS), 988, 'the timestamps need 12 bytes')
  send(t, { flags: ACK, seq: 1, ack: 1, win: 1000 })
  assert.equal(t.field(tcb.SND_WND), 8000, 'later windows are')
})

test('only what both sides offer is used', () => {
  for (const bits of [0, 1, 2, 3, 4, 5, 6, 7]) {
    const [sack, timestamps] = [(bits & 1) !== 0, (bits & 2) !== 0]
    const wscale = bits & 4 ? 7 : -1
    const t = connecting()
    t.app.doOpen = c => t.tcp.commit(c, 3000)
    t.take()
    answer(t, { win: 1000 }, { sack, timestamps, wscale })
    assert.equal((t.field(tcb.FLAGS) & tcb.SACK) !== 0, sack)
    assert.equal((t.field(tcb.FLAGS) & tcb.TIMESTAMPS) !== 0, timestamps)
    const [{ line, segment }] = t.take()
    assert.equal(/options \[nop,nop,TS val \d+ ecr \d+\]/.test(line), timestamps, line)
    assert.equal(segment?.data.length, 1000, 'half of the largest window')
    const options = timestamps ? timestampsOption(t.peerMs, t.tsValOf.get(PEER_PORT) ?? 0) : []
    send(t, { flags: ACK, seq: 1, ack: 1001, win: 100, options })
    assert.equal(t.field(tcb.SND_WND), bits & 4 ? 12_800 : 100)
  }
})

test('a SYN-ACK without any option: MSS 536', () => {
  const t = connecting()
  t.app.doOpen = c => t.tcp.commit(c, 5000)
  t.take()
  answer(t, { options: [] })
  assert.equal(t.sent[0].segment?.data.length, 536)
})

test('what the application commits in onOpen carries the ACK of the handshake', () => {
  const t = connecting()
  t.app.doOpen = c => t.tcp.commit(c, 100)
  t.take()
  answer(t)
  expectSent(t, ['P. 1:101 ack 1'])
})

test('an ACK of anything but our SYN is reset, and the attempt goes on', () => {
  const t = connecting()
  t.take()
  for (const flags of [ACK, SYN | ACK]) {
    for (const ack of [0, -1, 2, 1000, -(2 ** 30), 2 ** 30]) {
      send(t, { flags, seq: 77, ack, options: [] })
      expectSent(t, [`R ${ack}`])
      send(t, { flags: flags | RST, seq: 77, ack, options: [] })
      expectSent(t, [])
      assert.equal(t.state(), 'SYN-SENT')
    }
  }
  assert.equal(t.tcp.drops[drops.TCP_BAD_ACK], 24)
  answer(t)
  assert.equal(t.state(), 'ESTABLISHED')
})

test('an RST refuses only if it acknowledges our SYN (RFC 5961 §3.2)', () => {
  const t = connecting()
  t.take()
  send(t, { flags: RST, seq: 0, options: [] })
  send(t, { flags: RST | SYN, seq: 0, options: [] })
  assert.equal(t.state(), 'SYN-SENT')
  assert.equal(t.tcp.drops[drops.TCP_RST_IGNORED], 2)
  send(t, { flags: RST | ACK, seq: 0, ack: 1, options: [] })
  assert.equal(t.state(), 'none')
  assert.equal(events(t), 'failed: reset')
  assert.equal(t.tcp.stats.attemptFails, 1)
  expectSent(t, [])
  expectEmpty(t)
})

test('a segment without SYN and RST is dropped', () => {
  const t = connecting()
  t.take()
  for (const flags of [ACK, ACK | PSH, ACK | FIN, 0, FIN, PSH]) {
    send(t, { flags, seq: 1, ack: 1, data: flags & PSH ? 10 : 0, options: [] })
    expectSent(t, [])
  }
  assert.equal(t.tcp.drops[drops.TCP_BAD_FLAGS], 6)
  assert.equal(t.state(), 'SYN-SENT')
  assert.equal(events(t), '')
})

test('a SYN is repeated with growing distances; after 183 s the attempt has timed out (MUST-23)', () => {
  const t = connecting()
  const times: number[] = [0]
  t.take()
  for (let at = 500; at <= 200_000; at += 500) {
    advance(t, 500)
    for (const { line } of t.take()) {
      assert.match(line, /\[S\].*mss 1460,sackOK,TS val \d+ ecr 0,nop,wscale 0/)
      times.push(at)
    }
    if (t.state() === 'none') {
      assert.equal(at, 183_000)
      break
    }
  }
  assert.deepEqual(times, [0, 1000, 3000, 7000, 15_000, 31_000, 63_000, 123_000])
  assert.equal(events(t), 'failed: timed out')
  assert.equal(t.tcp.stats.attemptFails, 1)
  expectEmpty(t)
})

test('how often a SYN is repeated can be set', () => {
  const t = connecting({ tcp: { maxSynRetries: 1 } })
  advance(t, 2999)
  assert.equal(t.state(), 'SYN-SENT')
  advance(t, 1)
  assert.equal(events(t), 'failed: timed out')
})

test('after a repeated SYN: RTO 3 s, one segment, and no sample (RFC 6298 §5.7, Karn)', () => {
  const t = connecting()
  t.app.doOpen = c => t.tcp.commit(c, 100_000)
  advance(t, 1500)
  expectSent(t, ['S 0', 'S 0'])
  answer(t, {}, { mss: 1000 })
  expectSent(t, ['. 1:1001 ack 1'])
  assert.equal(t.field(tcb.SRTT_US), 0)
  assert.equal(t.field(tcb.RTO_US), 3_000_000)
})

test('otherwise: ten segments, and a repeated SYN-ACK is acknowledged once more', () => {
  const t = connecting()
  t.app.doOpen = c => t.tcp.commit(c, 100_000)
  t.take()
  answer(t, {}, { mss: 1000 })
  assert.equal(t.take().length, 10)
  answer(t, {}, { mss: 1000 })
  expectSent(t, ['. 10001 ack 1'])
})

test('data, and a FIN, on the SYN-ACK are taken', () => {
  const t = connecting()
  t.take()
  answer(t, { data: 700 })
  assert.equal(events(t), 'open, data 700')
  expectSent(t, ['. 1 ack 701'])
  send(t, { flags: ACK, seq: 701, ack: 1, data: 10 })
  assert.equal(t.app.received.length, 710)

  const u = connecting()
  u.take()
  answer(u, { flags: SYN | ACK | FIN, data: 7 })
  assert.equal(events(u), 'open, data 7, fin')
  assert.equal(u.state(), 'CLOSE-WAIT')
  expectSent(u, ['. 1 ack 9'])
})

test('data on the SYN-ACK beyond the window that our SYN offered is cut off', () => {
  const t = connecting({ tcp: { receiveWindow: 300 } })
  t.take()
  answer(t, { data: 700 })
  assert.equal(events(t), 'open, data 300')
  expectSent(t, ['. 1 ack 301'])
})

test('a bare SYN meets ours: SYN-ACK, and the ACK of it establishes (MUST-10)', () => {
  const t = connecting()
  t.take()
  send(t, { flags: SYN, seq: 0, options: [...mssOption(1000), ...wscaleOption(2)] })
  assert.equal(t.state(), 'SYN-RECEIVED')
  assert.match(t.sent[0].line, /options \[mss 1460,nop,wscale 0\]/, 'what both have offered')
  expectSent(t, ['S. 0 ack 1'])
  assert.equal(events(t), '')
  advance(t, 20)
  send(t, { flags: ACK, seq: 1, ack: 1, win: 300 })
  assert.equal(t.state(), 'ESTABLISHED')
  assert.equal(events(t), 'open')
  assert.equal(t.field(tcb.SND_WND), 1200)
  assert.equal(t.field(tcb.SRTT_US), 0, 'nobody knows which of the two was acknowledged')
  expectSent(t, [])
})

test('SYNs cross, SYN-ACKs cross: established on both sides (RFC 9293 figure 8)', () => {
  const t = connecting()
  t.take()
  const options = synOptions(t, { mss: 1000, timestamps: true, wscale: 2 })
  send(t, { flags: SYN, seq: 0, options })
  expectSent(t, ['S. 0 ack 1'])
  advance(t, 1)
  send(t, { flags: SYN | ACK, seq: 0, ack: 1, win: 4000, tsVal: t.peerMs, tsEcr: 0 })
  assert.equal(t.state(), 'ESTABLISHED')
  assert.equal(t.field(tcb.SND_WND), 4000, 'the window of a SYN-ACK is not scaled')
  assert.equal(t.field(tcb.TS_RECENT) >>> 0, t.peerMs)
  expectSent(t, ['. 1 ack 1'])
  write(t, 100)
  expectSent(t, ['P. 1:101 ack 1'])
})

test('data with a bare SYN is not taken; it comes again', () => {
  const t = connecting()
  t.take()
  send(t, { flags: SYN, seq: 0, data: 50, options: [] })
  t.tsValOf.delete(PEER_PORT)
  expectSent(t, ['S. 0 ack 1'])
  send(t, { flags: ACK, seq: 1, ack: 1, data: 50 })
  assert.equal(events(t), 'open, data 50')
})

test('in SYN-RECEIVED of an active open an RST is a refusal (MUST-11)', () => {
  const t = connecting()
  send(t, { flags: SYN, seq: 0, options: [] })
  send(t, { flags: RST, seq: 1 })
  assert.equal(events(t), 'failed: reset')
  expectEmpty(t)
  // Of a passive one nobody hears.
  const u = new Host()
  send(u, { flags: SYN, seq: 0, options: [] })
  send(u, { flags: RST, seq: 1 })
  assert.equal(events(u), '')
  expectEmpty(u)
})

test('in SYN-RECEIVED of an active open a SYN-ACK that acknowledges nothing of ours does not establish', () => {
  const t = connecting()
  send(t, { flags: SYN, seq: 0, options: [] })
  t.tsValOf.delete(PEER_PORT)
  for (const ack of [0, 2]) send(t, { flags: SYN | ACK, seq: 0, ack, options: [] })
  send(t, { flags: SYN | ACK, seq: 1, ack: 1, options: [] })
  assert.equal(t.state(), 'SYN-RECEIVED')
  assert.equal(events(t), '')
})

test('a client, whose SYN we have answered, cannot answer with a SYN-ACK', () => {
  const t = new Host()
  send(t, { flags: SYN, seq: 0, options: [] })
  send(t, { flags: SYN | ACK, seq: 0, ack: 1, options: [] })
  assert.equal(t.state(), 'SYN-RECEIVED')
  assert.equal(events(t), '')
})

test('the SYN-ACK of a simultaneous open is repeated as often as a SYN', () => {
  const t = connecting()
  t.take()
  advance(t, 500)
  send(t, { flags: SYN, seq: 0, options: [] })
  expectSent(t, ['S. 0 ack 1'])
  let count = 0
  for (let s = 0; s < 200 && t.state() !== 'none'; s++) {
    advance(t, 1000)
    count += t.take().length
  }
  assert.equal(count, 7)
  assert.equal(events(t), 'failed: timed out')
})

test('the end of service forgets clients, not servers that we are connecting to', () => {
  const t = connecting()
  send(t, { flags: SYN, seq: 0, options: [] })
  send(t, { flags: SYN, seq: 0, port: 5, options: [] })
  assert.equal(t.tcp.halfOpen, 1)
  forgetHalfOpen(t.tcp)
  assert.equal(t.tcp.halfOpen, 0)
  assert.equal(t.state(), 'SYN-RECEIVED')
  assert.equal(t.state(5), 'none')
})

test('without a hardware address the SYN waits for ARP, and the round trip begins when it leaves', () => {
  const t = connecting({ resolved: false })
  assert.match(t.take()[0].line, /ARP, Request who-has 10\.0\.0\.1/)
  advance(t, 300)
  t.take()
  sendArp(t, arpPacket.REPLY)
  expectSent(t, ['S 0'])
  advance(t, 10)
  answer(t)
  assert.equal(t.field(tcb.SRTT_US), 10_000)
})

test('a peer that never answers ARP is given up like any other', () => {
  const t = connecting({ resolved: false, tcp: { maxSynRetries: 2 } })
  advance(t, 8000)
  assert.equal(events(t), 'failed: timed out')
  expectEmpty(t)
})

test('with a full ring the SYN waits for space', () => {
  const t = new Host({ ringSize: 1, resolved: true })
  t.draining = false
  const first = connect(t.tcp, 0, PEER, PEER_PORT, 1000)
  const second = connect(t.tcp, 0, PEER, PEER_PORT, 1001)
  assert.ok(first >= 0 && second >= 0)
  t.poll()
  t.drain()
  t.poll()
  t.drain()
  t.poll()
  t.drain()
  assert.deepEqual(
    t.take().map(frame => frame.segment?.srcPort),
    [1000, 1001],
  )
})

test('nobody connects to himself, to a group, to nobody, or without a route', () => {
  const t = new Host()
  for (const text of [
    '10.0.0.2',
    '10.0.0.255',
    '255.255.255.255',
    '224.0.0.1',
    '239.1.2.3',
    '240.0.0.1',
    '0.0.0.0',
    '127.0.0.1',
    '10.0.1.1',
  ]) {
    assert.equal(connect(t.tcp, 0, ipv4Address(text), 80), tcb.NO_CONN, text)
  }
  assert.equal(t.tcp.pool.usedCount, 0)
  assert.throws(() => connect(t.tcp, 0, PEER, 0), /port/)
  assert.throws(() => connect(t.tcp, 0, PEER, 65536), /port/)
  assert.throws(() => connect(t.tcp, 0, PEER, 80, -1), /port/)
})

test('the same addresses and ports cannot be had twice, not even in TIME-WAIT', () => {
  const t = connecting()
  answer(t)
  assert.equal(connect(t.tcp, 0, PEER, PEER_PORT, OUR_PORT), tcb.NO_CONN)
  t.tcp.close(t.conn())
  t.tcp.addWork(t.conn(), tcb.NEED_OUTPUT)
  t.poll()
  send(t, { flags: FIN | ACK, seq: 1, ack: 2 })
  assert.equal(t.state(), 'none')
  assert.equal(t.tcp.timeWait.count, 1)
  assert.equal(connect(t.tcp, 0, PEER, PEER_PORT, OUR_PORT), tcb.NO_CONN)
  advance(t, 60_000)
  assert.ok(connect(t.tcp, 0, PEER, PEER_PORT, OUR_PORT) >= 0)
})

test('chosen ports: one after the other from a secret place of each destination (RFC 6056 §3.3.3)', () => {
  const t = new Host({ tcp: { maxConnections: 64 } })
  const portOf = (remotePort: number): number => {
    const c = connect(t.tcp, 0, PEER, remotePort)
    return t.tcp.tcb[c + tcb.PORTS] & 0xffff
  }
  const first = portOf(80)
  const other = portOf(443)
  const next = portOf(80)
  const wrap = (port: number): number => ((port - 1024 + 64_512) % 64_512) + 1024
  assert.equal(next, wrap(first + 2), 'the counter is one for all')
  assert.notEqual(other, wrap(first + 1), 'the place is not')
  const u = new Host({ seed: 2 })
  const c = connect(u.tcp, 0, PEER, 80)
  assert.notEqual(u.tcp.tcb[c + tcb.PORTS] & 0xffff, first, 'another key, another place')
})

test('a chosen port is not one in use, in TIME-WAIT or listened on, and never below 1024', () => {
  const t = new Host({ tcp: { maxConnections: 4 } })
  const c = connect(t.tcp, 0, PEER, 80)
  const first = t.tcp.tcb[c + tcb.PORTS] & 0xffff
  const at = (i: number): number => ((first - 1024 + i) % 64_512) + 1024
  t.tcp.listen(at(1))
  assert.ok(connect(t.tcp, 0, PEER, 80, at(2)) >= 0)
  const d = connect(t.tcp, 0, PEER, 80)
  assert.equal(t.tcp.tcb[d + tcb.PORTS] & 0xffff, at(3))
  // Every port comes, and no other.
  const seen = new Set<number>()
  for (let i = 0; i < 64_512; i++) {
    const e = connect(t.tcp, 0, PEER, 81)
    const port = t.tcp.tcb[e + tcb.PORTS] & 0xffff
    assert.ok(port >= 1024)
    seen.add(port)
    abort(t.tcp, e)
    t.tcp.workHead = tcb.NO_CONN // as if the batch were over
    t.tcp.workTail = tcb.NO_CONN
    t.tcp.pool.free(e)
  }
  assert.equal(seen.size, 64_511)
})

for (const ipVersion of [4, 6] as const) {
  test(`of several stacks on a device each chooses ports of its own flows, IPv${ipVersion}`, () => {
    const spread = { count: 3, key: 0x2badcafe }
    const [src, dst] = ipVersion === 4 ? [PEER_ADDR, OUR_ADDR] : [PEER_ADDR6, OUR_ADDR6]
    const remote = ipVersion === 4 ? PEER : ipv6Address(PEER_ADDR6)
    for (const worker of [0, 1, 2]) {
      const t = new Host({ ipVersion, flows: { spread, worker } })
      for (let i = 0; i < 20; i++) {
        const c = connect(t.tcp, 0, remote, 80)
        const dstPort = t.tcp.tcb[c + tcb.PORTS] & 0xffff
        t.inject((view, off) => {
          const ports = { srcPort: 80, dstPort, seq: 0, ack: 0, flags: SYN | ACK, win: 0 }
          const empty = { data: new Uint8Array(0), options: new Uint8Array(0) }
          const len = writeSegment(view, off, t.link, { src, dst, ...ports, ...empty })
          assert.equal(workerOfFrame(spread, view, off, len), worker)
          return len
        }, false)
      }
    }
  })
}

test('no TCB, no connection', () => {
  const t = new Host({ tcp: { maxConnections: 2 } })
  assert.ok(connect(t.tcp, 0, PEER, 80) >= 0)
  assert.ok(connect(t.tcp, 0, PEER, 80) >= 0)
  assert.equal(connect(t.tcp, 0, PEER, 80), tcb.NO_CONN)
})

test('close or abort in SYN-SENT ends the attempt in silence', () => {
  for (const end of ['close', 'abort']) {
    const t = connecting()
    t.take()
    if (end === 'close') t.tcp.close(t.conn())
    else abort(t.tcp, t.conn())
    assert.equal(events(t), 'failed: aborted')
    expectSent(t, [])
    expectEmpty(t)
  }
})

test('abort in SYN-RECEIVED resets; close waits for the handshake (RFC 9293 §3.10.4, §3.10.5)', () => {
  const t = connecting()
  send(t, { flags: SYN, seq: 0, options: [] })
  t.take()
  abort(t.tcp, t.conn())
  assert.equal(events(t), 'failed: aborted')
  t.poll()
  expectSent(t, ['R. 1 ack 1'])
  expectEmpty(t)

  const u = connecting()
  send(u, { flags: SYN, seq: 0, options: [] })
  u.tsValOf.delete(PEER_PORT)
  u.take()
  u.tcp.close(u.conn())
  assert.equal(u.state(), 'SYN-RECEIVED')
  send(u, { flags: ACK, seq: 1, ack: 1 })
  assert.equal(events(u), 'open')
  assert.equal(u.state(), 'FIN-WAIT-1')
  expectSent(u, ['F. 1 ack 1'])
})

test('the application may connect again when it hears of a failure, and from any other callback', () => {
  const t = connecting({ tcp: { maxConnections: 2 } })
  t.app.doClosed = () => connect(t.tcp, 0, PEER, PEER_PORT, 2000)
  t.take()
  send(t, { flags: RST | ACK, seq: 0, ack: 1, options: [] })
  assert.equal(t.take()[0].segment?.srcPort, 2000)

  // Nor does the new connection get the TCB of one that is still being processed.
  const v = connecting({ tcp: { maxConnections: 2 } })
  answer(v, { options: [] })
  const before = v.conn()
  v.app.doAcked = c => {
    abort(v.tcp, c)
    assert.ok(connect(v.tcp, 0, PEER, 9, 9) !== before)
    assert.equal(connect(v.tcp, 0, PEER, 9, 10), tcb.NO_CONN)
  }
  write(v, 10)
  send(v, { flags: ACK, seq: 1, ack: 11 })
  assert.equal(v.state(), 'none')
  assert.ok(connect(v.tcp, 0, PEER, 9, 10) >= 0, 'once the batch is over it is free')

  // The segment that is being processed is not disturbed.
  const u = connecting()
  u.app.doData = (_c, len) => {
    connect(u.tcp, 0, ipv4Address('10.0.0.9'), 9)
    return len
  }
  u.take()
  answer(u, { flags: SYN | ACK | FIN, data: 100 })
  assert.equal(events(u), 'open, data 100, fin')
})

test('mutated segments towards a connection in SYN-SENT neither throw nor leak', () => {
  const random = new Random(7)
  for (let i = 0; i < 3000; i++) {
    const t = i % 100 === 0 ? connecting() : host
    host = t
    if (t.state() === 'none') connect(t.tcp, 0, PEER, PEER_PORT, OUR_PORT)
    t.poll()
    t.issOf.set(PEER_PORT, t.field(tcb.SND_UNA))
    t.tsValOf.clear()
    send(t, {
      flags: random.below(64),
      seq: random.below(4),
      ack: random.below(4),
      data: random.below(3) * 10,
      win: random.below(65536),
      options: random.chance(0.5)
        ? []
        : Array.from({ length: random.below(40) }, () => random.below(256)),
    })
    t.app.received = []
    if (t.state() !== 'none') abort(t.tcp, t.conn())
    t.take()
    expectEmpty(t)
  }
})
let host: Host

for (const ipVersion of [4, 6] as const) {
  test(`two stacks of ours: each sends the other its stream, loses nothing, and closes (IPv${ipVersion})`, () => {
    const pair = new Pair((_region, config) => new PatternApp(config.maxConnections), {
      ipVersion,
    })
    if (ipVersion === 6) pair.advance(1500)
    pair.appA.tcp = pair.a.tcp
    pair.appB.tcp = pair.b.tcp
    pair.b.tcp.listen(7)
    const sizes = { a: 300_000, b: 170_001 }
    pair.appA.doOpen = c => {
      pair.a.tcp.commit(c, sizes.a)
      pair.a.tcp.close(c)
    }
    pair.appB.doOpen = c => pair.b.tcp.commit(c, sizes.b)
    pair.appB.doFin = c => {
      pair.b.tcp.close(c)
    }
    assert.ok(
      connect(
        pair.a.tcp,
        0,
        ipVersion === 6 ? ipv6Address('fd77::2') : ipv4Address('10.0.0.2'),
        7,
      ) >= 0,
    )
    pair.advance(2000)
    assert.equal(pair.appA.received.length, sizes.b)
    assert.equal(pair.appB.received.length, sizes.a)
    for (const { received } of [pair.appA, pair.appB]) {
      assert.ok(received.every((byte, i) => byte === patternByte(i)))
    }
    assert.equal(pair.a.tcp.stats.retransSegs + pair.b.tcp.stats.retransSegs, 0)
    assert.equal(pair.appA.events.at(-1), 'closed')
    assert.equal(pair.appB.events.at(-1), 'closed')
    pair.advance(60_000)
    pair.expectEmpty()
  })
}

test('two stacks of ours connect to each other at the same time: one connection', () => {
  const pair = new Pair((_region, config) => new PatternApp(config.maxConnections))
  pair.appA.tcp = pair.a.tcp
  pair.appB.tcp = pair.b.tcp
  // Once each knows the other's hardware address their SYNs leave together.
  pair.a.arp.lookup(ipv4.parse('10.0.0.2'), 0)
  pair.settle()
  pair.appA.doOpen = c => pair.a.tcp.commit(c, 5000)
  pair.appB.doOpen = c => pair.b.tcp.commit(c, 7000)
  connect(pair.a.tcp, 0, ipv4Address('10.0.0.2'), 2000, 1000)
  connect(pair.b.tcp, 0, ipv4Address('10.0.0.1'), 1000, 2000)
  pair.settle()
  assert.equal(pair.a.tcp.table.count, 1)
  assert.equal(pair.b.tcp.table.count, 1)
  assert.equal(pair.appA.received.length, 7000)
  assert.equal(pair.appB.received.length, 5000)
  assert.equal(pair.a.tcp.stats.outRsts + pair.b.tcp.stats.outRsts, 0)
})

test('two stacks of ours: nobody listens, so the attempt is refused', () => {
  const pair = new Pair((_region, config) => new PatternApp(config.maxConnections))
  pair.appA.tcp = pair.a.tcp
  pair.appB.tcp = pair.b.tcp
  connect(pair.a.tcp, 0, ipv4Address('10.0.0.2'), 7)
  pair.settle()
  assert.deepEqual(pair.appA.events, ['failed: reset'])
  pair.expectEmpty()
})
