/**
 * A bad network in virtual time: loss, duplicates, reordering and delay in both directions, between
 * the stack and a correct client. The whole stream always arrives, in order and equal, the client's
 * windows are obeyed, and afterwards nothing is left (invariants 2 and 6).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectEmpty } from './kit/host.ts'
import type { LinkOptions } from './netsim/link.ts'
import type { ReceiverOptions } from './netsim/receiver.ts'
import { type Result, Simulation } from './netsim/run.ts'

const GOOD: Partial<LinkOptions> = { delayUs: 10_000 }
const CLIENT: Partial<ReceiverOptions> = { bytes: 200_000, closes: 'server' }

/** The same faults both ways; runs to the end of TIME-WAIT. */
function run(network: Partial<LinkOptions>, client: Partial<ReceiverOptions>, seed = 1): Result {
  const link = { ...GOOD, ...network }
  const flow = { ...CLIENT, ...client }
  const simulation = new Simulation({ forward: link, back: link, flows: [flow], seed })
  const result = simulation.run()
  assert.equal(result.bytes, flow.bytes)
  simulation.runFor(100)
  expectEmpty(simulation.host)
  assert.equal(simulation.host.tcp.timeWait.count, 0)
  return result
}

test('a good network: not one segment is repeated', () => {
  const result = run(GOOD, {})
  assert.equal(result.retransmissions, 0)
  assert.equal(result.timeouts, 0)
})

test('duplicates alone cause no time-out', () => {
  assert.equal(run({ dup: 0.1 }, {}).timeouts, 0)
})

for (const [name, network] of [
  ['1 % loss', { loss: 0.01 }],
  ['5 % loss', { loss: 0.05 }],
  ['20 % loss', { loss: 0.2 }],
  ['10 % reordered', { reorder: 0.1, reorderUs: 25_000 }],
  ['10 % duplicated', { dup: 0.1 }],
  ['a jitter of 15 ms', { jitterUs: 15_000 }],
  ['a queue of 20 segments', { bytesPerSecond: 1_000_000, queueBytes: 30_000 }],
  [
    'a bit of everything',
    { loss: 0.02, dup: 0.02, reorder: 0.05, reorderUs: 60_000, delayUs: 30_000 },
  ],
  ['no delay, 5 % loss', { loss: 0.05, delayUs: 0 }],
] as [string, Partial<LinkOptions>][]) {
  for (const [what, client] of [
    ['a large window', {}],
    ['window scaling', { buffer: 500_000 }],
    ['no SACK', { sack: false }],
    ['no timestamps', { timestamps: false }],
    [
      'no options at all',
      { sack: false, timestamps: false, windowScaling: false, closes: 'client' },
    ],
    ['a window of 4000, read slowly', { buffer: 4000, readBytesPerSecond: 50_000, bytes: 60_000 }],
    ['MSS 536, the client closes', { mss: 536, closes: 'client' }],
  ] as [string, Partial<ReceiverOptions>][]) {
    test(`${name}, ${what}: the stream arrives whole`, () => {
      for (let seed = 1; seed <= 3; seed++) run(network, client, seed)
    })
  }
}
