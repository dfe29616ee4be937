/** HyStart++ (RFC 9406): slow start that ends when the round trip grows, for both algorithms. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CongestionControl, Cubic, tcb as fields, NewReno } from '../src/index.ts'
import { Flow } from './kit/flow.ts'
import { advance, established, Host, send, write } from './kit/host.ts'
import { ACK } from './kit/segment.ts'

const { CWND, SND_NXT, SND_UNA, SSTHRESH } = fields
const NO_SSTHRESH = 2 ** 30
const MSS = 1000

/** A flow whose rounds last as long as they are told, in flights that follow each other. */
class SlowStarter extends Flow {
  /**
   * Acknowledges what is in flight, two segments at a time; returns growth per byte of each ACK.
   */
  flight(rttMs: number, rttOf: (i: number) => number = () => rttMs): number[] {
    const { tcb } = this
    const end = tcb[SND_NXT]
    const growth: number[] = []
    this.nowUs += rttMs * 1000
    for (let i = 0; tcb[SND_UNA] < end; i++) {
      const before = this.cwnd
      const flight = tcb[SND_NXT] - tcb[SND_UNA]
      tcb[SND_UNA] += 2 * MSS
      this.cc.onAck(tcb, 0, 2 * MSS, flight, rttOf(i) * 1000, this.nowUs | 0)
      tcb[SND_NXT] = tcb[SND_UNA] + this.cwnd
      growth.push((this.cwnd - before) / (2 * MSS))
    }
    return growth
  }
}

const open = (cc: CongestionControl): SlowStarter => {
  const flow = new SlowStarter(cc, MSS)
  flow.tcb[SND_NXT] = flow.cwnd
  return flow
}

/** Two flights of 50 ms, so that a round to compare with has eight samples. */
const warm = (cc: CongestionControl, rttMs = 50): SlowStarter => {
  const flow = open(cc)
  for (let i = 0; i < 2; i++) flow.flight(rttMs)
  return flow
}

