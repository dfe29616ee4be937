/** A full SYN table: cookies (RFC 4987 §3.6), limits by source, and a flood. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ethernet } from '@sandstorm/libeth'
import { RX_CSUM_GOOD } from '@sandstorm/libnmio'
import { drops, ipv4, tcb, tcp as wire } from '../src/index.ts'
import { COOKIE_PERIOD_MS, SynCookies } from '../src/tcp/opening/cookie.ts'
import { lt } from '../src/tcp/seq.ts'
import {
  ackUpTo,
  advance,
  brief,
  type Established,
  established,
  expectEmpty,
  expectSent,
  Host,
  type HostOptions,
  OUR_ADDR,
  PEER_PORT,
  send,
  write,
} from './kit/host.ts'
import { Random } from './kit/random.ts'
import {
  ACK,
  FIN,
  mssOption,
  RST,
  SYN,
  sackOption,
  setIpChecksum,
  timestampsIn,
  timestampsOption,
  writeSegment,
  wscaleOption,
} from './kit/segment.ts'
import { testIpv4 } from './kit/version.ts'

/** A host whose SYN table has room for one, which is taken: every other SYN gets a cookie. */
function full(options: HostOptions = {}): Host {
  const t = new Host({ ...options, tcp: { backlog: 1, ...options.tcp } })
  send(t, { flags: SYN, port: 9 })
  t.take()
  return t
}

const other = ipv4.parse('10.0.0.77')

test('with a full SYN table a SYN is answered and nothing is kept; the ACK makes the connection', () => {
  const t = full()
  const { usedCount } = t.tcp.pool
  const timers = t.tcp.timers.count
  send(t, { flags: SYN, options: mssOption(1460) })
  assert.match(t.sent[0].line, /win 65535, options \[mss 1460\], length 0$/)
  expectSent(t, ['S. 0 ack 1'])
  assert.equal(t.state(), 'none')
  assert.equal(t.tcp.pool.usedCount, usedCount)
  assert.equal(t.tcp.timers.count, timers)
  assert.equal(t.tcp.halfOpen, 1)
  send(t, { flags: ACK, seq: 1, ack: 1, win: 1000 })
  assert.equal(t.state(), 'ESTABLISHED')
  assert.equal(t.field(tcb.SND_WND), 1000)
  assert.equal(t.tcp.halfOpen, 1, 'the table is as full as before')
  assert.deepEqual(t.app.events, ['open'])
  assert.equal(t.tcp.stats.syncookiesSent, 1)
  assert.equal(t.tcp.stats.syncookiesRecv, 1)
  assert.equal(t.tcp.stats.passiveOpens, 2)
  expectSent(t, [])
})

test('data, and a FIN, on the ACK that brings the cookie are taken, and answered in the same pass', () => {
  const t = full()
  t.app.doData = (c, len) => {
    t.tcp.commit(c, 100)
    return len
  }
  send(t, { flags: SYN })
  t.take()
  send(t, { flags: ACK | FIN, seq: 1, ack: 1, data: 10 })
  expectSent(t, ['P. 1:101 ack 12'])
  assert.deepEqual(t.app.events, ['open', 'data 10', 'fin'])
  assert.equal(t.state(), 'CLOSE-WAIT')
})

testIpv4('the MSS comes back rounded down', () => {
  for (const [options, mss] of [
    [[], 536],
    [mssOption(100), 48],
    [mssOption(1459), 1440],
    [mssOption(1460), 1460],
    [mssOption(9000), 1460],
  ] as [number[], number][]) {
    const t = full()
    t.app.doOpen = c => t.tcp.commit(c, 100_000)
    send(t, { flags: SYN, options })
    t.take()
    send(t, { flags: ACK, seq: 1, ack: 1 })
    assert.equal(t.sent[0].segment?.data.length, mss, `options ${options}`)
  }
})

