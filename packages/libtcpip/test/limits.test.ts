/** Answers that forged segments provoke are limited (RFC 5961 §7), and nobody can tell by whom. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ipv4 } from '../src/index.ts'
import { BareLimit } from '../src/tcp/stray/bareLimit.ts'
import { CHALLENGE_MAX } from '../src/tcp/stray/challenge.ts'
import { advance, established, expectSent, Host, type Script, send, write } from './kit/host.ts'
import { Random } from './kit/random.ts'
import { ACK, FIN, RST, SYN } from './kit/segment.ts'
import { testIpv4 } from './kit/version.ts'

/** What each of these does to an established connection is answered with one ACK. */
const FORGED: [string, Script][] = [
  ['an RST in the window', { flags: RST, seq: 100 }],
  ['a SYN', { flags: SYN, seq: 1 }],
  ['a SYN out of the window', { flags: SYN, seq: 1_000_000 }],
  ['an ACK of what was never sent', { flags: ACK, seq: 1, ack: 1000 }],
  ['an ACK that is far too old', { flags: ACK, seq: 1, ack: -1_000_000 }],
  ['an empty segment out of the window', { flags: ACK, seq: -5, ack: 1 }],
]
for (const [name, script] of FORGED) {
  test(`${name} is answered ${CHALLENGE_MAX} times a second, and again in the next`, () => {
    const t = new Host()
    established(t)
    advance(t, 1024 - (t.tcp.nowMs % 1024))
    for (let second = 1; second <= 3; second++) {
      for (let i = 0; i < 50; i++) {
        send(t, script)
        advance(t, 10)
      }
      expectSent(t, new Array(CHALLENGE_MAX).fill('. 1 ack 1'))
      advance(t, 524)
      assert.equal(t.tcp.stats.challengeAcks, second * CHALLENGE_MAX)
      assert.equal(t.tcp.stats.limitedAnswers, second * (50 - CHALLENGE_MAX))
    }
    assert.equal(t.state(), 'ESTABLISHED')
  })
}

test("one connection's challenges take nothing from another's", () => {
  const t = new Host()
  established(t, { port: 1 })
  established(t, { port: 2 })
  for (let i = 0; i < 100; i++) send(t, { flags: SYN, seq: 1, port: 1 })
  t.take()
  for (let i = 0; i < CHALLENGE_MAX; i++) send(t, { flags: SYN, seq: 1, port: 2 })
  expectSent(t, new Array(CHALLENGE_MAX).fill('. 1 ack 1'))
})

test('two ends that disagree do not answer each other for ever', () => {
  const t = new Host()
  established(t)
  let exchanged = 0
  for (let ms = 0; ms < 4096; ms++) {
    // The other end answers each ACK of ours with one that is out of our window.
    send(t, { flags: ACK, seq: -1000, ack: 1 })
    exchanged += t.take().length
    advance(t, 1)
  }
  assert.ok(exchanged <= 5 * CHALLENGE_MAX, `${exchanged} ACKs in four seconds`)
})

test('data and FINs that come again are always acknowledged: the peer has lost our ACK', () => {
  const t = new Host()
  established(t)
  send(t, { flags: ACK, seq: 1, ack: 1, data: 10 })
  t.take()
  for (let i = 0; i < 100; i++) {
    send(t, { flags: ACK, seq: 1, ack: 1, data: 10 })
    expectSent(t, ['. 1 ack 11'])
  }
  send(t, { flags: ACK | FIN, seq: 11, ack: 1 })
  t.take()
  for (let i = 0; i < 100; i++) {
    send(t, { flags: ACK | FIN, seq: 11, ack: 1 })
    expectSent(t, ['. 1 ack 12'])
  }
  assert.equal(t.tcp.stats.limitedAnswers, 0)
})

test('a spent budget does not hold up data', () => {
  const t = new Host()
  established(t)
  for (let i = 0; i < 100; i++) send(t, { flags: SYN, seq: 1 })
  t.take()
  write(t, 100)
  expectSent(t, ['P. 1:101 ack 1'])
  send(t, { flags: ACK, seq: 1, ack: 101, data: 7 })
  expectSent(t, ['. 101 ack 8'])
})

/** RSTs that a host sends for `count` ACKs to a closed port at one moment. */
function rstsFor(t: Host, count: number, src: string): number {
  for (let i = 0; i < count; i++) {
    send(t, { flags: ACK, seq: 1, ack: 1, src: ipv4.parse(src), dstPort: 81 })
  }
  return t.take().length
}

/** The peer's hardware address answers for every source, as a router's would. */
function routed(seed: number): Host {
  const t = new Host({ seed })
  t.stack.arp.lookup = () => 0
  t.stack.arp.macHi[0] = t.link.srcHi
  t.stack.arp.macLo[0] = t.link.srcLo
  return t
}

testIpv4('RSTs for no connection come in a generous burst, then at a rate', () => {
  const t = routed(1)
  const burst = rstsFor(t, 2000, '10.0.0.1')
  assert.ok(burst > 250 && burst <= 400, `${burst} RSTs`)
  assert.equal(t.tcp.stats.outRsts, burst, 'only what is sent is counted')
  assert.equal(t.tcp.stats.limitedAnswers, 2000 - burst)
  advance(t, 1000)
  const later = rstsFor(t, 2000, '10.0.0.1')
  assert.ok(later > 100 && later <= 200, `${later} RSTs after a second`)
})

testIpv4('a source that is answered no more takes nothing from others, but for one in 64', () => {
  const t = routed(2)
  rstsFor(t, 2000, '10.0.0.1')
  let refused = 0
  for (let host = 3; host < 250; host++) if (rstsFor(t, 1, `10.0.0.${host}`) === 0) refused++
  assert.ok(refused < 20, `${refused} of 247 share the bucket`)
})

test('how many answers are left cannot be counted to one', () => {
  const counts = new Set<number>()
  for (let seed = 1; seed <= 40; seed++) {
    const limit = new BareLimit(new Random(seed).int32())
    let answers = 0
    for (let i = 0; i < 1000; i++) if (limit.take(7, 0)) answers++
    counts.add(answers)
  }
  const values = [...counts]
  assert.ok(Math.max(...values) - Math.min(...values) > 15, `${values}`)
})

test("keys of sources are their own, and another host's differ", () => {
  const [a, b] = [new Host({ seed: 3 }), new Host({ seed: 4 })]
  const keys = new Set<number>()
  for (let addr = 0; addr < 20_000; addr++) keys.add(a.tcp.sources.key(addr))
  assert.equal(keys.size, 20_000)
  assert.notEqual(a.tcp.sources.key(1), b.tcp.sources.key(1))
})

test('the ACKs of TIME-WAIT are limited likewise', () => {
  const t = new Host()
  t.app.doOpen = c => t.tcp.close(c)
  established(t)
  send(t, { flags: ACK | FIN, seq: 1, ack: 2 })
  assert.equal(t.state(), 'none')
  t.take()
  for (let i = 0; i < 1000; i++) send(t, { flags: ACK, seq: 100, ack: 2 })
  const answers = t.take().length
  assert.ok(answers > 250 && answers <= 400, `${answers} ACKs`)
})
