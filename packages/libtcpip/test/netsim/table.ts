/**
 * What the sender reaches over many kinds of path, as tables that a reviewer can read: goodput in
 * kB/s (1000 bytes), and how it was reached: segments sent again, those among them that the client
 * had already, time-outs. The same commit makes the same tables.
 */
import { type CongestionControl, Cubic, NewReno } from '../../src/index.ts'
import type { LinkOptions } from './link.ts'
import { jainIndex, Simulation, type SimulationOptions, simulate } from './run.ts'

/** The algorithms that are compared. */
const CONTROLS: Record<string, () => CongestionControl> = {
  newreno: () => new NewReno(),
  cubic: () => new Cubic(),
}

const LOSSES_PERCENT = [0, 0.1, 1, 2, 5, 10]
const RTTS_MS = [10, 100]
/** Window of the client in KB, and how much it fetches, MB. */
const WINDOWS = [
  [32, 2],
  [256, 4],
  [1024, 8],
] as const
/** 100 Mbit/s, and room for 256 KB before it. */
const RATE = 12_500_000
const QUEUE = 256 * 1024

/** `factor` makes every transfer as many times longer, for steadier figures. */
export function tables(factor: number): string {
  return [
    ...Object.keys(CONTROLS).map(name => lossTable(name, factor)),
    pacingTable(factor),
    fairnessTable(factor),
  ].join('\n')
}

const cells = (values: readonly (string | number)[], width: number): string =>
  values.map(value => String(value).padStart(width)).join('')

function lossTable(control: string, factor: number): string {
  const lines = [
    `${control}: 100 Mbit/s, a queue of 256 KB, the same loss both ways;`,
    'reordered: 5 % of the segments come 0.2 round trips later',
    '',
    '   RTT window   loss |             in order            |            reordered',
    '    ms     KB      % |    kB/s   again  needless   RTO |    kB/s   again  needless   RTO',
  ]
  for (const rttMs of RTTS_MS) {
    for (const [window, megabytes] of WINDOWS) {
      for (const loss of LOSSES_PERCENT) {
        const bytes = megabytes * 1e6 * factor
        const row = [0, 0.05].map(reorder => path(control, rttMs, window, loss, reorder, bytes))
        lines.push(`${cells([rttMs], 6)}${cells([window, loss], 7)} |${row.join(' |')}`)
      }
    }
  }
  return `${lines.join('\n')}\n`
}

function path(
  control: string,
  rttMs: number,
  window: number,
  lossPercent: number,
  reorder: number,
  bytes: number,
): string {
  const link: Partial<LinkOptions> = { delayUs: rttMs * 500, loss: lossPercent / 100 }
  return figures({
    forward: {
      ...link,
      bytesPerSecond: RATE,
      queueBytes: QUEUE,
      reorder,
      reorderUs: rttMs * 200,
    },
    back: { ...link, bytesPerSecond: RATE },
    flows: [{ bytes, buffer: window * 1024 }],
    congestion: CONTROLS[control](),
  })
}

function figures(options: SimulationOptions): string {
  const { goodput, retransmissions, spurious, timeouts } = simulate(options)
  const rate = (goodput / 1000).toFixed(1)
  return cells([rate, retransmissions], 8) + cells([spurious], 10) + cells([timeouts], 6)
}

/** Round trip in ms, KB of the queue, loss in percent. */
const PACED_PATHS = [
  [10, 32, 0],
  [100, 32, 0],
  [100, 64, 0],
  [100, 256, 0],
  [100, 256, 1],
  [100, 256, 5],
] as const

function pacingTable(factor: number): string {
  const lines = [
    'cubic, with bursts and paced: 100 Mbit/s, a window of 1024 KB, 8 MB',
    '',
    '   RTT  queue   loss |             bursts              |              paced',
    '    ms     KB      % |    kB/s   again  needless   RTO |    kB/s   again  needless   RTO',
  ]
  for (const [rttMs, queue, loss] of PACED_PATHS) {
    const link: Partial<LinkOptions> = { delayUs: rttMs * 500, loss: loss / 100 }
    const row = [false, true].map(pacing =>
      figures({
        forward: { ...link, bytesPerSecond: RATE, queueBytes: queue * 1024 },
        back: { ...link, bytesPerSecond: RATE },
        flows: [{ bytes: 8e6 * factor, buffer: 1024 * 1024 }],
        congestion: new Cubic(),
        pacing,
      }),
    )
    lines.push(`${cells([rttMs], 6)}${cells([queue, loss], 7)} |${row.join(' |')}`)
  }
  return `${lines.join('\n')}\n`
}

/** Who shares the bottleneck: the flows' own round trips in ms, and when each begins, s. */
const MIXES: [string, { rttMs: number; startS: number }[]][] = [
  ['2 alike', [40, 40].map(rttMs => ({ rttMs, startS: 0 }))],
  ['8 alike', Array.from({ length: 8 }, () => ({ rttMs: 40, startS: 0 }))],
  ['4, one every 5 s', [0, 5, 10, 15].map(startS => ({ rttMs: 40, startS }))],
  ['2 at 20 and 80 ms', [20, 80].map(rttMs => ({ rttMs, startS: 0 }))],
]
const SHARED_RATE = 1_250_000
const WARM_UP_S = 20
const MEASURED_S = 40

function fairnessTable(factor: number): string {
  const lines = [
    'fairness: 10 Mbit/s for all flows together, a queue of 50 KB; Jain index and the sum of the',
    `flows' goodput, kB/s, from second ${WARM_UP_S} on`,
    '',
    `${'control'.padEnd(10)}${'flows'.padEnd(20)}${cells(['Jain', 'kB/s', 'again', 'RTO'], 9)}`,
  ]
  for (const control of Object.keys(CONTROLS)) {
    for (const [name, flows] of MIXES) lines.push(share(control, name, flows, factor))
  }
  return `${lines.join('\n')}\n`
}

function share(
  control: string,
  name: string,
  flows: { rttMs: number; startS: number }[],
  factor: number,
): string {
  const simulation = new Simulation({
    forward: { bytesPerSecond: SHARED_RATE, queueBytes: 50_000 },
    congestion: CONTROLS[control](),
    flows: flows.map(({ rttMs, startS }) => ({
      bytes: 1e9,
      buffer: 1 << 20,
      extraRttUs: rttMs * 1000,
      startUs: startS * 1e6,
    })),
  })
  const received = (): number[] => simulation.receivers.map(receiver => receiver.received)
  simulation.runFor(WARM_UP_S)
  const before = received()
  simulation.runFor(MEASURED_S * factor)
  const rates = received().map((bytes, i) => (bytes - before[i]) / (MEASURED_S * factor) / 1000)
  const sum = rates.reduce((a, b) => a + b, 0).toFixed(1)
  const { retransmissions, timeouts } = simulation.result
  const figures = cells([jainIndex(rates).toFixed(3), sum, retransmissions, timeouts], 9)
  return `${control.padEnd(10)}${name.padEnd(20)}${figures}`
}