/** Every option a client may offer, with what the connection must be like if it has no cookie. */
const OFFERS: Established[] = [
  { timestamps: true, sack: true, wscale: 7, win: 100_000 },
  { timestamps: true, sack: true, wscale: 0 },
  { timestamps: true, sack: false, wscale: 14, win: 1 << 20 },
  { timestamps: true, sack: true },
  { timestamps: true, sack: false },
]
for (const offer of OFFERS) {
  test(`with timestamps a cookie keeps what an ordinary handshake agrees on: ${JSON.stringify(offer)}`, () => {
    const ordinary = new Host()
    const t = full()
    for (const host of [ordinary, t]) established(host, offer)
    assert.equal(t.tcp.stats.syncookiesRecv, 1)
    const agreed = tcb.TIMESTAMPS | tcb.SACK | tcb.ECN
    const { SCALES, MSS, SND_WND, MAX_WND, RCV_SPACE, TS_RECENT, TS_OFFSET } = tcb
    assert.equal(t.field(tcb.FLAGS) & agreed, ordinary.field(tcb.FLAGS) & agreed)
    for (const field of [SCALES, MSS, SND_WND, MAX_WND, RCV_SPACE, TS_RECENT]) {
      assert.equal(t.field(field), ordinary.field(field), `field ${field}`)
    }
    const offset = t.tcp.isn.timestampOffset(t.tcp.segment)
    assert.equal(t.field(TS_OFFSET), offset)
    const window = (host: Host): number => (host.field(tcb.RCV_ADV) - host.field(tcb.RCV_NXT)) | 0
    assert.equal(window(t), window(ordinary))
  })
}

test('our timestamps go on from that of the cookie and never back, whatever it had to hold', () => {
  for (let ms = 0; ms < 130; ms++) {
    const t = full({ nowUs: 1_000_000_000 + ms * 1000 })
    const options = [...mssOption(1460), ...sackOption, ...timestampsOption(77, 0)]
    send(t, { flags: SYN, options: [...options, ...wscaleOption(14)] })
    const [first, echo] = timestampsIn(t.last)!
    assert.equal(echo, 77)
    send(t, { flags: ACK, seq: 1, ack: 1, data: 5 })
    const [second] = timestampsIn(t.last)!
    assert.equal(t.state(), 'ESTABLISHED')
    assert.ok(!lt(second, first), `${second} after ${first}`)
  }
})

test('without timestamps neither window scale nor SACK is agreed on: nothing would bring them back', () => {
  const t = full()
  send(t, { flags: SYN, options: [...mssOption(1460), ...sackOption, ...wscaleOption(7)] })
  assert.match(t.sent[0].line, /options \[mss 1460\], length 0$/)
  t.take()
  send(t, { flags: ACK, seq: 1, ack: 1, win: 1000 })
  assert.equal(t.field(tcb.SND_WND), 1000)
  assert.equal(t.field(tcb.FLAGS) & tcb.SACK, 0)
  assert.equal(t.field(tcb.SCALES) & tcb.WINDOW_SCALE, 0)
})

test('an echoed timestamp with other options in it, or left out, makes the cookie false', () => {
  for (let bit = -1; bit < 6; bit++) {
    const t = full()
    const syn = [...mssOption(1460), ...sackOption, ...timestampsOption(1, 0), ...wscaleOption(7)]
    send(t, { flags: SYN, options: syn })
    const [tsVal] = timestampsIn(t.last)!
    t.take()
    const options = bit < 0 ? [] : timestampsOption(2, tsVal ^ (1 << bit))
    send(t, { flags: ACK, seq: 1, ack: 1, options })
    assert.equal(t.state(), 'none')
    expectSent(t, ['R 1'])
    assert.equal(t.tcp.stats.syncookiesFailed, 1)
    send(t, { flags: ACK, seq: 1, ack: 1, options: timestampsOption(2, tsVal) })
    assert.equal(t.state(), 'ESTABLISHED')
  }
})