for (const make of [() => new Cubic(), () => new NewReno()]) {
  const { name } = make()

  test(`${name}: an even round trip doubles the window, round after round`, () => {
    const flow = open(make())
    for (const segments of [20, 40, 80, 160, 320, 640]) {
      assert.ok(flow.flight(50).every(growth => growth === 1))
      assert.equal(flow.segments, segments)
    }
    assert.equal(flow.ssthresh, NO_SSTHRESH)
  })

  test(`${name}: 20 ms more, and from the eighth sample on the window grows at a quarter`, () => {
    const flow = warm(make())
    const growth = flow.flight(70)
    // The first ACK still acknowledges what the round before had sent.
    assert.deepEqual(growth.slice(0, 7), Array(7).fill(1))
    assert.ok(growth.slice(9).every(g => g === 0.25))
    assert.ok(growth.length >= 20)
    assert.equal(flow.ssthresh, NO_SSTHRESH, 'not congestion avoidance yet')
  })

  test(`${name}: five rounds of that, and congestion avoidance begins where the window is`, () => {
    const flow = warm(make())
    let rounds = 0
    for (; flow.ssthresh === NO_SSTHRESH; rounds++) {
      assert.ok(rounds < 10)
      flow.flight(70)
    }
    assert.equal(rounds, 5, 'the one in which it began counts')
    assert.ok(flow.segments > 40 * 1.25 ** 4 && flow.segments < 80 * 1.25 ** 5)
    const before = flow.segments
    flow.flight(70)
    assert.ok(flow.segments <= before + 3, 'no leap when the algorithm takes over')
  })

  test(`${name}: when the round trip falls again, slow start goes on as before`, () => {
    const flow = warm(make())
    flow.flight(70)
    assert.ok(flow.flight(70).every(growth => growth === 0.25))
    const growth = flow.flight(50)
    assert.equal(growth.at(-1), 1)
    const slow = growth.filter(g => g === 0.25).length
    assert.ok(slow >= 5 && slow <= 8, `eight samples say so, some from the flight before: ${slow}`)
    for (let i = 0; i < 6; i++) assert.ok(flow.flight(50).every(g => g === 1))
    assert.equal(flow.ssthresh, NO_SSTHRESH)
  })

  test(`${name}: rounds of a false alarm do not count towards the five`, () => {
    const flow = warm(make())
    for (let i = 0; i < 4; i++) flow.flight(70)
    flow.flight(50)
    for (let i = 0; i < 4; i++) flow.flight(75)
    assert.equal(flow.ssthresh, NO_SSTHRESH)
  })

  for (const [base, less, enough] of [
    [8, 3.9, 4],
    [80, 9.9, 10],
    [400, 15.9, 16],
  ]) {
    test(`${name}: at ${base} ms the alarm is at ${enough} ms more, not at ${less}`, () => {
      const calm = warm(make(), base)
      assert.ok(calm.flight(base + less).every(growth => growth === 1))
      const alarmed = warm(make(), base)
      assert.equal(alarmed.flight(base + enough).at(-1), 0.25)
    })
  }

  test(`${name}: fewer than eight samples say nothing, and ACKs without one are none`, () => {
    const flow = warm(make())
    const samples = (count: number) => (i: number) => (i >= 1 && i <= count ? 70 : -1)
    assert.ok(flow.flight(70, samples(7)).every(growth => growth === 1))
    const other = warm(make())
    assert.ok(
      other
        .flight(70, samples(8))
        .slice(9)
        .every(growth => growth === 0.25),
    )
  })

  test(`${name}: one low sample shows that the queue is empty`, () => {
    const flow = warm(make())
    assert.ok(flow.flight(70, i => (i === 5 ? 50 : 70)).every(growth => growth === 1))
  })

  test(`${name}: one ACK of a whole flight counts for all of it`, () => {
    const flow = open(make())
    flow.ack(10 * MSS)
    assert.equal(flow.segments, 20)
  })

  test(`${name}: a later slow start has an ssthresh, and needs no round trips`, () => {
    const flow = warm(make())
    flow.timeOut()
    flow.tcb[SSTHRESH] = 1000 * MSS
    flow.tcb[SND_NXT] = flow.tcb[SND_UNA] + flow.cwnd
    for (let i = 0; flow.segments < 500; i++) {
      assert.ok(flow.flight(50 + 20 * i).every(growth => growth > 0.25))
    }
  })

  test(`${name}: a window that is not used hears no alarm`, () => {
    const flow = warm(make())
    for (let i = 0; i < 200; i++) {
      flow.tcb[SND_UNA] += 2 * MSS
      flow.tcb[SND_NXT] = flow.tcb[SND_UNA] + 2 * MSS
      flow.cc.onAck(flow.tcb, 0, 2 * MSS, 4 * MSS, 90_000, flow.nowUs)
    }
    assert.equal(flow.ssthresh, NO_SSTHRESH)
    flow.tcb[SND_NXT] = flow.tcb[SND_UNA] + flow.cwnd
    assert.ok(flow.flight(50).every(growth => growth === 1))
  })

  test(`${name}: through the stack, 20 ms more slow the window down before anything is lost`, () => {
    const t = new Host({ congestion: make(), ringSize: 1024, frames: 2048 })
    established(t, { mss: MSS, rttMs: 50, wscale: 7, win: 4_000_000 })
    write(t, 4_000_000)
    let at = 1
    let startedUs = t.nowUs
    // A burst is timed once, and what leaves within SRTT/32 is one: the ACKs come at intervals.
    const growth = (rttMs: number): number => {
      const before = t.field(CWND)
      const count = t.take().length
      advance(t, rttMs - (t.nowUs - startedUs) / 1000)
      startedUs = t.nowUs
      for (let i = 0; i < count; i += 2) {
        at += 2 * MSS
        send(t, { flags: ACK, seq: 1, ack: at, win: 32_000 })
        t.nowUs += 2500
      }
      return t.field(CWND) / before
    }
    assert.deepEqual([growth(50), growth(50)], [2, 2])
    const slower = growth(70)
    assert.ok(slower > 1.5 && slower < 1.9, `${slower}`)
    assert.ok(growth(120) < 1.3)
    assert.equal(t.field(SSTHRESH), NO_SSTHRESH)
    assert.equal(t.tcp.stats.timeouts + t.tcp.stats.retransSegs, 0)
  })
}
