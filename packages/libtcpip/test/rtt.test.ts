/** RTT estimation (RFC 6298 §2) in numbers, and its limits. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type CongestionControl, tcb as fields, NewReno } from '../src/index.ts'
import * as rtt from '../src/tcp/recovery/rtt.ts'

const { SRTT_US, RTTVAR_US, RTO_US, CWND, SSTHRESH, MSS, TCB_STRIDE } = fields
const fresh = (): Int32Array => {
  const tcb = new Int32Array(TCB_STRIDE)
  tcb[RTO_US] = rtt.RTO_INITIAL_US
  return tcb
}

test('first sample: SRTT = R, RTTVAR = R/2, RTO = 3R', () => {
  const tcb = fresh()
  rtt.updateRto(tcb, 0, 500_000)
  assert.deepEqual([tcb[SRTT_US], tcb[RTTVAR_US], tcb[RTO_US]], [500_000, 250_000, 1_500_000])
})

test('next samples: 3/4 and 7/8 of the old, 1/4 and 1/8 of the new', () => {
  const tcb = fresh()
  rtt.updateRto(tcb, 0, 800_000)
  rtt.updateRto(tcb, 0, 400_000)
  assert.deepEqual([tcb[SRTT_US], tcb[RTTVAR_US]], [750_000, 400_000])
  assert.equal(tcb[RTO_US], 750_000 + 4 * 400_000)
})

test('whatever the samples are, the RTO lies between 200 ms and 60 s and above SRTT', () => {
  const sample = fc.oneof(fc.integer(), fc.integer({ min: 1, max: 1_000_000 }))
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 100 }), samples => {
      const tcb = fresh()
      for (const us of samples) {
        rtt.updateRto(tcb, 0, us)
        assert.ok(tcb[SRTT_US] > 0 && tcb[RTTVAR_US] >= 0)
        assert.ok(tcb[RTO_US] >= rtt.RTO_MIN_US && tcb[RTO_US] <= rtt.RTO_MAX_US)
        assert.ok(tcb[RTO_US] >= Math.min(tcb[SRTT_US], rtt.RTO_MAX_US))
      }
    }),
  )
})

test('a steady round trip is found, from far away', () => {
  const tcb = fresh()
  rtt.updateRto(tcb, 0, 3_000_000)
  for (let i = 0; i < 200; i++) rtt.updateRto(tcb, 0, 20_000)
  assert.ok(Math.abs(tcb[SRTT_US] - 20_000) < 200)
  assert.ok(Math.abs(tcb[RTO_US] - rtt.RTO_MIN_US - 20_000) < 300)
})

test('back-off doubles up to 60 s', () => {
  const tcb = fresh()
  const seen = Array.from({ length: 8 }, () => {
    rtt.backOffRto(tcb, 0)
    return tcb[RTO_US] / 1e6
  })
  assert.deepEqual(seen, [2, 4, 8, 16, 32, 60, 60, 60])
})

test('NewReno: half the flight on loss, two segments at least; one segment after a time-out', () => {
  const tcb = fresh()
  const cc: CongestionControl = new NewReno()
  tcb[MSS] = 1000
  cc.onOpen(tcb, 0, false)
  assert.equal(tcb[CWND], 10_000)
  cc.onLoss(tcb, 0, 20_000, 0)
  assert.equal(tcb[SSTHRESH], 10_000)
  cc.onRto(tcb, 0, 3000, true, 0)
  assert.deepEqual([tcb[CWND], tcb[SSTHRESH]], [1000, 2000])
  cc.onRto(tcb, 0, 50_000, false, 0)
  assert.equal(tcb[SSTHRESH], 2000, 'held while the same loss goes on')
  cc.onOpen(tcb, 0, true)
  assert.equal(tcb[CWND], 1000)
})

test('NewReno: whatever happens, cwnd is at least a segment and never wraps', () => {
  const event = fc.record({
    what: fc.constantFrom('ack', 'ack', 'ack', 'loss', 'rto', 'idle'),
    bytes: fc.integer({ min: 1, max: 2 ** 30 }),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), events => {
      const tcb = fresh()
      const cc: CongestionControl = new NewReno()
      tcb[MSS] = 1460
      cc.onOpen(tcb, 0, false)
      for (const { what, bytes } of events) {
        if (what === 'ack') cc.onAck(tcb, 0, bytes, Math.max(bytes, tcb[CWND]), -1, 0)
        else if (what === 'loss') cc.onLoss(tcb, 0, bytes, 0)
        else if (what === 'rto') cc.onRto(tcb, 0, bytes, true, 0)
        else cc.onIdle(tcb, 0, 0)
        assert.ok(tcb[CWND] >= 1460 && tcb[CWND] <= 2 ** 29)
        assert.ok(tcb[SSTHRESH] >= 2920)
      }
    }),
  )
})
