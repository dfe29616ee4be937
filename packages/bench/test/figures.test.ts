/** Figures: how panels are drawn and tabled, and what is read of a capture and of /proc/stat. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseHTML } from 'linkedom'
import { FIGURES } from '../src/figures/all.ts'
import { eventsOf, parseLines, typicalOf } from '../src/figures/capture.ts'
import { answerTo, CLAIMS } from '../src/figures/claims.ts'
import { between, parseCoreCount } from '../src/figures/coreTime.ts'
import { fig3 } from '../src/figures/fig3.ts'
import { PACKAGES, type Panel, type Series } from '../src/figures/figure.ts'
import { svgOf } from '../src/figures/plot.ts'
import type { FigureRecord } from '../src/figures/record.ts'
import { reportPage } from '../src/figures/report.ts'
import { measurementsPage, tableOf } from '../src/figures/table.ts'
import { inTurns, seriesOf } from '../src/figures/turns.ts'

const LINES: Panel = {
  title: 'Fast & slow',
  kind: 'lines',
  x: { label: 'connections', scale: 'log' },
  y: { label: 'requests/s', scale: 'linear' },
  series: [
    {
      name: 'ours <1>',
      points: [
        { x: 1, y: [100, 110, 90] },
        { x: 2, y: [20_000] },
      ],
    },
    { name: 'nginx', points: [{ x: 1, y: [50] }] },
  ],
}

function recordOf(panels: readonly Panel[]): FigureRecord {
  const effort = { seconds: 1, turns: 3, warmUpSeconds: 0, isSmoke: false }
  const machine = { date: 'today', cores: 2, cpu: 'x', kernel: '6', node: 'v20', commit: 'abc' }
  return { name: 'fig3', command: 'npm run figures -- fig3', machine, effort, seconds: 9, panels }
}

test('a drawing names its lines, its axes and its title, and is well-formed', () => {
  const svg = svgOf([LINES])
  const { document } = parseHTML(svg)
  const texts = [...document.querySelectorAll('text')].map(text => text.textContent)
  for (const text of ['Fast & slow', 'ours <1>', 'nginx', 'connections', '↑ requests/s']) {
    assert.ok(
      texts.some(of => of?.includes(text)),
      `${text} in ${texts.join(', ')}`,
    )
  }
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/)
})

test('who is in several figures has one colour in all of them, and nobody else has it', () => {
  const colorIn = (name: string, ...others: string[]): string => {
    const series = [...others, name].map(name => ({ name, points: [] }))
    const svg = svgOf([{ ...LINES, series }])
    return svg.match(new RegExp(`fill="([^"]+)"/><text[^>]*>${name}<`))?.[1] ?? ''
  }
  assert.match(colorIn('nginx'), /^#/)
  assert.equal(colorIn('nginx', 'sandstorm', 'memcpy'), colorIn('nginx'))
  assert.notEqual(colorIn('h2o', 'a', 'b', 'c', 'd', 'nginx'), colorIn('nginx'))
})

test('a logarithmic axis has plain numbers', () => {
  const y = { label: 'Gbit/s', scale: 'log' } as const
  for (const [low, high, label] of [
    [0.2, 3, '0.2'],
    [5000, 40_000, '10,000'],
  ] as const) {
    const series = [{ name: 'ours', points: [{ x: 1, y: [low, high] }] }]
    assert.ok(svgOf([{ ...LINES, y, series }]).includes(`>${label}<`), label)
  }
})

test('bars have a legend, and are drawn when all are 0', () => {
  const series = [{ name: 'ours', points: [{ x: '22 KB', y: [0, 0] }] }]
  const svg = svgOf([{ ...LINES, kind: 'bars', x: { label: 'object', scale: 'band' }, series }])
  assert.match(svg, />ours</)
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/)
})

test('a table has a row for each x, medians with three digits, and their spread', () => {
  assert.deepEqual(tableOf(LINES).split('\n'), [
    '| connections \\ requests/s | ours <1> | nginx |',
    '| --- | --- | --- |',
    '| 1 | 100 (20 %) | 50.0 |',
    '| 2 | 20,000 |  |',
  ])
})

test('the page of measurements has what was measured, and the command', () => {
  const page = measurementsPage([{ figure: fig3, record: recordOf([LINES]) }])
  assert.match(page, /^## Throughput by concurrency \(Fig\. 3\)$/m)
  assert.match(page, /`npm run figures -- fig3` at abc, today: 3 turns of 1 s, 9 s in all/)
  assert.doesNotMatch(page, /Fig\. 1/)
})

test('the report has each claim, and says of what was not measured that it was not', () => {
  const page = reportPage([{ figure: fig3, record: recordOf([LINES]) }])
  assert.equal(page.split('not measured yet').length - 1, CLAIMS.length)
  assert.match(page, /^<!doctype html>/)
})

test('a claim is answered with medians of what was measured', () => {
  const [claim] = CLAIMS
  const series = (name: string, y: number[]): Series => ({ name, points: [{ x: 64, y }] })
  const panel = { ...LINES, title: 'Over TAP and veth' }
  const panels = [{ ...panel, series: [series('sandstorm', [1, 3, 9]), series('nginx', [2])] }]
  assert.match(answerTo(claim, [{ figure: fig3, record: recordOf(panels) }]), /1\.50 times/)
})

test('sides take turns at each point, and one run after the other is kept', async () => {
  const order: string[] = []
  const effort = { seconds: 1, turns: 2, warmUpSeconds: 0, isSmoke: false }
  const runs = await inTurns(
    [{ name: 'a' }, { name: 'b' }],
    [{ x: 1 }, { x: 2 }],
    effort,
    (side, { x }) => order.push(`${side.name}${x}`),
  )
  assert.equal(order.join(' '), 'a1 b1 a1 b1 a2 b2 a2 b2')
  assert.deepEqual(seriesOf(runs, n => n)[1], {
    name: 'b',
    points: [
      { x: 1, y: [2, 4] },
      { x: 2, y: [6, 8] },
    ],
  })
})

test('each figure has a name, tells its tools, and says what is seen', () => {
  assert.equal(new Set(FIGURES.map(({ name }) => name)).size, FIGURES.length)
  for (const { name, title, caption, tools } of FIGURES) {
    assert.match(name, /^[a-z0-9]+$/)
    assert.ok(title.length > 5 && caption.length > 50, name)
    for (const tool of tools) assert.ok(PACKAGES[tool], tool)
  }
  for (const { figure } of CLAIMS)
    assert.ok(
      FIGURES.some(({ name }) => name === figure),
      figure,
    )
})

test('a capture gives what was sent and acknowledged since the request', () => {
  const lines = parseLines(
    [
      '100.000010\t0\t4000\t1\t1\t50',
      '100.000030\t0\t80\t1\t51\t1000',
      '100.000031\t0\t80\t1001\t51\t500',
      '100.000050\t0\t4000\t51\t1501\t0',
    ].join('\n'),
  )
  assert.deepEqual(
    eventsOf(lines).map(({ us, kind, bytes }) => [Math.round(us), kind, bytes]),
    [
      [20, 'data', 1000],
      [21, 'data', 1500],
      [40, 'ack', 1500],
    ],
  )
})

test('the typical answer is a whole one that took as long as half of them', () => {
  const answer = (stream: number, us: number, len: number): string =>
    [`1.0\t${stream}\t4000\t1\t1\t50`, `1.0000${us}\t${stream}\t80\t1\t51\t${len}`].join('\n')
  const text = [answer(0, 30, 1000), answer(1, 10, 1000), answer(2, 20, 1000), answer(3, 90, 10)]
  const [{ us }] = typicalOf(parseLines(text.join('\n')), 1000)
  assert.equal(Math.round(us), 20)
  assert.throws(() => typicalOf(parseLines(text.join('\n')), 5000), /no whole answer/)
})

test('a core is busy while it is neither idle nor away, whatever was found at its ticks', () => {
  const stat = (user: number, system: number, idle: number): string =>
    `cpu  1 2 3\ncpu0 9 9 9\ncpu1 ${user} 1 ${system} ${idle} 5 2 3 9 0 0\n`
  const before = parseCoreCount(stat(10, 20, 70), 1, 1000)
  const { busy, userShare } = between(before, parseCoreCount(stat(12, 26, 150), 1, 1100.5))
  assert.deepEqual([busy, userShare], [20.5, 0.25])
  assert.deepEqual(between(before, before), { busy: 0, userShare: 0 })
  assert.throws(() => parseCoreCount(stat(1, 1, 1), 7, 0), /cpu7/)
})
