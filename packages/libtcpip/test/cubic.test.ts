/** CUBIC (RFC 9438): its curve against the RFC's equations in doubles, and its limits. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Cubic, tcb as fields } from '../src/index.ts'
import { Flow } from './kit/flow.ts'
import { established, Host, send, write } from './kit/host.ts'
import { Random } from './kit/random.ts'
import { ACK } from './kit/segment.ts'
import { CubicReference } from './reference/cubic.ts'

const { CWND, SRTT_US, SSTHRESH, TCB_STRIDE, MSS } = fields
const CWND_MAX = 2 ** 28
const NO_SSTHRESH = 2 ** 30
/** Of Reno-friendly growth, §4.3. */
const ALPHA = 9 / 17

const near = (actual: number, expected: number, tolerance: number): void =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual}, not ${expected}`)

/** After a loss at `segments`, recovered. */
const afterLoss = (segments: number, nowUs = 0): Flow => {
  const flow = new Flow(new Cubic(), 1000, nowUs).startAt(segments)
  flow.lose()
  return flow
}

test('a loss leaves seven tenths of the flight (§4.6)', () => {
  assert.equal(afterLoss(100).cwnd, 70_000)
  const flow = new Flow(new Cubic()).startAt(100)
  flow.cc.onLoss(flow.tcb, 0, 40_000, 0)
  assert.equal(flow.ssthresh, 28_000, 'of what was in flight, not of a window that was not used')
})

test('not less than two segments are left, and one after a time-out', () => {
  const flow = new Flow(new Cubic())
  flow.cc.onLoss(flow.tcb, 0, 1000, 0)
  assert.equal(flow.ssthresh, 2000)
  flow.cc.onRto(flow.tcb, 0, 2000, true, 0)
  assert.deepEqual([flow.cwnd, flow.ssthresh], [1000, 2000])
  flow.cc.onRto(flow.tcb, 0, 500_000, false, 0)
  assert.equal(flow.ssthresh, 2000, 'held while the same loss goes on')
  flow.cc.onOpen(flow.tcb, 0, true)
  assert.equal(flow.cwnd, 1000, 'after a lost SYN')
})

test('through the stack: three duplicate ACKs make a window of seven tenths', () => {
  const t = new Host({ congestion: new Cubic() })
  established(t, { mss: 1000, rttMs: 50 })
  write(t, 100_000)
  const ack = (upTo: number): void => send(t, { flags: ACK, seq: 1, ack: upTo })
  for (let at = 1001; at <= 10_001; at += 1000) ack(at)
  assert.equal(t.field(CWND), 20_000)
  for (let i = 0; i < 3; i++) ack(10_001)
  // What limited transmit (RFC 3042) has sent beyond the window does not count.
  assert.equal(t.field(SSTHRESH), 14_000)
})

test('after a loss: concave up to W_max, flat there, convex beyond', () => {
  const flow = afterLoss(1000)
  const k = Math.cbrt(300 / 0.4)
  const windows: number[] = []
  for (let second = 0; second < 20; second++) {
    windows.push(flow.segments)
    for (let i = 0; i < 10; i++) flow.round(100)
  }
  const growth = windows.slice(1).map((w, i) => w - windows[i])
  assert.equal(Math.floor(k), 9)
  near(windows[9], 1000, 2)
  for (let i = 1; i < 9; i++) assert.ok(growth[i] < growth[i - 1], `concave at ${i} s`)
  for (let i = 10; i < 19; i++) assert.ok(growth[i] > growth[i - 1], `convex at ${i} s`)
  near(windows[19], 1000 + 0.4 * (19 - k) ** 3, 5)
})

test('the same as the equations in doubles: half a percent and a segment, over losses and time-outs', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed)
    const mss = random.pick([536, 1220, 1460, 8960])
    const rttMs = random.pick([1, 10, 50, 200])
    const start = random.pick([20, 100, 1000])
    const flow = new Flow(new Cubic(), mss, random.int32()).startAt(start)
    const reference = new CubicReference(start)
    const startUs = flow.nowUs
    const round = (): void => {
      let before = flow.cwnd
      flow.round(rttMs, bytes => {
        assert.ok(flow.cwnd >= before, 'an ACK never takes')
        before = flow.cwnd
        reference.onAck(bytes / mss, (flow.nowUs - startUs) / 1e6, rttMs / 1000)
      })
      near(flow.segments, reference.cwnd, 1 + reference.cwnd / 200)
    }
    for (let stage = 0; stage < 8; stage++) {
      const timedOut = random.chance(0.25)
      if (timedOut) flow.timeOut()
      else flow.lose()
      if (timedOut) reference.onTimeout(reference.cwnd)
      else reference.onLoss(reference.cwnd)
      for (let i = 20 + random.below(150); i > 0 && flow.segments < 5000; i--) round()
      // So near W_max a rounding decides whether the next loss is one of fast convergence.
      while (Math.abs(reference.cwnd / reference.wMax - 1) < 0.02) round()
    }
  }
})

test('on a short path it grows as Reno does: by 9/17 of a segment a round trip (§4.3)', () => {
  const flow = afterLoss(40)
  for (let i = 0; i < 15; i++) flow.round(1)
  near(flow.segments, 28 + 15 * ALPHA, 1)
})

test('… and by a segment, once the window is what it was before the loss', () => {
  const flow = afterLoss(40)
  while (flow.segments < 40) flow.round(1)
  const from = flow.segments
  for (let i = 0; i < 20; i++) flow.round(1)
  near(flow.segments, from + 20, 1)
})

test('fast convergence: a window lost below the last W_max aims lower (§4.7)', () => {
  const plateau = (flow: Flow): number => {
    // Where growth is least: W_max.
    let least = Number.POSITIVE_INFINITY
    let at = 0
    for (let i = 0; i < 150; i++) {
      const before = flow.segments
      flow.round(100)
      if (i > 2 && flow.segments - before < least) {
        least = flow.segments - before
        at = flow.segments
      }
    }
    return at
  }
  near(plateau(afterLoss(1000)), 1000, 10)
  const again = afterLoss(1000)
  again.round(100)
  const lostAt = again.segments
  assert.ok(lostAt < 900)
  again.lose()
  near(plateau(again), 0.85 * lostAt, 10)
})

test('after a time-out: slow start to seven tenths, then convex from there at once (§4.8)', () => {
  const flow = new Flow(new Cubic()).startAt(1000)
  flow.timeOut()
  assert.equal(flow.segments, 1)
  let acks = 0
  for (; flow.segments < 700; acks++) flow.ack(2000)
  assert.equal(acks, 350, 'every byte acknowledged is one more')
  assert.equal(flow.cwnd, 700_000, 'slow start ends at ssthresh exactly')
  for (let i = 0; i < 100; i++) flow.round(100)
  near(flow.segments, 700 + 0.4 * 10 ** 3, 15)
})

test('a window that is not used does not grow, and its time does not count (§5.8)', () => {
  const steady = afterLoss(1000)
  const paused = afterLoss(1000)
  for (let i = 0; i < 30; i++) steady.round(100)
  for (let i = 0; i < 30; i++) paused.round(100)
  const before = paused.cwnd
  for (let i = 0; i < 1000; i++) {
    paused.nowUs += 100_000
    paused.cc.onAck(paused.tcb, 0, 2000, 2000, 100_000, paused.nowUs | 0)
  }
  assert.equal(paused.cwnd, before)
  for (let i = 0; i < 50; i++) {
    steady.round(100)
    paused.round(100)
    near(paused.segments, steady.segments, 1)
  }
})

test('no jump after idle: from the restart window, through slow start, along a curve of its own', () => {
  const flow = afterLoss(100)
  while (flow.segments < 95) flow.round(50)
  flow.nowUs += 600e6
  flow.cc.onIdle(flow.tcb, 0, flow.nowUs | 0)
  assert.equal(flow.cwnd, 10_000)
  flow.ack(2000)
  assert.equal(flow.cwnd, 12_000)
  while (flow.segments < 70) flow.ack(2000)
  assert.equal(flow.cwnd, 70_000)
  flow.round(50)
  assert.ok(flow.segments < 77, `${flow.segments}`)
})

for (const pauseUs of [150e6, 2400e6, 4000e6]) {
  test(`no jump after ${pauseUs / 1e6} s without ACKs: they count for two round trips`, () => {
    const flow = afterLoss(1000)
    const same = afterLoss(1000)
    for (let i = 0; i < 120; i++) flow.round(100)
    for (let i = 0; i < 120; i++) same.round(100)
    flow.nowUs += pauseUs
    flow.round(100)
    same.round(100)
    assert.ok(flow.cwnd >= same.cwnd, `${flow.cwnd}, ${same.cwnd}`)
    for (let i = 0; i < 2; i++) same.round(100)
    assert.ok(flow.cwnd <= same.cwnd, `${flow.cwnd}, ${same.cwnd}`)
  })
}

test('a smaller window than the restart window survives idleness as it is', () => {
  const flow = afterLoss(8)
  for (let i = 0; i < 3; i++) flow.round(50)
  const before = flow.cwnd
  flow.nowUs += 1000e6
  flow.cc.onIdle(flow.tcb, 0, flow.nowUs | 0)
  assert.equal(flow.cwnd, before)
  flow.ack(2000)
  assert.ok(flow.cwnd <= before + 1000)
})

test('a divided ACK gains nothing, before a loss and after', () => {
  for (const make of [() => new Flow(new Cubic()), () => afterLoss(100)]) {
    const whole = make()
    const divided = make()
    for (let i = 0; i < 200; i++) {
      whole.tcb[SRTT_US] = 50_000
      divided.tcb[SRTT_US] = 50_000
      whole.nowUs += 1000
      whole.ack(2000)
      for (let part = 0; part < 20; part++) {
        divided.nowUs += 50
        divided.ack(100)
      }
      // 1/2000: what rounding and the order of sums may do.
      assert.ok(divided.cwnd <= whole.cwnd * 1.0005, `${divided.cwnd}, ${whole.cwnd}`)
    }
    assert.ok(whole.cwnd > make().cwnd)
  }
})

test('one ACK adds at most half of the window, however late the curve is', () => {
  const flow = afterLoss(100)
  flow.tcb[SRTT_US] = 60_000_000
  flow.ack(1000)
  for (let i = 0; i < 20; i++) {
    flow.nowUs += 100e6
    const before = flow.cwnd
    flow.ack(flow.cwnd)
    assert.ok(flow.cwnd <= before * 1.5)
  }
})

test('the clock wraps unnoticed', () => {
  const trace = (nowUs: number): number[] => {
    const flow = afterLoss(500, nowUs)
    return Array.from({ length: 300 }, () => {
      flow.round(100)
      return flow.cwnd
    })
  }
  const expected = trace(0)
  for (const nowUs of [2 ** 31 - 10e6, 2 ** 32 - 10e6, -5e6]) {
    assert.deepEqual(trace(nowUs), expected)
  }
})

test('days in one epoch: the curve stays high, up to the largest window', () => {
  const flow = afterLoss(1000)
  flow.tcb[SRTT_US] = 60_000_000
  // Acknowledging a byte a minute grows nothing; the clock wraps every 72 minutes.
  for (let minute = 1; minute <= 3 * 24 * 60; minute++) {
    flow.nowUs += 60e6
    flow.ack(1)
    if (minute % 60 !== 0) continue
    const copy = flow.tcb.slice()
    flow.cc.onAck(copy, 0, flow.cwnd, flow.cwnd, -1, flow.nowUs | 0)
    near(copy[CWND], flow.cwnd * 1.5, 1)
  }
  for (let i = 0; i < 100; i++) flow.ack(flow.cwnd)
  assert.equal(flow.cwnd, CWND_MAX)
  flow.lose()
  assert.equal(flow.ssthresh, Math.floor(CWND_MAX * 0.7))
  for (let i = 0; i < 100; i++) flow.round(0.001)
  assert.ok(flow.cwnd >= flow.ssthresh && flow.cwnd <= CWND_MAX)
})

test('Reno’s growth, too, ends at the largest window', () => {
  const flow = new Flow(new Cubic())
  flow.tcb[CWND] = CWND_MAX - 500
  flow.tcb[SSTHRESH] = 2000
  flow.ack(flow.cwnd)
  flow.ack(flow.cwnd)
  assert.equal(flow.cwnd, CWND_MAX)
})

test('a window that times out again climbs anew, not back in one step', () => {
  const flow = afterLoss(100)
  for (let i = 0; i < 20; i++) flow.round(0.1)
  const high = flow.cwnd
  flow.cc.onRto(flow.tcb, 0, 4 * flow.tcb[MSS], false, flow.nowUs | 0)
  flow.tcb[CWND] = flow.ssthresh
  flow.ack(flow.cwnd)
  assert.ok(flow.cwnd < high && flow.cwnd <= flow.ssthresh * 1.5, `${flow.cwnd}, ${high} before`)
})

test('whatever happens, the window lies between a segment and 2^28, ssthresh above two segments', () => {
  const event = fc.record({
    what: fc.constantFrom('ack', 'ack', 'ack', 'ack', 'loss', 'rto', 'again', 'idle'),
    bytes: fc.oneof(fc.integer({ min: 1, max: 2 ** 30 }), fc.integer({ min: 1, max: 20_000 })),
    flight: fc.integer({ min: 0, max: 2 ** 30 }),
    nowUs: fc.integer(),
    rttUs: fc.integer({ min: -1, max: 60_000_000 }),
  })
  const mss = fc.constantFrom(1, 48, 1460, 8960)
  fc.assert(
    fc.property(mss, fc.array(event, { maxLength: 200 }), (segment, events) => {
      const tcb = new Int32Array(TCB_STRIDE)
      const cc = new Cubic()
      tcb[MSS] = segment
      cc.onOpen(tcb, 0, false)
      for (const { what, bytes, flight, nowUs, rttUs } of events) {
        if (rttUs > 0) tcb[SRTT_US] = rttUs
        const before = tcb[CWND]
        if (what === 'ack') cc.onAck(tcb, 0, bytes, Math.max(flight, bytes), rttUs, nowUs)
        else if (what === 'loss') cc.onLoss(tcb, 0, flight)
        else if (what === 'idle') cc.onIdle(tcb, 0, nowUs)
        else cc.onRto(tcb, 0, flight, what === 'rto')
        if (what === 'ack') {
          assert.ok(tcb[CWND] >= before, 'an ACK never takes')
          // In slow start what was acknowledged, in avoidance half the window at most.
          assert.ok(tcb[CWND] <= Math.max(before * 1.5 + segment, before + bytes))
        }
        assert.ok(tcb[CWND] >= segment && tcb[CWND] <= CWND_MAX, `${tcb[CWND]}`)
        assert.ok(tcb[SSTHRESH] >= 2 * segment)
        assert.ok(tcb[SSTHRESH] <= CWND_MAX || tcb[SSTHRESH] === NO_SSTHRESH)
      }
    }),
  )
})
