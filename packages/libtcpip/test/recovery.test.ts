/**
 * What a sender of today does about loss, and about what only looks like loss, seen from outside:
 * which segments it sends when, against a client with SACK and timestamps over a simulated path.
 * RFC 8985 (RACK-TLP), RFC 6675 (SACK), RFC 5682 and 4015 (spurious time-outs).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tcb } from '../src/index.ts'
import type { ReceiverOptions } from './netsim/receiver.ts'
import { type SentSegment, Simulation, type SimulationOptions } from './netsim/run.ts'

const RTT_US = 40_000
const PATH = { delayUs: RTT_US / 2 }

interface Watched extends Simulation {
  /** All data segments, as they were sent. */
  readonly sent: SentSegment[]
}

/**
 * A run over a path of 40 ms in which segment `n` of the stream, from 0, is lost as often as `lose`
 * says.
 */
function watch(
  client: Partial<ReceiverOptions>,
  lose: Record<number, number> = {},
  options: SimulationOptions = {},
): Watched {
  const simulation = new Simulation({ forward: PATH, back: PATH, flows: [client], ...options })
  const sent: SentSegment[] = []
  simulation.onSegment = segment => sent.push(segment)
  const left = new Map(Object.entries(lose).map(([n, times]) => [Number(n), times]))
  simulation.forward.drop = packet => {
    if (packet.len === 0 || left.size === 0) return false
    const times = left.get(numberOf(sent, packet.seq)) ?? 0
    left.set(numberOf(sent, packet.seq), times - 1)
    return times > 0
  }
  return Object.assign(simulation, { sent })
}

/** Which segment of the stream begins at `seq`. */
const numberOf = (sent: readonly SentSegment[], seq: number): number =>
  sent.filter(segment => !segment.isRetransmission).findIndex(segment => segment.seq === seq)

const again = (sent: readonly SentSegment[]): SentSegment[] =>
  sent.filter(segment => segment.isRetransmission)

/** A client whose window is `segments` of the largest size, and a stream so many windows long. */
const flights = (segments: number, count: number): Partial<ReceiverOptions> => ({
  buffer: segments * 1460,
  bytes: segments * count * 1460,
})

test('one lost segment of 20 is repaired without a time-out, wherever it was', () => {
  // Segments 30 … 49 are a flight: the window is open, and the stream goes on.
  for (let n = 30; n < 50; n++) {
    const simulation = watch(flights(20, 5), { [n]: 1 })
    const { timeouts, retransmissions } = simulation.run()
    assert.equal(timeouts, 0, `segment ${n}`)
    assert.equal(retransmissions, 1, `segment ${n}`)
    const [repair] = again(simulation.sent)
    const lost = simulation.sent.find(({ seq }) => seq === repair.seq)!
    assert.ok(repair.atUs - lost.atUs < 2.5 * RTT_US, `segment ${n}: soon`)
  }
})

test('the first and the fifth of 20 are both sent again within one round trip', () => {
  const simulation = watch(flights(20, 5), { 30: 1, 34: 1 })
  const { timeouts, retransmissions } = simulation.run()
  const repairs = again(simulation.sent)
  assert.equal(timeouts, 0)
  assert.equal(retransmissions, 2, 'nothing that was selectively acknowledged is sent again')
  assert.deepEqual(
    repairs.map(({ seq }) => numberOf(simulation.sent, seq)),
    [30, 34],
  )
  const first = simulation.sent.find(({ seq }) => seq === repairs[0].seq)!
  assert.ok(repairs[1].atUs - repairs[0].atUs < RTT_US, 'one after the other')
  assert.ok(repairs[1].atUs - first.atUs < 2.25 * RTT_US, 'soon after their loss')
})

test('half of a flight is lost: no time-out, and each goes again once', () => {
  const lose = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [30 + 2 * i, 1]))
  const { timeouts, retransmissions, spurious } = watch(flights(20, 5), lose).run()
  assert.equal(timeouts, 0)
  assert.equal(retransmissions, 10)
  assert.equal(spurious, 0)
})

