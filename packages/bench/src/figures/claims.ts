/**
 * What the paper claims, and what our figures say to it. Nothing here is a figure of ours, and
 * nothing says beforehand how it comes out: each sentence is made of what was measured.
 */
import { median } from '../report.ts'
import type { Panel } from './figure.ts'
import type { Measured } from './record.ts'

export interface Claim {
  readonly paper: string
  readonly figure: string
  /** Of the figure's panels: title, series and x of each value that `say` is given. */
  readonly values: readonly (readonly [panel: string, series: string, x: number | string])[]
  readonly say: (values: readonly number[]) => string
  /** From the paper's machines. */
  readonly difference: string
}

const times = (ratio: number): string => `${ratio.toFixed(2)} times`
const WIRE = 'Over TAP and veth'
const LINK = 'On a memory link'
const SHARE = 'Load at 10 Gbit/s'

export const CLAIMS: readonly Claim[] = [
  {
    paper: 'About 3.5 times the throughput of nginx, with six network cards (§3.2).',
    figure: 'fig3',
    values: [
      [WIRE, 'sandstorm', 64],
      [WIRE, 'nginx', 64],
    ],
    say: ([ours, nginx]) => `At 64 connections over a TAP ${times(ours / nginx)} nginx’s.`,
    difference: `A TAP is the kernel's: the figure of the server's core shows how much of its time that
takes. nginx has segmentation offload to a client on the same machine. The memory link is what a network card
with rings of its own was to the paper.`,
  },
  {
    paper: '35 % more than nginx with two connections (§3.1).',
    figure: 'fig3',
    values: [
      [WIRE, 'sandstorm', 2],
      [WIRE, 'nginx', 2],
    ],
    say: ([ours, nginx]) => `With two connections ${times(ours / nginx)} nginx’s.`,
    difference: 'Client and server share a machine, and wake each other up.',
  },
  {
    paper: 'The memcpy variant has 30 % less throughput (§3.1), or 5 to 10 % more cycles (§3.2).',
    figure: 'fig3',
    values: [
      [LINK, 'memcpy', 64],
      [LINK, 'sandstorm', 64],
      [WIRE, 'memcpy', 64],
      [WIRE, 'sandstorm', 64],
    ],
    say: ([copied, ready, copiedOnWire, onWire]) =>
      `On a memory link it answers ${times(copied / ready)} as many, over a TAP ${times(copiedOnWire / onWire)}.`,
    difference: 'Over a TAP the kernel copies each byte in either variant.',
  },
  {
    paper: 'A little transmit delay for efficient batching (§3.1).',
    figure: 'fig3',
    values: [
      [WIRE, 'AF_PACKET, 50 µs delay', 2],
      [WIRE, 'AF_PACKET', 2],
      [WIRE, 'AF_PACKET, 50 µs delay', 64],
      [WIRE, 'AF_PACKET', 64],
    ],
    say: ([delayed2, plain2, delayed64, plain64]) =>
      `With 50 µs of it ${times(delayed2 / plain2)} the throughput with two connections, ${times(delayed64 / plain64)} with 64.`,
    difference: `A batch is what has come meanwhile, sent by one system call. A thread that sleeps for the delay is
woken later than that, by the slack of the kernel's timers.`,
  },
  {
    paper: '10 Gbit/s at 13 % of a core (§3.2).',
    figure: 'fig5',
    values: [
      [SHARE, 'sandstorm', '22 KB, close'],
      [SHARE, 'sandstorm', '22 KB, keep-alive'],
    ],
    say: ([close, kept]) =>
      `${close.toFixed(0)} % with a connection for each object, ${kept.toFixed(0)} % with connections kept alive.`,
    difference: 'No card that cuts segments or sums them; TypeScript instead of C.',
  },
  {
    paper: 'Linear scaling to six cards on three cores (§3.2, Fig. 5).',
    figure: 'fig5',
    values: [
      ['Workers', 'two workers', '22 KB, keep-alive'],
      ['Workers', 'one worker', '22 KB, keep-alive'],
    ],
    say: ([two, one]) => `Two workers answer ${times(two / one)} as many as one.`,
    difference: 'Two virtual cores, a generator beside each worker.',
  },
  {
    paper: 'Lower latency than conventional stacks (Fig. 6).',
    figure: 'fig6',
    values: [
      ['First byte, mean', 'sandstorm', 4],
      ['First byte, mean', 'nginx', 4],
      ['First byte, 99th percentile', 'sandstorm', 4],
      ['First byte, 99th percentile', 'nginx', 4],
    ],
    say: ([ours, nginx, ours99, nginx99]) =>
      `At 4 connections the first byte takes ${times(ours / nginx)} as long as nginx’s, the 99th percentile ${times(ours99 / nginx99)}.`,
    difference: 'Client and server share a machine; most of either time is the client.',
  },
]

/** What was measured of a claim. */
export function answerTo({ figure, values, say }: Claim, measured: readonly Measured[]): string {
  const panels = measured.find(of => of.figure.name === figure)?.record.panels ?? []
  const found = values.flatMap(([title, name, x]) => valueAt(panels, title, name, x))
  return found.length === values.length ? say(found) : 'not measured yet'
}

/** The median of a series at x in a panel; nothing if that was not measured. */
function valueAt(
  panels: readonly Panel[],
  title: string,
  name: string,
  x: number | string,
): number[] {
  const series = panels.find(panel => panel.title === title)?.series.find(of => of.name === name)
  const point = series?.points.find(of => of.x === x)
  return point === undefined ? [] : [median(point.y)]
}
