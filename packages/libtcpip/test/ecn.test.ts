/**
 * Explicit congestion notification (RFC 3168 §6.1): what is agreed in the handshake, which segments
 * are ECN-capable, how marks are echoed, and what an echo costs.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ethernet } from '@sandstorm/libeth'
import { ipv4, ipv6, tcb, tcp as wire } from '../src/index.ts'
import { NO_FLIGHT } from '../src/tcp/recovery/flight.ts'
import {
  advance,
  brief,
  close,
  Host,
  type HostOptions,
  PEER_PORT,
  type Script,
  send,
  synOptions,
  write,
} from './kit/host.ts'
import { ACK, isIpv6, RST, type SentFrame, SYN, segmentOff, setIpChecksum } from './kit/segment.ts'

const { ECE, CWR } = wire
const MSS = 1000
const SETUP = SYN | ECE | CWR

/** A segment whose IP header carries a codepoint. */
const marked = (codepoint: number, script: Script): Script => ({
  ...script,
  spoil: (view, off) => {
    const ip = off + ethernet.HEADER_LEN
    if (isIpv6(view, off)) ipv6.setClassAndFlow(view, ip, codepoint, 0)
    else ipv4.setTos(view, ip, codepoint)
    if (!isIpv6(view, off)) setIpChecksum(view, off)
  },
})

/** All of the byte that IPv4 calls the type of service. */
function trafficClass(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer)
  const ip = ethernet.HEADER_LEN
  return isIpv6(view, 0) ? ipv6.trafficClass(view, ip) : ipv4.tos(view, ip)
}

/** `ect0 CWR . 1:1001 ack 1`: the IP header's codepoint and the two flags, where they are set. */
function show(t: Host, frame: SentFrame): string {
  const flags = frame.segment?.flags ?? 0
  const words = [
    ['', 'ect1', 'ect0', 'ce'][trafficClass(frame.bytes)],
    flags & ECE ? 'ECE' : '',
    flags & CWR ? 'CWR' : '',
    brief(t, frame),
  ]
  return words.filter(word => word !== '').join(' ')
}
const shown = (t: Host): string[] => t.take().map(frame => show(t, frame))

interface Offer {
  flags?: number
  sack?: boolean
  timestamps?: boolean
}

/** A connection that agreed on ECN, round trip 50 ms; the SYN-ACK is left in `sent`. */
function opened(offer: Offer = {}, options: HostOptions = {}): Host {
  const t = new Host(options)
  const { flags = SETUP, sack = false, timestamps = false } = offer
  send(t, { flags, seq: 0, options: synOptions(t, { mss: MSS, sack, timestamps }) })
  advance(t, 50)
  send(t, { flags: ACK, seq: 1, ack: 1 })
  return t
}

/** Likewise, with ten segments, 1 … 10000, in flight. */
function flying(offer: Offer = {}): Host {
  const t = opened(offer)
  write(t, 1_000_000)
  t.take()
  return t
}

const ack = (t: Host, upTo: number, flags = 0): void =>
  send(t, { flags: ACK | flags, seq: 1, ack: upTo })
const knowsEcn = (t: Host): boolean => (t.field(tcb.FLAGS) & tcb.ECN) !== 0

for (const [name, flags, options, answer] of [
  ['ECE and CWR', SETUP, {}, 'ECE S. 0 ack 1'],
  ['neither', SYN, {}, 'S. 0 ack 1'],
  ['ECE alone', SYN | ECE, {}, 'S. 0 ack 1'],
  ['CWR alone', SYN | CWR, {}, 'S. 0 ack 1'],
  ['both, but ECN is switched off', SETUP, { tcp: { ecn: false } }, 'S. 0 ack 1'],
] as [string, number, HostOptions, string][]) {
  test(`a SYN with ${name} is answered with ${answer}`, () => {
    const t = opened({ flags }, options)
    assert.deepEqual(shown(t), [answer])
    assert.equal(knowsEcn(t), answer.startsWith('ECE'))
    write(t, MSS)
    assert.deepEqual(shown(t), [`${knowsEcn(t) ? 'ect0 ' : ''}P. 1:1001 ack 1`])
  })
}