test('a cookie is good for its period and the next, then it is refused', () => {
  for (const [ms, good] of [
    [0, true],
    [COOKIE_PERIOD_MS, true],
    [2 * COOKIE_PERIOD_MS, false],
    [600_000, false],
  ] as const) {
    const t = full()
    send(t, { flags: SYN })
    t.take()
    const late = t.nowUs + ms * 1000
    // Others keep getting cookies, so that they are looked for.
    while (t.nowUs < late) {
      t.nowUs = Math.min(t.nowUs + 10_000_000, late)
      send(t, { flags: SYN, port: 9 })
      send(t, { flags: SYN, port: 10 })
    }
    t.take()
    send(t, { flags: ACK, seq: 1, ack: 1 })
    assert.equal(t.state(), good ? 'ESTABLISHED' : 'none', `after ${ms} ms`)
    expectSent(t, good ? [] : ['R 1'])
  }
})

test('forged ACKs make no connection and are answered with RST at a limited rate', () => {
  const t = full()
  send(t, { flags: SYN })
  t.take()
  const random = new Random(5)
  for (let i = 0; i < 5000; i++) send(t, { flags: ACK, seq: random.int32(), ack: random.int32() })
  assert.equal(t.state(), 'none')
  assert.equal(t.tcp.pool.usedCount, 1)
  assert.equal(t.tcp.stats.syncookiesFailed, 5000)
  const frames = t.take()
  assert.ok(frames.length <= 400 && frames.every(frame => frame.segment?.flags === RST))
})

for (const bits of [6, 8]) {
  test(`of forged ACKs one in 2^${bits} makes a connection if ${bits} bits of the hash are compared`, () => {
    const t = full({ tcp: { maxConnections: 1024 } })
    const random = new Random(bits)
    cutCookies(t, bits, random)
    send(t, { flags: SYN, port: 10 }) // a cookie is under way, so cookies are looked for
    const guesses = 20_000
    for (let i = 0; i < guesses; i++) {
      const numbers = { seq: random.int32(), ack: random.int32() }
      const stamps = i & 1 ? { tsVal: random.int32(), tsEcr: random.int32() } : {}
      send(t, { flags: ACK, port: 1024 + i, ...numbers, ...stamps })
    }
    const { syncookiesRecv, syncookiesFailed } = t.tcp.stats
    assert.equal(t.app.openCount, syncookiesRecv)
    assert.equal(t.tcp.pool.usedCount, 1 + syncookiesRecv)
    assert.equal(syncookiesRecv + syncookiesFailed, guesses)
    const expected = guesses * 2 ** -bits
    const sigma = Math.sqrt(expected)
    assert.ok(Math.abs(syncookiesRecv - expected) < 4 * sigma, `${syncookiesRecv}, not ${expected}`)
  })
}

/** The stack compares no more than this many bits of a cookie's hash. */
function cutCookies(t: Host, bits: number, random: Random): void {
  const tcp: { cookies: SynCookies } = t.tcp
  tcp.cookies = new SynCookies(() => random.int32(), bits)
}

test('all bits of a cookie count, and of the ISN beside it: one that is wrong makes it false', () => {
  for (const stamped of [false, true]) {
    const t = full()
    send(t, { flags: SYN, options: stamped ? timestampsOption(1, 0) : [] })
    t.take()
    for (let bit = 0; bit < 32; bit++) {
      // The numbers in the segment are one more than those that are changed.
      const [ack, seq] = [t.iss(), t.irs].map(n => ((n ^ (1 << bit)) + 1 - n) | 0)
      send(t, { flags: ACK, seq: 1, ack })
      send(t, { flags: ACK, seq, ack: 1 })
    }
    assert.equal(t.tcp.stats.syncookiesFailed, 64)
    assert.equal(t.state(), 'none')
    send(t, { flags: ACK, seq: 1, ack: 1 })
    assert.equal(t.state(), 'ESTABLISHED')
  }
})

test('in peace no ACK is taken for a cookie', () => {
  const t = new Host()
  send(t, { flags: ACK, seq: 1, ack: 1 })
  assert.equal(t.tcp.stats.syncookiesFailed, 0)
  assert.equal(t.take().length, 1)
})