for (const lost of [1, 2, 3]) {
  test(`a tail of ${lost} lost segments is probed after about two round trips`, () => {
    const count = 20
    const lose = Object.fromEntries(Array.from({ length: lost }, (_, i) => [count - 1 - i, 1]))
    const simulation = watch({ bytes: count * 1400, mss: 1400, timestamps: false }, lose)
    const { timeouts } = simulation.run()
    assert.equal(timeouts, 0)
    // RFC 8985 §7.2: 2 SRTT after the latest ACK, and for a single segment what the client may
    // delay its ACK; the clock of timers ticks in milliseconds.
    const lastSent = Math.max(...simulation.sent.filter(s => !s.isRetransmission).map(s => s.atUs))
    const latestAckUs = lastSent + RTT_US
    const probeAfterUs = again(simulation.sent)[0].atUs - latestAckUs
    const ackDelayUs = lost === 1 ? 200_000 : 40_000
    assert.ok(probeAfterUs > 1.5 * RTT_US, `${probeAfterUs} µs`)
    assert.ok(probeAfterUs < 2.2 * RTT_US + ackDelayUs, `${probeAfterUs} µs`)
    if (lost === 1) assert.equal(again(simulation.sent).length, 1)
  })
}

test('a retransmission that is lost as well is noticed without a time-out', () => {
  // New data must follow the first repair: what is delivered after it shows that it is lost.
  const simulation = watch({ buffer: 1 << 18, bytes: 160 * 1460 }, { 35: 2 })
  const { timeouts, retransmissions } = simulation.run()
  assert.equal(timeouts, 0)
  assert.equal(retransmissions, 2)
})

test('reordering by less than a quarter of the round trip is soon taken for what it is', () => {
  const forward = { ...PATH, reorder: 0.05, reorderUs: 0.2 * RTT_US }
  for (let seed = 1; seed <= 4; seed++) {
    const simulation = watch(flights(40, 50), {}, { forward, seed })
    const { timeouts } = simulation.run()
    const half = simulation.sent[simulation.sent.length >> 1].atUs
    const late = again(simulation.sent).filter(({ atUs }) => atUs > half)
    assert.equal(timeouts, 0)
    assert.equal(late.length, 0, `seed ${seed}: ${late.length} of ${again(simulation.sent).length}`)
  }
})

test('every fifth ACK may be lost', () => {
  const client = flights(40, 50)
  const whole = watch(client).run().seconds
  for (let seed = 1; seed <= 4; seed++) {
    const simulation = watch(client, {}, { back: { ...PATH, loss: 0.2 }, seed })
    const { seconds, timeouts, retransmissions } = simulation.run()
    assert.equal(timeouts, 0, `seed ${seed}`)
    // At the end nothing follows a lost ACK: a probe asks for it.
    assert.ok(retransmissions <= 1, `seed ${seed}: ${retransmissions}`)
    assert.ok(seconds < 1.2 * whole + 1, `seed ${seed}: ${seconds} s, not ${whole} s`)
  }
})

for (const [help, client] of [
  ['timestamps', {}],
  ['SACK alone', { timestamps: false }],
  ['neither', { timestamps: false, sack: false }],
] as [string, Partial<ReceiverOptions>][]) {
  test(`a time-out because ACKs were late is taken back, with ${help}`, () => {
    // A path with a rate, so that ACKs come one by one.
    const path = { ...PATH, bytesPerSecond: 12_500_000 }
    const simulation = watch({ ...flights(40, 50), ...client }, {}, { forward: path, back: path })
    const { host, back } = simulation
    simulation.runFor(0.4)
    const before = simulation.field(tcb.CWND)
    // Longer than the least RTO and a probe before it, shorter than two time-outs.
    back.extraUs = 500_000
    simulation.runFor(0.1)
    back.extraUs = 0
    simulation.runFor(0.5)
    assert.equal(host.tcp.stats.timeouts, 1, 'there was a time-out')
    assert.ok(simulation.field(tcb.CWND) >= before, `cwnd ${simulation.field(tcb.CWND)}, ${before}`)
    // A tail loss probe and the first segment: no go-back-N.
    const { retransmissions } = simulation.run()
    assert.ok(retransmissions <= 2, `${retransmissions} sent again`)
  })
}