test('an offer of accurate ECN (AE, CWR, ECE) is answered as an offer of ECN (RFC 9768 §3.1.2)', () => {
  const t = new Host()
  const AE = 1
  send(t, {
    flags: SETUP,
    spoil: (view, off) => {
      // The AE bit is the last of the data offset's byte; the checksum's word holds it, too.
      const header = segmentOff(view, off)
      view.setUint8(header + 12, view.getUint8(header + 12) | AE)
      const sum = (~wire.checksum(view, header) & 0xffff) + (AE << 8)
      wire.setChecksum(view, header, ~((sum & 0xffff) + (sum >>> 16)))
    },
  })
  assert.deepEqual(shown(t), ['ECE S. 0 ack 1'])
  assert.equal(t.last.options.length % 4, 0)
})

test('a SYN that comes again without the offer takes it back', () => {
  const t = new Host()
  send(t, { flags: SETUP, seq: 0 })
  send(t, { flags: SYN, seq: 0 })
  assert.deepEqual(shown(t), ['ECE S. 0 ack 1', 'S. 0 ack 1'])
  send(t, { flags: ACK, seq: 1, ack: 1 })
  write(t, 500)
  assert.deepEqual(shown(t), ['P. 1:501 ack 1'])
})

test('the SYN-ACK of a time-out still agrees, and is not ECN-capable', () => {
  const t = new Host()
  send(t, { flags: SETUP, seq: 0 })
  advance(t, 1500)
  assert.deepEqual(shown(t), ['ECE S. 0 ack 1', 'ECE S. 0 ack 1'])
})

test('only new data is ECN-capable: no ACK, no retransmission, no FIN alone', () => {
  const t = opened()
  t.take()
  send(t, { flags: ACK, seq: 1, ack: 1, data: 1 })
  advance(t, 300)
  assert.deepEqual(shown(t), ['. 1 ack 2'])
  write(t, 2 * MSS)
  assert.deepEqual(shown(t), ['ect0 . 1:1001 ack 2', 'ect0 P. 1001:2001 ack 2'])
  advance(t, 250)
  assert.deepEqual(shown(t), ['. 1:1001 ack 2'], 'a time-out repeats without')
  send(t, { flags: ACK, seq: 2, ack: 2001 })
  close(t)
  assert.deepEqual(shown(t), ['F. 2001 ack 2'])
})

test('a FIN that rides on new data is ECN-capable with it', () => {
  const t = opened()
  t.take()
  t.tcp.commit(t.conn(), 700)
  close(t)
  assert.deepEqual(shown(t), ['ect0 FP. 1:701 ack 1'])
})

test('an ACK with SACK blocks is not data, whatever its length', () => {
  const t = opened({ sack: true })
  t.take()
  send(t, { flags: ACK, seq: 501, ack: 1, data: 100 })
  const [frame] = t.take()
  assert.equal(show(t, frame), '. 1 ack 1')
  assert.ok(frame.segment!.options.length >= 12)
})

test('a window probe is not ECN-capable, what follows it is', () => {
  const t = opened()
  t.take()
  send(t, { flags: ACK, seq: 1, ack: 1, win: 0 })
  write(t, 2 * MSS)
  advance(t, 1000)
  const probes = shown(t)
  assert.ok(probes.length > 0)
  for (const probe of probes) assert.equal(probe, '. 1:2 ack 1')
  send(t, { flags: ACK, seq: 1, ack: 1 })
  assert.deepEqual(shown(t), ['. 1:1001 ack 1', 'ect0 P. 1001:2001 ack 1'])
})

test('an RST and a segment of no connection are not ECN-capable', () => {
  const t = opened()
  t.take()
  send(t, { flags: ACK, seq: 1, ack: 1, port: 41_000 })
  assert.deepEqual(
    t.take().map(f => [f.segment!.flags & (RST | ECE), f.bytes[ethernet.HEADER_LEN + 1]]),
    [[RST, 0]],
  )
})