test('data behind a lost first segment is not reset, and the first segment, sent again, opens', () => {
  const t = full()
  send(t, { flags: SYN })
  t.take()
  send(t, { flags: ACK, seq: 101, ack: 1, data: 100 })
  expectSent(t, [])
  send(t, { flags: ACK, seq: 1, ack: 1, data: 100 })
  assert.deepEqual(t.app.events, ['open', 'data 100'])
})

test('without a free TCB neither SYN nor cookie is answered; the client tries again and gets in', () => {
  const t = full({ tcp: { maxConnections: 2 } })
  send(t, { flags: SYN })
  t.take()
  established(t, { port: 8 })
  send(t, { flags: ACK, seq: 1, ack: 1 })
  send(t, { flags: SYN, port: 7 })
  expectSent(t, [])
  assert.equal(t.tcp.drops[drops.TCP_TABLE_FULL], 2)
  send(t, { flags: RST, seq: 1, port: 8 })
  send(t, { flags: ACK, seq: 1, ack: 1, data: 3 })
  assert.equal(t.state(), 'ESTABLISHED')
})

testIpv4('a cookie for an unknown neighbour is left out, and nothing waits for the address', () => {
  const t = full()
  send(t, { flags: SYN, src: other })
  t.poll()
  assert.ok(t.take().every(frame => frame.segment === undefined))
  assert.equal(t.tcp.pool.usedCount, 1)
  assert.equal(t.tcp.unresolved.count, 0)
  assert.equal(t.tcp.drops[drops.TCP_BACKLOG_FULL], 1)
})

test('a client that got a cookie, and for its second SYN a place in the table, is not reset', () => {
  const t = full()
  send(t, { flags: SYN })
  const cookie = t.iss()
  send(t, { flags: RST, seq: 1, port: 9 })
  t.take()
  send(t, { flags: SYN })
  assert.equal(t.state(), 'SYN-RECEIVED')
  assert.notEqual(t.iss(), cookie)
  t.take()
  // It takes the first SYN-ACK; the second is a SYN inside a connection to it.
  t.issOf.set(PEER_PORT, cookie)
  send(t, { flags: ACK, seq: 1, ack: 1, data: 4 })
  assert.equal(t.state(), 'ESTABLISHED')
  expectSent(t, ['. 1 ack 5'])
  assert.equal(t.tcp.halfOpen, 0)
})

test('a connection in TIME-WAIT can be reopened while the table is full', () => {
  const t = new Host({ tcp: { backlog: 1 } })
  t.app.doOpen = c => t.tcp.close(c)
  established(t)
  send(t, { flags: ACK | FIN, seq: 1, ack: 2 })
  assert.equal(t.tcp.timeWait.count, 1)
  send(t, { flags: SYN, port: 9 })
  t.app.doOpen = () => {}
  t.irs += 1000
  established(t)
  assert.equal(t.state(), 'ESTABLISHED')
  assert.equal(t.tcp.timeWait.count, 0)
  assert.equal(t.tcp.stats.syncookiesRecv, 1)
})

testIpv4(
  'one source may not fill the table: beyond its share it gets cookies, others get places',
  () => {
    const t = new Host({ tcp: { backlog: 8, maxHalfOpenPerSource: 2 } })
    for (let port = 1; port <= 4; port++) send(t, { flags: SYN, port })
    assert.equal(t.take().length, 4)
    assert.equal(t.tcp.halfOpen, 2)
    assert.equal(t.tcp.stats.syncookiesSent, 2)
    send(t, { flags: SYN, src: other })
    assert.equal(t.tcp.halfOpen, 3)
    send(t, { flags: ACK, seq: 1, ack: 1, port: 3 })
    send(t, { flags: ACK, seq: 1, ack: 1, port: 1 })
    assert.equal(t.state(3), 'ESTABLISHED', 'by its cookie')
    send(t, { flags: SYN, port: 5 })
    assert.equal(t.state(5), 'SYN-RECEIVED', 'a handshake that is over makes room')
  },
)