test('a mark is echoed in every segment until the peer has reacted', () => {
  const t = opened()
  t.take()
  send(t, marked(ipv4.CE, { flags: ACK, seq: 1, ack: 1, data: 10 }))
  assert.deepEqual(shown(t), ['ECE . 1 ack 11'])
  write(t, 500)
  assert.deepEqual(shown(t), ['ect0 ECE P. 1:501 ack 11'])
  send(t, marked(ipv4.ECT_0, { flags: ACK, seq: 11, ack: 501, data: 10 }))
  advance(t, 300)
  assert.deepEqual(shown(t), ['ECE . 501 ack 21'])
  send(t, marked(ipv4.ECT_0, { flags: ACK | CWR, seq: 21, ack: 501, data: 10 }))
  assert.deepEqual(shown(t), ['. 501 ack 31'])
  assert.equal(t.tcp.stats.ceSegs, 1)
})

test('a segment with CWR that is marked itself is echoed anew', () => {
  const t = opened()
  t.take()
  send(t, marked(ipv4.CE, { flags: ACK, seq: 1, ack: 1, data: 10 }))
  send(t, marked(ipv4.CE, { flags: ACK | CWR, seq: 11, ack: 1, data: 10 }))
  assert.deepEqual(shown(t), ['ECE . 1 ack 11', 'ECE . 1 ack 21'])
})

for (const [name, codepoint, script] of [
  ['ECT(0)', ipv4.ECT_0, { data: 10 }],
  ['ECT(1)', ipv4.ECT_1, { data: 10 }],
  ['a mark on a segment without data', ipv4.CE, {}],
  ['a mark outside of the window', ipv4.CE, { data: 10, seq: 100_000 }],
] as [string, number, Partial<Script>][]) {
  test(`${name} is not echoed`, () => {
    const t = opened()
    t.take()
    send(t, marked(codepoint, { flags: ACK, seq: 1, ack: 1, ...script }))
    advance(t, 300)
    write(t, 500)
    for (const line of shown(t)) assert.ok(!line.includes('ECE'), line)
    assert.equal(t.tcp.stats.ceSegs, 0)
  })
}

test('without agreement marks and flags mean nothing', () => {
  const t = flying({ flags: SYN })
  send(t, marked(ipv4.CE, { flags: ACK | ECE | CWR, seq: 1, ack: 1001, data: 10 }))
  for (const line of shown(t)) assert.ok(!/ECE|CWR|ect/.test(line), line)
  assert.ok(t.field(tcb.CWND) > 10 * MSS)
})

for (const sack of [true, false]) {
  const peer = sack ? 'with SACK' : 'without SACK'

  test(`an echo halves the window over a round trip; the next new data says so (${peer})`, () => {
    const t = flying({ sack })
    ack(t, 1001, ECE)
    assert.equal(t.field(tcb.SSTHRESH), 5 * MSS)
    assert.equal(t.tcp.stats.ecnReductions, 1)
    assert.deepEqual(shown(t), ['ect0 CWR . 10001:11001 ack 1'])
    // The rest of that flight: one segment for two that arrive, and no second reduction.
    for (let upTo = 2001; upTo <= 10_001; upTo += MSS) ack(t, upTo, ECE)
    const rest = shown(t)
    assert.ok(rest.length <= 5, `${rest.length} segments`)
    for (const line of rest) assert.match(line, /^ect0 \./)
    assert.equal(t.field(tcb.SSTHRESH), 5 * MSS)
    assert.equal(t.field(tcb.CWND), 5 * MSS)
    assert.equal(t.tcp.stats.ecnReductions, 1)
    assert.equal(t.tcp.stats.retransSegs, 0)
    assert.equal(t.field(tcb.FLAGS) & tcb.REDUCING, 0)
  })

  test(`an echo of what was sent after the reduction is a new one (${peer})`, () => {
    const t = flying({ sack })
    ack(t, 1001, ECE)
    ack(t, 10_001, ECE)
    t.take()
    ack(t, 11_001, ECE)
    assert.equal(t.tcp.stats.ecnReductions, 2)
    assert.match(shown(t)[0] ?? '', /^ect0 CWR/)
  })
}