test('connections of one source are limited only if told so', () => {
  const t = new Host({ tcp: { maxPerSource: 2 } })
  for (let port = 1; port <= 3; port++) established(t, { port })
  assert.equal(t.state(2), 'ESTABLISHED')
  assert.equal(t.state(3), 'none')
  assert.equal(t.tcp.drops[drops.TCP_SOURCE_FULL], 1)
  send(t, { flags: RST, seq: 1, port: 1 })
  established(t, { port: 3 })
  assert.equal(t.state(3), 'ESTABLISHED')
  const free = new Host()
  for (let port = 1; port <= 20; port++) established(free, { port })
  assert.equal(free.tcp.table.count, 20)
})

testIpv4('counters by source return to nothing, however connections end', () => {
  const t = new Host({ tcp: { maxPerSource: 50, maxHalfOpenPerSource: 50 } })
  const key = t.tcp.sources.key(ipv4.parse('10.0.0.1'))
  for (let port = 1; port <= 12; port++) send(t, { flags: SYN, port })
  for (let port = 1; port <= 6; port++) send(t, { flags: ACK, seq: 1, ack: 1, port })
  assert.equal(t.tcp.sources.halfOpen.count(key), 6)
  assert.equal(t.tcp.sources.open.count(key), 12)
  for (let port = 1; port <= 4; port++) send(t, { flags: RST, seq: 1, port })
  send(t, { flags: RST, seq: 1, port: 7 })
  for (const port of [5, 6]) t.tcp.setState(t.conn(port), 7)
  for (const port of [5, 6]) t.tcp.release(t.conn(port))
  advance(t, 100_000)
  assert.equal(t.tcp.sources.halfOpen.count(key), 0)
  assert.equal(t.tcp.sources.open.count(key), 0)
  expectEmpty(t)
})

const FLOOD_BATCH = 64

/** A flood is no business of the kit's: a few SYNs are patched and sent again and again. */
class Flood {
  readonly #t: Host
  readonly #offs: number[] = []
  readonly #random = new Random(77)
  #len = 0
  sent = 0

  constructor(t: Host) {
    this.#t = t
    for (let i = 0; i < FLOOD_BATCH; i++) {
      const off = t.peerFrames.payloadOff(t.peerFrames.alloc())
      this.#offs.push(off)
      this.#len = writeSegment(t.region.view, off, t.link, {
        src: 0,
        dst: OUR_ADDR,
        srcPort: 0,
        dstPort: 80,
        seq: 0,
        ack: 0,
        flags: SYN,
        win: 1000,
        data: new Uint8Array(0),
        options: Uint8Array.from(mssOption(1460)),
      })
    }
  }

  /** SYNs from random hosts of our subnet; what they provoke is taken off the wire unread. */
  send(batches: number): void {
    const t = this.#t
    t.draining = false
    // A poll gives back what the one before it took: first the kit's frames, at last our own.
    t.poll()
    const done = t.wire.reclaim()
    for (let i = 0; i < done; i++) t.peerFrames.complete(t.wire.doneOff[i])
    for (let batch = 0; batch < batches; batch++) {
      for (const off of this.#offs) this.#push(off)
      t.wire.flush()
      t.nowUs += 200
      t.stack.poll(t.nowUs)
      t.wire.reclaim()
      while (t.wire.rx() > 0);
    }
    t.poll()
    t.wire.reclaim()
    this.sent += batches * FLOOD_BATCH
    t.draining = true
  }

  #push(off: number): void {
    const { view } = this.#t.region
    const header = off + ethernet.HEADER_LEN + ipv4.HEADER_LEN
    // Two addresses are left out: ours and the legitimate client's.
    ipv4.setSrc(view, off + ethernet.HEADER_LEN, 0x0a000003 + this.#random.below(250))
    wire.setSrcPort(view, header, 1 + this.#random.below(65535))
    wire.setSeq(view, header, this.#random.int32())
    setIpChecksum(view, off)
    this.#t.wire.push(off, this.#len, 0)
  }
}

/** The flood need not compute TCP checksums. */
function acceptAnyChecksum(t: Host): void {
  const input = t.stack.input.bind(t.stack)
  t.stack.input = (off, len) => input(off, len, RX_CSUM_GOOD)
}

for (const [where, routed] of [
  ['behind a router', true],
  ['on our own link, where nobody answers ARP for them', false],
] as const) {
  testIpv4(
    `100,000 SYNs from hosts that do not exist, ${where}: clients get in, nothing grows`,
    () => {
      const config = { maxConnections: 1024, backlog: 256, maxHalfOpenPerSource: 0 }
      const t = new Host({ tcp: config, frames: 1024, ringSize: 512 })
      const transfer = established(t, { port: 1, timestamps: true })
      if (routed) {
        t.stack.arp.lookup = () => 0
        t.stack.arp.holds = entry => entry >= 0
        t.stack.arp.macHi.fill(t.link.srcHi)
        t.stack.arp.macLo.fill(t.link.srcLo)
      }
      acceptAnyChecksum(t)
      const flood = new Flood(t)
      let acked = 1
      for (let round = 0; round < 100; round++) {
        flood.send(16)
        t.take()
        // A transfer that was under way goes on.
        write(t, 1000, 1)
        acked += 1000
        send(t, { flags: ACK, seq: 1, ack: acked, port: 1 })
        assert.equal(t.field(tcb.SND_UNA, 1), (t.iss(1) + acked) | 0, `round ${round}`)
        // A new client gets in with its first SYN, and its request is answered.
        const port = 100 + round
        t.app.doData = (c, len) => {
          t.tcp.commit(c, 50)
          t.tcp.close(c)
          return len
        }
        const timestamps = round % 2 === 0
        established(t, { port, timestamps })
        flood.send(1)
        send(t, { flags: ACK, seq: 1, ack: 1, data: 20, port })
        const answer = t.take().find(frame => frame.segment?.dstPort === port)
        assert.equal(answer && brief(t, answer), 'FP. 1:51 ack 21', `round ${round}`)
        send(t, { flags: ACK | FIN, seq: 21, ack: 52, port })
        // Memory: at most the backlog, the transfer and this client; a timer each.
        assert.ok(t.tcp.halfOpen <= 256)
        assert.ok(t.tcp.pool.usedCount <= 256 + 2, `${t.tcp.pool.usedCount} TCBs`)
        assert.ok(t.tcp.timers.count <= t.tcp.pool.usedCount)
        assert.ok(t.stack.frames.inFlightCount <= 512)
      }
      assert.ok(flood.sent >= 100_000)
      assert.equal(t.tcp.stats.syncookiesRecv, 100)
      if (routed) assert.ok(t.tcp.stats.syncookiesSent > 90_000, `${t.tcp.stats.syncookiesSent}`)
      // The flood is over: after a minute nothing is left of it.
      send(t, { flags: RST, seq: 1, port: 1 })
      assert.equal(t.tcp.tcb[transfer + tcb.STATE], 0)
      t.draining = false
      for (let ms = 0; ms < 130_000; ms += 50) {
        t.nowUs += 50_000
        t.stack.poll(t.nowUs)
        while (t.wire.rx() > 0);
      }
      t.draining = true
      expectEmpty(t)
      assert.equal(t.tcp.timeWait.count, 0)
    },
  )
}

test('a transfer over a connection made by a cookie is like any other, to its end', () => {
  const t = full()
  established(t, { timestamps: true, sack: true, wscale: 7, win: 100_000 })
  let acked = 1
  for (let i = 0; i < 20; i++) {
    write(t, 10_000)
    acked += 10_000
    t.take()
    ackUpTo(t, acked, 65535)
  }
  assert.equal(t.field(tcb.SND_UNA), (t.iss() + acked) | 0)
  assert.equal(t.tcp.stats.retransSegs, 0)
  send(t, { flags: RST, seq: 1 })
  send(t, { flags: RST, seq: 1, port: 9 })
  expectEmpty(t)
})