test('an ACK without an echo costs nothing', () => {
  const t = flying()
  ack(t, 1001)
  assert.deepEqual(shown(t), ['ect0 . 10001:11001 ack 1', 'ect0 . 11001:12001 ack 1'])
})

test('an echo that acknowledges the whole flight reduces the window at once', () => {
  const t = opened()
  write(t, 10 * MSS)
  t.take()
  ack(t, 10_001, ECE)
  assert.equal(t.field(tcb.FLIGHT), NO_FLIGHT)
  assert.equal(t.field(tcb.CWND), 5 * MSS)
  assert.equal(t.field(tcb.FLAGS) & tcb.REDUCING, 0)
  ack(t, 10_001, ECE)
  assert.equal(t.tcp.stats.ecnReductions, 1, 'nothing is in flight to slow down')
  write(t, 2 * MSS)
  assert.deepEqual(shown(t), ['ect0 CWR . 10001:11001 ack 1', 'ect0 P. 11001:12001 ack 1'])
})

test('a loss in the same round trip is repaired, and costs no second reduction', () => {
  const t = flying()
  ack(t, 1001, ECE)
  t.take()
  for (let i = 0; i < 3; i++) ack(t, 1001, ECE)
  const sent = shown(t)
  assert.ok(sent.includes('. 1001:2001 ack 1'), sent.join('\n'))
  assert.equal(t.field(tcb.SSTHRESH), 5 * MSS)
  assert.equal(t.tcp.stats.renoRecoveries, 1)
  assert.ok(!sent.some(line => line.includes('CWR')), 'it was said already')
})

test('right after a reduction a loss of the next byte is found by duplicate ACKs', () => {
  const t = flying()
  ack(t, 1001, ECE)
  ack(t, 10_001)
  t.take()
  for (let i = 0; i < 3; i++) ack(t, 10_001)
  assert.ok(shown(t).includes('. 10001:11001 ack 1'))
})

test('every reduction is announced: after fast retransmit and after a time-out', () => {
  const t = flying()
  for (let i = 0; i < 3; i++) ack(t, 1)
  ack(t, 12_001)
  assert.equal(shown(t).filter(line => line.includes('CWR')).length, 1)
  const u = flying()
  advance(u, 250)
  assert.deepEqual(shown(u), ['. 1:1001 ack 1'])
  ack(u, 10_001)
  assert.match(shown(u)[0], /^ect0 CWR \. 10001/)
})

test('a time-out in the round trip of an echo does not halve the threshold again', () => {
  const t = flying()
  ack(t, 1001, ECE)
  ack(t, 8001)
  assert.ok(t.field(tcb.SND_NXT) - t.field(tcb.SND_UNA) < 8 * MSS)
  advance(t, 400)
  assert.equal(t.tcp.stats.timeouts, 1)
  assert.equal(t.field(tcb.SSTHRESH), 5 * MSS)
  assert.equal(t.field(tcb.FLAGS) & tcb.IN_CWR, 0)
})

test('proven congestion is not undone, even if nothing was lost', () => {
  for (const echo of [0, ECE]) {
    const t = flying({ timestamps: true })
    const original = t.tsValOf.get(PEER_PORT)
    advance(t, 300)
    assert.equal(t.tcp.stats.timeouts, 1)
    // The original is what the peer answers.
    send(t, { flags: ACK | echo, seq: 1, ack: 2001, tsEcr: original! })
    assert.equal(t.tcp.stats.undos, echo ? 0 : 1)
  }
})

test('a cookie keeps what was agreed', () => {
  const t = new Host({ tcp: { backlog: 1 } })
  send(t, { flags: SYN, seq: 0, port: 50_000 })
  t.take()
  const options = synOptions(t, { mss: MSS, timestamps: true })
  send(t, { flags: SETUP, seq: 0, options })
  assert.deepEqual(shown(t), ['ECE S. 0 ack 1'])
  send(t, { flags: ACK, seq: 1, ack: 1 })
  write(t, 500)
  assert.deepEqual(shown(t), ['ect0 P. 1:501 ack 1'])
  assert.equal(t.tcp.stats.syncookiesRecv, 1)
})
